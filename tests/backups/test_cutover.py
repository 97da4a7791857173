"""A cutover: a safety backup, the swap, the old one kept; its undo; and what is left after a process died in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.core.backup import RestoreState
from tests.backups.backup_house import BackupHouse, backup_house

pytestmark = pytest.mark.waits


@pytest.fixture
def bh(store_url: str) -> Iterator[BackupHouse]:
    with backup_house(store_url) as made:
        yield made


def test_a_copy_becomes_live_after_a_safety_backup_and_the_old_one_comes_back(bh: BackupHouse) -> None:
    restored = bh.does("restore prod/orders-db")

    print(bh.asks(f"cutover {restored.id[:8]}").text)
    run = bh.does(f"cutover {restored.id[:8]}", "orders")
    print(run.message)
    row = bh.row(restored.id)
    assert (run.state, run.degraded) == ("done", "")
    assert row.state is RestoreState.LIVE
    assert bh.world.begun_backups == [run.id]
    assert bh.world.faults == []
    print(bh.asks(f"undo {run.id[:8]}").text)
    run = bh.does(f"undo {run.id[:8]}")
    print(run.message)
    assert bh.row(restored.id).state is RestoreState.VERIFIED
    print(bh.asks(f"remove-copy {restored.id[:8]}").text)
    print(bh.does(f"remove-copy {restored.id[:8]}").message)
    print(bh.asks("backup prod/orders-db").text)
    bh.confirms(bh.asks("backup prod/orders-db"))
    print(bh.last_run().message)
