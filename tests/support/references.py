"""Plain references: the model's own forward, its hidden states, and loops over texts.

The fast ways of the engine must agree with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from skraee.backbone.loaded import LoadedBackbone
from skraee.engine.stacks import layers_of
from skraee.text.prompt import Prompt
from tests.support.prompts import LABEL_IDS


def soft(logits: Any) -> np.ndarray:
    return torch.softmax(torch.as_tensor(logits), -1).numpy()


@torch.no_grad()
def own_answer(backbone: LoadedBackbone, prompt: Prompt) -> np.ndarray:
    """The model's own forward, nothing else: probabilities of the label tokens."""
    read = 0 if backbone.family.kind == "seq2seq" else prompt.read
    return soft(
        backbone.model(**inputs_of(backbone, prompt)).logits[0, read, LABEL_IDS]
    )


def inputs_of(backbone: LoadedBackbone, prompt: Prompt) -> dict[str, Any]:
    """What the model's own forward takes for one text."""
    inputs = {"input_ids": torch.tensor([prompt.ids])}
    if backbone.family.kind == "seq2seq":
        start = backbone.model.config.decoder_start_token_id
        inputs["decoder_input_ids"] = torch.tensor([[start]])
    return inputs


@torch.no_grad()
def reference_hidden(backbone: LoadedBackbone, prompt: Prompt) -> list[torch.Tensor]:
    """States (T, H) of one text at every depth, before the final norm."""
    model, family = backbone.model, backbone.family
    inputs = {**inputs_of(backbone, prompt), "output_hidden_states": True}
    last = catch_inputs(model, family, inputs) if family.final_norms else {}
    out = model(**inputs)
    if family.kind == "seq2seq":
        hidden = [
            *out.encoder_hidden_states[:-1],
            last["encoder"],
            *out.decoder_hidden_states[1:-1],
            last["decoder"],
        ]
    elif family.final_norms:
        hidden = [*out.hidden_states[:-1], last[family.stacks[0]]]
    else:
        hidden = list(out.hidden_states)
    return [h[0] for h in hidden]


def catch_inputs(model: Any, family: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run the model and return what entered each stack's final norm."""
    caught: dict[str, Any] = {}
    hooks = []
    for stack in family.stacks:
        shared = model.get_submodule(stack)
        norms = [getattr(shared, n) for n in family.final_norms]
        if all(norm is None for norm in norms):  # OPT without its final norm
            last = shared.get_submodule(family.layers)[-1]
            hook = last.register_forward_hook(
                lambda m, a, out, s=stack: caught.update({s: as_tensor(out)})
            )
        else:
            first = next(norm for norm in norms if norm is not None)
            hook = first.register_forward_pre_hook(
                lambda m, args, s=stack: caught.update({s: args[0]})
            )
        hooks.append(hook)
    model(**inputs)
    for hook in hooks:
        hook.remove()
    return caught


def as_tensor(out: Any) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out


def is_in_decoder(backbone: LoadedBackbone, depth: int) -> bool:
    family = backbone.family
    return depth > len(layers_of(backbone.model, family, family.stacks[0]))


def reference_states(backbone: LoadedBackbone, prompt: Prompt) -> list[torch.Tensor]:
    """Read-position states of one text at every depth, before the final norm."""
    return [
        hidden[0 if is_in_decoder(backbone, depth) else prompt.read]
        for depth, hidden in enumerate(reference_hidden(backbone, prompt))
    ]


@torch.no_grad()
def normed_states(backbone: LoadedBackbone, prompt: Prompt) -> list[torch.Tensor]:
    """Read-position states of one text at every depth, behind the final norm."""
    family, states = backbone.family, []
    for depth, state in enumerate(reference_states(backbone, prompt)):
        stack = family.stacks[int(is_in_decoder(backbone, depth))]
        for name in family.final_norms:
            module = getattr(backbone.model.get_submodule(stack), name)
            state = state if module is None else module(state)
        states.append(state)
    return states


@torch.no_grad()
def reference_proba(backbone: LoadedBackbone, prompt: Prompt) -> np.ndarray:
    """Label-word probabilities at every depth, norm and head written out."""
    states = normed_states(backbone, prompt)
    return np.stack([soft(full_head(backbone.model, s)[LABEL_IDS]) for s in states])


def full_head(model: Any, state: torch.Tensor) -> torch.Tensor:
    """The head of each family as its paper has it, over the whole vocabulary."""
    name = model.config.model_type
    if name in {"bert", "albert"} or (name == "deberta-v2" and model.config.legacy):
        head = model.predictions if name == "albert" else model.cls
        return head(state)
    if name == "deberta-v2":
        return model.lm_predictions(state, model.deberta.embeddings.word_embeddings)
    if name in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        return model.lm_head(state)
    if name == "distilbert":
        state = model.vocab_layer_norm(model.activation(model.vocab_transform(state)))
        return model.vocab_projector(state)
    if name == "electra":
        return model.generator_lm_head(model.generator_predictions(state))
    if name == "modernbert":
        return model.decoder(model.head(state))
    if getattr(model.config, "scale_decoder_outputs", False):
        state = state * model.config.d_model**-0.5
    logits = model.lm_head(state)
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


@torch.no_grad()
def readout_states(backbone: LoadedBackbone, prompt: Prompt) -> np.ndarray:
    """What a readout may know of one text: (m + 1, 3, H), by a loop."""
    own = [i for start, stop in prompt.spans for i in range(start, stop)]
    first = prompt.n_prefix if backbone.family.kind == "causal" else 0
    around = [i for i in range(first, len(prompt.ids)) if i not in own]
    states = []
    every_depth = zip(
        reference_hidden(backbone, prompt),
        normed_states(backbone, prompt),
        strict=True,
    )
    for depth, (hidden, read) in enumerate(every_depth):
        if not is_in_decoder(backbone, depth):  # a decoder has no text of its own
            means = [scaled_mean(hidden, own), scaled_mean(hidden, around)]
        wide = torch.zeros(hidden.shape[-1])
        wide[: len(read)] = read  # OPT may project its last states to fewer numbers
        states.append(torch.stack([wide, *means]))
    return torch.stack(states).numpy()


def scaled_mean(hidden: torch.Tensor, positions: list[int]) -> torch.Tensor:
    """Average states that are scaled to a root mean square of 1."""
    if not positions:
        return torch.zeros(hidden.shape[-1])
    chosen = hidden[positions]
    return (chosen / chosen.square().mean(dim=-1, keepdim=True).sqrt()).mean(dim=0)


@torch.no_grad()
def embedding_output(backbone: LoadedBackbone, prompt: Prompt) -> np.ndarray:
    """What enters the first layer, (T, H)."""
    return reference_hidden(backbone, prompt)[0].numpy()
