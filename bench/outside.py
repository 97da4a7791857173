"""The world outside: the tests' strict fakes of Slack, Telegram and PagerDuty, in a process of their own.

Apart, so that neither their threads nor their memory count as the bot's or delay the generator. `python -m
bench.outside NAME... [limits]` prints the settings that point at them, then answers each line on its standard input
with everything received so far. Times are time.monotonic, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.fakes.calls import Answer, Call
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.fakes.server import StrictServer
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram

_ROOT = Path(__file__).parent.parent
_TELEGRAM_GROUP = -1001
#: What identifies an incident in a message: PagerDuty's dedup_key, elsewhere an alert's name made for it.
_MARKS = (re.compile(rb'"dedup_key": ?"([0-9a-f]{64})"'), re.compile(rb"(PaymentsDown\d+)"))


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """One request that reached a fake."""

    at: float
    path: str
    status: int
    mark: str


class Outside:
    """The fakes' process, seen from the bench."""

    def __init__(self, *names: str, limits: bool = False) -> None:
        self._command = [sys.executable, "-m", "bench.outside", *names, *(["limits"] if limits else [])]
        self.channels: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._popen = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True
        )
        self.channels = {"console": {"enabled": False}, **self._read()}
        return self

    def __exit__(self, *_: object) -> None:
        assert self._popen.stdin is not None
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def received(self, name: str) -> list[Receipt]:
        """All that this fake has received so far, in order."""
        return [Receipt(**told) for told in self._ask()[name]["received"]]

    def faults(self) -> list[str]:
        """What the bot did that the real platforms would not have allowed."""
        return [f"{name}: {fault}" for name, told in self._ask().items() for fault in told["faults"]]

    def _ask(self) -> dict[str, Any]:
        assert self._popen.stdin is not None
        self._popen.stdin.write("tell\n")
        self._popen.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._popen.stdout is not None
        told: dict[str, Any] = json.loads(self._popen.stdout.readline() or '{"error": "the fakes did not come up"}')
        return told


class _Log:
    """Stands before a fake's `answer` and keeps what came and what was said."""

    def __init__(self, fake: StrictServer) -> None:
        self.received: list[dict[str, Any]] = []
        self._answer: Callable[[Call], Answer] = fake.answer

    def answer(self, call: Call) -> Answer:
        answer = self._answer(call)
        marks = [found[1].decode() for found in (mark.search(call.body) for mark in _MARKS) if found]
        mark = marks[0] if marks else ""
        self.received.append({"at": call.at, "path": call.path, "status": answer.status, "mark": mark})
        return answer


def page_key(group_key: str) -> str:
    return hashlib.sha256(group_key.encode()).hexdigest()


def serve(names: list[str], *, limits: bool) -> None:
    """Until standard input ends."""
    with contextlib.ExitStack() as stack:
        fakes: dict[str, StrictServer] = {}
        logs: dict[str, _Log] = {}
        channels: dict[str, Any] = {}
        for name in names:
            fake, settings = _BUILD[name](limits=limits)
            fakes[name] = stack.enter_context(fake)
            logs[name] = _Log(fake)
            fake.answer = logs[name].answer  # type: ignore[method-assign]
            channels[name] = settings()
        print(json.dumps(channels), flush=True)
        for _ in sys.stdin:
            told = {name: {"received": logs[name].received, "faults": fakes[name].faults} for name in names}
            print(json.dumps(told), flush=True)
        for fake in fakes.values():
            fake.faults.clear()  # They were told; leaving must not raise.


def _slack(*, limits: bool) -> tuple[FakeSlack, Callable[[], dict[str, Any]]]:
    fake = FakeSlack(limited=limits)
    return fake, lambda: {
        "bot_token": fake.bot_token,
        "signing_secret": fake.workspace.secret,
        "team_id": fake.workspace.team_id,
        "channel": fake.workspace.channel,
        "api_url": fake.api_url,
        "mode": "http",
    }


def _telegram(*, limits: bool) -> tuple[FakeTelegram, Callable[[], dict[str, Any]]]:
    fake = FakeTelegram(chat_id=_TELEGRAM_GROUP)
    fake.limited = limits
    return fake, lambda: {"token": fake.token, "chat_id": _TELEGRAM_GROUP, "api_url": fake.api_url, "mode": "polling"}


def _pagerduty(*, limits: bool) -> tuple[FakePagerDuty, Callable[[], dict[str, Any]]]:
    fake = FakePagerDuty(limited=limits)
    return fake, lambda: {"routing_key": ROUTING_KEY, "events_url": fake.url, "api_url": fake.url}


#: name -> the fake, and the settings that point at it once it listens
_BUILD: dict[str, Callable[..., tuple[StrictServer, Callable[[], dict[str, Any]]]]] = {
    "slack": _slack,
    "telegram": _telegram,
    "pagerduty": _pagerduty,
}


if __name__ == "__main__":
    serve([name for name in sys.argv[1:] if name in _BUILD], limits="limits" in sys.argv)
