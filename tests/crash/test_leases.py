"""Senders whose lease has run out: one that only heard late how it went, and whole bots that were frozen."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.born import Unhurried
from tests.crash.ledger import Ledger
from tests.crash.senders import Group, Sender
from tests.e2e.ground import pager
from tests.fakes.pagerduty import FakePagerDuty
from tests.postgres import Postgres
from tests.running import until

pytestmark = pytest.mark.crash

_FENCED = 'vakhta_deliveries_total{channel="pagerduty",kind="page",outcome="fenced"}'


def test_the_late_answer_of_a_sender_whose_lease_ran_out_changes_nothing(tmp_path: Path) -> None:
    group = Group(name="Eyebolt")
    with (
        FakePagerDuty(limited=False) as pagerduty,
        Unhurried(tmp_path, pager(pagerduty)) as bot,
    ):
        bot.start(VAKHTA_FAILPOINT="delivery.sent=stall", VAKHTA_LEASE_S="2", VAKHTA_STALL_S="5")
        sender = Sender(bot.url)
        sender.tell(group, [1])
        until(lambda: pagerduty.became() == ["opened", "folded"], "another sender has taken over")
        assert "failpoint left" not in bot.said()

        sender.tell(group, [1], firing=False)
        until(lambda: bot.metric(_FENCED) == 1, "the late answer has come, and was fenced")

        assert pagerduty.became() == ["opened", "folded", "resolved"]
        assert Ledger(bot.store).unsent() == []


@pytest.mark.postgres
@pytest.mark.parametrize("where", ["delivery.claiming", "delivery.claimed"])
def test_a_replica_that_was_frozen_with_a_page_in_hand_holds_up_nobody_and_sends_it_no_more(
    where: str, tmp_path: Path, postgres: Postgres
) -> None:
    store, group = postgres.url("replicas"), Group(name="Eyebolt")
    for name in ("frozen", "other"):
        (tmp_path / name).mkdir()
    with (
        FakePagerDuty(limited=False) as pagerduty,
        Unhurried(tmp_path / "frozen", pager(pagerduty), store=store) as frozen,
        Unhurried(tmp_path / "other", pager(pagerduty), store=store) as other,
    ):
        frozen.start(VAKHTA_FAILPOINT=f"{where}=stall", VAKHTA_LEASE_S="2", VAKHTA_STALL_S="1")
        Sender(frozen.url).tell(group, [1])
        until(lambda: "failpoint reached" in frozen.said(), "one has the page in hand")
        frozen.signal(signal.SIGSTOP)
        other.start(VAKHTA_LEASE_S="2")

        Sender(other.url).tell(group, [1], firing=False)
        until(lambda: "resolved" in pagerduty.became(), "the other has paged, and told the end")
        frozen.signal(signal.SIGCONT)
        until(lambda: "failpoint left" in frozen.said(), "the frozen one goes on")
        assert frozen.stop() == 0

        assert pagerduty.became() == ["opened", "resolved"]
        assert Ledger(store).unsent() == []
