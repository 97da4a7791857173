"""Whether an action may act in its cluster: the person's and the bot's rights, checked before any approval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import ClusterUser, ResourceAccess
from bot.workloads.objects import kinds, target
from tests.cluster import manifests
from tests.cluster.world import World, fake_world

_ANA = ClusterUser(user="ana@example.com", groups=("sre",))
_OTHER = ClusterUser(user="bo@example.com")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        made.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2))
        made.place()
        yield made


def writes(world: World) -> list[ResourceAccess]:
    scaling = ResourceAccess(
        verb="patch", group="apps", resource="deployments/scale", namespace=world.namespace, name="api"
    )
    return [scaling, replace(scaling, resource="deployments")]


def test_a_person_who_may_not_is_named_with_all_that_is_missing(world: World) -> None:
    world.fake.rights.grant("group:sre", "get", "deployments.apps")
    site = world.place(person=_ANA)

    with pytest.raises(Rejected) as refused:
        target.check_rights(site, writes(world))

    assert refused.value.message == (
        "ana@example.com may not patch deployments/scale.apps, patch deployments.apps"
        f" in {world.namespace} on cluster main. Nothing was done. Somebody with that right has to ask."
    )


def test_that_a_person_may_is_not_enough_where_the_bot_that_writes_may_not(world: World) -> None:
    world.fake.rights.denied["vakhta"] = {("patch", "deployments/scale")}
    site = world.place(person=_ANA)

    with pytest.raises(
        Rejected, match=r"^The bot may not patch deployments/scale\.apps in .* `vakhta check --cluster`"
    ):
        target.check_rights(site, writes(world))


def test_in_somebodys_name_their_rights_count_and_not_the_bots(world: World) -> None:
    world.fake.rights.denied["vakhta"] = {("patch", "deployments/scale")}
    world.fake.rights.denied["bo@example.com"] = {("patch", "deployments")}

    target.check_rights(world.place(cluster=world.admin.acting_as(_ANA)), writes(world))
    with pytest.raises(Rejected, match=r"may not patch deployments\.apps in"):
        target.check_rights(world.place(cluster=world.admin.acting_as(_OTHER)), writes(world))


def test_nothing_is_written_by_asking(world: World) -> None:
    target.check_rights(world.place(person=_ANA), writes(world))

    assert {call.path.rpartition("/")[2] for call in world.fake.received if call.verb == "POST"} == {
        "namespaces",
        "deployments",
        "selfsubjectaccessreviews",
        "subjectaccessreviews",
    }
