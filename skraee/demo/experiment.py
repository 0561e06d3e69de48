"""The demo's experiment: what is computed, in the order in which it is told."""

from __future__ import annotations

import numpy as np

from skraee.backbone.handle import Backbone
from skraee.backbone.precision import name_of
from skraee.classifier import RAEEClassifier
from skraee.demo.measure import Measured, System, fixed_depth, measure
from skraee.demo.settings import DEFAULTS, K, Setting, Trial, candidates, try_settings
from skraee.demo.task import Task
from skraee.early_exit import EarlyExitClassifier
from skraee.engine.head import label_head
from skraee.inspection.explanation import Explanation
from skraee.sweep.layer_sweep import LayerSweep
from skraee.sweep.settings import SweepSettings
from skraee.sweep.sweeper import open_sweeper
from skraee.text.template import Template

_SEED = 0
_BUDGET = 0.3


class Experiment:
    """A backbone in memory and a task.

    Parameters
    ----------
    backbone : Backbone
    task : Task

    Attributes
    ----------
    n_layers : int
        Layers m of the backbone.
    where : str
        What it computes in, and on.
    """

    def __init__(self, backbone: Backbone, task: Task) -> None:
        self._backbone = backbone
        self._task = task
        settings = SweepSettings(backbone, Template(task.prompt.template))
        self._sweeper = open_sweeper(settings, "auto", "auto")
        self._classes = np.unique(task.fit.labels)
        words = task.prompt.label_words
        _, self._token_ids = self._sweeper.label_tokens(words, self._classes.tolist())
        self._sweeps: dict[int | None, LayerSweep] = {}
        self.n_layers = self._sweeper.n_layers
        loaded = self._sweeper.backbone
        self.where = f"{name_of(loaded.dtype)} on {loaded.device}"

    def try_settings(self) -> list[Trial]:
        """Sweep the fit texts for each kind of keys, and cross-validate on that.

        Returns
        -------
        list of Trial
        """
        fit, trials = self._task.fit, []
        for encoder, settings in candidates(self.n_layers).items():
            # The second kind of keys finds the sweeps in the memory of the first.
            clf = self._classifier(settings[0]).set_params(verbose=1)
            sweep = self._sweeps[encoder] = clf.sweep(fit.texts)
            proba = sweep.proba(self._token_ids)
            trials += try_settings(settings, sweep.keys, proba, fit.labels)
        return trials

    def measure(self, chosen: Setting) -> list[Measured]:
        """Measure full depth, the best single layer and both forms of early exit.

        Parameters
        ----------
        chosen : Setting

        Returns
        -------
        list of Measured
            Full depth first, RAEE in the chosen setting last.
        """
        best = int(self._fitted(DEFAULTS).layer_scores_.argmax())
        systems = [
            self._single_layer(self.n_layers, "full depth"),
            self._single_layer(best, f"best layer ({best})"),
            self._closed_form(),
            self._raee(DEFAULTS, "RAEE, defaults"),
        ]
        if chosen != DEFAULTS:
            systems.append(self._raee(chosen, "RAEE, chosen"))
        return measure(systems, self._task.test)

    def explain(
        self, chosen: Setting, full: Measured, raee: Measured
    ) -> list[tuple[str, Explanation]]:
        """Explain three answers: two right ones and a wrong one, drawn with a seed.

        Parameters
        ----------
        chosen : Setting
        full, raee : Measured
            Full depth, and RAEE in the chosen setting.

        Returns
        -------
        list of (str, Explanation)
            What was drawn from, and why; fewer where there is no such text.
        """
        clf, test = self._fitted(chosen), self._task.test
        kinds = {
            "right, where full depth is wrong": raee.right & ~full.right,
            "right, as full depth is": raee.right & full.right,
            "wrong": ~raee.right,
        }
        rng = np.random.default_rng(_SEED)
        drawn = {k: rng.choice(np.flatnonzero(m)) for k, m in kinds.items() if m.any()}
        return [
            (kind, clf.explain(test.texts[i], self._task.fit.texts))
            for kind, i in drawn.items()
        ]

    def _classifier(self, setting: Setting) -> RAEEClassifier:
        return RAEEClassifier(
            self._backbone,
            self._task.prompt.template,
            k=K,
            tau=setting.tau,
            label_words=self._task.prompt.label_words,
            encoder=setting.encoder,
            min_exit=setting.min_exit,
            random_state=_SEED,
        )

    def _fitted(self, setting: Setting) -> RAEEClassifier:
        # Nothing remembered: every answer is a real run.
        clf = self._classifier(setting)
        clf.set_params(memory=None)
        return clf.fit_sweep(self._sweeps[setting.encoder], self._task.fit.labels)

    def _single_layer(self, depth: int, name: str) -> System:
        head = label_head(self._sweeper.backbone, self._token_ids)
        return fixed_depth(name, self._sweeper, head, self._classes, depth)

    def _closed_form(self) -> System:
        clf = EarlyExitClassifier(
            self._backbone,
            self._task.prompt.template,
            budget=_BUDGET,
            memory=None,
            verbose=1,
        ).fit(self._task.fit.texts, self._task.fit.labels)
        clf.set_params(verbose=0)
        return System(
            f"closed form, {_BUDGET}",
            lambda texts: clf.predict(texts, return_exit_layers=True),
        )

    def _raee(self, setting: Setting, name: str) -> System:
        clf = self._fitted(setting)
        return System(
            name,
            lambda texts: clf.predict(texts, return_exit_layers=True),
            least_layers=setting.encoder or 0,
        )
