"""What waits for the model: a bounded queue, patience, and who fails alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest

from tests.support.services import Answer, Client, serving, wait_until

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

SECRET = "the patient's name is Sam"


class Held:
    """A classifier that answers when it is let, and can fail at a word."""

    def __init__(self, clf: Any) -> None:
        self.free = threading.Event()
        self.free.set()
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.clf = copy(clf)
        self.clf.predict_proba = self.predict_proba
        self._predict_proba = clf.predict_proba

    def predict_proba(self, X: Any, **settings: Any) -> Any:
        texts = [fields[0] for fields in X]
        self.batches.append(len(texts))
        self.threads.add(threading.get_ident())
        assert self.free.wait(30)
        if any("poison" in text for text in texts):
            raise RuntimeError(f"cannot read {texts}")
        return self._predict_proba(X, **settings)


@contextmanager
def asking(client: Client, n: int, *texts: str) -> Iterator[list[Future[Answer]]]:
    with ThreadPoolExecutor(n) as pool:
        yield [pool.submit(client.predict, *texts) for _ in range(n)]


@pytest.fixture
def held(clf: Any) -> Iterator[Held]:
    made = Held(clf)
    yield made
    made.free.set()


def test_requests_past_the_queue_are_refused_at_once_and_the_others_answered(
    held: Held,
):
    with serving(held.clf, max_texts=4, max_queue=10) as client:
        held.free.clear()
        with asking(client, 1, "a") as first:
            wait_until(lambda: len(held.batches) == 1)
            with asking(client, 5, "a", "b") as waiting:
                wait_until(lambda: client.metric("skraee_queue_texts") == 10)
                start = time.monotonic()
                refused = client.predict("a")
                assert time.monotonic() - start < 2
                assert refused.status == 429
                assert 1 <= int(refused.headers["Retry-After"]) <= 60
                assert "10 texts wait already, and 10 may" in refused.error
                held.free.set()
            assert [one.result().status for one in waiting] == [200] * 5
        assert first[0].result().status == 200
        assert client.predict("a").status == 200
        assert client.metric('skraee_rejected_total{reason="queue_full"}') == 1
    assert held.batches == [1, 4, 4, 2, 1]
    assert len(held.threads) == 1


def test_request_that_the_model_does_not_come_to_is_given_up(held: Held):
    with serving(held.clf, timeout=0.5) as client:
        held.free.clear()
        late = client.predict("a")
        assert late.status == 503
        assert "the model did not come to it within 0.5 s" in late.error
        with asking(client, 3, "b") as more:
            pass
        assert {one.result().status for one in more} == {503}
        assert client.metric("skraee_queue_texts") == 0
        held.free.set()
        assert client.predict("a").status == 200
    assert held.batches == [1, 1]  # nobody waited for the three any more


def test_client_that_leaves_takes_its_texts_along(held: Held):
    with serving(held.clf) as client:
        held.free.clear()
        with asking(client, 1, "a"):
            wait_until(lambda: len(held.batches) == 1)
            with client.connection() as leaving:
                headers = {"Content-Type": "application/json"}
                leaving.request("POST", "/predict", b'{"texts": ["b"]}', headers)
                wait_until(lambda: client.metric("skraee_queue_texts") == 1)
            wait_until(lambda: client.metric("skraee_queue_texts") == 0)
            held.free.set()
        assert client.metric("skraee_gone_total") == 1
        assert client.predict("c").status == 200
    assert held.batches == [1, 1]


def test_text_that_the_model_fails_at_fails_alone_and_is_not_logged(
    held: Held, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG), serving(held.clf) as client:
        held.free.clear()
        with asking(client, 1, "a"):
            wait_until(lambda: len(held.batches) == 1)
            with (
                asking(client, 3, "b") as good,
                asking(client, 1, f"poison: {SECRET}") as bad,
            ):
                wait_until(lambda: client.metric("skraee_queue_texts") == 4)
                held.free.set()
        assert [one.result().status for one in good] == [200] * 3
        failed = bad[0].result()
        assert failed.status == 500
        assert "the model failed with a RuntimeError" in failed.error
    assert held.batches == [1, 4, 1, 1, 1, 1]
    said = caplog.text + "".join(capfd.readouterr())
    assert "a request failed with RuntimeError at " in said
    assert SECRET not in said
    assert "poison" not in said


def test_explanations_wait_in_the_same_line_and_run_alone(held: Held):
    with serving(held.clf) as client:
        held.free.clear()
        with asking(client, 1, "a"), ThreadPoolExecutor(1) as pool:
            wait_until(lambda: len(held.batches) == 1)
            told = pool.submit(client.post, "/explain", {"texts": ["b"]})
            wait_until(lambda: client.metric("skraee_queue_texts") == 1)
            with asking(client, 2, "c"):
                wait_until(lambda: client.metric("skraee_queue_texts") == 3)
                held.free.set()
        assert told.result().status == 200
    assert held.batches == [1, 1, 2]


def test_texts_of_requests_stand_in_no_log(
    clf: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG), serving(clf, max_length=100) as client:
        client.predict(SECRET)
        client.predict(SECRET * 20)
        client.post("/predict", {"texts": [SECRET, 3]})
        client.post("/predict", f'{{"texts": ["{SECRET}]'.encode())
        client.post("/explain", {"texts": [SECRET]})
        client.get("/predict?text=" + SECRET.replace(" ", "+"))
        client.post("/" + SECRET.replace(" ", "+"), {"texts": [SECRET]})
        metrics = client.get("/metrics").body.decode()
    said = caplog.text + "".join(capfd.readouterr()) + metrics
    assert "Sam" not in said
