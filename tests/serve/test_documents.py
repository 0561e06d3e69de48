"""The OpenAPI document and the page, which load nothing; the application mounted."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from skraee import EarlyExitClassifier, serve, toy
from skraee.exceptions import FileFormatError
from tests.support.services import Client, wait_until

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

TOKEN = "0123456789abcdef"


def test_document_names_paths_limits_and_answers(service: Client):
    found = service.get("/openapi.json").json
    paths = {"/predict", "/explain", "/healthz", "/readyz", "/metrics"}
    assert found["paths"].keys() == paths
    post = found["paths"]["/predict"]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["texts"]["maxItems"] == 16
    assert schema["properties"]["texts"]["items"] == {
        "type": "string",
        "maxLength": 200,
    }
    assert {"200", "413", "422", "429", "503"} <= post["responses"].keys()
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["required"] == [*service.predict("a").json]
    assert found["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "negative" not in str(found)  # no class without the token


def test_page_loads_nothing_and_runs_its_own_script_only(service: Client):
    found = service.get("/docs")
    text = found.body.decode()
    policy = found.headers["Content-Security-Policy"]
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", text) == ["openapi.json"]
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "POST /predict" in text


def test_application_is_mounted_in_another_without_its_lifespan(
    clf: EarlyExitClassifier,
):
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    whole = FastAPI()
    whole.mount("/reviews", serve.app(clf, token=TOKEN))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(whole) as client:
        assert client.get("/reviews/readyz").status_code in (200, 503)
        body = {"texts": ["a lovely film", "dull"]}
        assert client.post("/reviews/predict", json=body).status_code == 401
        found = client.post("/reviews/predict", json=body, headers=headers)
        assert found.json()["labels"] == clf.predict(body["texts"]).tolist()
        metrics = client.get("/reviews/metrics", headers=headers).text
        assert 'path="/predict",status="200"' in metrics
    for _ in range(2):  # each with an event loop of its own
        found = TestClient(whole).post("/reviews/predict", json=body, headers=headers)
        assert found.status_code == 200


def test_what_is_no_fitted_classifier_is_refused():
    from sklearn.exceptions import NotFittedError
    from sklearn.pipeline import make_pipeline

    one: Any = make_pipeline(EarlyExitClassifier(toy.backbone()))
    with pytest.raises(TypeError, match="takes a fitted classifier of skraee, got Pip"):
        serve.app(one)
    with pytest.raises(NotFittedError):
        serve.app(EarlyExitClassifier(toy.backbone()))


def test_model_that_cannot_be_loaded_is_told_by_readiness(clf: Any):
    from copy import copy

    from fastapi.testclient import TestClient

    broken = copy(clf)

    def predict(X: Any) -> Any:
        raise FileFormatError("the words of an error")

    broken.predict = predict
    with TestClient(serve.app(broken)) as client:
        wait_until(lambda: "being loaded" not in client.get("/readyz").text)
        found = client.get("/readyz")
    assert found.status_code == 503
    assert "cannot be loaded (FileFormatError)" in found.json()["error"]
