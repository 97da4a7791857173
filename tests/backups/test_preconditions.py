"""What a flow and its engine want to find unchanged: neither replaces the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.backups.preconditions import of_engine
from bot.core.backup import CutoverPreview, DrillResult, RestorePoint, RestorePreview, RestoreTask
from tests.backups.backup_house import STORE, BackupHouse, bh
from tests.backups.drill_ground import DrillGround, grounds
from tests.fakes.backup_engine import FakeBackupEngine
from tests.house import CY
from tests.runs import SPOT, handle

__all__ = ["bh"]
pytestmark = pytest.mark.waits

_words = st.dictionaries(st.sampled_from(["backup", "copy", "live", "cutover"]), st.text())


class SameWords(FakeBackupEngine):
    """Its words are those of the flows: Velero, CloudNativePG, ClickHouse, RDS. `uid`: of what it found."""

    uid = "1"

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        found = super().preview(point, drill=drill)
        return replace(found, preconditions={"backup": f"{found.backup_id}, uid {type(self).uid}"})

    def preview_cutover(self, task: RestoreTask) -> CutoverPreview:
        return replace(super().preview_cutover(task), preconditions={"copy": type(self).uid})


@pytest.fixture
def ground(sqlite_template: Path, tmp_path: Path) -> Iterator[DrillGround]:
    with grounds(sqlite_template, tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SameWords, "uid", "1")


@given(engine=_words, flow=_words)
def test_whatever_words_both_use_none_is_lost(engine: dict[str, str], flow: dict[str, str]) -> None:
    both = {**flow, **of_engine(engine)}

    assert sorted(both.values()) == sorted([*engine.values(), *flow.values()])


def test_a_drill_begins_whose_engine_says_backup_too_and_not_where_that_one_has_changed(
    ground: DrillGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.engine = SameWords(ground.world)
    planned = ground.plan()
    ground.drill(planned)
    assert ground.row().result is DrillResult.PASSED

    monkeypatch.setattr(SameWords, "uid", "2")
    ground.drill(planned, run="7d" * 16)
    row = ground.row("7d" * 16)
    assert (row.result, row.message) == (
        DrillResult.MISSED,
        "It has changed meanwhile: engine: backup: b1, uid 1 -> b1, uid 2.",
    )


def test_a_backup_made_anew_under_its_name_refuses_the_restore_that_was_planned(
    bh: BackupHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    bh.restart(engine=SameWords(bh.world))
    shown = bh.asks("restore prod/orders-db")
    monkeypatch.setattr(SameWords, "uid", "2")
    reply = bh.house.says(f"yes {handle(shown.text).split()[0]} {STORE}", by=CY, spot=SPOT)

    assert not reply.ok
    assert "Changed: a detail that is not shown (engine: backup)" in reply.text
    assert bh.world.databases.keys() == {"orders"}
