"""``skraee serve`` as a process: its start, its signals, its files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from skraee import toy
from skraee.cli.main import main
from tests.support.models import toy_objects
from tests.support.services import process, wait_until

for package in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(package, reason="the extra `serve` is not installed")

pytestmark = pytest.mark.engines

TEXTS, _ = toy.reviews(256, seed=3)
KEY, TOKEN = "k" * 20, "0123456789abcdef"


def test_sigterm_lets_what_was_taken_be_answered(model: Path, clf: Any):
    with process(model) as (running, client), ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(client.predict, *TEXTS) for _ in range(4)]
        wait_until(
            lambda: (
                client.metric("skraee_queue_texts") >= 256
                or client.metric("skraee_batch_texts_count") >= 2
            )
        )
        running.send_signal(signal.SIGTERM)
        answers = [one.result() for one in asked]
        assert running.wait(60) == 143
        assert running.stderr is not None
        said = running.stderr.read()
    assert {one.status for one in answers} == {200}
    assert answers[0].json["labels"] == clf.predict(TEXTS).tolist()
    assert said == ""


def test_half_requests_do_not_hold_up_the_stop_by_ctrl_c(model: Path):
    with process(model, "--receive-timeout", "1") as (running, client):
        with client.raw() as head, client.raw() as body, client.raw():
            head.sendall(b"POST /pre")
            body.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n")
            body.sendall(b"Content-Type: application/json\r\n\r\n{")
            time.sleep(0.2)
            start = time.monotonic()
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 130
        assert time.monotonic() - start < 20
        assert running.stderr is not None
        assert running.stderr.read() == "skraee: stopped\n"


def test_killed_service_starts_again_on_its_port_at_once(model: Path):
    with process(model, ready=False) as (running, client):
        sock = client.raw()
        running.kill()
        running.wait()
        with process(model, "--port", str(client.port)) as (_, again):
            assert again.port == client.port
            assert again.predict(*TEXTS[:3]).status == 200
        sock.close()


def test_token_of_the_environment_key_file_and_health_while_loading(
    clf: Any, tmp_path: Path
):
    path, key = tmp_path / "signed.skraee", tmp_path / "key"
    clf.save(path, key=KEY)
    key.write_text(KEY + "\n", "utf-8")
    options = ("--key-file", str(key))
    with process(path, *options, token=TOKEN, ready=False) as (running, client):
        assert client.get("/healthz").status == 200
        early = client.predict(*TEXTS[:3])  # waits until the model is loaded
        assert early.json["labels"] == clf.predict(TEXTS[:3]).tolist()
        client.wait_until_ready(running)
        assert client.ask("GET", "/metrics", Authorization=None).status == 401
        command = Path(f"/proc/{running.pid}/cmdline")
        if command.exists():
            assert TOKEN not in command.read_text()


def test_backbone_that_is_gone_ends_the_process_with_one_line(clf: Any, tmp_path: Path):
    folder, path = tmp_path / "backbone", tmp_path / "model.skraee"
    for part in toy_objects():
        part.save_pretrained(folder)
    clf = clf.__class__(str(folder), threshold=0.9, memory=None)
    clf.fit(*toy.reviews(60)).save(path)
    folder.rename(tmp_path / "moved")
    command = [sys.executable, "-m", "skraee", "serve", str(path), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "skraee: error: " in done.stderr
    assert "Traceback" not in done.stderr


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    try:
        status = main(["serve", *map(str, arguments)])
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    return capsys.readouterr().err


def test_port_that_is_taken_is_told(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from skraee.serve.process import listening

    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        said = refused(capsys, model, "--port", port)
    assert f"cannot listen on 127.0.0.1, port {port} (" in said
    assert "name another with --port or --host." in said


def test_address_of_another_machine_is_told(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, model, "--host", "192.0.2.1", "--token-file", model)
    assert "the token must have at least 16" in said
    said = refused(capsys, model, "--host", "192.0.2.1")
    assert "other machines can ask this service, and it has no token" in said
    assert "cannot listen on 192.0.2.1" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--port", "70000"), "write a number from 0 to 65535, not '70000'"),
        (("--timeout", "0"), "write a number of seconds above 0, not '0'"),
        (("--max-texts", "0"), "write a whole number from 1 on, not '0'"),
        (("--max-texts", "2000"), "max_queue=1024 is less than one request may hold"),
        (("--token-file", "nothing"), "there is no token file 'nothing'"),
        (("--key-file", "nothing"), "there is no key file 'nothing'"),
    ],
)
def test_wrong_option_is_refused_before_anything_is_loaded(
    model: Path, options: Any, sentence: str, capsys: pytest.CaptureFixture[str]
):
    assert sentence in refused(capsys, model, *options)
