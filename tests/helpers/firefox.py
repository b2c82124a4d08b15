"""A real Firefox, asked by the protocol that it speaks without a driver: WebDriver BiDi.

Playwright drives a Firefox of its own, which it patches; readers have their distribution's.
"""

import itertools
import json
import re
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import Any

import websocket

LIMIT = 300  # seconds until an answer has come, on whatever machine: only faults wait so long
PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "ui.prefersReducedMotion": 1,
}


class Firefox:
    """One window without a screen, what its pages complained about, and what they did not get."""

    def __init__(self, path: str, profile: Path) -> None:
        """Start it, with a profile of its own."""
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items())
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        window = ("--headless", "--no-remote", "--remote-debugging-port", "0")
        command = [path, *window, "--profile", profile]
        streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, **streams, text=True)
        self._ids, self._heard = itertools.count(), []
        address = f"{self._listening()}/session"
        self._socket = websocket.create_connection(address, suppress_origin=True, timeout=LIMIT)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded", "network.responseCompleted"])
        self._tab = self._ask("browsingContext.create", type="tab")["context"]

    def _listening(self) -> str:
        """Where it listens, once it says so. What it says later is read, or the pipe would fill."""
        said = []
        for line in self._process.stderr:
            said.append(line)
            if found := re.search(r"BiDi listening on (ws://\S+)", line):
                rest = (self._process.stderr, 0)
                self._reader = threading.Thread(target=deque, args=rest, daemon=True)
                self._reader.start()
                return found[1]
        raise RuntimeError(f"Firefox must start, got {''.join(said)}")

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, and keep what is told meanwhile."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (message := json.loads(self._socket.recv())).get("id") != number:
            self._heard.append(message)
        if message["type"] == "error":
            raise RuntimeError(f"{method} must succeed, got {message['message']}")
        return message["result"]

    def open(self, address: str, width: int) -> None:
        """Open a page in a window so wide, and forget what others said."""
        self._heard.clear()
        self.resize(width)
        self._ask("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def resize(self, width: int) -> None:
        """Make the window so wide."""
        size = {"width": width, "height": 900}
        self._ask("browsingContext.setViewport", context=self._tab, viewport=size)

    def evaluate(self, function: str, *args: object) -> Any:
        """What a JavaScript function returns, or what its promise is kept with."""
        call = f"(async () => JSON.stringify(await ({function})(...{json.dumps(args)})))()"
        target = {"context": self._tab}
        answer = self._ask("script.evaluate", expression=call, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise RuntimeError(f"a script must end, got {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"].get("value", "null"))

    def press(self, key: str) -> None:
        """Press a key and let it go; those without a letter have a number: "\\ue010" is End."""
        strokes = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": strokes}]
        self._ask("input.performActions", context=self._tab, actions=actions)

    def noise(self) -> list[str]:
        """Errors and warnings on the console, and files that were not there."""
        told = [(event["method"], event["params"]) for event in self._heard if "method" in event]
        said = [
            f"{entry['level']}: {entry['text']}"
            for method, entry in told
            if method == "log.entryAdded" and entry["level"] in ("warn", "error")
        ]
        answers = (entry["response"] for method, entry in told if method.startswith("network"))
        return said + [f"status {a['status']}: {a['url']}" for a in answers if a["status"] >= 400]

    def close(self) -> None:
        """End it."""
        self._ask("browser.close")
        self._socket.close()
        self._process.wait(LIMIT)
        self._reader.join()
        self._process.stderr.close()
