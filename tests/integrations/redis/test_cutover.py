"""Redis with real servers: the live one takes over the copy's data and stands alone again, and back."""

from __future__ import annotations

import pytest

from bot.core.backup import CopyState, CutoverState, RestoreTask
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.redis.backups import RedisEngine
from tests.integrations.redis.ground import RedisGround

pytestmark = pytest.mark.waits

CUT = "cafe0123456789abcdef0123456789ab"


def _no(_: str) -> None:
    """Nobody reads the reports."""


@pytest.fixture
def task(ground: RedisGround) -> RestoreTask:
    """A restored copy of 1000 keys; the live one has lost most of them since, and has a new one."""
    ground.back_up()
    task = ground.restored()
    ground.live().change("FLUSHALL")
    ground.live().change("SET", "after", "the loss")
    return task


def test_the_live_server_takes_over_the_copy_and_takes_writes_again(ground: RedisGround, task: RestoreTask) -> None:
    engine = ground.engine()
    plan = engine.preview_cutover(task)
    assert any("Writers are refused" in one for one in plan.effect)

    engine.cut_over(task, CUT, _no)
    engine.cut_over(task, CUT, _no)

    assert engine.look_cutover(task, CUT).state is CutoverState.NEW
    assert ground.ask("DBSIZE") == 1000
    assert ground.live().change("SET", "new", "1") == b"OK"
    assert ground.live().config("masterauth") == ""
    assert ground.live().config("min-replicas-to-write") == "0"
    assert ground.live().info("replication")["role"] == "master"


def test_an_append_only_file_has_the_new_data_after_a_restart(ground: RedisGround, task: RestoreTask) -> None:
    ground.live().change("CONFIG", "SET", "appendonly", "yes")
    ground.engine().cut_over(task, CUT, _no)
    ground.live().change("SET", "new", "1")

    ground.stop("NOSAVE")
    ground.start("--appendonly", "yes")

    assert ground.ask("DBSIZE") == 1001


def test_undo_brings_back_what_was_live(ground: RedisGround, task: RestoreTask) -> None:
    engine = ground.engine()
    engine.cut_over(task, CUT, _no)

    assert engine.undo_refusal(task, CUT) == ""
    engine.undo_cutover(task, CUT, _no)
    ground.wait_loaded(task)

    assert (ground.ask("DBSIZE"), ground.ask("GET", "after")) == (1, b"the loss")
    assert engine.look_cutover(task, CUT).state is CutoverState.OLD
    assert engine.look(task).state is CopyState.RESTORED
    assert ground.live().change("SET", "new", "1") == b"OK"


@pytest.mark.parametrize("step", ["_keep_old", "_take_over", "_let_writers_in"])
def test_a_cutover_that_died_between_two_steps_is_found_and_goes_on(
    ground: RedisGround, task: RestoreTask, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise OutcomeUnknown("the bot died")

    engine = ground.engine()
    monkeypatch.setattr(engine._cutover, step, die)
    with pytest.raises(OutcomeUnknown):
        engine.cut_over(task, CUT, _no)
    with pytest.raises(Rejected):
        ground.live().change("SET", "between", "1") if step != "_let_writers_in" else _refused(ground)

    other = ground.engine()
    assert other.look_cutover(task, CUT).state is CutoverState.PARTIAL
    other.cut_over(task, CUT, _no)

    assert other.look_cutover(task, CUT).state is CutoverState.NEW
    assert ground.ask("DBSIZE") == 1000
    assert ground.live().change("SET", "new", "1") == b"OK"
    other.undo_cutover(task, CUT, _no)
    assert ground.ask("GET", "after") == b"the loss"


def _refused(ground: RedisGround) -> None:
    """Its data are swapped, and writers are not let in yet."""
    ground.live().change("SET", "between", "1")


@pytest.mark.parametrize(
    ("changed", "why"), [({"reached_as": None}, "`reached_as` is not set"), ({}, "replica-read-only is off")]
)
def test_a_cutover_that_is_not_safe_is_refused(
    ground: RedisGround, task: RestoreTask, changed: dict[str, object], why: str
) -> None:
    if not changed:
        ground.live().change("CONFIG", "SET", "replica-read-only", "no")

    with pytest.raises(Rejected, match=f"{why}.*Nothing was done"):
        ground.engine(**changed).preview_cutover(task)


def test_what_was_live_is_removed_only_as_the_old_one(ground: RedisGround, task: RestoreTask) -> None:
    engine: RedisEngine = ground.engine()
    with pytest.raises(Rejected, match="Nothing was removed"):
        engine.remove_old(task, CUT)
    engine.cut_over(task, CUT, _no)
    (copy,) = engine.copies()
    with pytest.raises(Rejected, match="live before the cutover"):
        engine.remove(copy)

    engine.remove_old(task, CUT)

    assert engine.copies() == []
    assert "left nothing to bring back" in engine.undo_refusal(task, CUT)
    assert ground.ask("DBSIZE") == 1000
