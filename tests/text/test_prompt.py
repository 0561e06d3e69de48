"""Templates, prompts and label words, on six kinds of tokenizers."""

import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AddedToken

from skraee.exceptions import InputWarning, TruncationWarning
from skraee.text.label_tokens import label_token_ids, warn_of_long_words
from skraee.text.label_words import all_label_words, label_words_for
from skraee.text.prompt import Prompt, common_prefix
from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.template import Template
from skraee.text.tokenizer import TextTokenizer
from tests.support.tokenizers import (
    ZOO,
    byte_level,
    gemma_chat,
    qwen_chat,
    sentences,
    wordpiece,
)

MASKED = [
    "{text} It was {mask}.",
    "{text} This is {mask}.",
    "{mask}: {text}",
    "{mask} {text}",
    "Is the sentence {text} okay? {mask}",
]
CAUSAL = [
    "What is the sentiment of the sentence {text} ? Print negative or positive. The "
    "answer is",
    "Print the category for the sentence {text} : description, entity. The answer is",
    "Is the sentence {text} grammatically acceptable? Print no or yes. The answer is",
    "{text}",
    "text:\n{text}\nanswer:",
]
ODD = [
    "café ☃ 😀",
    "(x)",
    "...",
    "'s well",
    "-1",
    "\u0301a",
    "中文",
    "x",
    "Ǆ ﬁ ½ a\u200bb",
]
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


@pytest.fixture(scope="module")
def zoo():
    """Every toy tokenizer, as Hugging Face's and as skraee's."""
    made = {name: make() for name, make in ZOO.items()}
    return {name: (hf, TextTokenizer.from_hf(hf)) for name, hf in made.items()}


@pytest.fixture(params=ZOO)
def pair(request, zoo):
    return zoo[request.param]


def encoder(template, tokenizer, kind="masked", max_length=None, limit=None, **kwargs):
    return PromptEncoder(
        Template(template),
        tokenizer,
        kind=kind,
        max_length=max_length,
        position_limit=limit,
        **kwargs,
    )


def encode_one(template, tokenizer, *fields, **kwargs):
    [prompt] = encoder(template, tokenizer, **kwargs).encode([fields])
    return prompt


def without_closing(ids, tokenizer):
    return ids[: len(ids) - len(tokenizer.suffix_ids)]


# Template


def test_template_is_cut_into_pieces_with_the_space_on_the_right():
    template = Template("Is \n{text} It was {mask} {next}{{.}} \n \t")
    assert template.pieces == (
        ("literal", "Is", ""),
        ("field", "text", " \n"),
        ("literal", " It was ", ""),
        ("mask", "", ""),
        ("field", "next", " "),
        ("literal", "{.} \n", ""),
    )
    assert template.fields == ("text", "next")
    assert template.n_masks == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("{{{text}}}", "{}"), ("{{text}} {text}", "{text}"), ("{text}}}{{", "}{")],
)
def test_template_with_doubled_braces_has_literal_ones(text, words):
    template = Template(text)
    assert "".join(p.text for p in template.pieces if p.kind == "literal") == words
    assert template.fields == ("text",)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{text} {", "stray '{' at position 7"),
        ("} {text}", "stray '}' at position 0"),
        ("{text}}", "stray '}' at position 6"),
        ("{{text}", "stray '}' at position 6"),
        ("{text} {}", "got '{}' at position 7"),
        ("{text!r}", "got '{text!r}' at position 0"),
        ("{text:>9}", "got '{text:>9}' at position 0"),
        ("{ text }", "got '{ text }' at position 0"),
        ("{0}", "got '{0}' at position 0"),
        ("{a.b}", "got '{a.b}' at position 0"),
        ("It was {mask}.", "must have a place for the text"),
        ("", "must have a place for the text"),
        ("{text} and {text}", "'{text}' 2 times"),
    ],
)
def test_template_that_is_malformed_raises(text, match):
    with pytest.raises(ValueError, match=re.escape(match)):
        Template(text)


def test_template_of_no_string_raises():
    with pytest.raises(TypeError, match=r"must be a string .* got NoneType"):
        Template(None)


def test_template_is_a_value():
    template = Template("{text} It was {mask}.")
    assert template == Template(template.text) == pickle.loads(pickle.dumps(template))
    assert template != Template("{text}")
    assert template != template.text
    assert len({template, Template(template.text)}) == 1
    assert eval(repr(template)) == template


# Ids


@pytest.mark.parametrize("template", MASKED)
def test_masked_ids_equal_one_call_on_the_filled_template(pair, template):
    hf, tokenizer = pair
    texts = [*sentences(60, seed=1), *ODD]
    prompts = encoder(template, tokenizer).encode([(text,) for text in texts])
    for text, prompt in zip(texts, prompts, strict=True):
        filled = template.replace("{text}", text).replace("{mask}", hf.mask_token)
        assert list(prompt.ids) == hf(filled)["input_ids"]
        assert prompt.ids[prompt.read] == hf.mask_token_id


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("template", CAUSAL)
def test_unmasked_ids_equal_one_call_on_the_filled_template(pair, template, kind):
    hf, tokenizer = pair
    texts = [*sentences(60, seed=2), *ODD]
    samples = [(text,) for text in texts]
    prompts = encoder(template, tokenizer, kind).encode(samples)
    for text, prompt in zip(texts, prompts, strict=True):
        whole = hf(template.replace("{text}", text))["input_ids"]
        open_ended = without_closing(whole, tokenizer)
        assert list(prompt.ids) == (open_ended if kind == "causal" else whole)
        assert prompt.read == len(open_ended) - 1


def test_ids_of_two_fields_equal_one_call_on_the_filled_template(pair):
    hf, tokenizer = pair
    template = "{premise} ? {mask}, {hypothesis}"
    texts = sentences(40, seed=3)
    samples = list(zip(texts[::2], texts[1::2], strict=True))
    for sample, prompt in zip(
        samples, encoder(template, tokenizer).encode(samples), strict=True
    ):
        filled = f"{sample[0]} ? {hf.mask_token}, {sample[1]}"
        assert list(prompt.ids) == hf(filled)["input_ids"]


@pytest.mark.parametrize(
    "opening", ["{special} {{text}} good", "{special}{{text}} good"]
)
def test_ids_behind_a_special_token_equal_one_call(pair, opening):
    hf, tokenizer = pair
    template = opening.format(special=hf.special_tokens_map["pad_token"])
    for text in sentences(20, seed=4):
        prompt = encode_one(template, tokenizer, text, kind="seq2seq")
        assert list(prompt.ids) == hf(template.replace("{text}", text))["input_ids"]


def test_ids_behind_a_special_token_that_swallows_space_equal_one_call():
    hf = byte_level()
    hf.add_tokens(
        AddedToken("<|user|>", rstrip=True, special=True), special_tokens=True
    )
    prompt = encode_one(
        "<|user|>\n{text} good", TextTokenizer.from_hf(hf), "a film", kind="seq2seq"
    )
    assert list(prompt.ids) == hf("<|user|>\na film good")["input_ids"]


def test_ids_of_a_colon_and_a_line_break_stay_together():
    # As in Llama 3 and Qwen, whose pre-tokenizers keep them in one piece.
    rust = Tokenizer(models.WordLevel({"x:\n": 0, "x:": 1, "a": 2, "\n": 3}, "x:"))
    rust.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w:?\n*"), "isolated")
    tokenizer = TextTokenizer(rust, None, [])
    prompt = encode_one("x:\n{text}", tokenizer, "a", kind="causal")
    assert prompt.ids == (0, 2)


# A template is taken as it is written

ENDS = ["\n", "\n\n", " \n", "\r\n", "\n ", "\n\t ", " ", "\t", "  "]


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("words", ["{text}", "Is {text} it was", "{text} answer:"])
def test_line_breaks_at_the_end_are_kept_and_spaces_dropped(pair, words, end, kind):
    hf, tokenizer = pair
    kept = words + end.rstrip(" \t")
    if end.strip(" ") and hf("was\n")["input_ids"] == hf("was ")["input_ids"]:
        kept = words  # it takes a line break for a space
    for text in sentences(20, seed=5):
        prompt = encode_one(words + end, tokenizer, text, kind=kind)
        whole = hf(kept.replace("{text}", text))["input_ids"]
        open_ended = without_closing(whole, tokenizer)
        assert list(prompt.ids) == (open_ended if kind == "causal" else whole)
        assert prompt.read == len(open_ended) - 1


@pytest.mark.parametrize("end", ["", "\n", "\n\n ", " \t"])
def test_line_breaks_behind_the_mask_are_kept_where_there_are_some(pair, end):
    hf, tokenizer = pair
    kept = "{text} It was {mask}." + end.rstrip(" \t")
    if hf("was\n")["input_ids"] == hf("was ")["input_ids"]:
        kept = kept.rstrip()
    prompt = encode_one("{text} It was {mask}." + end, tokenizer, "a film")
    filled = kept.replace("{text}", "a film").replace("{mask}", hf.mask_token)
    assert list(prompt.ids) == hf(filled)["input_ids"]
    assert prompt.ids[prompt.read] == hf.mask_token_id


def test_line_breaks_that_a_tokenizer_knows_are_tokens(zoo):
    known = {
        name: len(encode_one("{text} was\n", tok, "a", kind="causal").ids)
        - len(encode_one("{text} was", tok, "a", kind="causal").ids)
        for name, (_, tok) in zoo.items()
    }
    assert [name for name, n in known.items() if not n] == ["wordpiece", "unigram"]


CHATS = {
    "qwen": (
        qwen_chat,
        "<|im_start|>system\nPrint negative or positive.<|im_end|>\n"
        "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n",
    ),
    "gemma": (
        gemma_chat,
        "<s><start_of_turn>user\nPrint negative or positive: {text}<end_of_turn>\n"
        "<start_of_turn>model\n",
    ),
    "gemma without its first token": (
        gemma_chat,
        "<start_of_turn>user\n{text}<end_of_turn>\n<start_of_turn>model\n\n",
    ),
}


@pytest.mark.parametrize("chat", CHATS)
def test_chat_template_gives_the_ids_of_one_call(chat):
    make, template = CHATS[chat]
    hf = make()
    tokenizer = TextTokenizer.from_hf(hf)
    for text in [*sentences(60, seed=7), "It was good.", "good!\n\ngood?"]:
        prompt = encode_one(template, tokenizer, text, kind="causal")
        filled = template.replace("{text}", text)
        opens = filled.startswith("<s>")
        assert list(prompt.ids) == hf(filled, add_special_tokens=not opens)["input_ids"]
        assert prompt.ids.count(hf.bos_token_id) == (hf.bos_token_id is not None)
        assert prompt.read == len(prompt.ids) - 1
        assert "\n" in hf.decode(prompt.ids[prompt.read])


@pytest.mark.parametrize("kind", ["masked", "causal", "seq2seq"])
@pytest.mark.parametrize("opening", ["{bos}", "{bos} ", "{bos}it was ", "{bos}\n"])
@pytest.mark.parametrize("closing", ["{eos}", " {eos}", ""])
def test_special_tokens_written_around_a_template_do_not_come_twice(
    pair, opening, closing, kind
):
    hf, tokenizer = pair
    before, after = hf.decode(tokenizer.prefix_ids), hf.decode(tokenizer.suffix_ids)
    opening = opening.format(bos=before)
    closing = closing.format(eos="" if kind == "causal" else after)
    middle = " It was {mask}." if kind == "masked" else " It was"
    template = opening + "{text}" + middle + closing
    for text in sentences(20, seed=8):
        prompt = encode_one(template, tokenizer, text, kind=kind)
        filled = template.replace("{text}", text)
        if kind == "masked":
            filled = filled.replace("{mask}", hf.mask_token)
        body = hf(filled.rstrip(" "), add_special_tokens=False)["input_ids"]
        if not (before and opening.startswith(before)):
            body = [*tokenizer.prefix_ids, *body]
        if kind != "causal" and not (after and closing.endswith(after)):
            body = [*body, *tokenizer.suffix_ids]
        assert list(prompt.ids) == body
        assert prompt.n_prefix == prompt.spans[0][0] >= len(tokenizer.prefix_ids)
        last = len(body) - 1 - (len(tokenizer.suffix_ids) if kind != "causal" else 0)
        is_mask = body[prompt.read] == hf.mask_token_id
        assert is_mask if kind == "masked" else prompt.read == last


def test_special_tokens_within_a_template_stay(zoo):
    hf, tokenizer = zoo["wordpiece"]
    prompt = encode_one("[CLS] {a} [SEP] {b} {mask} [SEP]", tokenizer, "good", "bad")
    filled = "[CLS] good [SEP] bad [MASK] [SEP]"
    assert list(prompt.ids) == hf(filled, add_special_tokens=False)["input_ids"]


def test_special_tokens_of_several_that_open_a_sequence_are_completed(zoo):
    rust = Tokenizer.from_str(zoo["wordpiece"][0].backend_tokenizer.to_str())
    names = ["[CLS]", "[PAD]", "[SEP]"]
    rust.post_processor = processors.TemplateProcessing(
        single="[CLS] [PAD] $A [SEP] [PAD]",
        special_tokens=[(name, rust.token_to_id(name)) for name in names],
    )
    tokenizer = TextTokenizer(rust, "[MASK]", [])
    plain = encode_one("{text} {mask}", tokenizer, "good")
    for opening in ("[CLS] [PAD] ", "[PAD] ", "[CLS] "):
        for closing in (" [SEP] [PAD]", " [SEP]", " [PAD]"):
            written = opening + "{text} {mask}" + closing
            assert encode_one(written, tokenizer, "good") == plain


def test_form_of_prompts_tells_templates_apart(zoo):
    tokenizer = zoo["gemma"][1]
    forms = [
        json.dumps(encoder(template, tokenizer, kind="causal").form)
        for template in ("{text}", "{text}\n", "{text} it", "it {text}", "it{text}")
    ]
    assert len(set(forms)) == len(forms)
    twice = [encoder(t, tokenizer, kind="causal").form for t in ("{a} was", "{b} was ")]
    assert twice[0] == twice[1]


# Read position and spans


@pytest.mark.parametrize("text", [*ODD, *HOSTILE, "", " ", "\n\n", " a film "])
def test_read_position_and_spans_are_known_whatever_the_text_holds(pair, text):
    hf, tokenizer = pair
    prompt = encode_one("{a} It was {mask}. {b}", tokenizer, text, "good")
    (start, stop), (next_start, next_stop) = prompt.spans
    before, after = prompt.ids[:start], prompt.ids[stop:next_start]
    assert before == tokenizer.prefix_ids
    assert list(after) == tokenizer.literal(f" It was {hf.mask_token}.", first=False)
    assert prompt.ids[next_stop:] == tokenizer.suffix_ids
    assert prompt.read == stop + after.index(tokenizer.mask_id)
    assert prompt.ids.count(tokenizer.mask_id) == 1


def test_read_position_without_a_mask_is_the_first_token(zoo):
    tokenizer = zoo["wordpiece"][1]
    prompt = encode_one("{text} good", tokenizer, "a film", needs_mask=False)
    assert prompt.read == 0
    assert prompt.ids[0] == tokenizer.prefix_ids[0]


def test_mask_written_out_in_the_template_is_read(pair):
    hf, tokenizer = pair
    written = encode_one(f"{{text}} It was {hf.mask_token}.", tokenizer, "a film")
    assert written == encode_one("{text} It was {mask}.", tokenizer, "a film")


def test_empty_text_leaves_the_template_alone(pair):
    _, tokenizer = pair
    prompt = encode_one("It {text} was", tokenizer, "", kind="seq2seq")
    words = tokenizer.literal("It", first=True) + tokenizer.literal(" was", first=False)
    assert prompt.ids == (*tokenizer.prefix_ids, *words, *tokenizer.suffix_ids)
    [(start, stop)] = prompt.spans
    assert start == stop


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
@pytest.mark.parametrize("words", ["", "Is the film", "It was:\n"])
def test_prompts_begin_with_the_tokens_before_the_first_field(words, kind, pair):
    _, tokenizer = pair
    template = encoder(f"{words} {{a}} and {{b}} was", tokenizer, kind=kind)
    samples = [(text, "x") for text in [*ODD, *HOSTILE, "", " ", "\n\n", ": good"]]
    [one, *others] = template.encode(samples)
    prefix = one.ids[: one.n_prefix]
    assert len(prefix) >= len(tokenizer.prefix_ids) + bool(words)
    for prompt in [one, *others]:
        assert prompt.ids[: prompt.n_prefix] == prefix
        assert prompt.spans[0][0] == prompt.n_prefix


def test_common_prefix_of_prompts_of_two_templates_is_empty(zoo):
    tokenizer = zoo["wordpiece"][1]
    these = encoder("good {text} was", tokenizer, kind="causal").encode([("a",)])
    others = encoder("film {text} was", tokenizer, kind="causal").encode([("a",)])
    assert common_prefix(these) == these[0].ids[: these[0].n_prefix] != ()
    assert common_prefix([*these, *others]) == ()
    assert common_prefix([]) == ()


def test_prompt_without_its_first_tokens_has_its_places_moved():
    prompt = Prompt((1, 2, 3, 4, 5), read=4, spans=((2, 3), (4, 4)), n_prefix=2)
    left = Prompt((2, 3, 4, 5), read=3, spans=((1, 2), (3, 3)), n_prefix=1)
    assert prompt.without_first(1) == left


def test_empty_text_in_an_empty_causal_prompt_raises(zoo):
    tokenizer = zoo["unigram"][1]
    assert encode_one("{text}", tokenizer, "", kind="seq2seq").read == 0
    with pytest.raises(ValueError, match="a prompt must have at least one token"):
        encode_one("{text}", tokenizer, "", kind="causal")


def test_no_samples_give_no_prompts(pair):
    assert encoder("{text} It was {mask}.", pair[1]).encode([]) == []


# User text is data


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


# Truncation


def test_truncation_cuts_text_only_and_from_its_end(pair):
    _, tokenizer = pair
    texts = [(" ".join(["good"] * 50),), ("good",), (" ".join(["bad"] * 50),)]
    for kind, template in (
        ("masked", "it {text} It was {mask}."),
        ("causal", "it {text} It was"),
        ("seq2seq", "it {text} It was"),
    ):
        whole = encoder(template, tokenizer, kind).encode(texts)
        limited = encoder(template, tokenizer, kind, max_length=20, limit=512)
        with pytest.warns(TruncationWarning, match=r"2 text.* prompts of 20 tokens"):
            cut = limited.encode(texts)
        assert [len(p.ids) for p in cut] == [20, len(whole[1].ids), 20]
        for long, short in zip(whole, cut, strict=True):
            [(start, stop)], [(_, end)] = short.spans, long.spans
            assert short.ids[:stop] == long.ids[:stop]
            assert short.ids[stop:] == long.ids[end:]
            assert long.read - end == short.read - stop
            assert start == long.spans[0][0]


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ((10, 20), 5, [3, 2]),
        ((2, 20), 9, [2, 7]),
        ((20, 2), 9, [7, 2]),
        ((5, 5), 9, [5, 4]),
        ((4, 9, 9), 12, [4, 4, 4]),
        ((1, 9, 9), 12, [1, 6, 5]),
        ((0, 9), 1, [0, 1]),
    ],
)
def test_truncation_cuts_the_longest_field_first(zoo, lengths, room, kept):
    tokenizer = zoo["wordpiece"][1]
    names = "abc"[: len(lengths)]
    template = " ".join(f"{{{name}}}" for name in names)
    texts = tuple(" ".join(["good"] * n) for n in lengths)
    limited = encoder(template, tokenizer, "seq2seq", max_length=room + 2)
    with pytest.warns(TruncationWarning, match="1 text"):
        [prompt] = limited.encode([texts])
    assert [stop - start for start, stop in prompt.spans] == kept


def test_truncation_of_nothing_does_not_warn(zoo):
    prompt = encode_one("{text}", zoo["gemma"][1], "good", kind="causal", max_length=2)
    assert len(prompt.ids) == 2


def test_limit_is_the_smaller_of_both(zoo):
    tokenizer = zoo["gemma"][1]
    template, kind = "{text} It was", "causal"
    assert encoder(template, tokenizer, kind, 30, 40).limit == 30
    assert encoder(template, tokenizer, kind, None, 40).limit == 40
    assert encoder(template, tokenizer, kind, 30, None).limit == 30
    assert encoder(template, tokenizer, kind).limit is None


# What a template may be for a model


@pytest.mark.parametrize(
    ("template", "kwargs", "match"),
    [
        ("{text} good", {}, r"must have a mask, got '\{text\} good'"),
        ("{text} {mask} {mask}", {}, "must have one mask, got 2"),
        ("{text} [MASK] {mask}", {}, "must have one mask, got 2"),
        ("{text} {mask} {mask}", {"needs_mask": False}, "must have one mask, got 2"),
        ("{text} {mask}", {"kind": "causal"}, "a causal model must have no mask"),
        ("{text} {mask}", {"kind": "seq2seq"}, "a seq2seq model must have no mask"),
        ("{text} [MASK]", {"kind": "causal"}, "a causal model must have no mask"),
        ("{text} It was {mask}.", {"max_length": 6}, "got 6 tokens .* at most 6 in"),
        ("{text} It was {mask}.", {"limit": 3}, "got 6 tokens .* of at most 3 in"),
        (
            "{text} {mask}",
            {"max_length": 9, "limit": 8},
            "max_length must be at most 8, .* got 9",
        ),
    ],
)
def test_template_that_does_not_suit_the_model_raises(zoo, template, kwargs, match):
    with pytest.raises(ValueError, match=match):
        encoder(template, zoo["wordpiece"][1], **kwargs)


def test_template_with_a_mask_for_a_tokenizer_without_one_raises(zoo):
    serialized = zoo["wordpiece"][0].backend_tokenizer.to_str()
    with pytest.raises(ValueError, match="needs a tokenizer with a mask token"):
        encoder(
            "{text} {mask}", TextTokenizer(Tokenizer.from_str(serialized), None, [])
        )


# The tokenizer


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


# Label words


def test_label_word_is_the_token_behind_a_space(pair):
    hf, tokenizer = pair
    words = {0: "terrible", 1: " great "}
    tokens = label_token_ids(words, tokenizer, kind="masked")
    for name, word in words.items():
        assert (
            tokens[name] == hf.encode("x " + word.strip(), add_special_tokens=False)[-1]
        )


@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_label_word_of_several_tokens_serves_by_its_first(zoo, kind):
    hf, tokenizer = zoo["byte_level"]
    words = {"a": "terrible-good", "b": "great-good"}
    tokens = label_token_ids(words, tokenizer, kind=kind)
    assert hf.convert_ids_to_tokens(tokens["a"]) == "Ġterrible"
    assert hf.convert_ids_to_tokens(tokens["b"]) == "Ġgreat"


@pytest.mark.parametrize(
    ("name", "words", "kind", "match"),
    [
        ("byte_level", ["greatly"], "masked", r"'greatly' for .* 0 .*\['Ġgreat', 'l"),
        (
            "byte_level",
            ["greatly", "great"],
            "causal",
            "Ġgreat' for 0 .'greatly'. and 1",
        ),
        ("wordpiece", ["great", "Great"], "masked", "'great' for 0 .*and 1 "),
        ("wordpiece", ["中文"], "masked", r"known to the tokenizer, .*'\[UNK\]'"),
        ("unigram", ["zé"], "seq2seq", "known to the tokenizer, got 'zé'"),
        ("metaspace", [":a"], "causal", r"say something of it, got ':a' .*\['▁', ':'"),
        ("metaspace", [":a"], "masked", r"one token, got ':a' .*\['▁', ':'"),
        ("wordpiece", ["\x07"], "masked", "known to the tokenizer, got"),
        ("wordpiece", [" "], "masked", "must not be empty, got ' ' for the class 0"),
    ],
)
def test_label_word_that_does_not_serve_raises(zoo, name, words, kind, match):
    with pytest.raises(ValueError, match=match):
        label_token_ids(dict(enumerate(words)), zoo[name][1], kind=kind)


def test_label_words_that_clash_are_named_all_at_once_but_for_very_many(zoo):
    tokenizer = zoo["byte_level"][1]
    words = ["great", "greatly", "bad", "badly", "okay", "good", "goodness"]
    match = (
        r"of its own, got 'Ġgreat' for 0 \('great'\) and 1 \('greatly'\), "
        r"'Ġbad' for 2 \('bad'\) and 3 \('badly'\), 'Ġgood' for 5 .* and 6 .*"
        r"readout='ridge', which needs none"
    )
    with pytest.raises(ValueError, match=match):
        label_token_ids(dict(enumerate(words)), tokenizer, kind="causal")
    many = {f"great{i}": f"great{i}" for i in range(177)}
    with pytest.raises(ValueError, match=r"'great99'\) and 77 more; choose") as caught:
        label_token_ids(many, tokenizer, kind="causal")
    assert "'great100'" not in str(caught.value)


def test_label_words_of_several_tokens_are_named_all_at_once(zoo):
    words = {"a": "greatly", "b": "great", "c": "badly"}
    match = r"got 'greatly' for the class 'a' .*, 'badly' for the class 'c' .*'ridge'"
    with pytest.raises(ValueError, match=match):
        label_token_ids(words, zoo["byte_level"][1], kind="masked")


def test_label_words_read_by_their_first_token_are_said_once(zoo):
    tokenizer = zoo["byte_level"][1]
    match = r"first one alone is read, here 'Ġterrible' for 'terrible-good', 'Ġbad' for"
    with pytest.warns(InputWarning, match=match) as caught:
        warn_of_long_words({0: "terrible-good", 1: "badly", 2: "great"}, tokenizer)
    assert len(caught) == 1
    warn_of_long_words({0: "terrible", 1: "great"}, tokenizer)


def test_label_word_of_no_string_raises(zoo):
    with pytest.raises(TypeError, match="must be a string, got 3 for the class 'a'"):
        label_token_ids({"a": 3}, zoo["wordpiece"][1], kind="masked")


@pytest.mark.parametrize(
    ("classes", "label_words", "found"),
    [
        (["a", "b"], {"b": "bad", "a": "good", "c": "okay"}, {"a": "good", "b": "bad"}),
        (np.array(["a", "b"]), {"a": "good", "b": "bad"}, {"a": "good", "b": "bad"}),
        (np.array([0, 1]), {0: "bad", 1: "good"}, {0: "bad", 1: "good"}),
        (np.array([False, True]), ("bad", "good"), {False: "bad", True: "good"}),
        (["bad", "good"], None, {"bad": "bad", "good": "good"}),
        (np.array(["bad", "good"], dtype=object), None, {"bad": "bad", "good": "good"}),
    ],
)
def test_label_words_are_found_for_classes(classes, label_words, found):
    words = label_words_for(classes, label_words)
    assert words == found
    assert not any(isinstance(name, np.generic) for name in words)


@pytest.mark.parametrize(
    ("classes", "label_words", "error", "match"),
    [
        ([0, 1], {0: "bad"}, ValueError, r"no word for 1 .*sorted order of classes_"),
        ([0, 1], ["bad"], ValueError, r"got 1 words for 2 classes \[0, 1\]"),
        (["a", 1], None, ValueError, "all classes are strings, got the class 1"),
        ([0, 1], "bad", TypeError, "must be a dict .* got str"),
        ([0, 1], {"bad", "good"}, TypeError, "must be a dict .* got set"),
        (
            ["a", "b", "c"],
            {"b": "bad"},
            ValueError,
            r"no word for 'a', 'c' \(words for",
        ),
        ([0, 1], None, ValueError, "class 0; .* readout='ridge', which needs none"),
        (
            [0, 1],
            {0: "bad", 1: 3},
            TypeError,
            "must be a string, got 3 for the class 1",
        ),
        (
            [0, 1],
            ["bad", " "],
            ValueError,
            "must not be empty, got ' ' for the class 1",
        ),
    ],
)
def test_label_words_that_leave_a_class_out_raise(classes, label_words, error, match):
    with pytest.raises(error, match=match):
        label_words_for(classes, label_words)


def test_all_label_words_are_those_of_more_classes_and_of_a_list_by_number():
    words = {"b": "bad", "a": "good", "c": "okay"}
    assert all_label_words(words, ["a", "b"]) == all_label_words(words) == words
    assert all_label_words(["bad", "good"]) == {0: "bad", 1: "good"}
    assert all_label_words(["bad", "good"], ["x", "y"]) == {"x": "bad", "y": "good"}
    assert all_label_words(None, ["bad"]) == {"bad": "bad"}
    with pytest.raises(ValueError, match="give label_words to sweep texts"):
        all_label_words(None)
    with pytest.raises(TypeError, match=r"must be a dict .* got str"):
        all_label_words("bad")
    with pytest.raises(TypeError, match="must be a string, got 3 for the class 'c'"):
        all_label_words({**words, "c": 3}, ["a"])
