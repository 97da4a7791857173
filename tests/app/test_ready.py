"""The bot is ready if it would store an alert now: the check takes the path of an alert."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.alerts import answer_deadline, intake, internal
from bot.alerts.intake import IntakeResult, NotStored
from bot.app.database_damage import DamageAlert
from bot.store import connections, wal
from tests.house import House, alert
from tests.running import until

pytestmark = pytest.mark.waits


@pytest.fixture
def path(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "vakhta.db"))


@pytest.fixture
def on_sqlite(path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{path}")
    yield made
    made.close()


def marks(house: House) -> int:
    with house.store.read() as reading:
        return int(reading.sql.scalar("SELECT count(*) FROM seen"))


def test_an_idle_bot_is_ready_and_being_asked_leaves_one_row_however_often(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_PROOF_S", 0.0)

    assert [house.intake.storage_problem() for _ in range(20)] == [None] * 20
    assert marks(house) == 1
    assert house.incidents() == []


def test_after_a_commit_of_late_nothing_is_written_for_being_asked(house: House) -> None:
    house.hears(alert())

    assert [house.intake.storage_problem() for _ in range(20)] == [None] * 20
    assert marks(house) == 0


def test_an_intake_that_does_not_commit_while_alerts_wait_is_not_ready(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_PROOF_S", 0.1)

    with house.store.begin():
        house.intake.take(internal.damaged("x", house.clock()), lambda _: None)
        until(lambda: house.intake._answers.oldest_wait_s() > 0.1, "the intake waits for our turn to end")
        said = house.intake.storage_problem()

    assert said is not None
    assert "has not committed for" in said
    until(lambda: house.intake.storage_problem() is None, "it is ready again")


@pytest.fixture
def soon_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """To be asked for before the house: its clock decides at the start how long it may rest."""
    monkeypatch.setattr(answer_deadline, "WITHIN_S", 0.3)


@pytest.mark.usefixtures("soon_late")
def test_senders_are_answered_in_time_though_the_thread_that_commits_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[IntakeResult | Exception] = []

    with house.store.begin():
        for number in range(5):
            house.intake.take(internal.damaged(str(number), house.clock()), heard.append)
        until(lambda: len(heard) == 5, "all of them are answered")

    assert {type(one) for one in heard} == {NotStored}
    monkeypatch.undo()
    house.hears(alert())
    assert len(heard) == 5


def test_commits_that_are_slow_and_end_well_are_no_reason_to_be_given_no_alerts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hears(alert())
    monkeypatch.setattr(intake, "_PROOF_S", 0.0)
    monkeypatch.setattr(intake, "_CHECK_S", 0.05)
    monkeypatch.setattr(house.intake._answers, "oldest_wait_s", lambda: 0.0)

    with house.store.begin():  # the proof waits for our turn to end
        assert [house.intake.storage_problem() for _ in range(5)] == [None] * 5


@pytest.mark.usefixtures("soon_late")
def test_a_proof_that_is_not_answered_in_time_is_believed_no_longer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hears(alert())
    monkeypatch.setattr(intake, "_PROOF_S", 0.0)
    monkeypatch.setattr(intake, "_CHECK_S", 0.05)
    monkeypatch.setattr(house.intake._answers, "oldest_wait_s", lambda: 0.0)

    with house.store.begin():
        until(lambda: house.intake.storage_problem() is not None, "it is not ready")
        assert all(house.intake.storage_problem() for _ in range(5))
    until(lambda: house.intake.storage_problem() is None, "it is ready again")


def test_who_waited_while_others_were_stored_does_not_make_it_say_that_nothing_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.hears(alert())
    monkeypatch.setattr(house.intake._answers, "oldest_wait_s", lambda: 6.0)

    assert house.intake.storage_problem() is None


class _Emptied(deque[answer_deadline.PendingDelivery]):
    """Another thread takes what there is, right before it is looked at."""

    def __getitem__(self, place: Any) -> Any:
        self.clear()
        return super().__getitem__(place)


def _waiting(done: answer_deadline.Done) -> answer_deadline.PendingDelivery:
    return answer_deadline.PendingDelivery(internal.damaged("x", datetime.now(UTC)), done, time.monotonic() - 60)


def test_the_clock_of_the_senders_outlives_a_queue_that_another_thread_empties() -> None:
    queue = _Emptied([_waiting(lambda _: None)])
    answers = answer_deadline.SenderAnswers(queue, observe=lambda _: None, post_answer=lambda answer: answer())

    assert answers.out_of_queue(time.monotonic()) == []


def test_the_clock_of_the_senders_rests_until_the_oldest_of_them_has_waited_for_too_long() -> None:
    in_hand, queued = _waiting(lambda _: None), _waiting(lambda _: None)
    now = time.monotonic()
    in_hand.since, queued.since = now + 1000.0, now + 2000.0
    queue: deque[answer_deadline.PendingDelivery] = deque()
    answers = answer_deadline.SenderAnswers(queue, observe=lambda _: None, post_answer=lambda answer: answer())

    nobody = answers.idle_s()
    queue.append(queued)
    answers.in_progress = [in_hand]
    somebody = answers.idle_s()
    in_hand.done = None
    the_other = answers.idle_s()
    answers.moves += 1
    unseen = answers.idle_s()

    assert nobody <= answer_deadline.WITHIN_S
    assert somebody <= 1000.0 + answer_deadline.WITHIN_S < the_other <= 2000.0 + answer_deadline.WITHIN_S
    assert unseen < 1.0, "one that moves from the queue to the hand is seen in neither"


@pytest.mark.usefixtures("soon_late")
def test_the_clock_of_the_senders_outlives_an_answer_that_cannot_be_given(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[IntakeResult | Exception] = []
    troubles = [RuntimeError("the loop is closed")]

    def post(answer: Callable[[], None]) -> None:
        if troubles:
            raise troubles.pop()
        answer()

    queue = deque([_waiting(heard.append)])
    answers = answer_deadline.SenderAnswers(queue, observe=lambda _: None, post_answer=post)
    answers.start()
    until(lambda: not troubles, "the first could not be answered")
    queue.append(_waiting(heard.append))
    until(lambda: len(heard) == 1, "the next one is answered")
    answers.stop()

    assert "could not be answered" in caplog.text


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond what SQLite's log has now."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_a_bot_whose_disk_is_full_is_not_ready_and_is_again_when_there_is_room(on_sqlite: House, path: Path) -> None:
    on_sqlite.hears(alert(group="before"))
    with no_room(path):
        with pytest.raises(NotStored):
            on_sqlite.hears(alert(group="full", fingerprint="full"))
        full = on_sqlite.intake.storage_problem()

    assert full == "alerts are not stored; the log has the reason"
    assert on_sqlite.intake.storage_problem() is None
    assert on_sqlite.hears(alert(group="full", fingerprint="full")).code == "accepted"


def test_a_bot_whose_file_became_read_only_is_not_ready(on_sqlite: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_WRITING", (*connections._WRITING, "query_only=ON"))
    on_sqlite.store._writers.dispose()  # those that are opened from here on may not write

    assert on_sqlite.intake.storage_problem() == "alerts are not stored; the log has the reason"
    with on_sqlite.store.read() as reading:
        reading.ping()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_deleted_or_replaced_under_the_bot_takes_nothing_more(
    on_sqlite: House, path: Path, sqlite_template: Path, how: str
) -> None:
    """SQLite would go on writing to what has no name any more, and the alerts would be gone with the process."""
    on_sqlite.hears(alert(group="before"))
    path.rename(path.with_name("elsewhere.db"))
    if how == "replaced":
        shutil.copy(sqlite_template, path)

    with pytest.raises(NotStored, match="was deleted or replaced"):
        on_sqlite.hears(alert(group="lost", fingerprint="lost"))
    assert on_sqlite.intake.storage_problem() is not None

    path.with_name("elsewhere.db").replace(path)
    assert on_sqlite.hears(alert(group="after", fingerprint="after")).code == "accepted"


def test_a_log_that_is_deleted_under_the_bot_is_saved_into_the_file_and_nothing_more_is_taken(
    on_sqlite: House, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would go on writing to it, and all of that would be gone with a process that is killed."""
    monkeypatch.setattr(wal, "CHECKPOINT_EVERY_S", 0.02)
    on_sqlite.store.start()
    checkpoints = on_sqlite.store._checkpoints
    assert checkpoints is not None
    on_sqlite.hears(alert(group="before"))
    until(lambda: checkpoints._inode is not None, "the log has been seen")

    with on_sqlite.store.begin() as tx:  # nobody else folds it meanwhile
        path.with_name(path.name + "-wal").unlink()
        tx.save_reply("slack", "1", "stored", ok=True)
    until(lambda: not checkpoints._thread.is_alive(), "it was folded for the last time")

    with pytest.raises(NotStored, match="was deleted or replaced"):
        on_sqlite.hears(alert())
    assert on_sqlite.intake.storage_problem() is not None
    copy = shutil.copy(path, path.with_name("as-after-a-kill.db"))
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("SELECT said FROM seen").fetchall() == [("stored",)]


def damage(path: Path, name: str) -> None:
    """Overwrite the root page of that table or index, with its file closed."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = raw.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
        os.fsync(file.fileno())


@pytest.mark.parametrize("table", ["incident", "alert", "event", "delivery"])
def test_a_bot_that_cannot_store_an_alert_for_a_damaged_page_is_not_ready(path: Path, table: str) -> None:
    damage(path, table)
    house = House(f"sqlite:///{path}")

    with pytest.raises(NotStored):
        house.hears(alert())
    said = house.intake.storage_problem()
    house.close()

    assert said == "alerts are not stored; the log has the reason"


def test_a_damaged_page_is_found_at_the_start_and_people_hear_of_it_where_alerts_are_stored(path: Path) -> None:
    damage(path, "quarantine")
    house = House(f"sqlite:///{path}")
    teller = DamageAlert(house.store, house.intake.take)
    teller.report()
    house.store.start()

    until(lambda: house.store.damage() is not None, "the file was looked through")
    teller.report()
    until(lambda: teller._stored, "it was stored")
    teller.report()
    house.drain()
    paged = house.pagerduty.said()
    house.close()

    assert paged == ["page incident.opened: DatabaseDamaged: The bot's database file is damaged: quarantine"]


def test_a_whole_file_is_said_to_be_whole(on_sqlite: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="bot.store.integrity_check")
    on_sqlite.hears(alert())
    on_sqlite.store.start()

    until(lambda: "the database file is whole" in caplog.text, "it was looked through")
    assert on_sqlite.store.damage() is None
