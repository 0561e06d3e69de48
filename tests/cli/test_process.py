"""What ``skraee`` makes of its process: streams, exit status, a reader that leaves."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from skraee import __main__ as process


def printing(text: str) -> Callable[[], int]:
    def main() -> int:
        print(text)  # noqa: T201
        return 3

    return main


def test_output_is_utf_8_with_bare_line_feeds_whatever_the_locale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", newline="\r\n")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(process, "main", printing("wörter \ud800"))
    assert process.run() == 3
    assert written.getvalue() == "wörter \\ud800\n".encode()


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_process_without_a_stream_of_its_own_runs(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(process, "main", printing("a"))
    assert process.run() == 3


def test_sigterm_clears_up_on_its_way_out_and_is_the_callers_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cleared: list[str] = []

    def main() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleared.append("file")
        return 0

    monkeypatch.setattr(process, "main", main)
    with pytest.raises(SystemExit) as exit_info:
        process.run()
    assert exit_info.value.code == 143
    assert cleared == ["file"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_reader_that_leaves_early_is_no_error_and_none_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:

        def main() -> int:
            print("a" * 100_000)  # noqa: T201
            return 0

        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(process, "main", main)
        assert process.run() == 128 + 13
        # What was left goes nowhere: closing raises nothing.


def test_what_is_left_in_the_buffer_of_a_closed_pipe_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(process, "main", printing("a"))  # stays in the buffer
        assert process.run() == 3


class SignalledAtItsEnd:
    """Gets a signal in its destructor, where Python drops what a handler raises."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
)
def test_signal_that_arrives_in_a_destructor_is_not_lost(
    number: signal.Signals,
    expected: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    hook = sys.unraisablehook
    # A shell's background jobs ignore Ctrl-C, and so would this process.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def main() -> int:
        SignalledAtItsEnd(number)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            time.sleep(0.001)
        return 0

    monkeypatch.setattr(process, "main", main)
    try:
        with pytest.raises(expected):
            process.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == ""
    assert sys.unraisablehook is hook


def test_other_errors_of_destructors_are_told_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("in a destructor")

    def main() -> int:
        Failing()
        return 0

    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: told.append(it.exc_type))
    monkeypatch.setattr(process, "main", main)
    assert process.run() == 0
    assert told == [ValueError]
