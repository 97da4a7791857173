"""What the bot expects of server-side apply and of managed fields: the fake and a real API server alike."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from bot.core.errors import Conflict
from bot.core.kubernetes import KubernetesObject, PatchType
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.world import World

_PATH = ("spec", "replicas")


def body(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, **manifests.deployment(**more)}


def apply(world: World, by: str, said: dict[str, Any], *, dry: bool = False) -> KubernetesObject:
    return world.admin.patch(world.ref(kinds.DEPLOYMENT, "api"), said, how=PatchType.APPLY, by=by, dry=dry)


def scale(world: World, count: int, by: str) -> None:
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": count}}, sub="scale", by=by)


def entries(world: World) -> list[dict[str, Any]]:
    return list(world.get(kinds.DEPLOYMENT, "api")["metadata"]["managedFields"])


def test_who_scales_takes_the_field_and_who_applies_another_count_is_told_by_whom_it_is_held(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")

    with pytest.raises(Conflict) as caught:
        apply(world, "helm", body(replicas=2, image=TWO), dry=True)

    who = 'conflict with "vakhta-5f" with subresource "scale" using apps/v1: .spec.replicas'
    assert caught.value.message == f"Apply failed with 1 conflict: {who}"
    assert run_markers.holders_of(world.get(kinds.DEPLOYMENT, "api"), *_PATH) == ("vakhta-5f",)


def test_conflicts_with_several_are_listed_by_who_holds_what(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", TWO), how=PatchType.STRATEGIC, by="somebody")

    with pytest.raises(Conflict) as caught:
        apply(world, "helm", body(replicas=2))

    image = '.spec.template.spec.containers[name="api"].image'
    assert caught.value.message.startswith("Apply failed with 2 conflicts: conflicts with ")
    assert f'conflicts with "somebody" using apps/v1: - {image}' in caught.value.message
    assert 'conflicts with "vakhta-5f" with subresource "scale" using apps/v1: - .spec.replicas' in caught.value.message


def test_who_applies_the_value_that_is_there_holds_it_too_and_nobody_is_in_the_way(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")

    apply(world, "helm", body(replicas=4))

    assert set(run_markers.holders_of(world.get(kinds.DEPLOYMENT, "api"), *_PATH)) == {"vakhta-5f", "helm"}


def test_what_is_no_longer_said_goes_if_nobody_else_holds_it(world: World) -> None:
    said = body(replicas=2)
    said["metadata"]["labels"] = {"team": "shop", "tier": "web"}
    apply(world, "helm", said)
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"labels": {"tier": "other"}}}, by="somebody")

    made = apply(world, "helm", body(replicas=2))

    assert made["metadata"]["labels"] == {"tier": "other"}


def test_managed_fields_are_written_on_the_object_and_ignored_through_its_scale(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")
    ref = world.ref(kinds.DEPLOYMENT, "api")
    left = [one for one in entries(world) if one["manager"] != "vakhta-5f"]
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"managedFields": left}}, sub="scale", by="somebody")
    assert "vakhta-5f" in [one["manager"] for one in entries(world)]

    replaced = {"op": "replace", "path": "/metadata/managedFields", "value": left}
    world.admin.patch(ref, [replaced], how=PatchType.JSON, by="somebody")

    assert "vakhta-5f" not in [one["manager"] for one in entries(world)]
    assert apply(world, "helm", body(replicas=3))["spec"]["replicas"] == 3


def test_what_is_written_through_the_scale_has_no_time(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")

    [entry] = [one for one in entries(world) if one["manager"] == "vakhta-5f"]

    assert (entry["operation"], entry["subresource"]) == ("Update", "scale")
    assert "time" not in entry
    assert entry["fieldsV1"] == {"f:spec": {"f:replicas": {}}}


def test_items_of_lists_with_keys_are_held_one_by_one(world: World) -> None:
    apply(world, "helm", body(replicas=2))
    beside = {"name": "beside", "image": ONE}
    more = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}
    apply(world, "injector", {**more, "spec": {"template": {"spec": {"containers": [beside]}}}})

    made = apply(world, "helm", body(replicas=2, image=TWO))

    images = {one["name"]: one["image"] for one in made["spec"]["template"]["spec"]["containers"]}
    assert images == {"api": TWO, "beside": ONE}
    assert 'k:{"name":"beside"}' in json.dumps(entries(world)).replace('\\"', '"')


def test_a_conflict_says_of_itself_what_it_is(world: World) -> None:
    """By the Status alone, as client-go reads it."""
    apply(world, "helm", body(replicas=2))
    scale(world, 4, "vakhta-5f")
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/api"

    answer = world.admin._send(
        "PATCH", path, {"fieldManager": "helm"}, json.dumps(body(replicas=2)).encode(), str(PatchType.APPLY)
    )

    told = json.loads(answer.data)
    assert (answer.status, told["reason"], told["kind"]) == (HTTPStatus.CONFLICT, "Conflict", "Status")
    [cause] = told["details"]["causes"]
    assert cause["reason"] == "FieldManagerConflict"
    assert cause["field"] == ".spec.replicas"
    assert cause["message"] == 'conflict with "vakhta-5f" with subresource "scale" using apps/v1'
