"""The two copies of a tokenizer, one of which takes user text as it is."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, normalizers

from skraee.exceptions import TruncationWarning
from skraee.text.tokenizer import TextTokenizer
from tests.support.prompts import encode_one
from tests.support.tokenizers import sentences, wordpiece

HOSTILE = [
    "{text}",
    "{mask}",
    "{{",
    "}}",
    "{",
    "\x00",
    "a\x00b",
    "\x07\x1b[0m",
    "\ufffd",
]


def special_tokens(hf):
    return [*hf.all_special_tokens, "</s>", "<pad>", "[MASK]", "<extra_id_0>"]


@pytest.mark.parametrize("first", [True, False])
def test_special_tokens_in_user_text_stay_plain(pair, first):
    hf, tokenizer = pair
    for token in special_tokens(hf):
        for text in (token, f"a {token} film", f"x{token}{token}x", f" {token} "):
            [ids] = tokenizer.plain([text], first=first)
            assert tokenizer.control_ids.isdisjoint(set(ids) - {tokenizer.unk_id})


def test_special_tokens_in_user_text_are_spelt_out(zoo):
    hf, tokenizer = zoo["unigram"]
    [ids] = tokenizer.plain(["film <pad>: (x"], first=True)
    unknown = hf.unk_token  # The vocabulary has no angle brackets.
    spelt = ["▁film", "▁", unknown, "p", "a", "d", unknown, ":", "▁", "(", "x"]
    assert hf.convert_ids_to_tokens(ids) == spelt


@pytest.mark.parametrize(("unknown", "ids"), [("?", [1, 2, 1]), (None, [1, 1])])
def test_special_token_of_one_character_in_user_text_is_unknown(unknown, ids):
    rust = Tokenizer(models.BPE({"☃": 0, "a": 1, "?": 2}, [], unk_token=unknown))
    tokenizer = TextTokenizer(rust, None, [0])
    assert tokenizer.plain(["a☃a"], first=True) == [ids]


def test_special_tokens_in_a_template_are_special(pair):
    hf, tokenizer = pair
    pad = hf.special_tokens_map["pad_token"]
    assert hf.convert_tokens_to_ids(pad) in tokenizer.literal(f"a {pad}", first=False)


@pytest.mark.parametrize("text", HOSTILE)
def test_braces_and_control_characters_in_user_text_are_text(pair, text):
    _, tokenizer = pair
    prompt = encode_one("{text} It was {mask}.", tokenizer, text)
    [(start, stop)] = prompt.spans
    assert [list(prompt.ids[start:stop])] == tokenizer.plain([text], first=True)


def test_text_of_a_megabyte_is_encoded(pair):
    _, tokenizer = pair
    text = "a great film, it was. " * 48_000
    assert len(text) > 2**20
    whole = encode_one("it {text} was", tokenizer, text, kind="causal")
    with pytest.warns(TruncationWarning):
        cut = encode_one("it {text} was", tokenizer, text, kind="causal", limit=64)
    [(start, stop)] = cut.spans
    assert cut.ids[start:stop] == whole.ids[start:stop]


@pytest.mark.parametrize(
    ("merges", "tokens"),
    [
        ([], ["z"]),
        ([("x", "z")], ["z"]),
        ([("x", "z"), (".", "z"), ("▁", "z")], ["▁z"]),
    ],
)
def test_text_that_merges_with_an_anchor_is_tried_behind_another(merges, tokens):
    vocab = ["▁", "x", "z", ".", "xz", ".z", "▁z"]
    rust = Tokenizer(models.BPE({t: i for i, t in enumerate(vocab)}, merges))
    rust.normalizer = normalizers.Prepend("▁")
    tokenizer = TextTokenizer(rust, None, [])
    [ids] = tokenizer.plain(["z"], first=False)
    assert [tokenizer.token(i) for i in ids] == tokens


def test_tokenizer_that_is_not_fast_raises():
    with pytest.raises(ValueError, match=r"must be a fast one .* got SimpleNamespace"):
        TextTokenizer.from_hf(SimpleNamespace(all_special_ids=[]))


def test_tokenizer_leaves_the_original_alone():
    hf = wordpiece()
    hf.backend_tokenizer.enable_truncation(4)
    hf.backend_tokenizer.enable_padding(length=9)
    before = hf.backend_tokenizer.to_str()
    tokenizer = TextTokenizer.from_hf(hf)
    assert len(tokenizer.plain(["good " * 5], first=True)[0]) == 5
    assert hf.backend_tokenizer.to_str() == before
    hf.backend_tokenizer.no_truncation()
    assert tokenizer.fingerprint == TextTokenizer.from_hf(hf).fingerprint


@pytest.mark.parametrize("name", ["wordpiece", "byte_level", "gemma"])
def test_tokenizer_that_writes_no_prefix_encodes_every_piece_in_one_pass(zoo, name):
    assert zoo[name][1]._anchors == []


def test_tokenizer_fingerprints_differ(zoo):
    fingerprints = {tokenizer.fingerprint for _, tokenizer in zoo.values()}
    assert len(fingerprints) == len(zoo)
    hf = wordpiece()
    hf.mask_token = "[PAD]"
    assert TextTokenizer.from_hf(hf).fingerprint not in fingerprints


def test_tokenizer_pickled_keeps_special_tokens_plain(pair):
    hf, tokenizer = pair
    copy = pickle.loads(pickle.dumps(tokenizer))
    texts = special_tokens(hf)
    assert copy.fingerprint == tokenizer.fingerprint
    assert copy.plain(texts, first=False) == tokenizer.plain(texts, first=False)


def test_tokenizer_in_sixteen_threads_gives_the_same_ids(pair):
    hf, tokenizer = pair
    texts = [*sentences(100, seed=6), *special_tokens(hf)]
    written = f" It was {hf.mask_token}."

    def work(_):
        plain = [tokenizer.plain(texts, first=first) for first in (True, False)]
        return plain, tokenizer.literal(written, first=False)

    expected = work(0)
    with ThreadPoolExecutor(16) as pool:
        assert all(found == expected for found in pool.map(work, range(64)))
