"""Requests that wait together become one batch; one thread runs the model.

The event loop alone touches what waits, so there is nothing to lock. While the model
runs a batch, requests gather; when it is done, those at the head go in as the next, as
many as fit. A text's answer does not depend on its batch, so none needs to wait for
others: an idle service answers at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from skraee.serve.limits import Limits
from skraee.serve.metrics import Metrics
from skraee.serve.questions import Sample
from skraee.serve.refusals import Refusal

log = logging.getLogger("skraee.serve")

# What runs in the model's thread: texts -> an answer for each.
Run = Callable[[Sequence[Sample]], list[Any]]

# Those who were answered together come back together, a little later: without a pause
# the first of them would run alone, and the rest behind it.
_PAUSE = 0.002


class Job:
    """The texts of one request, and the answers that it waits for.

    Parameters
    ----------
    run : callable
        Jobs with the same one can share a batch.
    samples : list of tuple of str
    """

    def __init__(self, run: Run, samples: list[Sample]) -> None:
        self.run = run
        self.samples = samples
        self.answers: asyncio.Future[list[Any]]
        self.answers = asyncio.get_running_loop().create_future()

    def __len__(self) -> int:
        return len(self.samples)


class Batches:
    """What waits for the model, and the thread that it runs in.

    Parameters
    ----------
    limits : Limits
    metrics : Metrics
    alone : callable
        Never shares a batch.
    """

    def __init__(self, limits: Limits, metrics: Metrics, alone: Run) -> None:
        self._limits = limits
        self._metrics = metrics
        self._alone = alone
        self._waiting: deque[Job] = deque()
        self._work: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._seconds_a_text = 0.0
        metrics.watch_queue(lambda: self.n_texts)

    @property
    def n_texts(self) -> int:
        """How many texts wait; those that run do not count."""
        return sum(map(len, self._waiting))

    def check_room(self, n_texts: int = 1) -> None:
        """Refuse a request that would wait behind too many others.

        Raises
        ------
        Refusal
            429, with the seconds after which there should be room.
        """
        if (waiting := self.n_texts) + n_texts <= self._limits.max_queue:
            return
        seconds = min(60, max(1, math.ceil(waiting * self._seconds_a_text)))
        raise Refusal(
            429,
            f"{waiting} texts wait already, and {self._limits.max_queue} may; send it "
            f"again in {seconds} s.",
            "queue_full",
            {"Retry-After": str(seconds)},
        )

    def put(self, run: Run, samples: list[Sample]) -> Job:
        """Let texts wait for their turn.

        Raises
        ------
        Refusal
            429 where too many wait.
        """
        self.check_room(len(samples))
        job = Job(run, samples)
        self._waiting.append(job)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._work_off())
        return job

    def drop(self, job: Job) -> None:
        """Forget a job that nobody waits for; one that runs is run to its end."""
        job.answers.cancel()
        if job in self._waiting:
            self._waiting.remove(job)

    async def in_thread(self, call: Callable[[], Any]) -> Any:
        """Run something in the model's thread, behind what runs there."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="skraee-model")
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """Let the thread end, when it has done what it does."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                jobs = self._next()
                await self._run(jobs)
                await asyncio.sleep(_PAUSE if len(jobs) > 1 else 0)
        finally:
            self._waiting.clear()  # where this was cancelled, with all who wait

    async def _run(self, jobs: list[Job]) -> None:
        start = time.perf_counter()
        found = await self.in_thread(partial(_outcomes, jobs))
        self._took(jobs, time.perf_counter() - start)
        for job, outcome in zip(jobs, found, strict=True):
            _settle(job, outcome)

    def _next(self) -> list[Job]:
        """Take the jobs at the head that can run as one batch."""
        jobs = [self._waiting.popleft()]
        n_texts, run = len(jobs[0]), jobs[0].run
        while self._waiting and run != self._alone and self._waiting[0].run == run:
            n_texts += len(self._waiting[0])
            if n_texts > self._limits.max_texts:
                break
            jobs.append(self._waiting.popleft())
        return jobs

    def _took(self, jobs: list[Job], seconds: float) -> None:
        n_texts = sum(map(len, jobs))
        self._metrics.batch(n_texts, seconds)
        self._seconds_a_text += 0.2 * (seconds / n_texts - self._seconds_a_text)


def _outcomes(jobs: list[Job]) -> list[list[Any] | Exception]:
    """Answer jobs together; where that fails each alone, so that one fails alone."""
    samples = [sample for job in jobs for sample in job.samples]
    try:
        answers = jobs[0].run(samples)
    except Exception as error:
        if len(jobs) > 1:
            return [_outcomes([job])[0] for job in jobs]
        _log_place(error)
        return [error]
    ends = iter(answers)
    return [[next(ends) for _ in job.samples] for job in jobs]


def _settle(job: Job, outcome: list[Any] | Exception) -> None:
    if job.answers.done():
        return  # nobody waits any more
    if isinstance(outcome, Exception):
        job.answers.set_exception(
            Refusal(
                500,
                f"the model failed with a {type(outcome).__name__}; the service's log "
                "says where.",
                "model_failed",
            )
        )
    else:
        job.answers.set_result(outcome)


def _log_place(error: Exception) -> None:
    """Log where an error came from, without what it says: that may repeat a text."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " < ".join(f"{f.filename}:{f.lineno}" for f in reversed(frames))
    log.error("a request failed with %s at %s", type(error).__name__, places)
