"""Prompts, on six kinds of tokenizers."""

import json

import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import AddedToken

from skraee.text.prompt import Prompt, common_prefix
from skraee.text.tokenizer import TextTokenizer
from tests.support.prompts import encode_one, encoder
from tests.support.tokenizers import byte_level, gemma_chat, qwen_chat, sentences

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


def without_closing(ids, tokenizer):
    return ids[: len(ids) - len(tokenizer.suffix_ids)]


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


@pytest.mark.parametrize(
    ("kind", "template", "reads"),
    [
        ("masked", "{text} {mask}", True),
        ("masked", "{text}", False),
        ("causal", "{text}", True),
    ],
)
def test_masked_model_has_a_position_to_read_where_there_is_a_mask(
    kind, template, reads
):
    tokenizer = TextTokenizer.from_hf(byte_level())
    made = encoder(template, tokenizer, kind=kind, needs_mask=False)
    assert made.reads_a_position is reads
