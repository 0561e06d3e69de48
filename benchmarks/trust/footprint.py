"""What skraee leaves of its process: how long an import takes, what a call changes."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sklearn
import torch
import transformers
from threadpoolctl import threadpool_limits
from transformers.utils import logging as transformers_logging

from benchmarks.trust.process_state import changed, process_state
from benchmarks.trust.trial import Count, Trial
from skraee import (
    EarlyExitClassifier,
    RAEEClassifier,
    RAEEClassifierCV,
    baselines,
    clear_backbones,
    clear_sweeps,
    toy,
)

# After what every user of scikit-learn has imported anyway.
_IMPORT = """
import json, sys, time
import numpy, sklearn.base, sklearn.linear_model, sklearn.model_selection
from benchmarks.trust.process_state import changed, process_state
before = process_state()
began = time.process_time()
import skraee
seconds = time.process_time() - began
heavy = [name for name in ("torch", "transformers") if name in sys.modules]
print(json.dumps([1000 * seconds, heavy, changed(before, process_state())]))
"""
MOST_MILLISECONDS = 50.0

CHANGED = "settings of the process that were another afterwards"
COMPARED = "settings compared, each logger counted as one"
SLOW = f"took more than {MOST_MILLISECONDS:.0f} ms of processor time"
HEAVY = "had torch or transformers in memory afterwards"
MILLISECONDS = "ms in the median"

# What torch and transformers do to a process when their models are first imported (a
# variable for torch's compiler, two warning filters) is theirs, and has been done here.
FOREIGN = (
    transformers.BertForMaskedLM,
    transformers.LlamaForCausalLM,
    transformers.T5ForConditionalGeneration,
)

X, Y = toy.reviews(40)

Use = Callable[[Path], None]


def import_anew(tries: int, seed: int) -> dict[str, Count]:
    """Import skraee in new processes, behind numpy and scikit-learn."""
    counts: dict[str, Count] = {HEAVY: 0, SLOW: 0, CHANGED: 0}
    times = []
    for _ in range(tries):
        milliseconds, heavy, others = imported()
        times.append(milliseconds)
        counts[HEAVY] += bool(heavy)
        counts[SLOW] += milliseconds > MOST_MILLISECONDS
        counts[CHANGED] += len(others)
    return {**counts, MILLISECONDS: median(times)}


def imported() -> tuple[float, list[str], list[str]]:
    """Import skraee in a new process; return its time and what it has left."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True
    )
    milliseconds, heavy, others = json.loads(done.stdout)
    return milliseconds, heavy, others


def use_in_odd_surroundings(tries: int, seed: int) -> dict[str, Count]:
    """Use estimators where everything that a process can set is set."""
    rng = random.Random(seed)
    counts: dict[str, Count] = {CHANGED: 0, COMPARED: 0}
    names = list(USES)
    for i in range(tries):
        name = names[i] if i < len(names) else rng.choice(names)
        with unusual(rng), tempfile.TemporaryDirectory() as folder:
            before = process_state()
            USES[name](Path(folder))
            others = changed(before, process_state())
        counts[CHANGED] += len(others)
        counts[COMPARED] += len(before)
    return counts


@contextmanager
def unusual(rng: random.Random) -> Iterator[None]:
    """Set what a process can set to something unusual, and back behind the block."""
    with ExitStack() as stack, warnings.catch_warnings():
        for set_, value, before in _settings(rng):
            set_(value)
            stack.callback(set_, before)
        # Both keep what they find, so that it is as it was whatever a block has done.
        stack.enter_context(np.errstate(divide=rng.choice(["ignore", "print"])))
        stack.enter_context(sklearn.config_context(working_memory=rng.randint(64, 999)))
        stack.enter_context(threadpool_limits(rng.randint(1, 2)))
        stack.enter_context(tempfile.TemporaryDirectory())
        warnings.filterwarnings("ignore", message=f"odd {rng.random()}")
        os.environ[f"SKRAEE_ODD_{rng.randint(0, 99)}"] = "1"
        yield


def _settings(rng: random.Random) -> Iterator[tuple[Callable[..., Any], Any, Any]]:
    """Yield what sets a setting, to what, and to what again afterwards."""
    environment = dict(os.environ)
    yield os.chdir, tempfile.gettempdir(), os.getcwd()
    yield _set_environment, environment, environment
    yield random.setstate, random.Random(rng.random()).getstate(), random.getstate()
    numpys = np.random.RandomState(rng.randint(0, 999)).get_state()
    yield np.random.set_state, numpys, np.random.get_state()  # noqa: NPY002
    torchs = torch.Generator().manual_seed(rng.randint(0, 999)).get_state()
    yield torch.set_rng_state, torchs, torch.get_rng_state()
    yield torch.set_num_threads, rng.randint(1, 3), torch.get_num_threads()
    yield torch.set_default_dtype, torch.float64, torch.get_default_dtype()
    yield torch.set_grad_enabled, rng.random() < 0.5, torch.is_grad_enabled()
    precision = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision, "high", precision
    yield sys.setrecursionlimit, rng.randint(2000, 3000), sys.getrecursionlimit()
    level = transformers_logging.get_verbosity()
    odd = rng.choice([logging.WARNING, logging.ERROR, logging.CRITICAL])
    yield transformers_logging.set_verbosity, odd, level
    for name in ("skraee", "torch", "huggingface_hub", None):
        logger = logging.getLogger(name)
        yield logger.setLevel, rng.choice(["ERROR", "CRITICAL"]), logger.level
    yield partial(setattr, sys, "excepthook"), _told, sys.excepthook
    yield partial(setattr, warnings, "formatwarning"), _told, warnings.formatwarning
    set_method = partial(multiprocessing.set_start_method, force=True)
    yield set_method, None, multiprocessing.get_start_method(allow_none=True)
    for one in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if number := getattr(signal, one, None):
            yield partial(signal.signal, number), _told, signal.getsignal(number)


def _told(*of: Any) -> str:
    return f"told {len(of)} things"


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _by(make: Callable[..., Any], **parameters: Any) -> Use:
    """Fit and use an estimator in every public way."""

    def use(folder: Path) -> None:
        clear_backbones()
        clear_sweeps()
        backbone = parameters.get("backbone", toy.backbone())
        clf = make(**{"backbone": backbone, **parameters}).fit(X, Y)
        clf.predict(X[:5])
        clf.predict_proba(X, return_exit_layers=True)
        pickle.loads(pickle.dumps(clf)).predict(X[:3])
        if hasattr(clf, "save"):
            clf.save(folder / "model.skraee")
            type(clf).load(folder / "model.skraee").predict(X[:3])
            clf.timings(X[:3])
            str(clf.explain(X[0]))
            list(clf.predict_iter(iter(X), chunk_size=16))
        if hasattr(clf, "partial_fit"):
            clf.partial_fit(X[:4], Y[:4])
        with suppress(ValueError):
            clf.predict([None])
        clf._repr_html_()

    return use


def _stored(folder: Path) -> None:
    """Fit with a store in a folder, twice."""
    for _ in range(2):
        clear_sweeps()
        clf = EarlyExitClassifier(toy.backbone(), threshold=0.7, memory=folder)
        clf.fit(X, Y).predict(X[:3])


_WORDS: dict[str, Any] = {
    "template": toy.TEMPLATES["masked"],
    "label_words": toy.LABEL_WORDS,
}

USES: dict[str, Use] = {
    "confidence": _by(EarlyExitClassifier, budget=0.5),
    "threshold, causal": _by(
        EarlyExitClassifier, backbone=toy.backbone("causal"), threshold=0.7
    ),
    "votes": _by(RAEEClassifier, k=5, tau=0.7, **_WORDS),
    "readout, exact": _by(
        RAEEClassifier,
        template="{text}",
        k=5,
        readout="ridge",
        index="exact",
        budget=0.6,
    ),
    "depth as encoder": _by(RAEEClassifier, k=5, encoder=1, min_exit=2, **_WORDS),
    "seq2seq": _by(
        RAEEClassifier,
        k=5,
        **{**_WORDS, "template": toy.TEMPLATES["seq2seq"]},
        backbone=toy.backbone("seq2seq"),
    ),
    "search": _by(RAEEClassifierCV, **_WORDS),
    "store": _stored,
    "full depth": _by(baselines.FullDepthClassifier, **_WORDS),
    "HashEE": _by(baselines.HashEEClassifier, **_WORDS),
    "SLEB": _by(baselines.SLEBClassifier, n_remove=1, **_WORDS),
    "CALM": _by(baselines.CALMClassifier, threshold=0.7, **_WORDS),
    "AdaInfer": _by(baselines.AdaInferClassifier, **_WORDS),
    "DeeBERT": _by(baselines.DeeBERTClassifier, n_epochs=2, threshold=0.5),
}


TRIALS = (
    Trial(
        "import",
        "skraee is imported in a new process, after numpy and scikit-learn",
        import_anew,
        50,
        none_of=(HEAVY, SLOW, CHANGED),
    ),
    Trial(
        "surroundings",
        "An estimator is fitted, asked, saved and loaded where environment, seeds, "
        "warning filters, loggers, threads, handlers, hooks and torch's defaults are "
        "set to something unusual",
        use_in_odd_surroundings,
        200,
        none_of=(CHANGED,),
    ),
)
