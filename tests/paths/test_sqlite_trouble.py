"""SQLite is full, or somebody else holds it: the sender is told to come again, and then it is taken."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from bot.intake import Unstored
from bot.store import engine, opening
from tests.house import House, alert


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vakhta.db"))


def test_a_full_disk_is_said_and_nothing_of_the_delivery_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(path) as raw:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(opening, "_WRITING", (*opening._WRITING, f"max_page_count={pages}"))
    house = House(f"sqlite:///{path}")
    storm = [alert(fingerprint=str(number), labels={"pod": "x" * 500}) for number in range(500)]

    with pytest.raises(Unstored, match="full"):
        house.hears(*storm)

    assert house.incidents() == []
    assert house.hears(alert()).code == "accepted"
    house.close()


def test_a_database_that_another_process_holds_is_given_up_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(opening, "_WRITING", (*opening._WRITING, "busy_timeout=50"))
    house = House(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unstored, match="locked"):
        house.hears(alert())
    other.execute("ROLLBACK")

    assert house.hears(alert()).code == "accepted"
    other.close()
    house.close()


def test_the_log_stays_short_while_somebody_writes_all_the_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It grew to 64 MB otherwise, and was cut while everybody waited: the slowest webhooks of each second."""
    monkeypatch.setattr(engine, "CHECKPOINT_EVERY_S", 0.02)
    store = engine.Store(f"sqlite:///{path}")
    log = path.with_name(path.name + "-wal")
    store.start()
    longest = written = 0

    while written < 60 * 2**20:
        with store.begin() as tx:
            tx.answer("slack", str(written), "x" * 2**16, ok=True)
        written += 2**16
        longest = max(longest, log.stat().st_size)
    store.close()

    assert longest < 30 * 2**20
