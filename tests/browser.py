"""A headless Chromium, driven over its DevTools protocol with websockets: no driver in between."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.deadlines import deadline, wait_until

# No Internet, no root's sandbox, no first-run pages, and nothing that runs in the background.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]


# Their numbers, and what they write.
KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    " ": (32, " "),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
}


class Navigated(AssertionError):
    """The page was left while it was asked something."""


class Page:
    """A tab."""

    def __init__(self, devtools: ClientConnection, port: int) -> None:
        self._devtools = devtools
        self._port = port
        self._ids = count(1)

    def _call(self, method: str, **params: Any) -> Any:
        identifier = next(self._ids)
        self._devtools.send(json.dumps({"id": identifier, "method": method, "params": params}))
        while True:
            answer = json.loads(self._devtools.recv(timeout=deadline(20)))
            if answer.get("id") == identifier:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise Navigated(answer["error"])
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, url: str) -> None:
        """Load ``url``, and wait until it is there."""
        loaded = self._call("Page.navigate", url=url)
        assert "errorText" not in loaded, loaded["errorText"]
        self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def prepare(self, script: str) -> None:
        """Run ``script`` in each page that is opened from now on, before the page's own."""
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; of what it resolves to, if it is a promise."""
        result = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def resize(self, width: int, height: int, *, touch: bool = False) -> None:
        """Make the window as large as that, in CSS pixels; with ``touch`` it is a phone's."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)

    def prefer(self, scheme: str) -> None:
        """The user prefers a "dark" or a "light" color scheme."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key: str) -> None:
        """Press a key: one of :data:`KEYS`."""
        code, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def type(self, text: str) -> None:
        """Type ``text`` into what has the focus."""
        self._call("Input.insertText", text=text)

    def go_offline(self, offline: bool = True) -> None:
        """Take the network away, or give it back."""
        self._call("Network.enable")
        network = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self._call("Network.emulateNetworkConditions", **network)

    def drag(self, *points: tuple[float, float]) -> None:
        """Press the mouse at the first of these places in the window, move it along them, and let go at the last."""
        self.show()  # what is in the background takes no input
        button: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 1)]
        for kind, (x, y) in zip([*kinds, "mouseReleased"], [*points, points[-1]], strict=True):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def show(self) -> None:
        """Bring the tab to the front; the others are hidden then."""
        self._call("Page.bringToFront")

    @contextmanager
    def another_tab(self) -> Iterator[Page]:
        """A tab of the same browser, with the same cookies."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=deadline(20)) as response:
            target = json.load(response)
        with _attached(target["webSocketDebuggerUrl"], self._port) as page:
            try:
                yield page
            finally:
                page._call("Page.close")

    def screenshot(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def wait_for(self, expression: str) -> None:
        """Wait until a JavaScript expression is true, on this page or another.

        It may raise meanwhile: what it looks at need not be there before the page has loaded.
        """
        raised: list[AssertionError] = []

        def is_true() -> bool:
            raised.clear()
            try:
                return bool(self.run(f"Boolean({expression})"))
            except AssertionError as error:
                raised.append(error)
                return False

        try:
            wait_until(is_true, 20, expression)
        except AssertionError as error:
            raise error from next(iter(raised), None)


@contextmanager
def _attached(url: str, port: int) -> Iterator[Page]:
    """The tab whose DevTools are at ``url``, of a browser that listens on ``port``."""
    with connect(url, max_size=None, compression=None, proxy=None) as devtools:
        yield Page(devtools, port)


def _tabs(port: int) -> list[str]:
    """The addresses of all tabs' DevTools; of a browser that has just begun to listen, perhaps none."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=deadline(20)) as response:
        return [target["webSocketDebuggerUrl"] for target in json.load(response) if target["type"] == "page"]


@contextmanager
def chromium(program: str, *flags: str) -> Iterator[Page]:
    """Run the browser at the path ``program`` with a profile of its own, and with more ``flags``."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            port_file = Path(profile, "DevToolsActivePort")
            wait_until(lambda: port_file.exists() and "\n" in port_file.read_text(), 30, "the browser's port")
            port = int(port_file.read_text().split("\n")[0])
            wait_until(lambda: bool(_tabs(port)), 20, "the browser's first tab")
            (url,) = _tabs(port)
            with _attached(url, port) as page:
                yield page
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
