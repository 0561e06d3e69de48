"""A model, what waits for it, and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from skraee.serve.batches import Batches, Run
from skraee.serve.bodies import (
    Receive,
    check_headers,
    headers_of,
    read_body,
    until_gone,
)
from skraee.serve.limits import Limits
from skraee.serve.metrics import Metrics
from skraee.serve.model import Json, Model
from skraee.serve.questions import Sample, samples_of
from skraee.serve.refusals import ClientGone, Refusal


class Service:
    """A model, what waits for it, and what is counted.

    Parameters
    ----------
    model : Model
    limits : Limits
    """

    def __init__(self, model: Model, limits: Limits) -> None:
        self.model = model
        self.limits = limits
        self.metrics = Metrics()
        self._batches = Batches(limits, self.metrics, alone=model.explained)
        self._loading: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Load the model, once, in the thread that will run it.

        Raises
        ------
        Exception
            What loading raises; the next call tries it again.
        """
        if self._loading is None or _has_failed(self._loading):
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        await self._batches.in_thread(self.model.load)
        self.metrics.ready()

    async def predict(self, scope: Any, receive: Receive) -> Json:
        """Answer the texts of a request."""
        found = await self._asked(
            scope, receive, self.model.predicted, self.limits.max_texts
        )
        labels, proba, exits = zip(*found, strict=True)
        self.metrics.exits(exits)
        return {
            "classes": self.model.classes,
            "labels": labels,
            "probabilities": proba,
            "exit_layers": exits,
        }

    async def explain(self, scope: Any, receive: Receive) -> Json:
        """Explain the answers to the texts of a request."""
        if not self.model.explains:
            raise Refusal(
                501,
                f"the model is a {self.model.name}, a baseline, which explains "
                "nothing; ask /predict.",
                "explains_nothing",
            )
        found = await self._asked(
            scope, receive, self.model.explained, self.limits.max_explained
        )
        return {"explanations": found}

    async def readiness(self) -> Json:
        """Say that the model is loaded, or refuse; where nobody loads it, begin to."""
        if self._loading is None or self._loading.cancelled():
            self._loading = asyncio.create_task(self._load())
        if not self._loading.done():
            raise Refusal(503, "the model is being loaded; ask again.", "not_ready")
        if (error := self._loading.exception()) is not None:
            raise Refusal(
                503,
                f"the model cannot be loaded ({type(error).__name__}); the log of the "
                "service says why.",
                "not_ready",
            )
        return {"status": "ready"}

    async def _asked(
        self, scope: Any, receive: Receive, run: Run, most: int
    ) -> list[Any]:
        """Read a request, let it wait for its turn, and return the answers."""
        check_headers(headers_of(scope), self.limits)
        self._batches.check_room()
        body = await read_body(receive, self.limits)
        samples = samples_of(body, self.model.fields, self.limits, most)
        return await self._answered(receive, run, samples)

    async def _answered(
        self, receive: Receive, run: Run, samples: list[Sample]
    ) -> list[Any]:
        job = self._batches.put(run, samples)
        gone = asyncio.create_task(until_gone(receive))
        try:
            first: set[asyncio.Future[Any]] = {job.answers, gone}
            done, _ = await asyncio.wait(
                first,
                timeout=self.limits.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            gone.cancel()
            if not job.answers.done():
                self._batches.drop(job)
        if job.answers in done:
            return job.answers.result()
        if gone in done:
            raise ClientGone
        raise Refusal(
            503,
            f"the model did not come to it within {self.limits.timeout:g} s; send it "
            "again, or less at a time.",
            "timeout",
            {"Retry-After": "1"},
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Load the model at the start, and let its thread end at the end."""
        loading = asyncio.create_task(self.load())
        loading.add_done_callback(_has_failed)  # who asks for readiness is told
        yield
        self._batches.close()


def _has_failed(task: asyncio.Task[None]) -> bool:
    """Whether a task ended with an error; asking lets it be forgotten."""
    return task.done() and (task.cancelled() or task.exception() is not None)
