"""What is asked of a tokenizer of the `tokenizers` library."""

import json
from collections.abc import Sequence
from itertools import groupby

from tokenizers import Tokenizer, models

# Short words behind which later pieces are encoded; every ordinary vocabulary has some.
_ANCHORS = ("x", ".", "1", "a", ",", "e", "0", "-")

# What may follow the word x. A tokenizer that writes a prefix before every string
# (Llama 2, T5, RoBERTa with add_prefix_space) encodes some of these otherwise alone.
_FOLLOWERS = (".", " it", ",", " 1")


def constant_copy(rust: Tokenizer) -> Tokenizer:
    """Copy a tokenizer, sharing its vocabulary, which nothing changes.

    Writing it out and reading it again would do too, but takes 2 s for the 12 MB of
    Gemma's, against 20 ms.
    """
    copy = Tokenizer(rust.model)
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(rust, name) is not None:
            setattr(copy, name, getattr(rust, name))
    added = rust.get_added_tokens_decoder()
    in_order = [added[token_id] for token_id in sorted(added)]
    for special, tokens in groupby(in_order, key=lambda token: token.special):
        add = copy.add_special_tokens if special else copy.add_tokens
        add(list(tokens))
    if copy.get_added_tokens_decoder() == added:
        return copy
    copy = Tokenizer.from_str(rust.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def batch_ids(rust: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Encode texts without the special tokens around them."""
    encodings = rust.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def unknown_id(rust: Tokenizer) -> int | None:
    """Return what the model itself writes for text that it does not know.

    GPT-2's `unk_token`, say, is only a name for its end of text.
    """
    if isinstance(rust.model, models.Unigram):  # which shows it in the JSON alone
        unknown: int | None = json.loads(rust.to_str())["model"]["unk_id"]
        return unknown
    token = getattr(rust.model, "unk_token", None)
    return rust.token_to_id(token) if token else None


def special_added_ids(rust: Tokenizer) -> frozenset[int]:
    """Return the ids of added tokens that are special."""
    added = rust.get_added_tokens_decoder()
    return frozenset(token_id for token_id, token in added.items() if token.special)


def surrounding_ids(rust: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the special tokens before and behind one sequence."""
    for encoding in rust.encode_batch(list(_ANCHORS)):
        own = [i for i, put in enumerate(encoding.special_tokens_mask) if not put]
        if own:
            return tuple(encoding.ids[: own[0]]), tuple(encoding.ids[own[-1] + 1 :])
    return (), ()


def anchors(
    rust: Tokenizer, control_ids: frozenset[int]
) -> list[tuple[str, list[int]]]:
    """Find the words to encode later pieces behind; none where pieces need none."""
    joined = batch_ids(rust, ["x" + follower for follower in _FOLLOWERS])
    word, *alone = batch_ids(rust, ["x", *_FOLLOWERS])
    if joined == [word + ids for ids in alone]:
        return []
    encoded = zip(_ANCHORS, batch_ids(rust, _ANCHORS), strict=True)
    return [(a, ids) for a, ids in encoded if ids and control_ids.isdisjoint(ids)]
