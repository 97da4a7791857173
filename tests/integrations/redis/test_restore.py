"""Redis with real servers: files are checked, loaded beside, verified; and the traps of its persistence are shown."""

from __future__ import annotations

import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.backup import Check, Copy, CopyState, RestorePoint, RestoreTask
from bot.core.errors import Conflict, Rejected
from bot.integrations.redis.copies import ScratchServer
from tests.integrations.redis.ground import RedisGround
from tests.late import ENGINE_IS_BEHIND
from tests.running import until

pytestmark = pytest.mark.waits


def _no(_: str) -> None:
    """Nobody reads the reports."""


@pytest.mark.skipif(bool(ENGINE_IS_BEHIND), reason=ENGINE_IS_BEHIND)
def test_a_file_is_listed_with_the_moment_at_which_it_was_begun(ground: RedisGround) -> None:
    before = datetime.now(UTC)
    ground.back_up()

    (found,) = ground.engine().inventory().backups

    assert found.usable
    assert found.id == "one.rdb"
    assert before - timedelta(seconds=2) <= found.data_at <= datetime.now(UTC)


def test_a_file_that_is_cut_short_cannot_be_used(ground: RedisGround) -> None:
    file = ground.back_up()
    file.write_bytes(file.read_bytes()[:-200])

    (found,) = ground.engine().inventory().backups

    assert "Unexpected EOF" in found.problem
    with pytest.raises(Rejected, match=r"cannot be used.*Restore from another"):
        ground.engine().preview(RestorePoint(backup_id="one.rdb"), drill=False)


def test_a_byte_that_has_changed_is_found(ground: RedisGround) -> None:
    file = ground.back_up()
    read = bytearray(file.read_bytes())
    read[len(read) // 2] ^= 0xFF
    file.write_bytes(read)

    assert not ground.engine().inventory().backups[0].usable


def test_the_base_of_an_append_only_file_is_no_backup(ground: RedisGround) -> None:
    ground.live().change("CONFIG", "SET", "appendonly", "yes")
    until(lambda: bool(list(ground.live_folder.glob("appendonlydir/*.base.rdb"))), "the append-only file has a base")
    until(lambda: ground.live().info("persistence")["aof_rewrite_in_progress"] == "0", "it is rewritten")
    base = next(ground.live_folder.glob("appendonlydir/*.base.rdb"))
    shutil.copy(base, ground.folder / "base.rdb")

    (found,) = ground.engine().inventory().backups

    assert "base of an append-only file" in found.problem


def test_a_backup_without_the_keys_of_the_one_before_it_is_refused(ground: RedisGround) -> None:
    ground.back_up("a.rdb")
    ground.live().change("FLUSHALL")
    ground.back_up("b.rdb")

    newest, before = ground.engine().inventory().backups

    assert newest.problem == "it has no keys; a.rdb before it has 1,000"
    assert before.usable


def test_a_file_is_checked_again_only_when_it_has_changed(ground: RedisGround) -> None:
    file = ground.back_up()
    engine = ground.engine(check_program="redis-check-rdb")
    assert engine.inventory().backups[0].usable
    engine._files._where = engine._files._where.model_copy(update={"check_program": "not-installed"})

    assert engine.inventory().backups[0].usable
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(Rejected, match="not-installed is not installed"):
        engine.inventory()


def test_a_failed_save_of_the_server_is_listed_as_an_attempt(ground: RedisGround) -> None:
    ground.back_up()
    ground.live_folder.joinpath("dump.rdb").mkdir()
    until(lambda: ground.live().info("persistence")["rdb_bgsave_in_progress"] == "0", "the one for the copy has ended")
    ground.live().change("BGSAVE")
    until(lambda: ground.live().info("persistence")["rdb_last_bgsave_status"] == "err", "the save has failed")

    problems = {one.id: one.problem for one in ground.engine().inventory().backups}

    assert "BGSAVE failed" in problems["BGSAVE"]
    assert problems["one.rdb"] == ""


def test_files_are_read_while_the_server_is_down(ground: RedisGround) -> None:
    ground.back_up()
    ground.kill()

    assert ground.engine().inventory().backups[0].usable
    plan = ground.engine().preview(RestorePoint(), drill=False)
    assert any("does not answer" in one for one in plan.moving)


def test_a_folder_that_is_not_mounted_is_unknown_and_never_ok(ground: RedisGround) -> None:
    with pytest.raises(Rejected, match=r"is not there.*Mount it"):
        ground.engine(folder=str(ground.place / "nowhere")).inventory()


def test_a_restore_loads_beside_under_writes_and_every_key_is_there(ground: RedisGround) -> None:
    ended = threading.Event()

    def write() -> None:
        count = 0
        while not ended.is_set():
            ground.fill(50, 10_000 + count)
            count += 50

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ground.back_up()
        task = ground.restored()
        results = ground.engine().verify(task, [], _no)
    finally:
        ended.set()
        writer.join()

    assert [one for one in results if not one.ok] == []
    assert ground.in_copy(task, "DBSIZE") == int(task.facts["keys"]) >= 1000
    assert ground.in_copy(task, "GET", "key:7") == b"v" * 50 + b"7"
    assert ground.ask("DBSIZE") >= ground.in_copy(task, "DBSIZE")


def test_keys_that_have_expired_since_are_not_missed(ground: RedisGround) -> None:
    ground.live().change("SET", "short", "1", "PX", "400")
    ground.live().change("SET", "long", "1", "EX", "10000")
    ground.back_up()
    until(lambda: ground.ask("GET", "short") is None, "it has expired")

    task = ground.restored()

    assert [one for one in ground.engine().verify(task, [], _no) if not one.ok] == []


def test_keys_that_are_missing_are_found(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.restored()
    ground.in_copy(task, "DEL", "key:1")

    (keys, *_) = ground.engine().verify(task, [], _no)

    assert (keys.ok, keys.got) == (False, "999")


def test_the_checks_of_the_settings_only_read(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.restored()
    ground.fill(10, 5000)

    results = {
        one.name: one
        for one in ground.engine().verify(
            task,
            [
                Check(name="size", query="DBSIZE", expect="1000"),
                Check(name="like live", query="DBSIZE", like_live=True, tolerance_percent=2),
                Check(name="value", query='GET "key:3"', expect="v" * 50 + "3"),
                Check(name="writes", query="FLUSHALL", expect="OK"),
            ],
            _no,
        )
    }

    assert results["size"].ok
    assert results["like live"].ok
    assert results["value"].ok
    assert "no command that only reads" in results["writes"].got
    assert ground.in_copy(task, "DBSIZE") == 1000


def test_a_second_begin_for_the_same_run_does_nothing(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.restored()
    first = ground.engine()._copies.server_of(task.run).process()

    ground.engine().begin(task)

    assert ground.engine()._copies.server_of(task.run).process() == first


@pytest.mark.parametrize("left", ["label", "part", "file", "server"])
def test_a_restore_that_died_between_two_steps_goes_on(ground: RedisGround, left: str) -> None:
    ground.back_up()
    task = ground.restored()
    server = ground.engine()._copies.server_of(task.run)
    ground.engine()._copies.stop(server)
    if left in ("label", "part"):
        server.file.rename(server.part)
    if left == "label":
        server.part.unlink()
    if left == "server":
        server.config.unlink()

    assert ground.engine().look(task).state is CopyState.ABSENT
    ground.engine().begin(task)
    ground.wait_loaded(task)

    assert ground.in_copy(task, "DBSIZE") == 1000
    assert len(list(ground.scratch.iterdir())) == 1


def test_a_begin_that_is_frozen_in_its_copying_is_known_to_other_processes_and_has_the_copy_to_itself(
    ground: RedisGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.back_up()
    task = ground.task()
    frozen = ground.engine()
    copy_file = frozen._copies._copy_file

    def copied(server: ScratchServer, task: RestoreTask) -> None:
        server.part.write_bytes(b"half")
        other = ground.engine()
        assert other.look(task).phase == "copying the file"
        other.begin(task)
        assert server.part.read_bytes() == b"half", "another begin wrote into the file that is being copied"
        assert not server.file.exists()
        copy_file(server, task)

    monkeypatch.setattr(frozen._copies, "_copy_file", copied)

    frozen.begin(task)
    ground.wait_loaded(task)

    assert ground.in_copy(task, "DBSIZE") == 1000


def test_a_file_that_was_overwritten_since_the_plan_is_not_restored(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.task()
    ground.fill(5, 9000)
    ground.back_up()

    with pytest.raises(Conflict, match="overwritten since the plan"):
        ground.engine().begin(task)


def test_what_a_plan_rests_on_survives_the_name_of_the_backup_in_the_flows(ground: RedisGround) -> None:
    """The flows write the backup's id as `backup`: under that name a drill would always find it changed."""
    name = ground.back_up()
    preview = ground.engine().preview(RestorePoint(), drill=True)
    assert "backup" not in preview.preconditions
    assert preview.preconditions["file"].startswith(f"{preview.backup_id} "), name


def test_a_file_that_redis_cannot_load_is_told(ground: RedisGround) -> None:
    file = ground.back_up()
    task = ground.task()
    server = ground.engine()._copies.server_of(task.run)
    ground.engine()._copies._claim(server, task)
    server.file.write_bytes(file.read_bytes()[:-500])  # damaged on its way, after the check
    ground.engine().begin(task)
    ground.wait_loaded(task)

    status = ground.engine().look(task)

    assert status.state is CopyState.FAILED
    assert "could not load the file" in status.message


def test_the_live_servers_own_folder_is_refused(ground: RedisGround) -> None:
    ground.back_up()

    with pytest.raises(Rejected, match="live server keeps its own files"):
        ground.engine(scratch=str(ground.live_folder)).preview(RestorePoint(), drill=False)


def test_a_copy_lets_nobody_in_and_goes_nowhere(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.restored(drill=True)
    assert ground.engine().isolation_leak(task) == ""

    ground.in_copy(task, "CONFIG", "SET", "requirepass", "")
    assert "without a password" in ground.engine().isolation_leak(task)

    ground.kill_copy(task)  # which no longer takes the password that it would be stopped with


def test_only_our_own_copies_are_listed_and_removed_with_their_servers(ground: RedisGround) -> None:
    ground.back_up()
    task = ground.restored(drill=True)
    stranger = ground.scratch / "vakhta-restore-stranger"
    stranger.mkdir()
    server = ground.engine()._copies.server_of(task.run)

    (copy,) = ground.engine().copies()
    assert (copy.run, copy.drill) == (ground.run, True)
    with pytest.raises(Rejected, match="Nothing was removed"):
        ground.engine().remove(Copy(run="stranger", name=stranger.name, created_at=None, drill=True))
    ground.engine().remove(copy)
    ground.engine().remove(copy)

    assert server.process() is None
    assert not server.folder.exists()
    assert stranger.exists()


def test_a_backup_made_now_has_a_name_that_counts_or_is_refused_before_it_begins(ground: RedisGround) -> None:
    engine = ground.engine(files="cache-*.rdb")
    engine.begin_backup(ground.run)
    until(lambda: engine.look_backup(ground.run).state is not CopyState.RUNNING, "it has ended")

    made = engine.look_backup(ground.run)
    assert made.message == f"cache-vakhta-{ground.run[:8]}.rdb"
    assert made.message in {one.id for one in engine.inventory().backups}
    with pytest.raises(Rejected, match=r"No backup was begun.*Set the key files"):
        ground.engine(files="cache-??.rdb").begin_backup(ground.run)


def test_a_backup_now_is_a_file_that_was_checked(ground: RedisGround) -> None:
    engine = ground.engine()
    assert engine.look_backup(ground.run).state is CopyState.ABSENT

    engine.begin_backup(ground.run)
    engine.begin_backup(ground.run)
    until(lambda: engine.look_backup(ground.run).state is not CopyState.RUNNING, "the file is there")

    made = engine.look_backup(ground.run)
    assert (made.state, made.message) == (CopyState.RESTORED, f"vakhta-{ground.run[:8]}.rdb")
    assert [one.id for one in engine.inventory().backups] == [made.message]


def test_a_backup_with_a_wrong_password_fails_and_does_not_show_it(ground: RedisGround) -> None:
    engine = ground.engine(url=f"redis://:wrong-secret@127.0.0.1:{ground.port}/0")
    engine.begin_backup(ground.run)
    until(lambda: engine.look_backup(ground.run).state is not CopyState.RUNNING, "it has ended")

    failed = engine.look_backup(ground.run)
    assert failed.state in (CopyState.FAILED, CopyState.ABSENT)
    assert "wrong-secret" not in failed.message


def test_a_server_with_an_append_only_file_ignores_the_file_in_its_place(ground: RedisGround) -> None:
    """The trap itself, shown with the server: this is why nothing is ever put in the live one's folder."""
    file = ground.back_up()
    ground.stop("NOSAVE")
    for old in ground.live_folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copy(file, ground.live_folder / "dump.rdb")

    ground.start("--appendonly", "yes")

    assert ground.ask("DBSIZE") == 0
    plan = ground.engine().preview(RestorePoint(), drill=False)
    assert any("appendonly yes" in one for one in plan.moving)


def test_a_server_with_save_points_overwrites_the_file_in_its_place(ground: RedisGround) -> None:
    file = ground.back_up()
    ground.live().change("FLUSHALL")
    ground.live().change("CONFIG", "SET", "save", "3600 1")
    shutil.copy(file, ground.live_folder / "dump.rdb")

    ground.stop()

    assert (ground.live_folder / "dump.rdb").stat().st_size < file.stat().st_size / 10
