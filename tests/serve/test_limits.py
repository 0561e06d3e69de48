"""How much a service takes, and the token that it asks for; without the extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skraee.serve.application import service_of
from skraee.serve.limits import Limits
from skraee.serve.process import address_of, is_loopback, listening
from skraee.serve.token import VARIABLE, checked_token, read_token


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_texts", 0), ("max_body", 1.5), ("max_length", True), ("max_queue", "9")],
)
def test_limit_that_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    message = f"{name} must be a whole number above 0, got "
    with pytest.raises(ValueError, match=message):
        Limits(**{name: value})


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), None])
def test_time_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="timeout must be a number above 0, got"):
        Limits(timeout=value)


def test_queue_that_no_request_fits_into_is_refused() -> None:
    with pytest.raises(ValueError, match="max_queue=5 is less than one request may h"):
        Limits(max_queue=5)


def test_token_is_read_of_the_file_or_else_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_token(None) is None
    monkeypatch.setenv(VARIABLE, "e" * 16)
    assert read_token(None) == "e" * 16
    file = tmp_path / "token"
    file.write_text(" " + "f" * 16 + "\r\n", "utf-8")
    assert read_token(file) == "f" * 16


@pytest.mark.parametrize("token", ["", "short", "a" * 15, "a b" * 9, "ä" * 20])
def test_token_that_is_short_or_no_part_of_a_header_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="at least 16 letters, digits and signs of AS"):
        checked_token(token)


def test_token_that_is_no_string_is_refused() -> None:
    token: Any = b"a" * 20
    with pytest.raises(TypeError, match="token must be a string, got bytes"):
        checked_token(token)


def test_missing_package_is_told_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("skraee.serve.application.find_spec", lambda name: None)
    clf: Any = None
    with pytest.raises(
        ImportError, match=r"a service needs fastapi, .* pip install 's"
    ):
        service_of(clf, Limits())


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback_is_told_from_what_others_reach(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("::")


def test_free_port_is_part_of_the_address() -> None:
    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        assert address_of(sock, "127.0.0.1") == f"http://127.0.0.1:{port}"
        assert address_of(sock, "::1") == f"http://[::1]:{port}"


def test_host_that_nobody_knows_is_refused() -> None:
    with pytest.raises(OSError, match="cannot listen on no host, port 0"):
        listening("no host", 0)
