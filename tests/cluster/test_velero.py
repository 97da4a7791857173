"""A namespace that Velero backs up and restores beside itself, on the fake and on a real cluster with Velero alike.

On a real one it takes VAKHTA_TEST_VELERO, the namespace of Velero (its storage location `default` is written to).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bot.core.backup import CopyState, EngineParts, RestorePoint, RestoreTask
from bot.core.kubernetes import ObjectRef, ResourceKind
from bot.integrations.kubernetes import resources
from bot.integrations.velero.backups import VeleroEngine
from bot.integrations.velero.facts import copy_of
from bot.integrations.velero.settings import VeleroSettings
from bot.integrations.velero.site import BACKUP, LOCATION
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.world import World
from tests.fakes.kubernetes_probe_jobs import PretendNetwork, ProbeJobs
from tests.fakes.kubernetes_velero import HOME, Velero, VeleroStorage
from tests.fakes.ticking import stamped

_CRON = ResourceKind(group="batch", version="v1", plural="cronjobs", title="CronJob")
_REMOVAL = ResourceKind(group="velero.io", version="v1", plural="deletebackuprequests", title="DeleteBackupRequest")
_RUN = "7a" * 16


@dataclass
class Backed:
    world: World
    home: str

    @property
    def engine(self) -> VeleroEngine:
        world, label = self.world, f"vakhta.dev/of={self.world.namespace}"
        said = {"cluster": "main", "namespace": self.home, "included": [world.namespace], "labels": label}
        now = world.now if world.real else world.clock
        pause: Callable[[timedelta], None] = self._sleep if world.real else world.fake.later
        parts = EngineParts(store=world.namespace, now=now, pause=pause, cluster=lambda _: world.admin)
        return VeleroEngine(VeleroSettings.model_validate(said), parts)

    @staticmethod
    def _sleep(much: timedelta) -> None:
        time.sleep(much.total_seconds())

    def copy(self, kind: ResourceKind, name: str) -> Any:
        return self.world.admin.get(ObjectRef(kind=kind, namespace=copy_of(self.world.namespace, _RUN[:8]), name=name))

    def until(self, holds: Callable[[], object], what: str) -> None:
        def moved() -> object:
            if not self.world.real:
                self.world.fake.later(timedelta(seconds=5))
            return holds()

        self.world.until(moved, what, within_s=600)


def _why_not(world: World, home: str) -> str:
    if not home:
        return "VAKHTA_TEST_VELERO does not name the namespace of a Velero that may be used"
    found = world.admin.get(ObjectRef(kind=LOCATION, namespace=home, name="default"))
    phase = ((found or {}).get("status") or {}).get("phase")
    return "" if phase == "Available" else f"Velero's storage location {home}/default is {phase or 'not there'}"


@pytest.fixture
def backed(world: World) -> Iterator[Backed]:
    if world.real:
        home = os.environ.get("VAKHTA_TEST_VELERO", "")
        world.able.needs("velero", lambda: _why_not(world, home))
        made = Backed(world, home)
        yield made
        _tidy(made)
        return
    with VeleroStorage() as storage:
        network, fake = PretendNetwork(), world.fake
        fake.controllers = [*fake.controllers, ProbeJobs(network), Velero(storage, network)]
        fake.put("Namespace", HOME)
        valid = {"phase": "Available", "lastValidationTime": stamped(world.clock.at)}
        fake.put("BackupStorageLocation", "default", HOME, spec={}, status=valid)
        yield Backed(world, HOME)


def _tidy(backed: Backed) -> None:
    """A Backup that is deleted alone comes back out of the object storage."""
    for copy in backed.engine.copies():
        backed.engine.remove(copy)
    name = f"vakhta-{_RUN}"
    admin = backed.world.admin
    if admin.get(ObjectRef(kind=BACKUP, namespace=backed.home, name=name)) is not None:
        admin.make(_REMOVAL, backed.home, {"metadata": {"name": name}, "spec": {"backupName": name}})


def _furnished(backed: Backed) -> None:
    world = backed.world
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2))
    pod = {"spec": {**manifests.template("mail")["spec"], "restartPolicy": "Never"}}
    world.create(_CRON, "mail", spec={"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": pod}}})
    world.create(kinds.CONFIG, "settings", data={"colour": "blue"})


def _made(backed: Backed) -> None:
    backed.engine.begin_backup(_RUN)
    over = (CopyState.RESTORED, CopyState.FAILED)
    backed.until(lambda: backed.engine.look_backup(_RUN).state in over, "the backup has ended")


def _task(backed: Backed) -> RestoreTask:
    shown = backed.engine.preview(RestorePoint(), drill=False)
    point = RestorePoint(backup_id=shown.backup_id)
    return RestoreTask(run=_RUN, store=backed.world.namespace, point=point, facts=shown.facts)


def test_a_backup_now_is_found_and_usable(backed: Backed) -> None:
    _furnished(backed)
    _made(backed)

    [found] = backed.engine.inventory().backups
    assert (found.id, found.problem) == (f"vakhta-{_RUN}", "")


def test_a_restore_is_made_once_beside_the_live_one_where_nothing_runs(backed: Backed) -> None:
    _furnished(backed)
    _made(backed)
    task = _task(backed)
    backed.engine.begin(task)
    backed.engine.begin(task)
    over = (CopyState.RESTORED, CopyState.FAILED)
    backed.until(lambda: backed.engine.look(task).state in over, "the restore has ended")

    status = backed.engine.look(task)
    assert (status.state, status.message) == (CopyState.RESTORED, "")
    assert backed.copy(kinds.CONFIG, "settings")["data"] == {"colour": "blue"}
    assert backed.copy(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 0
    assert backed.copy(_CRON, "mail")["spec"]["suspend"] is True
    assert backed.copy(resources.POLICY, "vakhta-isolation") is not None
    assert backed.world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 2


def test_what_a_run_made_is_removed_and_the_live_one_stays(backed: Backed) -> None:
    _furnished(backed)
    _made(backed)
    task = _task(backed)
    backed.engine.begin(task)
    [copy] = backed.engine.copies()

    backed.engine.remove(copy)

    backed.until(lambda: not backed.engine.copies(), "the copy is gone")
    assert backed.world.get(kinds.CONFIG, "settings")["data"] == {"colour": "blue"}
