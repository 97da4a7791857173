"""SQLite is full, or another process has its lock: the sender has to send again, and then the alert is stored."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from bot.alerts.intake import NotStored
from bot.app.build import open_store
from bot.config.settings import Settings
from bot.store import connections, engine, timeouts, wal
from tests.house import House, alert

pytestmark = pytest.mark.waits


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vakhta.db"))


def test_a_full_disk_is_said_and_nothing_of_the_delivery_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(path) as raw:
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, f"max_page_count={pages}"))
    house = House(f"sqlite:///{path}")
    storm = [alert(fingerprint=str(number), labels={"pod": "x" * 500}) for number in range(500)]

    with pytest.raises(NotStored, match="full"):
        house.hears(*storm)

    assert house.incidents() == []
    assert house.hears(alert()).code == "accepted"
    house.close()


def test_a_database_that_another_process_holds_is_given_up_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, "busy_timeout=50"))
    house = House(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(NotStored, match="locked"):
        house.hears(alert())
    other.execute("ROLLBACK")

    assert house.hears(alert()).code == "accepted"
    other.close()
    house.close()


def test_a_writer_that_hangs_keeps_the_others_waiting_no_longer_than_their_deadline(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "TURN_S", 0.1)
    house = House(f"sqlite:///{path}")
    with house.store.begin(), pytest.raises(NotStored, match="another writer has held the lock"):
        house.hears(alert())

    assert house.hears(alert()).code == "accepted"
    house.close()


def test_the_log_stays_short_while_somebody_writes_all_the_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it grew to 64 MB and was truncated while all writers waited: the slowest webhooks of each second."""
    monkeypatch.setattr(wal, "CHECKPOINT_EVERY_S", 0.02)
    monkeypatch.setattr(wal, "CUT_LOG_AT_BYTES", 2**40)  # so that it can only begin anew
    store = engine.Store(f"sqlite:///{path}")
    log = path.with_name(path.name + "-wal")
    store.start()

    written = longest = 0
    # On a busy machine the copying thread gets its turn late, so more is written until the log has begun anew.
    for _ in write(store, 600 * 2**20):
        written, longest = written + 2**16, max(longest, log.stat().st_size)
        if written >= 60 * 2**20 and longest <= written / 2:
            break
    store.close()

    assert longest <= written / 2


def test_the_log_is_folded_on_after_the_file_could_not_be_read_or_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first failure is in the thread's first checkpoint, which used to end the thread."""
    no_file = OperationalError("connect", None, sqlite3.OperationalError("unable to open database file"))
    troubles = [no_file, sqlite3.DatabaseError("database disk image is malformed"), no_file]
    really = wal._checkpoint
    copied = threading.Event()

    def checkpoint(of: Engine, how: str) -> tuple[int, int]:
        if troubles:
            raise troubles.pop()
        copied.set()
        return really(of, how)

    monkeypatch.setattr(wal, "_checkpoint", checkpoint)
    store = engine.Store(f"sqlite:///{path}")
    store.start()
    list(write(store, 2**17))
    assert copied.wait(60)
    store.close()


def test_the_log_is_left_alone_until_something_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks that have nothing to do are transactions as well, a dozen per second."""
    monkeypatch.setattr(wal, "CHECKPOINT_EVERY_S", 0.01)
    monkeypatch.setattr(wal, "LOOK_EVERY_S", 3600.0)
    store = engine.Store(f"sqlite:///{path}")
    copied, written = threading.Semaphore(0), threading.Semaphore(0)
    checkpoints = store._checkpoints
    assert checkpoints is not None
    copy_log, write_down = checkpoints._copy_log, checkpoints.written

    def copy_and_count(of: Engine) -> bool:
        whole = copy_log(of)
        copied.release()
        return whole

    def write_down_and_count() -> None:
        written.release()
        write_down()

    monkeypatch.setattr(checkpoints, "_copy_log", copy_and_count)
    monkeypatch.setattr(checkpoints, "written", write_down_and_count)
    store.start()
    assert copied.acquire(timeout=60)

    with store.begin() as tx:
        tx.sql.rows("SELECT 1")
    told_of_nothing = written.acquire(blocking=False)
    list(write(store, 2**16))

    assert not told_of_nothing
    assert written.acquire(blocking=False)
    assert copied.acquire(timeout=60), "the log is copied though the thread was idle"
    store.close()


def test_a_reader_that_stays_keeps_no_writer_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "CHECKPOINT_EVERY_S", 0.02)
    monkeypatch.setattr(wal, "CUT_LOG_AT_BYTES", 2**20)
    monkeypatch.setattr(
        connections, "_WRITING", (*connections._WRITING, "busy_timeout=60000")
    )  # one that waits is seen
    store = engine.Store(f"sqlite:///{path}")
    store.start()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM seen").fetchone()

    longest = max(write(store, 20 * 2**20))
    reader.close()
    store.close()

    assert longest < 30.0


def write(store: engine.Store, size: int) -> Iterator[float]:
    """So many bytes, a commit for each 64 KiB; yields the seconds that each one took."""
    for number in range(size // 2**16):
        began = time.perf_counter()
        with store.begin() as tx:
            tx.save_reply("slack", str(number), "x" * 2**16, ok=True)
        yield time.perf_counter() - began


def test_a_database_that_is_new_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.model_validate({"store": {"url": f"sqlite:///{path.with_name('new.db')}"}})

    with caplog.at_level(logging.INFO, logger="bot.app.build"):
        open_store(settings).close()
        open_store(settings).close()

    told = [one for one in caplog.records if one.message == "a new database was created"]
    assert [one.__dict__["file"] for one in told] == [str(path.with_name("new.db"))]


def test_a_second_bot_on_the_same_file_does_not_start_while_the_first_one_runs(path: Path) -> None:
    settings = Settings.model_validate({"store": {"url": f"sqlite:///{path}"}})
    first = open_store(settings, alone=True)

    with pytest.raises(SystemExit, match=r"Another bot runs on .*vakhta.db.* Nothing was started"):
        open_store(settings, alone=True)
    beside = open_store(settings)
    first.close()
    after = open_store(settings, alone=True)

    beside.close()
    after.close()
