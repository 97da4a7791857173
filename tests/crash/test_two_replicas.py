"""Two bots on one PostgreSQL, one of which is frozen, as a paused virtual machine is, while it holds a page."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.crash.ledger import Ledger
from tests.crash.senders import Group, Sender
from tests.e2e.ground import pager
from tests.fakes.pagerduty import FakePagerDuty
from tests.postgres import Postgres
from tests.running import Vakhta, until

pytestmark = [pytest.mark.crash, pytest.mark.postgres]


@pytest.mark.parametrize("where", ["delivery.claiming", "delivery.claimed"])
def test_a_replica_that_was_frozen_with_a_page_in_hand_holds_up_nobody_and_sends_it_no_more(
    where: str, tmp_path: Path, postgres: Postgres
) -> None:
    store, group = postgres.url("replicas"), Group(name="Eyebolt")
    for name in ("frozen", "other"):
        (tmp_path / name).mkdir()
    with (
        FakePagerDuty(limited=False) as pagerduty,
        Vakhta(tmp_path / "frozen", pager(pagerduty), store=store, module="tests.crash.unhurried") as frozen,
        Vakhta(tmp_path / "other", pager(pagerduty), store=store, module="tests.crash.unhurried") as other,
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
