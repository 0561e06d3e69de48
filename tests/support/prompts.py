"""Prompts of one template."""

from skraee.text.prompt_encoder import PromptEncoder
from skraee.text.template import Template


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
