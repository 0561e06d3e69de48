"""Which kind of language model a configuration is of, and what class reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from skraee.backbone.families import FAMILIES, SUCH_AS, Kind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HEADS: dict[Kind, str] = {
    "seq2seq": "AutoModelForSeq2SeqLM",
    "masked": "AutoModelForMaskedLM",
    "causal": "AutoModelForCausalLM",
}
# Which of the library's tables says what classes these are; in the order in which a
# kind is chosen where nothing else decides.
_TABLES: dict[Kind, str] = {
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING",
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING",
}


class ModelClass(NamedTuple):
    """How a checkpoint is read.

    Attributes
    ----------
    kind : {"masked", "causal", "seq2seq"}
        Which prompt the model reads. An encoder counts as masked, with a
        language-model head or without one.
    auto : str
        Name of the auto class of transformers.
    """

    kind: Kind
    auto: str

    @property
    def has_head(self) -> bool:
        """Whether the class has a language-model head."""
        return self.auto in _HEADS.values()


def model_class_of(config: Any) -> ModelClass:
    """Return the kind of a configuration's models, and the class that reads them.

    What the configuration names as its architecture decides; else what its type has: a
    decoder beside an encoder before a masked model, that before a causal one.

    Parameters
    ----------
    config : PreTrainedConfig

    Raises
    ------
    ValueError
        If the library has no model of text for this type.
    """
    named = set(getattr(config, "architectures", None) or ())
    if _is_encoder_alone(config, named):
        return ModelClass("masked", "AutoModelForTextEncoding")
    classes = {kind: _class_names(table, config) for kind, table in _TABLES.items()}
    kinds = [kind for kind, names in classes.items() if names]
    chosen = [kind for kind in kinds if named & classes[kind]] or kinds
    if config.model_type in FAMILIES and not named & set().union(*classes.values()):
        chosen = [FAMILIES[config.model_type].kind]
    if getattr(config, "is_encoder_decoder", False):
        chosen = [kind for kind in chosen if kind == "seq2seq"]
    elif getattr(config, "is_decoder", False) and "causal" in chosen:
        chosen = ["causal"]
    if chosen:
        return ModelClass(chosen[0], _HEADS[chosen[0]])
    if _reads_text(config):
        return ModelClass("masked", "AutoModel")
    raise ValueError(
        f"backbones of type {config.model_type!r} are not supported: the installed "
        "transformers library has no language model or text encoder of that type; "
        f"choose another model, {SUCH_AS}."
    )


def kind_of(model: PreTrainedModel) -> Kind:
    """Return the kind of a model that is in memory.

    Parameters
    ----------
    model : PreTrainedModel
        With its head or without one. One of a class that the library does not know
        counts as causal, until it is seen to look ahead.
    """
    names = {parent.__name__ for parent in type(model).mro()}
    if _is_encoder_alone(model.config, names):
        return "masked"
    for kind, table in _TABLES.items():
        if names & _class_names(table, model.config):
            return kind
    if not type(model.config).__module__.startswith("transformers."):
        beside_encoder = getattr(model.config, "is_encoder_decoder", False)
        return "seq2seq" if beside_encoder else "causal"
    return model_class_of(model.config).kind


def decoder_start(model: PreTrainedModel) -> int:
    """Return the token that a decoder beside an encoder starts from.

    Raises
    ------
    ValueError
        If neither the model's configuration nor that of its generation names one.
    """
    for config in (model.config, getattr(model, "generation_config", None)):
        start = getattr(config, "decoder_start_token_id", None)
        if start is not None:
            return int(start)
    raise ValueError(
        f"the configuration of this {type(model).__name__} names no token that its "
        "decoder starts from; set config.decoder_start_token_id (where languages have "
        "tokens, that of yours)."
    )


def _class_names(table: str, config: Any) -> set[str]:
    """Return the classes that one of the library's tables has for a configuration."""
    import transformers

    mapping = getattr(transformers, table)
    if type(config) not in mapping:
        return set()
    found = mapping[type(config)]
    return {one.__name__ for one in (found if isinstance(found, tuple) else (found,))}


def _is_encoder_alone(config: Any, named: set[str]) -> bool:
    """Whether a checkpoint holds the encoder of an encoder-decoder (T5EncoderModel)."""
    if not _class_names(_TABLES["seq2seq"], config):
        return False
    return bool(named & _class_names("MODEL_FOR_TEXT_ENCODING_MAPPING", config))


def _reads_text(config: Any) -> bool:
    """Whether a type without a language-model head is one of text."""
    is_encoder_decoder = getattr(config, "is_encoder_decoder", False)
    tables = (
        "MODEL_FOR_TEXT_ENCODING_MAPPING",
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    )
    return not is_encoder_decoder and any(
        _class_names(table, config) for table in tables
    )
