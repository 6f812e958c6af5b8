"""Headless Chromium for tests.

It is driven over its own pipe (DevTools protocol, messages ended by a zero byte), so nothing but the standard library
is needed.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads commands from descriptor 3 and answers on 4.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
DEADLINE_S = 60.0


class Browser:
    """A headless browser, seen through one of its tabs."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        self.new_tab()

    def new_tab(self) -> str:
        """Open another tab, look at that one from now on, and return its name for :meth:`turn_to`."""
        self._session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self._session

    def turn_to(self, tab: str) -> None:
        """Look at a tab that was opened before."""
        self._session = tab

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, page: Path | str, *, width: int, height: int, dark: bool = False, media: str = "screen") -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.events.clear()
        self.ask("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        self.wait_for("Page.loadEventFired")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.value(expression):
            where = self.value("`${location.pathname} ${document.body?.innerText.slice(0, 400)}`")
            assert time.monotonic() < deadline, f"never: {expression}, at {where}"
            time.sleep(0.02)

    def wait_for(self, method: str) -> dict[str, Any]:
        """Wait for an event and return what it says."""
        while not (found := [event["params"] for event in self.events if event["method"] == method]):
            self._note(self._read())
        return found[-1]

    def type(self, text: str) -> None:
        """Put text where the cursor is, as from an input method: all of it at once."""
        self.ask("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a mouse does."""
        box = "(box => [box.x + box.width / 2, box.y + box.height / 2])({}.getBoundingClientRect())"
        found = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{found}.scrollIntoView({{block: 'center'}})")
        x, y = self.value(box.format(found))
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """Press a key and let it go."""
        code = {"Backspace": 8, "Enter": 13, "Escape": 27, "Tab": 9}.get(key, ord(key.upper()[0]))
        text = {} if ctrl or (len(key) > 1 and key != "Enter") else {"text": "\r" if key == "Enter" else key}
        pressed = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 * ctrl}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **pressed, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def value(self, expression: str) -> Any:
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def complaints(self) -> list[str]:
        """Console messages, uncaught errors, log entries, dialogs, and requests other than for the page itself."""
        bad = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"}
        found = [json.dumps(event) for event in self.events if event["method"] in bad]
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return found + [url for url in asked[1:] if not url.startswith("data:")]

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def _note(self, event: dict[str, Any]) -> None:
        if "method" not in event:  # the answer to a dialog's closing
            return
        self.events.append(event)
        if event["method"] == "Page.javascriptDialogOpening":  # else the page would wait for ever
            closing = {"id": 0, "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
            os.write(self._commands, json.dumps(closing | {"sessionId": event["sessionId"]}).encode() + b"\0")

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser did not answer in time"
            block = os.read(self._answers, 1 << 16)
            assert block, "the browser has ended"
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile, ended at the end."""
    assert CHROMIUM
    reads_commands, commands = os.pipe()
    answers, writes_answers = os.pipe()
    launch = [sys.executable, "-c", LAUNCH, str(reads_commands), str(writes_answers)]
    process = subprocess.Popen(
        [*launch, CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(reads_commands, writes_answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reads_commands)
    os.close(writes_answers)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)  # the browser ends when its pipe does
        os.close(answers)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
