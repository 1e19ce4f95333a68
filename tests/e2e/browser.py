"""A real browser for pages that we write: Chromium without a window, driven over a pair of pipes (DevTools protocol)."""

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

import pytest

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "--window-size=1200,800",
)  # fmt: skip
_PATIENCE = 60.0


class Browser:
    """One tab; everything that the page logs, throws or asks the network for is kept."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._pending = b""
        self._number = 0
        self.trouble: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path | str) -> None:
        """Load a file or an address, and wait until its script says that it is ready."""
        self._call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        self.wait_until_ready()

    def open_blank(self) -> None:
        """Leave the page, and all that it kept in this browser."""
        origin = self.run("location.origin")
        if str(origin).startswith("http"):
            self.run("sessionStorage.clear(), localStorage.clear(), 0")
        self._call("Page.navigate", url="about:blank")
        self.trouble.clear()
        self.requests.clear()

    def wait_until_ready(self) -> None:
        """Until the script of the page says so."""
        end = time.monotonic() + _PATIENCE
        while self.run("document.documentElement?.dataset.ready") != "true":
            assert time.monotonic() < end, f"the page never got ready: {self.trouble}"
            time.sleep(0.05)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def window(self, width: int, height: int, *, dark: bool = False, calm: bool = True) -> None:
        """How large the page is, which colours its reader prefers, and whether things should stand still."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        colours, motion = ("dark" if dark else "light"), ("reduce" if calm else "no-preference")
        features = [
            {"name": "prefers-color-scheme", "value": colours},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self._call("Emulation.setEmulatedMedia", features=features)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, by their names (``Tab``, ``Enter``) or their characters."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        for key in keys:
            text = "\r" if key == "Enter" else key if len(key) == 1 else None
            pressed = {
                "key": key,
                "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper())),
                **({"text": text} if text else {}),
            }
            self._call("Input.dispatchKeyEvent", type="keyDown", **pressed)
            self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        self._call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """What a person would see, as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _PATIENCE
        while True:
            said = self._next(end)
            if said.get("id") == self._number:
                assert "error" not in said, said["error"]
                result: dict[str, Any] = said["result"]
                return result
            self._note(said)

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            read = os.read(self._read, 1 << 16)
            assert read, "the browser is gone"
            self._pending += read
        line, self._pending = self._pending.split(b"\0", 1)
        said: dict[str, Any] = json.loads(line)
        return said

    def _note(self, said: dict[str, Any]) -> None:
        method, params = said.get("method"), said.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.trouble.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.trouble.append(f"{params['entry']['text']} {params['entry'].get('url', '')}".strip())
        elif method == "Page.javascriptDialogOpening":
            self.trouble.append(f"a dialog: {params['message']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"][:200])


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs a browser: apt-get install chromium")
    from_us, to_browser = os.pipe()
    to_us, from_browser = os.pipe()
    command = [found, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    # Chromium reads its orders from descriptor 3 and answers on 4.
    script = f'exec "$@" 3<&{from_us} 4>&{from_browser}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *command], pass_fds=(from_us, from_browser), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(from_us)
    os.close(from_browser)
    try:
        yield Browser(to_us, to_browser)
    finally:
        process.kill()
        process.wait(timeout=_PATIENCE)
        os.close(to_browser)
        os.close(to_us)
