"""What a process has set for all of its code, and what of it has become another."""

from __future__ import annotations

import gc
import locale
import logging
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from typing import Any

import numpy as np
import sklearn
from threadpoolctl import threadpool_info

State = dict[str, Any]


def process_state() -> State:
    """Read everything that is known of the process; nothing is imported for it."""
    state = _of_python() | _of_numpy()
    state |= {f"logger {name}": value for name, value in _loggers().items()}
    if "torch" in sys.modules:
        state |= _of_torch()
    if "transformers" in sys.modules:
        state |= _of_transformers()
    return state


def changed(before: State, after: State) -> list[str]:
    """Name what is another now; a logger that is new may be there, but plain."""
    names = [name for name in before if after.get(name) != before[name]]
    new = after.keys() - before.keys()
    return names + sorted(
        name for name in new if name.startswith("logger ") and after[name] != _PLAIN
    )


def _of_python() -> State:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "environment variables": dict(os.environ),
        "working folder": os.getcwd(),
        "umask": mask,
        "locale": locale.setlocale(locale.LC_ALL),
        "time zone": time.tzname,
        "signal handlers": [signal.getsignal(one) for one in signal.valid_signals()],
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "random": random.getstate(),
        "warning filters": list(warnings.filters),
        "how warnings are shown": (warnings.showwarning, warnings.formatwarning),
        "hook of errors": sys.excepthook,
        "hook of errors in threads": threading.excepthook,
        "hook of errors that nobody sees": sys.unraisablehook,
        "hook of values": sys.displayhook,
        "hooks of imports": [*sys.meta_path, *sys.path_hooks],
        "trace and profile": (sys.gettrace(), sys.getprofile()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "import path": list(sys.path),
        "recursion limit": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "garbage collection": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "socket timeout": socket.getdefaulttimeout(),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "what logging leaves out": logging.root.manager.disable,
        "class of loggers": logging.getLoggerClass(),
    }


def _of_numpy() -> State:
    kind, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "numpy's generator": (kind, np.asarray(keys).tobytes(), rest),
        "numpy's errors": (np.geterr(), np.geterrcall()),
        "numpy's printing": np.get_printoptions(),
        "numbers near 0": float(np.float32(1e-40) * np.float32(0.5)),
        "settings of scikit-learn": sklearn.get_config(),
        **{f"threads of {p['filepath']}": p["num_threads"] for p in threadpool_info()},
    }


# Level, whether records go up, whether it is off, handlers, filters.
_PLAIN: tuple[Any, ...] = (logging.NOTSET, True, False, [], [])


def _loggers() -> State:
    known = logging.root.manager.loggerDict
    real = {n: one for n, one in known.items() if isinstance(one, logging.Logger)}
    return {
        name: (one.level, one.propagate, one.disabled, [*one.handlers], [*one.filters])
        for name, one in {"root": logging.root, **real}.items()
    }


def _of_torch() -> State:
    import torch
    from torch.nn.modules import module

    return {
        "torch's threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's dtype": torch.get_default_dtype(),
        "torch's device": torch.empty(0).device,
        "torch's gradients": torch.is_grad_enabled(),
        "torch's inference mode": torch.is_inference_mode_enabled(),
        "torch's autocast": torch.is_autocast_enabled("cpu"),
        "torch's determinism": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "torch's precision": torch.get_float32_matmul_precision(),
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "torch's printing": str(vars(torch._tensor_str.PRINT_OPTS)),
        "torch's backends": (
            torch.backends.mkldnn.enabled,
            torch.backends.cudnn.enabled,
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
        ),
        "torch's hooks": [
            len(vars(module)[name]) for name in vars(module) if _is_of_all(name)
        ],
    }


def _is_of_all(name: str) -> bool:
    return name.startswith("_global_") and name.endswith("_hooks")


def _of_transformers() -> State:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled
    from transformers.utils import logging as library

    return {
        "transformers' level": library.get_verbosity(),
        "transformers' bars": library.is_progress_bar_enabled(),
        "the hub's bars": are_progress_bars_disabled(),
    }
