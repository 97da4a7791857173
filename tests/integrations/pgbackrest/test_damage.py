"""A repository that is damaged as they are in life is found by looking, before anything is restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.backup import CopyState, RestorePoint
from bot.core.errors import Rejected
from tests.integrations.pgbackrest.cluster import STANZA, restored, task_of
from tests.integrations.pgbackrest.conftest import Made

pytestmark = [pytest.mark.waits, pytest.mark.xdist_group("pgbackrest")]


@pytest.fixture
def damaged(made: Made) -> Iterator[Path]:
    place = made.cluster.repository_copy()
    yield place
    shutil.rmtree(place)


def _segment(repository: Path, name: str) -> Path:
    [found] = (repository / "archive" / STANZA).glob(f"*/*/{name}-*")
    return found


def test_an_intact_repository_has_usable_backups_and_a_window_without_a_gap(made: Made) -> None:
    inventory = made.cluster.engine().inventory()

    assert [one.id for one in inventory.backups[-2:]] == [made.incremental, made.full]
    assert {one.kind for one in inventory.backups[-2:]} == {"incremental", "full"}
    assert all(one.usable and not one.damage for one in inventory.backups)
    assert inventory.blockers == ()
    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""
    assert inventory.window is not None
    assert inventory.window.earliest == inventory.backups[-1].data_at
    assert inventory.window.latest > made.moment


def test_a_deleted_segment_is_found_by_listing_and_refuses_what_lies_behind_it(made: Made, damaged: Path) -> None:
    _segment(damaged, made.segment).unlink()
    engine = made.cluster.engine(options={"repo1-path": str(damaged)})

    inventory = engine.inventory()

    assert inventory.continuity is not None
    assert inventory.continuity.gap.startswith("LOST 1 segment since ")
    assert made.segment in inventory.continuity.gap
    assert all(one.usable for one in inventory.backups), "they are consistent without it"
    assert inventory.window is not None
    assert inventory.window.latest <= made.moment
    with pytest.raises(Rejected, match=r"What can be reached: .* Nothing was done"):
        engine.preview(RestorePoint(at=made.moment), drill=False)
    newest = engine.preview(RestorePoint(latest=True), drill=False)
    assert any("the copy ends there" in one for one in newest.effect)


def test_a_backup_whose_own_wal_is_gone_is_not_usable(made: Made, damaged: Path) -> None:
    for one in (damaged / "archive" / STANZA).glob("*/*/000000010000000000000002-*"):
        one.unlink()

    inventory = made.cluster.engine(options={"repo1-path": str(damaged)}).inventory()

    [full] = [one for one in inventory.backups if one.id == made.full]
    assert "WAL that it needs is missing from the archive: LOST 1 segment" in full.problem
    assert inventory.backups[-2].usable


def test_an_incremental_whose_base_was_removed_is_not_usable_though_it_is_listed(made: Made, damaged: Path) -> None:
    shutil.rmtree(damaged / "backup" / STANZA / made.full)
    engine = made.cluster.engine(options={"repo1-path": str(damaged)})

    inventory = engine.inventory()

    full, incremental = inventory.backups[-1], inventory.backups[-2]
    assert full.problem == "its folder is missing in the repository, though it is listed"
    assert incremental.problem == f"it needs {made.full}, which is missing in the repository"
    with pytest.raises(Rejected, match=r"cannot be restored: it needs .* Nothing was done"):
        engine.preview(RestorePoint(backup_id=made.incremental), drill=False)
    with pytest.raises(Rejected, match="No backup of this stanza can be restored"):
        engine.preview(RestorePoint(latest=True), drill=False)


@pytest.mark.parametrize("left", [0, 100_000])
def test_a_truncated_bundle_refuses_the_plan(made: Made, damaged: Path, left: int) -> None:
    bundle = damaged / "backup" / STANZA / made.full / "bundle" / "1"
    with bundle.open("r+b") as file:
        file.truncate(left)

    with pytest.raises(Rejected, match=rf"damaged in the repository: {made.full}/bundle/1 has {left} of at least"):
        made.cluster.engine(options={"repo1-path": str(damaged)}).preview(RestorePoint(latest=True), drill=True)


def test_a_bundle_that_is_missing_refuses_the_plan(made: Made, damaged: Path) -> None:
    (damaged / "backup" / STANZA / made.full / "bundle" / "1").unlink()

    with pytest.raises(Rejected, match=rf"damaged in the repository: {made.full}/bundle/1 is missing"):
        made.cluster.engine(options={"repo1-path": str(damaged)}).preview(RestorePoint(latest=True), drill=True)


@pytest.mark.slow
def test_bytes_that_were_changed_fail_the_restore_and_leave_no_copy_that_starts(made: Made, damaged: Path) -> None:
    bundle = damaged / "backup" / STANZA / made.full / "bundle" / "1"
    content = bytearray(bundle.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    bundle.write_bytes(content)
    engine = made.cluster.engine(options={"repo1-path": str(damaged), "job-retry": "0"})
    task = task_of(engine, RestorePoint(latest=True), drill=True)

    status = restored(engine, task)

    assert status.state is CopyState.FAILED
    assert "pgBackRest could not restore the files" in status.message
    assert "HINT" not in status.message
    assert engine.look(task) == status
    [copy] = [one for one in engine.copies() if one.run == task.run]
    assert not (Path(copy.name) / "data" / "global" / "pg_control").exists()
    engine.remove(copy)


def test_a_repository_that_cannot_be_read_is_unknown_and_never_ok(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "broken.conf"
    config.write_text("[global]\nrepo1-path=relative\n")
    with pytest.raises(Rejected, match=r"pgBackRest info of stanza orders failed: .* Nothing was done"):
        made.cluster.engine(config=str(config)).inventory()


def test_a_stanza_that_does_not_exist_blocks(made: Made) -> None:
    inventory = made.cluster.engine(stanza="nosuch").inventory()

    assert inventory.backups == ()
    [blocker] = inventory.blockers
    assert "the stanza does not exist in the repository" in blocker


def test_a_program_that_is_not_installed_is_said(made: Made) -> None:
    with pytest.raises(Rejected, match="nosuchprogram"):
        made.cluster.engine(program="nosuchprogram").inventory()
