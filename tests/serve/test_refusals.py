"""What a service refuses: one sentence as JSON, and it goes on."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.support.services import Client, answer_of, everything, serving

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

TOKEN = "0123456789abcdef"

WRONG: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "the body is no JSON"),
    "words": (b"a lovely film", 400, "the body is no JSON"),
    "half": (b'{"texts": ["a', 400, "the body is no JSON"),
    "two": (b'{"texts": ["a"]} {}', 400, "the body is no JSON"),
    "no UTF-8": (b'{"texts": ["\xff\xfe"]}', 400, "cannot be read as JSON in UTF-8"),
    "NaN": (b'{"texts": [NaN]}', 400, "NaN is no JSON"),
    "infinite": (b'{"texts": -Infinity}', 400, "-Infinity is no JSON"),
    "digits": (b'{"texts": [' + b"9" * 4_000 + b"]}", 422, "string, got a number"),
    "huge": (b'{"texts": [1e999]}', 422, "texts[0] must be a string, got a number"),
    "deep": (b"[" * 4_000, 400, "nested too deeply"),
    "deep object": (b'{"a":' * 800, 400, "the body is n"),
    "null": (b"null", 422, "must be an object, got null"),
    "list": (b'["a"]', 422, "must be an object, got a list"),
    "string": (b'"a"', 422, "must be an object, got a string"),
    "no texts": (b'{"text": ["a"]}', 422, "the body must have 'texts'"),
    "more": (b'{"texts": ["a"], "k": 3}', 422, "'texts' and nothing else, got 2"),
    "one string": (b'{"texts": "a"}', 422, "'texts' must be a list, got a string"),
    "object": (b'{"texts": {"0": "a"}}', 422, "must be a list, got an object"),
    "empty": (b'{"texts": []}', 422, "at least one text, got none"),
    "number": (b'{"texts": ["a", 3]}', 422, "texts[1] must be a string, got a num"),
    "true": (b'{"texts": [true]}', 422, "texts[0] must be a string, got true or f"),
    "inner": (b'{"texts": [["a"]]}', 422, "texts[0] must be a string, got a list"),
    "fields": (b'{"texts": [{"text": "a"}]}', 422, "must be a string, got an object"),
    "many": (json.dumps({"texts": ["a"] * 17}).encode(), 413, "hold 16 texts here, g"),
    "long": (json.dumps({"texts": ["", "a" * 201]}).encode(), 413, "texts[1] has 201"),
}


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_body_is_refused_with_a_sentence(service: Client, name: str, path: str):
    body, status, sentence = WRONG[name]
    found = service.post(path, body)
    assert (found.status, found.headers["Content-Type"]) == (status, "application/json")
    if path == "/explain" and name == "many":
        sentence = "hold 2 texts here, g"
    assert sentence in found.error
    assert "\n" not in found.error


def test_wrong_bodies_are_counted_by_reason(service: Client):
    before = service.metric('skraee_rejected_total{reason="wrong_form"}')
    service.post("/predict", {"texts": []})
    assert service.metric('skraee_rejected_total{reason="wrong_form"}') == before + 1


def test_body_that_says_it_is_too_large_is_refused_before_it_comes(service: Client):
    with service.raw() as sock:
        head = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        sock.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        found = everything(sock)
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"the body may have 4096 bytes here" in found
    assert b"connection: close" in found.lower()


def test_client_that_first_sends_all_of_a_large_body_reads_why_it_is_refused(
    service: Client,
):
    found = service.post("/predict", b"a" * 8_000_000)
    assert found.status == 413
    assert "the body may have 4096 bytes here" in found.error


def test_body_in_chunks_is_refused_when_more_came_than_may(service: Client):
    with service.connection() as connection:
        chunks = (b"a" * 1_000 for _ in range(500))
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        connection.request("POST", "/predict", chunks, headers, encode_chunked=True)
        assert answer_of(connection).status == 413


def test_body_in_chunks_is_read_where_it_is_small(service: Client):
    with service.connection() as connection:
        chunks = (b'{"texts"', b': ["a lovely film"]}')
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        connection.request(
            "POST", "/predict", iter(chunks), headers, encode_chunked=True
        )
        assert answer_of(connection).status == 200


def test_compressed_body_is_refused_and_never_unpacked(service: Client):
    bomb = gzip.compress(b" " * 1_000_000)
    found = service.post("/predict", bomb, Content_Encoding="gzip")
    assert found.status == 415
    assert "must not be compressed" in found.error


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonl", "", None])
def test_body_of_another_type_is_refused(service: Client, kind: str | None):
    """Pages of other sites can send plain text without asking for leave."""
    found = service.post("/predict", {"texts": ["a"]}, Content_Type=kind)
    assert found.status == 415
    assert "set the header Content-Type" in found.error


def test_type_may_name_its_charset(service: Client):
    kind = "Application/JSON; charset=utf-8"
    assert service.post("/predict", {"texts": ["a"]}, Content_Type=kind).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/predict", 405),
        ("POST", "/metrics", 405),
        ("DELETE", "/docs", 405),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%00", 404),
        ("POST", "/predict/", 404),
    ],
)
def test_path_or_method_that_there_is_not_is_refused(
    service: Client, method: str, path: str, status: int
):
    found = service.ask(method, path)
    assert found.status == status
    assert "/docs names the paths and their methods" in found.error


def test_head_of_what_can_be_got_is_answered(service: Client):
    for path in ("/healthz", "/readyz", "/metrics", "/docs"):
        found = service.ask("HEAD", path)
        assert (found.status, found.body) == (200, b"")


# Who may ask


@pytest.fixture(scope="module")
def guarded(clf: Any):
    with serving(clf, token=TOKEN) as client:
        yield client


def test_who_has_the_token_is_answered(guarded: Client):
    assert guarded.predict("a").status == 200
    assert guarded.get("/metrics").status == 200
    assert guarded.get("/metrics", Authorization=f"bearer  {TOKEN} ").status == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}0",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff\xfe",
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/explain", "/metrics", "/nothing"])
def test_who_has_not_is_refused(guarded: Client, header: str | None, path: str):
    method = "POST" if path in ("/predict", "/explain") else "GET"
    found = guarded.ask(method, path, Authorization=header)
    assert found.status == 401
    assert found.headers["WWW-Authenticate"] == "Bearer"
    assert "this needs the service's token" in found.error


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_documentation_need_no_token(guarded: Client, path: str):
    assert guarded.get(path, Authorization=None).status == 200


def test_token_is_asked_for_before_the_body_is_read(guarded: Client):
    with guarded.raw() as sock:
        sock.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        assert everything(sock).startswith(b"HTTP/1.1 401 ")
