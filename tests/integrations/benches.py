"""The benches of all channels. A channel without one here fails the contract: nothing is held to it by half."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from bot.integrations.console.channel import OPERATOR, Console
from bot.integrations.console.settings import ConsoleSettings
from tests.fakes.door import ANA, SmallDoor
from tests.integrations.contract import Act, Bench
from tests.integrations.pagerduty.bench import open_pagerduty
from tests.integrations.slack.bench import open_slack, open_slack_socket
from tests.integrations.telegram.bench import open_telegram, open_telegram_polling

Open = Callable[[pytest.MonkeyPatch], AbstractContextManager[Bench]]


class ConsoleBench(Bench):
    #: The board's own page on this machine is all there is to know; the web edge checks that, not the channel.
    signs = False
    links = False

    def __init__(self) -> None:
        self.door = SmallDoor(people={("console", OPERATOR): ANA})
        self.channel = Console(ConsoleSettings())

    def genuine(self, body: bytes) -> Act:
        return Act(headers={"content-type": "application/json"}, body=body)

    def act(self, *, listed: bool, once: str) -> Act:
        if not listed:
            self.door.people.clear()
        return self.genuine(json.dumps({"words": "ack 42", "once": once}).encode())


@contextmanager
def _open_console(_patch: pytest.MonkeyPatch) -> Iterator[ConsoleBench]:
    yield ConsoleBench()


#: A channel's first bench has its name; further ones, for its other ways of listening, have a name that begins so.
BENCHES: dict[str, Open] = {
    "console": _open_console,
    "pagerduty": open_pagerduty,
    "slack": open_slack,
    "slack in socket mode": open_slack_socket,
    "telegram": open_telegram,
    "telegram polling": open_telegram_polling,
}
