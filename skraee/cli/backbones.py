"""``skraee backbones``: what a backbone is, whether it can be believed, how fast.

Everything heavy is imported inside, so that ``skraee --help`` is instant.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from typing import Any

from skraee.cli.command import Command, Options
from skraee.cli.options import DTYPE
from skraee.cli.streams import one_line, say, say_json, tell_error

_N_WORDS = 20
_N_FIT, _N_WARM, _N_MOST = 16, 8, 1_000

# What a backbone may be refused with.
_REFUSALS = (ImportError, OSError, ValueError, MemoryError)

_BACKBONES: Options = {
    "names": {
        "nargs": "+",
        "metavar": "FOLDER_OR_NAME",
        "help": "model folder, hub name or .gguf file",
    },
    **DTYPE,
    "--json": {"action": "store_true", "help": "print a list of JSON objects"},
}

# How long the texts of the sample may run, but for the first few.
_SECONDS = 2.0


@dataclass(frozen=True)
class BackboneReport:
    """What was found of a backbone, in values that JSON can hold.

    Attributes
    ----------
    name : str
        As it was given.
    model, model_type, kind : str
        Class, type and kind of model.
    found_by : {"row", "discovery"}
        Whether its type has a row among the families.
    n_layers : int
        Number of layers m; of an encoder and a decoder together.
    n_encoder_layers : int
        Those of an encoder before a decoder; 0 where there is none.
    width : int
        Features of a state.
    final_norms : list of str
        The modules that follow the last layer, by their paths.
    has_head : bool
        Whether there is a language-model head.
    pooling : list of str
        How a sentence-transformers folder pools the states.
    positions : int or None
        Tokens that the model has positions for; None for any number.
    usual_length : int or None
        Tokens that a sentence-transformers folder reads of a text.
    n_token_ids : int
        Token ids that have an embedding.
    n_parameters, weight_bytes : int
        Size of the weights in memory.
    dtype, device : str
        What it computes in, and where.
    agreed : bool
        True: a model that answers otherwise layer by layer is refused.
    seconds_per_1000_texts : float
        At full depth, for texts of 20 words, scaled from `n_timed_texts`.
    n_timed_texts : int
        Texts that were timed.
    """

    name: str
    model: str
    model_type: str
    kind: str
    found_by: str
    n_layers: int
    n_encoder_layers: int
    width: int
    final_norms: list[str]
    has_head: bool
    pooling: list[str]
    positions: int | None
    usual_length: int | None
    n_token_ids: int
    n_parameters: int
    weight_bytes: int
    dtype: str
    device: str
    agreed: bool
    seconds_per_1000_texts: float
    n_timed_texts: int

    def as_dict(self) -> dict[str, Any]:
        """Return all of it by name."""
        return asdict(self)

    def __str__(self) -> str:
        lines = {
            "model": f"{self.model} ({self.model_type}), {self.kind}, found by "
            f"{'its row' if self.found_by == 'row' else 'discovery'}",
            "layers": self._layers(),
            "final norm": ", ".join(self.final_norms) or "none",
            "head": "language model"
            if self.has_head
            else "none: for readout='ridge' and EarlyExitClassifier",
            "pooling": ", ".join(self.pooling) or "none named",
            "limits": self._limits(),
            "weights": f"{self.n_parameters:,} parameters, "
            f"{self.weight_bytes / 1e6:,.1f} MB in {self.dtype} on {self.device}",
            "look": "agreed: layer by layer it answers as it does whole",
            "time": self._time(),
        }
        width = max(map(len, lines))
        return "\n".join(
            [self.name, *(f"  {name:{width}}  {said}" for name, said in lines.items())]
        )

    def _layers(self) -> str:
        parts = ""
        if self.n_encoder_layers:
            decoder = self.n_layers - self.n_encoder_layers
            parts = f" ({self.n_encoder_layers} of the encoder, {decoder} of the "
            parts += "decoder)"
        return f"{self.n_layers}{parts} of width {self.width}"

    def _limits(self) -> str:
        positions = "any number of" if self.positions is None else f"{self.positions:,}"
        folder = ""
        if self.usual_length is not None:
            folder = f" (its folder reads {self.usual_length:,})"
        return f"{positions} tokens{folder}, {self.n_token_ids:,} token ids"

    def _time(self) -> str:
        measured = "all of them timed"
        if self.n_timed_texts < _N_MOST:
            measured = f"scaled from {self.n_timed_texts} texts"
        return (
            f"{self.seconds_per_1000_texts:.3g} s for a thousand texts of {_N_WORDS} "
            f"words at full depth, {measured}"
        )


def report_on(name: str, dtype: str = "auto") -> BackboneReport:
    """Load a backbone, look whether it can be believed, and time it.

    Parameters
    ----------
    name : str
        Hub name, model folder or .gguf file.
    dtype : str, default="auto"
        Numbers that it computes in.

    Raises
    ------
    OSError, ValueError, ImportError
        If it is refused.
    """
    from skraee.backbone.handle import Backbone
    from skraee.backbone.precision import name_of
    from skraee.engine.agreement import believed
    from skraee.engine.engine import Engine

    loaded = believed(Backbone(name).load(dtype))
    model, family, engine = loaded.model, loaded.family, Engine(loaded)
    weights = list(model.parameters())
    width, seconds, n_timed = _measured(name, dtype)
    return BackboneReport(
        name=name,
        model=type(model).__name__,
        model_type=model.config.model_type,
        kind=family.kind,
        found_by="discovery" if family.is_discovered else "row",
        n_layers=engine.n_layers,
        n_encoder_layers=engine.n_encoder_layers,
        width=width,
        final_norms=list(family.final_norms),
        has_head=loaded.has_head,
        pooling=list(loaded.pooling),
        positions=loaded.position_limit,
        usual_length=loaded.usual_length,
        n_token_ids=loaded.n_token_ids,
        n_parameters=sum(w.numel() for w in weights),
        weight_bytes=sum(w.numel() * w.element_size() for w in weights),
        dtype=name_of(loaded.dtype),
        device=str(loaded.device),
        agreed=True,
        seconds_per_1000_texts=round(1_000 * seconds / n_timed, 3),
        n_timed_texts=n_timed,
    )


def _measured(name: str, dtype: str) -> tuple[int, float, int]:
    """Return the width of states, and the seconds that so many texts take."""
    from skraee.early_exit import EarlyExitClassifier

    texts = _texts(_N_FIT + _N_WARM + _N_MOST)
    fit, warm, new = texts[:_N_FIT], texts[_N_FIT:][:_N_WARM], texts[-_N_MOST:]
    clf = EarlyExitClassifier(name, threshold=1.0, dtype=dtype, memory=None)
    sweep = clf.sweep(fit)
    clf.fit_sweep(sweep, [i % 2 for i in range(_N_FIT)])
    clf.set_params(min_exit=clf.n_layers_)
    assert sweep.states is not None
    clf.predict(warm)  # what is made once is made
    few = _seconds(clf, new[:_N_WARM])
    n_timed = max(_N_WARM, min(_N_MOST, int(_N_WARM * _SECONDS / few)))
    return sweep.states.shape[-1], _seconds(clf, new[:n_timed]), n_timed


def _seconds(clf: Any, texts: list[str]) -> float:
    start = time.perf_counter()
    clf.predict(texts)  # its scores are numbers of the CPU: a GPU has finished
    return time.perf_counter() - start


def _texts(n: int) -> list[str]:
    """Return texts of 20 words: those that follow one another in as many reviews."""
    from skraee import toy

    reviews, _ = toy.reviews(n + _N_WORDS)
    words = [" ".join(reviews[i : i + _N_WORDS]).split() for i in range(n)]
    return [" ".join(found[:_N_WORDS]) for found in words]


def _backbones(arguments: argparse.Namespace) -> int:
    from skraee.backbone.registry import clear_backbones

    found: list[dict[str, Any]] = []
    for name in arguments.names:
        clear_backbones()  # two need not fit into memory
        try:
            report = report_on(name, arguments.dtype)
        except _REFUSALS as error:
            tell_error(error)
            found.append({"name": name, "error": one_line(error)})
            continue
        found.append(report.as_dict())
        if not arguments.json:
            say(f"{report}\n")
    if arguments.json:
        say_json(found)
    return int(any("error" in one for one in found))


COMMAND = Command(
    "backbones",
    "say what a backbone is, whether it can be believed, and how fast it is",
    run=_backbones,
    options=_BACKBONES,
)
