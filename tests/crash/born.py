"""The bot for tests of crashes, started in milliseconds: forked by a nursery, of which each test run has one."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests.running import ROOT, TIED, Running, Vakhta, executed

_ANSWERS_WITHIN_S = 60.0


class Unhurried(Vakhta):
    """The bot with short clocks, as `tests.crash.unhurried` sets them."""

    def __init__(self, place: Path, channels: Mapping[str, object], *, store: str = "") -> None:
        super().__init__(place, channels, store=store, module="tests.crash.unhurried", by=born)


def born(command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> Running:
    """As `executed`, for `python -m MODULE ...`; where the kernel cannot tie children to their parent it is that."""
    if not TIED:
        return executed(command, log, environment)
    return _nursery().bear(command, log, environment)


class Born:
    """One child of the nursery, as Popen would show it."""

    def __init__(self, pid: int, pidfd: int, report: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._report = report
        self._code: int | None = None

    def poll(self) -> int | None:
        self._wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        self._wait(timeout)
        if self._code is None:
            raise subprocess.TimeoutExpired("a child of the nursery", timeout or 0)
        return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)

    def _wait(self, timeout: float | None) -> None:
        if self._code is not None:
            return
        waiting = select.poll()
        waiting.register(self._report, select.POLLIN)
        if not waiting.poll(None if timeout is None else timeout * 1000):
            return
        told = os.read(self._report, 16)
        assert told, "the nursery is gone, and its children with it"
        self._code = int(told)
        os.close(self._report)
        os.close(self._pidfd)


class Nursery:
    def __init__(self) -> None:
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._door.settimeout(_ANSWERS_WITHIN_S)
        with theirs:
            self._popen = subprocess.Popen(
                [*TIED, sys.executable, "-m", "tests.crash.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
            )

    def bear(self, command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]) -> Born:
        python, dash_m, module, *words = command
        assert (python, dash_m) == (sys.executable, "-m"), f"not a module to run: {command}"
        order = json.dumps({"module": module, "words": words, "environment": dict(environment)})
        report, theirs = os.pipe()
        try:
            socket.send_fds(self._door, [order.encode()], [log.fileno(), theirs])
            pid, fds, _, _ = socket.recv_fds(self._door, 16, 1)
        finally:
            os.close(theirs)
        assert fds, "the nursery is gone"
        return Born(int(pid), fds[0], report)

    def close(self) -> None:
        self._door.close()
        self._popen.wait()


@cache
def _nursery() -> Nursery:
    made = Nursery()
    atexit.register(made.close)
    return made
