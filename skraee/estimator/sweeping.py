"""What estimators share that run a backbone by its name."""

from __future__ import annotations

import inspect
from typing import Any

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import Device
from skraee.engine.batching import BatchTokens
from skraee.engine.clock import Clock
from skraee.engine.compiled import Compile
from skraee.estimator.contract import TextEstimator
from skraee.estimator.parameters import unused_settings
from skraee.exceptions import warn_user
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import Sweeper, open_sweeper


class SweepingEstimator(TextEstimator):
    """Opens its backbone as its parameters say."""

    backbone: str | Backbone
    max_length: int | None
    batch_tokens: BatchTokens
    device: Device
    dtype: str
    memory: Any
    verbose: int

    def _check_before_fit(self) -> None:
        """Refuse wrong parameters, and warn of those that another makes useless."""
        self._check_parameters()
        signature = inspect.signature(type(self)).parameters
        defaults = {name: one.default for name, one in signature.items()}
        for unused in unused_settings(self.get_params(deep=False), defaults):
            warn_user(unused, UserWarning)

    def _reopen(self, settings: SweepSettings, clock: Clock | None = None) -> Sweeper:
        """Load the backbone as settings have it; where time is taken without store."""
        return open_sweeper(
            settings,
            self.device,
            self.batch_tokens,
            self.memory if clock is None else None,
            clock,
            compile=self._compiles(),
            verbose=self.verbose,
        )

    def _compiles(self) -> Compile:
        """Say whether layers are compiled."""
        compile: Compile = getattr(self, "compile", False)
        return compile
