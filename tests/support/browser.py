"""A browser without a window, told by a pipe what to do: keys, sizes, colours.

It speaks the browser's own protocol over two pipes, so nothing else is to be installed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Where one may be.
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)

_SECONDS = 60

# Keys by their names -> code and what they type.
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}


class Browser:
    """One page of a browser.

    Parameters
    ----------
    to, back : int
        Descriptors of the pipes.
    """

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._n_asked, self._rest, self._session = 0, b"", ""
        #: What the browser told of by itself: (name, what).
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser for something, and wait for its answer."""
        self._n_asked += 1
        asked = {"id": self._n_asked, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._n_asked:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self.events.append((told["method"], told["params"]))

    def open(self, page: Path) -> None:
        """Open a file, and wait until it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=page.absolute().as_uri())
        self.wait("document.readyState == 'complete' && location.protocol == 'file:'")

    def wait(self, script: str) -> None:
        """Wait until a script comes to true."""
        for _ in range(100 * _SECONDS):
            if self.run(script):
                return
            time.sleep(0.01)
        raise TimeoutError(f"after {_SECONDS} s it is not so: {script}")

    def run(self, script: str) -> Any:
        """Run a script in the page, and return what it comes to."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, as a person does."""
        code, text = _KEYS[key]
        named = {"key": key, "code": key.strip() or "Space"}
        shared = {**named, "windowsVirtualKeyCode": code}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **shared)

    def look(self, scheme: str = "light", width: int = 1200, media: str = "") -> None:
        """Set colours, width, and whether it is printed."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def shoot(self, target: Path, whole: bool = True) -> None:
        """Write a picture of the page."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        target.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """Return what the page asked for since it was opened, itself included.

        What its own policy held back is not among it.
        """
        asked, failed = "Network.requestWillBeSent", "Network.loadingFailed"
        held = {
            it["requestId"]
            for name, it in self.events
            if name == failed and it.get("blockedReason") == "csp"
        }
        return [
            it["request"]["url"]
            for name, it in self.events
            if name == asked and it["requestId"] not in held
        ]

    def complaints(self) -> list[Any]:
        """Return what was said on the console, and what went wrong."""
        kinds = "Log.entryAdded Runtime.consoleAPICalled Runtime.exceptionThrown"
        return [what for name, what in self.events if name in kinds.split()]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], _SECONDS)
            if not ready:
                raise TimeoutError(f"the browser says nothing for {_SECONDS} s")
            read = os.read(self._back, 1 << 20)
            assert read, "the browser has ended"
            self._rest += read
        told, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(told))


@contextmanager
def browser(home: Path) -> Iterator[Browser]:
    """Start a browser that keeps its files in a folder, and end it."""
    assert BROWSER is not None
    inner_in, to = os.pipe()
    back, inner_out = os.pipe()
    # The browser reads descriptor 3 and writes 4, which this process may use otherwise.
    command = f'exec "$0" "$@" 3<&{inner_in} 4>&{inner_out}'
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
        *("--no-first-run", f"--user-data-dir={home}", "--disable-dev-shm-usage"),
    ]
    process = subprocess.Popen(
        ["bash", "-c", command, BROWSER, *options],
        pass_fds=(inner_in, inner_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(inner_in)
    os.close(inner_out)
    try:
        yield Browser(to, back)
    finally:
        os.close(to)
        os.close(back)
        process.terminate()
        process.wait(_SECONDS)
