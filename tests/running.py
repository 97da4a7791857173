"""Programs that a test starts beside itself, the bot first of all: each is ended by its own pid, whatever happens.

Should the test run itself be killed, the kernel ends them too (where util-linux's setpriv is installed).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

ROOT = Path(__file__).parent.parent
#: Before a command: the kernel ends it with whoever started it.
TIED = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
_ENDS_WITHIN_S = 60.0

TOKEN = "local-only-token"


class Running(Protocol):
    """What Popen tells of a process, and does to it."""

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


#: Starts a command, with that log and environment.
Start = Callable[[Sequence[str], IO[bytes], Mapping[str, str]], Running]


def executed(command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> Running:
    """A process of that command, with `log` for all that it says."""
    return subprocess.Popen(
        [*TIED, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=environment
    )


class Program:
    """One program, while its context is open. It may end and be started again in between. `by`: who starts it."""

    def __init__(self, command: Sequence[str], *, log: Path, ready: Callable[[], bool], by: Start = executed) -> None:
        self._command = command
        self._log = log
        self._ready = ready
        self._by = by
        self._process: Running | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
        if error is not None:
            error.add_note(f"--- the end of {self._log.name}:\n{self.said()[-4000:]}")

    def start(self, command: Sequence[str] | None = None, **env: str) -> Self:
        """Returns when it is ready."""
        self.begin(command, **env)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        until(lambda: self._ready() or not self.alive(), f"{self._log.name} is ready", within_s=60)
        assert self.alive(), f"{self._log.name} ended at once: {self.said()[-2000:]}"

    def begin(self, command: Sequence[str] | None = None, **env: str) -> None:
        """As `start`, without waiting."""
        assert not self.alive(), f"{self._log.name} is already running"
        with self._log.open("ab") as out:
            self._process = self._by(command or self._command, out, {**os.environ, **env})

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, signum: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(signum)

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        self.signal(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(_ENDS_WITHIN_S)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def said(self) -> str:
        """All that it wrote to its log so far, over all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Vakhta(Program):
    """The real bot, at a port that stays the same over all its lives."""

    def __init__(
        self,
        place: Path,
        channels: Mapping[str, object],
        *,
        store: str = "",
        module: str = "bot",
        by: Start = executed,
        drain_s: int = 20,
    ) -> None:
        """`channels` as in the settings; `module` is what `python -m` runs."""
        self._drain_s = drain_s
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.store = store or f"sqlite:///{place}/vakhta.db"
        config = place / "vakhta.yaml"
        config.write_text(json.dumps(self._settings(channels)))
        run = [sys.executable, "-m", module, "run", "--config", str(config)]
        super().__init__(run, log=place / "vakhta.log", ready=lambda: answers(f"{self.url}/livez"), by=by)

    def incidents(self) -> list[dict[str, Any]]:
        """As the API lists them."""
        return list(read(f"{self.url}/api/incidents")["incidents"])

    def incident(self, number: int) -> dict[str, Any]:
        return read(f"{self.url}/api/incidents/{number}")

    def metric(self, start: str) -> float:
        """The sum of the series whose line begins so."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))

    def _settings(self, channels: Mapping[str, object]) -> dict[str, object]:
        return {
            "server": {"listen": f"127.0.0.1:{self.port}", "drain": self._drain_s},
            "store": {"url": self.store},
            "sources": {"alertmanager": {"tokens": [TOKEN]}},
            "channels": {"console": {"enabled": False}, **channels},
            "people": [{"id": "ana", "name": "Ana", "slack": "U1", "pagerduty": "PANA", "roles": ["responder"]}],
            "roles": {"responder": {"allow": ["ack *", "resolve *", "note *"]}},
        }


def until(holds: Callable[[], bool], what: str, *, within_s: float = 60.0) -> None:
    """Wait until `holds()`, or AssertionError naming `what`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


def read(url: str) -> dict[str, Any]:
    """The JSON object at that address."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        found = json.load(answer)
    assert isinstance(found, dict), f"no object at {url}"
    return found


def answers(url: str) -> bool:
    """Whether a GET of it is answered below 400."""
    try:
        with urllib.request.urlopen(url, timeout=60):
            return True
    except OSError:
        return False


def send(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """POST it; returns the status, 0 where no answer came."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)
    except (OSError, http.client.HTTPException):
        return 0


def free_port() -> int:
    """One below those that the kernel gives to whoever asks for any, so that no fake takes it in the meantime."""
    while True:
        port = random.randrange(15_000, 32_000)
        # Alertmanagers gossip over both.
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
