"""A real cluster is restored beside itself: to the newest moment, to a moment, to a backup alone."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from bot.core.backup import BackupTaker, Check, Copy, CopyState, RestorePoint, Restorer, RestoreTask, SentinelEngine
from bot.core.errors import Rejected
from bot.core.programs import Program
from bot.integrations.pgbackrest.copy_folder import CopyFolder
from bot.integrations.pgbackrest.copy_server import CopyServer
from bot.integrations.pgbackrest.settings import PgBackRestSettings
from tests.integrations.pgbackrest.cluster import ROLE, new_run, restored, task_of
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


def test_a_drill_of_the_newest_is_isolated_verified_and_removed_and_has_the_sentinel(made: Made) -> None:
    engine = made.cluster.engine()
    engine.write_sentinel("drill-1")
    engine.write_sentinel("drill-1")  # nothing is written after the first, so no segment ends
    task = task_of(engine, RestorePoint(latest=True), drill=True)

    status = restored(engine, task)

    assert status.state is CopyState.RESTORED, status
    assert list(engine.read_sentinels(task)) == ["drill-1"]
    assert status.data_at is not None
    assert status.data_at > made.moment
    data = made.cluster.copies / f"orders_drill_{task.short_run}" / "data"
    [link] = (data / "pg_tblspc").iterdir()
    assert link.resolve().is_relative_to(data.parent), "its tablespaces are beside the live ones, too"
    assert made.cluster.execute("SELECT count(*) FROM indexed") == [(50,)]
    auto = (data / "postgresql.auto.conf").read_text()
    assert "log_connections" in (made.cluster.data / "postgresql.auto.conf").read_text()
    assert "log_connections" not in auto
    assert not made.cluster.reached.exists(), "it runs no command that its source has for the end of a recovery"
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
    port = int((Path(copy.name) / "data" / "postmaster.pid").read_text().splitlines()[3])
    moved = made.cluster.engine(url=f"postgresql://{ROLE}@/postgres?host={copy.name}/s&port={port}")
    with pytest.raises(Rejected, match=r"is in use as the live one\. Nothing was removed"):
        moved.remove(copy)
    gone = made.cluster.engine(url="postgresql://127.0.0.1:1/postgres")
    with pytest.raises(Rejected, match=r"cannot be asked.* Nothing was removed"):
        gone.remove(copy)
    with pytest.raises(psycopg.OperationalError, match="password"):  # the roles of the source, with theirs
        psycopg.connect(host="127.0.0.1", port=port, user=ROLE, dbname="postgres")
    pid = int((Path(copy.name) / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    assert os.getsid(pid) == pid, "it is in a session of its own, so nothing that ends the bot's ends it"
    other.remove(copy)
    until(lambda: not _runs(pid), "its server has ended")


def test_a_moment_in_the_future_is_refused_before_anything_is_made(made: Made) -> None:
    with pytest.raises(Rejected, match=r"is in the future. Nothing was done. For the newest there is, ask for latest"):
        made.cluster.engine().preview(RestorePoint(at=datetime.now(UTC) + timedelta(hours=1)), drill=False)


def test_a_moment_before_the_end_of_the_first_backup_is_refused_with_what_can_be_reached(made: Made) -> None:
    engine = made.cluster.engine()
    [full] = [one for one in engine.inventory().backups if one.id == made.full]
    assert full.duration is not None

    with pytest.raises(Rejected, match=rf"backup {made.full} was being made, .* The earliest moment is"):
        engine.preview(RestorePoint(at=full.data_at - full.duration / 2), drill=False)
    with pytest.raises(Rejected, match=r"cannot be reached\. The earliest moment is"):
        engine.preview(RestorePoint(at=full.data_at - timedelta(days=1)), drill=False)
    with pytest.raises(Rejected, match=rf"is not after the end of backup {made.incremental}"):
        engine.preview(
            RestorePoint(backup_id=made.incremental, at=full.data_at + timedelta(microseconds=1)), drill=False
        )


def test_a_plan_in_an_unchanged_world_is_the_same(made: Made) -> None:
    engine = made.cluster.engine()

    first, second = (engine.preview(RestorePoint(backup_id=made.full), drill=False) for _ in range(2))

    assert (first.effect, first.preconditions, first.facts) == (second.effect, second.preconditions, second.facts)
    assert first.free_bytes is not None
    assert first.needs_bytes is not None
    assert any("There is no cutover" in one for one in first.effect)


@pytest.mark.slow
def test_a_backup_alone_has_what_it_had_at_its_end(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(backup_id=made.full))

    status = restored(engine, task)

    assert status.state is CopyState.RESTORED, status
    assert _rows(made, task) == 100
    [copy] = [one for one in engine.copies() if one.run == task.run]
    engine.remove(copy)


def test_a_moment_after_the_last_commit_in_the_archive_fails_in_words_without_a_hint(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True), drill=True)
    never = replace(task, point=replace(task.point, latest=False, at=datetime.now(UTC) + timedelta(days=1)))

    status = restored(engine, never)

    assert status.state is CopyState.FAILED
    assert "the archive has no transaction at or after the moment that was asked for" in status.message
    assert "The last transaction in it is of " in status.message
    assert "ask for that time, or for latest" in status.message
    engine.remove(engine.copies()[0])


def test_a_copy_that_is_paused_at_its_target_is_not_restored(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(at=made.moment), drill=True)
    engine.begin(task)
    place = made.cluster.copies / f"orders_drill_{task.short_run}"
    until((place / "data" / "global" / "pg_control").exists, "all files are there")
    until(lambda: engine._programs.poll(f"restore-{task.run}-1") is not None, "pgBackRest has ended")
    auto = place / "data" / "postgresql.auto.conf"
    auto.write_text(auto.read_text().replace("recovery_target_action = 'promote'", "recovery_target_action = 'pause'"))

    until(lambda: engine.look(task).phase == "paused", "recovery is paused")

    status = engine.look(task)
    assert status.state is CopyState.RUNNING
    assert "is not promoted" in status.message
    assert _rows(made, task) == 300, "it lets people in all the same"
    engine.remove(engine.copies()[0])


def test_a_folder_inside_of_the_live_data_directory_is_refused(made: Made) -> None:
    inside = made.cluster.data / "base"
    with pytest.raises(Rejected, match="is inside of the live data directory"):
        made.cluster.engine(folder=str(inside)).preview(RestorePoint(latest=True), drill=True)
    link = made.cluster.place / "innocent"
    link.symlink_to(inside)
    with pytest.raises(Rejected, match="is inside of the live data directory"):
        made.cluster.engine(folder=str(link)).preview(RestorePoint(latest=True), drill=True)


def test_what_is_not_ours_is_never_removed(made: Made) -> None:
    engine = made.cluster.engine()
    stranger = made.cluster.copies / "orders_restore_12345678"
    (stranger / "data").mkdir(parents=True)
    copy = Copy(run="12345678", name=str(stranger), created_at=None, drill=True)

    with pytest.raises(Rejected, match="has no label of the bot"):
        engine.remove(copy)
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove(replace(copy, name=str(made.cluster.data)))

    assert engine.copies() == []
    (stranger / "data").rmdir()
    stranger.rmdir()


@pytest.mark.slow
def test_a_backup_now_is_made_once_and_found_by_its_run(made: Made) -> None:
    engine = made.cluster.engine()
    run = new_run()
    assert engine.look_backup(run).state is CopyState.ABSENT

    engine.begin_backup(run)
    engine.begin_backup(run)
    until(lambda: engine.look_backup(run).state is not CopyState.RUNNING, "the backup is made")

    status = engine.look_backup(run)
    assert status.state is CopyState.RESTORED, status
    assert made.cluster.engine().look_backup(run) == status
    made.cluster.engine().begin_backup(run)
    assert next(one.id for one in engine.inventory().backups if one.usable) == status.message
    assert len(engine.inventory().backups) == 3


def test_a_live_server_that_does_not_answer_prevents_no_restore(made: Made) -> None:
    preview = made.cluster.engine(url=made.cluster.url.replace(f"port={made.cluster.port}", "port=1")).preview(
        RestorePoint(latest=True), drill=False
    )

    assert any("The live server was not asked" in one for one in preview.moving)


@pytest.mark.parametrize("early", [False, True], ids=["later", "in its first moments"])
def test_a_restore_that_was_cut_off_goes_on_in_the_same_copy(made: Made, *, early: bool) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True), drill=True)
    engine.begin(task)
    made.cluster.programs.stop(f"restore-{task.run}-1")  # as the death of the bot ends it
    data = made.cluster.copies / f"orders_drill_{task.short_run}" / "data"
    (data / "global" / "pg_control").unlink(missing_ok=True)
    if early:  # It had made folders, and not yet the file by which --delta knows them.
        (data / "base").mkdir(exist_ok=True)
        (data / "backup.manifest.pgbackrest.tmp").touch()
        for mark in ("backup.manifest", "PG_VERSION"):
            (data / mark).unlink(missing_ok=True)

    first = engine.look(task)

    assert first.state is CopyState.RUNNING
    assert first.message == "the restore was cut off, and goes on where it stopped"
    until(lambda: engine.look(task).state is not CopyState.RUNNING, "it is restored")
    assert engine.look(task).state is CopyState.RESTORED
    assert _rows(made, task) == 1000
    assert len(engine.copies()) == 1
    engine.remove(engine.copies()[0])


@pytest.mark.slow
def test_a_copy_whose_server_was_ended_is_started_again(made: Made) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True), drill=True)
    before = restored(engine, task)
    pid = int(
        (made.cluster.copies / f"orders_drill_{task.short_run}" / "data" / "postmaster.pid").read_text().split()[0]
    )
    os.kill(pid, signal.SIGQUIT)  # as a reboot of the machine
    until(lambda: not _runs(pid), "its server has ended")

    assert engine.look(task).state is CopyState.RUNNING
    until(lambda: engine.look(task).state is CopyState.RESTORED, "it is up again")

    assert engine.look(task).data_at == before.data_at
    engine.remove(engine.copies()[0])


def test_a_look_between_the_folder_and_the_start_of_its_restore_starts_no_second_one(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True), drill=True)
    start, seen = made.cluster.programs.start, []

    def started(program: Program) -> None:
        seen.append(program.key)
        if len(seen) == 1:
            assert made.cluster.engine().look(task).state is CopyState.RUNNING
        start(program)

    monkeypatch.setattr(made.cluster.programs, "start", started)

    engine.begin(task)
    until(lambda: engine.look(task).state is not CopyState.RUNNING, "it is restored")

    assert engine.look(task).state is CopyState.RESTORED, engine.look(task).message
    assert seen == [f"restore-{task.run}-1"]
    engine.remove(engine.copies()[0])


def test_folders_that_the_bot_may_not_enter_hide_no_copy(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = made.cluster.copies / "lost+found"
    closed.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: closed.stat().st_uid + 1)
    read = Path.read_text

    def refused(path: Path, *how: object) -> str:
        if path.parent == closed:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_text", refused)

    assert made.cluster.engine().copies() == []
    closed.rmdir()


def test_a_number_of_a_process_that_another_user_has_now_is_not_the_copys_server(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CopyFolder(tmp_path)
    folder.data.mkdir()
    (folder.data / "postmaster.pid").write_text("1\n")  # as it was before a reboot

    def refused(path: Path, other: Path) -> bool:
        raise PermissionError(13, f"{path} is not {other}")

    monkeypatch.setattr(Path, "samefile", refused)

    where = PgBackRestSettings(stanza="orders")
    assert CopyServer(where, made.cluster.programs, folder, "15").pid() is None


def test_a_restore_that_could_not_be_started_leaves_nothing(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = made.cluster.engine()
    task = task_of(engine, RestorePoint(latest=True))

    def refuse(program: Program) -> None:
        raise Rejected(f"{program.argv[0]} cannot be started. Nothing was done.")

    monkeypatch.setattr(made.cluster.programs, "start", refuse)
    with pytest.raises(Rejected, match="cannot be started"):
        engine.begin(task)

    assert engine.copies() == []
    assert engine.look(task).state is CopyState.ABSENT


def test_a_store_without_a_folder_is_read_and_restores_nothing(made: Made) -> None:
    engine = made.cluster.engine(folder=None)

    assert engine.inventory().backups
    assert engine.copies() == ()
    with pytest.raises(Rejected, match=r"nothing was restored\. Set where\.folder"):
        engine.preview(RestorePoint(latest=True), drill=True)


def test_a_version_of_postgresql_that_is_not_installed_refuses_the_plan(made: Made) -> None:
    with pytest.raises(Rejected, match="PostgreSQL 15 is not installed on the bot's host"):
        made.cluster.engine(postgres_programs="/nowhere/{version}").preview(RestorePoint(latest=True), drill=True)
