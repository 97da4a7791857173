"""The rights that are listed are enough, for everything that the engine does."""

from __future__ import annotations

import pytest

from bot.core.backup import CopyState
from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceAccess
from bot.integrations.velero import rights
from bot.integrations.velero.settings import VeleroSettings
from bot.workloads.rbac import role_documents
from tests.cluster.world import BOT
from tests.integrations.velero.ground import RUN, Ground


def _granted(ground: Ground, *wanted: ResourceAccess) -> None:
    ground.fake.rights.strip(BOT)
    ground.fake.rights.apply(role_documents(list(wanted), BOT))


def test_with_nothing_else_granted_a_drill_a_backup_and_a_removal_work(ground: Ground) -> None:
    ground.backed_up()
    where = VeleroSettings.model_validate(ground.said)
    _granted(ground, *rights.to_read(where), *rights.to_restore(where), *rights.to_back_up(where))
    ground.velero.next.kept = "Retain"
    ground.velero.next.warnings = 1
    task = ground.task()

    ground.engine.begin(task)
    status = ground.ended(task)
    results = ground.engine.verify(task, [], lambda _: None)
    [copy] = ground.engine.copies()
    ground.engine.remove(copy)
    ground.engine.begin_backup(RUN)

    assert status.state is CopyState.RESTORED
    assert [one.name for one in results if not one.ok] == ["warnings"]


def test_the_rights_to_read_are_enough_for_the_inventory_and_for_no_plan(ground: Ground) -> None:
    ground.backed_up()
    _granted(ground, *rights.to_read(VeleroSettings.model_validate(ground.said)))

    assert ground.engine.inventory().backups[0].usable
    with pytest.raises(Rejected, match="has no right in cluster main to"):
        ground.task()
