"""Chromium without a screen, driven through its debugging pipe (Chrome DevTools Protocol, messages ended by a zero)."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any


class Chromium:
    """A browser with one page.

    Args:
        folder: where it keeps its profile.
        width: of the page, in pixels.
        height: of the page, in pixels.
        more: further options of its command line.
    """

    def __init__(self, folder: Path, *, width: int = 1280, height: int = 800, more: tuple[str, ...] = ()) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program is not None, "apt-get install chromium"
        # Chromium reads from 3 and writes to 4.
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Out of the way of 3 and 4 before they are put there.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
        shell = f'exec 3<&{high[0]} 4>&{high[1]}; exec "$@"'
        self._process = subprocess.Popen(
            [
                "bash", "-c", shell, "chromium", program, "--headless=new", "--no-sandbox", "--disable-gpu",
                "--mute-audio",
                "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars",
                "--disable-dev-shm-usage", f"--user-data-dir={folder}", f"--window-size={width},{height}",
                "--remote-debugging-pipe", *more,
                "about:blank",
            ],
            pass_fds=high,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *high):
            os.close(end)
        self._number = 0
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        """Everything that the browser has told by itself."""
        threading.Thread(target=self._listen, daemon=True).start()
        self._session: str | None = None
        targets = self.ask("Target.getTargets")["targetInfos"]
        page = next(one for one in targets if one["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its answer."""
        self._number += 1
        number = self._number
        waiting = self._answers[number] = queue.SimpleQueue()
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = waiting.get(timeout=60)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, url: str) -> None:
        """Goes to an address and waits until the page is there."""
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def script(self, expression: str) -> Any:
        """What an expression is worth in the page; a promise is waited for."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 30.0) -> Any:
        """Waits until an expression is true in the page."""
        deadline = time.monotonic() + seconds
        while True:
            # Between two pages there is nothing to ask.
            with contextlib.suppress(AssertionError):
                if value := self.script(expression):
                    return value
            assert time.monotonic() < deadline, (
                f"never true: {expression}; {self.script('document.body.outerHTML')[:2000]}"
            )
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """What a person reads in an element."""
        return str(self.script(f"document.querySelector({json.dumps(selector)}).innerText"))

    def press(self, text: str) -> None:
        """Presses the button on which a text stands."""
        wanted = json.dumps(text)
        self.until(
            "(() => { const buttons = [...document.querySelectorAll('button')];"
            f" const found = buttons.find((one) => one.innerText.includes({wanted}));"
            " if (!found) return false; found.click(); return true; })()"
        )

    def picture(self, path: Path) -> None:
        """A screenshot, PNG."""
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def requests(self) -> list[str]:
        """The addresses that pages asked for."""
        return [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the browser has found wrong with pages: refused by their policy, or an error of a script."""
        told = [one["params"]["entry"] for one in self.events if one["method"] == "Log.entryAdded"]
        # An answer of 4xx is one, and no fault of the page.
        return [one["text"] for one in told if one["source"] != "network"] + [
            str(one["params"]) for one in self.events if one["method"] == "Runtime.exceptionThrown"
        ]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for end in (self._in, self._out):
            with contextlib.suppress(OSError):
                os.close(end)

    def _listen(self) -> None:
        left = b""
        while True:
            try:
                part = os.read(self._in, 1 << 20)
            except OSError:
                return
            if not part:
                return
            *messages, left = (left + part).split(b"\0")
            for raw in messages:
                message = json.loads(raw)
                if "id" in message:
                    self._answers.pop(message["id"]).put(message)
                else:
                    self.events.append(message)
