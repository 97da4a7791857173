"""A copy of a cluster of CloudNativePG, on the fake and on a real cluster with its operator alike.

On a real one it takes VAKHTA_TEST_CNPG, NAMESPACE/NAME of a cluster that archives by the Barman Cloud plug-in and has a
backup: one copy of it is made and removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.core.backup import CopyState, EngineParts, RestorePoint, RestoreTask
from bot.core.kubernetes import ObjectRef
from bot.integrations.cloudnativepg.backups import CloudNativePgEngine
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings
from bot.integrations.cloudnativepg.site import CLUSTER
from tests.cluster.world import World
from tests.fakes.kubernetes_cnpg import BACKUP, CloudNativePg

_RUN = "7b" * 16
_PLUGIN = "barman-cloud.cloudnative-pg.io"


@dataclass
class Operated:
    world: World
    place: str  #: NAMESPACE/NAME

    @property
    def engine(self) -> CloudNativePgEngine:
        world, (namespace, _, name) = self.world, self.place.partition("/")
        said = {"cluster": "main", "namespace": namespace, "name": name}
        now = world.now if world.real else world.clock
        pause: Callable[[timedelta], None] = self._sleep if world.real else world.fake.later
        parts = EngineParts(store="orders", now=now, pause=pause, cluster=lambda _: world.admin)
        return CloudNativePgEngine(CloudNativePgSettings.model_validate(said), parts)

    @staticmethod
    def _sleep(much: timedelta) -> None:
        time.sleep(much.total_seconds())

    def until(self, holds: Callable[[], object], what: str) -> None:
        def moved() -> object:
            if not self.world.real:
                self.world.fake.later(timedelta(seconds=5))
            return holds()

        self.world.until(moved, what, within_s=900)


def _why_not(world: World, place: str) -> str:
    namespace, _, name = place.partition("/")
    if not name:
        return "VAKHTA_TEST_CNPG does not name a cluster of CloudNativePG that may be copied"
    found = world.admin.get(ObjectRef(kind=CLUSTER, namespace=namespace, name=name))
    return "" if found is not None else f"there is no cluster {place} of CloudNativePG"


@pytest.fixture
def operated(world: World) -> Iterator[Operated]:
    if world.real:
        place = os.environ.get("VAKHTA_TEST_CNPG", "")
        world.able.needs("cnpg", lambda: _why_not(world, place))
        made = Operated(world, place)
        yield made
        for copy in made.engine.copies():
            made.engine.remove(copy)
        return
    fake, here = world.fake, world.namespace
    fake.controllers = [*fake.controllers, CloudNativePg()]
    fake.put("ObjectStore", "minio", here, spec={"configuration": {}})
    spec = {
        "instances": 3,
        "storage": {"size": "1Gi"},
        "plugins": [{"name": _PLUGIN, "parameters": {"barmanObjectName": "minio"}}],
    }
    fake.put("Cluster", "orders", here, spec=spec, status={"systemID": "7431"})
    fake.put(BACKUP, "one", here, spec={"cluster": {"name": "orders"}, "method": "plugin"})
    made = Operated(world, f"{here}/orders")
    made.until(lambda: any(one.usable for one in made.engine.inventory().backups), "a usable backup")
    yield made


def test_its_window_is_known_and_it_has_a_usable_backup(operated: Operated) -> None:
    inventory = operated.engine.inventory()

    assert inventory.blockers == ()
    assert any(one.usable for one in inventory.backups), [one.problem for one in inventory.backups]
    assert inventory.continuity is not None
    assert inventory.continuity.gap == ""


def test_a_copy_comes_up_beside_it_and_goes_again(operated: Operated) -> None:
    shown = operated.engine.preview(RestorePoint(), drill=False)
    point = RestorePoint(backup_id=shown.backup_id, latest=True)
    task = RestoreTask(run=_RUN, store="orders", point=point, facts=shown.facts)
    operated.engine.begin(task)
    operated.engine.begin(task)
    over = (CopyState.RESTORED, CopyState.FAILED)
    operated.until(lambda: operated.engine.look(task).state in over, "the recovery has ended")

    status = operated.engine.look(task)
    [copy] = operated.engine.copies()
    operated.engine.remove(copy)

    assert (status.state, status.message) == (CopyState.RESTORED, "")
    operated.until(lambda: not operated.engine.copies(), "the copy is gone")
