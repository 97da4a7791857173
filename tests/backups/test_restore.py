"""A restore as people ask for it: planned, approved by a second person who types the name, followed, and checked."""

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


def test_a_restore_is_made_beside_the_live_data_and_checked(bh: BackupHouse) -> None:
    run = bh.does("restore prod/orders-db")

    row = bh.row(run.id)
    print(bh.asks("restore prod/orders-db").text)
    print(run.message)
    assert (run.state, run.degraded) == ("done", "")
    assert row.state is RestoreState.VERIFIED
    assert bh.world.begun == [run.id]
    assert bh.world.databases["orders"].identity == "db-1"
