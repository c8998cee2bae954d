"""A headless Chromium without network, driven over its DevTools protocol, for tests of what a reader sees.

Found through PATH alone. One browser serves a module of tests; each page gets a tab of its own.
"""

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
)  # fmt: skip
_SECONDS = 30


def chromium() -> str | None:
    """The browser's path, or None where this machine has none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Tab:
    """One page: what it wrote to the console, and ways to look at it and touch it."""

    def __init__(self, socket: ClientConnection, ids: Iterator[int], session: str) -> None:
        self._socket, self._ids, self._session = socket, ids, session
        self.console: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        asked = next(self._ids)
        told = {"id": asked, "method": method, "params": params, "sessionId": self._session}
        self._socket.send(json.dumps(told))
        while True:
            answer = json.loads(self._socket.recv(timeout=_SECONDS))
            self._listen(answer)
            if answer.get("id") == asked:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _listen(self, event: dict[str, Any]) -> None:
        if event.get("sessionId") != self._session:
            return
        told = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.console.append(str(told["exceptionDetails"].get("exception", told)))
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value", one.get("description"))) for one in told["args"]))
        elif event.get("method") == "Log.entryAdded":
            self.console.append(told["entry"]["text"])

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Until an expression in the page is true."""
        end = time.monotonic() + _SECONDS
        while not self.run(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def tap(self, x: float, y: float) -> None:
        """A finger, at a place in the window."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    def pdf(self) -> bytes:
        told = self.call("Page.printToPDF", preferCSSPageSize=True)
        return base64.b64decode(told["data"])


class Browser:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._ids = socket, itertools.count(1)

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False, touch: bool = False) -> Tab:
        """A page in a tab of its own, loaded and drawn. touch: a phone's finger instead of a mouse."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self._socket, self._ids, session)
        for domain in ("Page", "Runtime", "Log"):
            tab.call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        tab.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        tab.call("Page.navigate", url=page.as_uri())
        tab.wait_for("location.protocol === 'file:' && document.readyState === 'complete'")
        return tab

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        asked = next(self._ids)
        self._socket.send(json.dumps({"id": asked, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_SECONDS))
            if answer.get("id") == asked:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A running Chromium with an empty profile; it ends with the block."""
    program = chromium()
    assert program is not None
    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with connect(_address(profile / "DevToolsActivePort"), max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait()


def _address(told: Path) -> str:
    """Where the browser listens, once it has said so."""
    end = time.monotonic() + _SECONDS
    while True:
        lines = told.read_text().splitlines() if told.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        assert time.monotonic() < end, "Chromium did not start"
        time.sleep(0.02)
