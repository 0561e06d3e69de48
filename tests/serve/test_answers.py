"""A service answers as the classifier does, alone and in any batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skraee import toy
from skraee.baselines import FullDepthClassifier
from tests.support.classifiers import early_exit, make_classifier
from tests.support.services import Client, serving

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

NEW, _ = toy.reviews(48, seed=1)


def check_same(found: Any, clf: Any, texts: Any) -> None:
    proba, exits = clf.predict_proba(texts, return_exit_layers=True)
    assert found["classes"] == clf.classes_.tolist()
    assert found["labels"] == clf.predict(texts).tolist()
    assert found["exit_layers"] == exits.tolist()
    np.testing.assert_allclose(found["probabilities"], proba, atol=1e-6)


def test_answers_are_those_of_predict_to_the_last_bit(service: Client, clf: Any):
    found = service.predict(*NEW[:16]).json
    proba, exits = clf.predict_proba(NEW[:16], return_exit_layers=True)
    assert len(set(exits.tolist())) > 1
    assert found["labels"] == clf.predict(NEW[:16]).tolist()
    assert found["exit_layers"] == exits.tolist()
    assert (np.array(found["probabilities"], dtype=np.float32) == proba).all()


def test_requests_side_by_side_share_batches_and_get_the_answers_of_each_alone(
    clf: Any,
):
    with serving(clf) as client, ThreadPoolExecutor(12) as pool:
        before = client.metric("skraee_batch_texts_count")
        sent = [NEW[i : i + 1 + i % 3] for i in range(45)]
        found = list(pool.map(lambda texts: client.predict(*texts).json, sent))
        n_batches = client.metric("skraee_batch_texts_count") - before
        n_texts = client.metric("skraee_batch_texts_sum")
    for texts, one in zip(sent, found, strict=True):
        check_same(one, clf, texts)
    assert n_batches < len(sent)
    assert n_texts == sum(map(len, sent))


def test_answers_of_neighbours_are_those_of_predict(neighbors: Any):
    with serving(neighbors) as client:
        check_same(client.predict(*NEW).json, neighbors, NEW)
        (told,) = client.post("/explain", {"texts": NEW[:1]}).json["explanations"]
    expected = neighbors.explain(NEW[0])
    assert told["why"] == expected.why
    assert [one["position"] for one in told["neighbors"]] == [
        one.position for one in expected.neighbors
    ]


def test_explanations_are_those_of_explain(service: Client, clf: Any):
    found = service.post("/explain", {"texts": NEW[:2]}).json["explanations"]
    for text, told in zip(NEW, found, strict=False):
        expected = clf.explain(text)
        assert told["why"] == expected.why
        assert told["exit_layer"] == expected.exit_layer
        assert told["confidence"] == pytest.approx(expected.confidence)
        assert told["labels"] == list(expected.labels)


def test_texts_of_several_fields_are_objects():
    frame = pd.DataFrame({"title": NEW, "body": NEW[::-1]})
    clf = early_exit(template="{title} : {body}", threshold=0.95)
    clf.fit(frame, ["even", "odd"] * (len(NEW) // 2))
    with serving(clf) as client:
        rows = frame.to_dict("records")
        check_same(client.predict(*rows).json, clf, frame)
        wrong = client.predict({"title": "a"})
        assert wrong.status == 422
        assert "texts[0] must have 'title', 'body' and nothing else" in wrong.error
        assert client.predict("a").status == 422
        assert client.predict({"title": "a", "body": 3}).error.startswith(
            "'body' of texts[0] must be a string, got a number"
        )
        assert client.post("/explain", {"texts": rows[:1]}).status == 200


@pytest.mark.parametrize("labels", [[3, 7], [True, False]])
def test_classes_that_are_no_strings_come_as_what_they_are(labels: list[Any]):
    texts, y = toy.reviews(40)
    clf = early_exit(threshold=0.9)
    clf.fit(texts, [labels[int(name == "positive")] for name in y])
    with serving(clf) as client:
        check_same(client.predict(*NEW[:4]).json, clf, NEW[:4])


def test_baseline_answers_and_explains_nothing():
    texts, y = toy.reviews(40)
    clf = make_classifier(FullDepthClassifier).fit(texts, y)
    with serving(clf) as client:
        check_same(client.predict(*NEW[:4]).json, clf, NEW[:4])
        refused = client.post("/explain", {"texts": ["a"]})
        assert refused.status == 501
        assert "FullDepthClassifier, a baseline, which explains nothing" in (
            refused.error
        )


@pytest.mark.parametrize(
    "text", ["", " \n", "<s> [MASK]", "\x00", "a\u2028b", "😀" * 40, "{text}"]
)
def test_odd_texts_are_answered_as_predict_does(service: Client, clf: Any, text: str):
    check_same(service.predict(text).json, clf, [text])


def test_lone_surrogates_are_answered_as_predict_does(service: Client, clf: Any):
    body = b'{"texts": ["a lovely \\ud800 film", "\\udfff"]}'
    found = service.post("/predict", body)
    check_same(found.json, clf, ["a lovely \ud800 film", "\udfff"])
    told = service.post("/explain", b'{"texts": ["\\ud800"]}').json["explanations"]
    assert told[0]["text"] == "\ufffd"


def test_metrics_count_exits_batches_and_requests(clf: Any):
    with serving(clf) as client:
        exits = client.predict(*NEW).json["exit_layers"]
        for layer in set(exits):
            name = f'skraee_texts_total{{exit_layer="{layer}"}}'
            assert client.metric(name) == exits.count(layer)
        done = 'skraee_request_seconds_count{path="/predict",status="200"}'
        assert client.metric(done) == 1
        assert client.metric("skraee_queue_texts") == 0
        assert client.metric("skraee_ready") == 1
        client.get("/no-such-path-of-a-scanner")
        text = client.get("/metrics").body.decode()
        assert "scanner" not in text
        assert 'path="other",status="404"' in text
