"""A storm of alerts while the bot is killed again and again, at moments that chance picks."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.born import Unhurried
from tests.crash.ledger import Ledger
from tests.crash.senders import Group, Sender
from tests.e2e.ground import pager
from tests.fakes.pagerduty import FakePagerDuty
from tests.running import until

pytestmark = pytest.mark.crash

_KILLS = 20
_SENDERS = 8


def test_no_accepted_alert_is_lost_over_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    print(f"the seed is {seed}")
    with (
        FakePagerDuty(limited=False) as pagerduty,
        Unhurried(tmp_path, pager(pagerduty)) as bot,
    ):
        storm = Storm(Sender(bot.url))
        bot.start()

        with storm.rages():
            for _ in range(_KILLS):
                storm.passes_by(chance.uniform(0.0, 0.4))
                bot.kill()
                bot.start()
        ledger = Ledger(bot.store)
        until(lambda: not ledger.unsent(), "nothing is owed any more", within_s=60)

        assert storm.sender.accepted - ledger.episodes() == set()
        assert ledger.incidents() == {group.page_key: [state] for group, state in storm.truth.items()}
        assert len(storm.truth) >= _KILLS
        assert ledger.sound()
        paged = {told.key for told in pagerduty.story if told.action == "trigger"}
        assert paged == {group.page_key for group in storm.truth}
        assert "opened_again" not in pagerduty.became(), "a trigger came after the resolve"
        ended = {group.page_key for group, (status, _) in storm.truth.items() if status == "resolved"}
        assert {alert.key for alert in pagerduty.alerts if alert.status == "resolved"} == ended


class Storm:
    """Groups of three alerts without end, from many senders at once; every third group ends again."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.truth: dict[Group, tuple[str, int]] = {}
        self._numbers = itertools.count(1)
        self._over = threading.Event()

    @contextmanager
    def rages(self) -> Iterator[None]:
        """Around the block; every webhook that was begun is accepted before it ends."""
        with ThreadPoolExecutor(_SENDERS, thread_name_prefix="storm") as pool:
            parts = [pool.submit(self._send) for _ in range(_SENDERS)]
            try:
                yield
            except BaseException:
                self.sender.giving_up.set()
                raise
            finally:
                self._over.set()
        for part in parts:
            part.result()

    def passes_by(self, seconds: float) -> None:
        self._over.wait(seconds)

    def _send(self) -> None:
        while not self._over.wait(0.05):
            number = next(self._numbers)
            group = Group(name=f"Storm{number}")
            self.sender.tell(group, [1, 2, 3])
            self.truth[group] = ("open", 3)
            if number % 3 == 0:
                self.sender.tell(group, [1, 2, 3], firing=False)
                self.truth[group] = ("resolved", 0)
