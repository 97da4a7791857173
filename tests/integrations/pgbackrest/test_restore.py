"""A real cluster is restored beside itself: to the newest moment, to a moment, to a backup alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from bot.core.backup import BackupTaker, Check, CopyState, RestorePoint, Restorer, RestoreTask, SentinelEngine
from bot.core.errors import Rejected
from tests.integrations.pgbackrest.cluster import ROLE, restored, task_of
from tests.integrations.pgbackrest.conftest import Made
from tests.running import until

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("pgbackrest")]


def _rows(made: Made, task: RestoreTask) -> int:
    """By the copy's socket."""
    kind = "drill" if task.drill else "restore"
    place = made.cluster.copies / f"orders_{kind}_{task.short_run}"
    port = next(int(one.name.rpartition(".")[2]) for one in (place / "s").iterdir() if not one.name.endswith("lock"))
    with psycopg.connect(host=str(place / "s"), port=port, user=ROLE, dbname="postgres") as connection:
        [count] = connection.execute("SELECT count(*) FROM orders").fetchone() or [0]
        return int(count)


def _runs(pid: int) -> bool:
    """A process that ended and that nobody has waited for has no working directory."""
    return Path(f"/proc/{pid}/cwd").exists()


def test_it_restores_records_and_carries_sentinels(made: Made) -> None:
    engine = made.cluster.engine()

    assert isinstance(engine, Restorer)
    assert isinstance(engine, BackupTaker)
    assert isinstance(engine, SentinelEngine)


def test_a_drill_of_the_newest_is_isolated_verified_and_removed(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True), drill=True)

    status = restored(engine, task)

    assert status.state is CopyState.RESTORED, status
    assert status.data_at is not None
    assert status.data_at > made.moment
    assert _rows(made, task) == 1000
    assert engine.isolation_leak(task) == ""
    checks = [
        Check(name="orders are there", query="SELECT count(*) FROM orders", like_live=True),
        Check(name="orders are recent", query="SELECT max(at) FROM orders", newest_within=timedelta(hours=1)),
    ]
    results = engine.verify(task, checks, lambda _: None)
    assert all(one.ok for one in results), [one for one in results if not one.ok]
    assert {"kept apart from its source", "system identifier", "timeline", "orders are there"} <= {
        one.name for one in results
    }
    [copy] = [one for one in engine.copies() if one.run == task.run]
    assert copy.drill
    engine.remove(copy)
    assert engine.look(task).state is CopyState.ABSENT
    assert not Path(copy.name).exists()
    engine.remove(copy)


def test_a_copy_of_a_moment_has_what_was_committed_until_then_and_outlives_the_bot(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(at=made.moment))
    assert task.point.backup_id == made.incremental

    status = restored(engine, task)

    assert status.state is CopyState.RESTORED, status
    assert status.data_at is not None
    assert status.data_at <= made.moment
    assert _rows(made, task) == 300
    # A bot that was started anew knows no program, and finds the same copy.
    other = made.cluster.engine()
    other.begin(task)
    assert other.look(task) == status
    [copy] = [one for one in other.copies() if one.run == task.run]
    pid = int((Path(copy.name) / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    assert os.getsid(pid) == pid, "it is in a session of its own, so nothing that ends the bot's ends it"
    other.remove(copy)
    until(lambda: not _runs(pid), "its server has ended")


def test_a_moment_in_the_future_is_refused_before_anything_is_made(made: Made) -> None:
    with pytest.raises(Rejected, match=r"is in the future. Nothing was done. For the newest there is, ask for latest"):
        made.cluster.engine().preview(RestorePoint(at=datetime.now(UTC) + timedelta(hours=1)), drill=False)
