"""The ground that every action stands on: what an API server and its controllers do, the fake and a real one alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import ClusterUser, KubernetesObject, ObjectRef, PatchType, ResourceAccess
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.world import World

_COUNTED = "deployment.kubernetes.io/revision"


def _revision(thing: KubernetesObject) -> str:
    return str((thing["metadata"].get("annotations") or {}).get(_COUNTED, ""))


def _ready(world: World, count: int) -> bool:
    """Whether it has settled with so many."""
    thing = world.get(kinds.DEPLOYMENT, "api")
    status = thing.get("status") or {}
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [count] * 3 and status.get("observedGeneration") == thing["metadata"]["generation"]


def _deployed(world: World, **said: Any) -> KubernetesObject:
    return world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(**said))


def _at_once(*, replicas: int, test: object = None) -> list[dict[str, object]]:
    tested = [] if test is None else [{"op": "test", "path": "/spec/replicas", "value": test}]
    return [*tested, {"op": "replace", "path": "/spec/replicas", "value": replicas}]


def test_a_deployment_becomes_available(world: World) -> None:
    world.needs_pods()
    _deployed(world)

    world.until(lambda: _ready(world, 3), "3 available replicas")

    found = world.get(kinds.DEPLOYMENT, "api")
    reasons = {one["type"]: (one["status"], one["reason"]) for one in found["status"]["conditions"]}
    assert reasons["Available"] == ("True", "MinimumReplicasAvailable")
    assert reasons["Progressing"][0] == "True"
    assert _revision(found) == "1"


def test_what_a_deployment_does_not_say_is_filled_in(world: World) -> None:
    spec = _deployed(world)["spec"]

    container = spec["template"]["spec"]["containers"][0]
    assert (spec["progressDeadlineSeconds"], spec["revisionHistoryLimit"]) == (600, 10)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert (spec["template"]["spec"]["restartPolicy"], container["imagePullPolicy"]) == ("Always", "IfNotPresent")


def test_a_new_image_makes_a_second_replicaset_with_revision_2(world: World) -> None:
    world.needs_pods()
    _deployed(world)
    world.until(lambda: _ready(world, 3), "the first revision")

    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", TWO), how=PatchType.STRATEGIC)
    world.until(lambda: _revision(world.get(kinds.DEPLOYMENT, "api")) == "2", "revision 2")
    world.until(lambda: _ready(world, 3), "the second revision")

    sets = {_revision(one): one for one in world.every(kinds.REPLICASET)}
    assert {number: one["spec"]["replicas"] for number, one in sets.items()} == {"1": 0, "2": 3}
    assert sets["2"]["spec"]["template"]["spec"]["containers"][0]["image"] == TWO
    owner = sets["2"]["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Deployment", "api", True)
    label = sets["2"]["metadata"]["labels"]["pod-template-hash"]
    assert {one["metadata"]["labels"]["pod-template-hash"] for one in world.every(kinds.POD, "app=api")} == {label}


def test_a_json_patch_whose_test_fails_changes_nothing_and_is_moved(world: World) -> None:
    _deployed(world)
    ref = world.ref(kinds.DEPLOYMENT, "api")

    with pytest.raises(Conflict):
        world.admin.patch(ref, _at_once(replicas=5, test=4), how=PatchType.JSON, by="vakhta-1", sub="scale")
    world.admin.patch(ref, _at_once(replicas=2, test=3), how=PatchType.JSON, by="vakhta-1", sub="scale")

    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 2


def test_a_version_that_is_not_the_newest_is_moved(world: World) -> None:
    old = _deployed(world)["metadata"]["resourceVersion"]
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": {"a": "b"}}})

    with pytest.raises(Conflict):
        world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"resourceVersion": old}, "spec": {"replicas": 9}})

    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 3


def test_a_dry_run_shows_what_would_be_and_changes_nothing(world: World) -> None:
    _deployed(world)
    ref = world.ref(kinds.DEPLOYMENT, "api")

    shown = world.admin.patch(ref, {"spec": {"replicas": 7}}, how=PatchType.MERGE, by="vakhta-plan", dry=True)

    assert shown["spec"]["replicas"] == 7
    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 3


def test_a_strategic_merge_finds_a_container_by_its_name(world: World) -> None:
    sidecar = {"name": "sidecar", "image": "vakhta.test/sidecar:1"}
    body = manifests.deployment()
    body["spec"]["template"]["spec"]["containers"].append(sidecar)
    world.create(kinds.DEPLOYMENT, "api", **body)

    world.patch(kinds.DEPLOYMENT, "api", manifests.images("sidecar", "vakhta.test/sidecar:2"), how=PatchType.STRATEGIC)

    containers = world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"]
    assert [one["image"] for one in containers] == [ONE, "vakhta.test/sidecar:2"]


def test_status_and_spec_are_written_by_ways_of_their_own(world: World) -> None:
    _deployed(world, paused=True)

    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 8}, "status": {"collisionCount": 5}}, sub="status")
    world.merge(kinds.DEPLOYMENT, "api", {"status": {"collisionCount": 6}, "spec": {"minReadySeconds": 1}})

    found = world.get(kinds.DEPLOYMENT, "api")
    assert (found["spec"]["replicas"], found["spec"]["minReadySeconds"]) == (3, 1)
    assert found["status"].get("collisionCount") != 6


def test_whoever_wrote_a_field_last_is_known_by_name(world: World) -> None:
    _deployed(world)
    ref = world.ref(kinds.DEPLOYMENT, "api")

    world.admin.patch(ref, _at_once(replicas=4), how=PatchType.JSON, by=run_markers.field_manager("5f"), sub="scale")
    by_us = world.get(kinds.DEPLOYMENT, "api")
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 5}}, by="somebody")
    by_somebody = world.get(kinds.DEPLOYMENT, "api")

    assert run_markers.written_by(by_us, "5f")
    assert run_markers.owner_of_field(by_us, "spec", "replicas") == "vakhta-5f"
    assert run_markers.owner_of_field(by_somebody, "spec", "replicas") == "somebody"
    assert not run_markers.written_by(by_somebody, "5f")


def test_a_watch_wakes_when_the_object_changes(world: World) -> None:
    _deployed(world, replicas=0)
    world.until(lambda: _ready(world, 0), "nothing, as asked for")
    before = world.get(kinds.DEPLOYMENT, "api")
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": {"woken": "yes"}}})

    found = world.admin.wait_for_change(world.ref(kinds.DEPLOYMENT, "api"), before, timedelta(seconds=20))

    assert found is not None
    assert found["metadata"]["annotations"]["woken"] == "yes"


def test_access_reviews_answer_for_whoever_asks_and_for_others(world: World) -> None:
    access = ResourceAccess(verb="patch", group="apps", resource="deployments/scale", namespace=world.namespace)

    mine = world.admin.allowed(access)
    theirs = world.admin.allowed_for(ClusterUser(user=world.stranger), access)

    assert (mine, theirs) == (True, False)


def test_a_delete_of_another_uid_is_moved_and_deletes_nothing(world: World) -> None:
    _deployed(world)

    with pytest.raises(Conflict):
        world.admin.delete(world.ref(kinds.DEPLOYMENT, "api"), uid="00000000-0000-0000-0000-000000000000")

    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 3


def test_what_belongs_to_a_deployment_goes_with_it(world: World) -> None:
    _deployed(world)
    world.until(lambda: world.every(kinds.REPLICASET), "a ReplicaSet")

    world.remove(kinds.DEPLOYMENT, "api")

    world.until(lambda: not world.every(kinds.REPLICASET), "no ReplicaSet")
    world.until(lambda: not world.every(kinds.POD), "no pod")


def test_a_deployment_without_pods_to_select_is_refused(world: World) -> None:
    with pytest.raises(Rejected) as refused:
        world.create(kinds.DEPLOYMENT, "api", spec={"replicas": 1})

    assert refused.value.status == 422
    assert world.admin.get(ObjectRef(kind=kinds.DEPLOYMENT, namespace=world.namespace, name="api")) is None


def test_a_quota_is_met_when_pods_are_made_and_not_before(world: World) -> None:
    world.create(kinds.QUOTA, "small", **manifests.quota(pods="2"))
    world.until(lambda: world.get(kinds.QUOTA, "small").get("status"), "a quota that counts")
    _deployed(world)

    world.until(lambda: _failure(world), "a failure to create pods")

    assert "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2" in _failure(world)
    world.until(lambda: any("exceeded quota: small" in one for one in _refusals(world)), "an event that says so")


def _refusals(world: World) -> list[str]:
    return [one["message"] for one in world.every(kinds.EVENT) if one["reason"] == "FailedCreate"]


def _failure(world: World) -> str:
    conditions = (world.get(kinds.DEPLOYMENT, "api").get("status") or {}).get("conditions") or ()
    return next((str(one["message"]) for one in conditions if one["type"] == "ReplicaFailure"), "")


def test_what_no_node_can_take_waits_and_its_deployment_is_late(world: World) -> None:
    world.needs_pods()
    nowhere = manifests.template("api", nodeSelector={"vakhta.dev/nowhere": "yes"})
    _deployed(world, replicas=2, template=nowhere, progressDeadlineSeconds=2)

    world.until(lambda: _progress(world) == "ProgressDeadlineExceeded", "a deadline that has passed")

    pod = world.every(kinds.POD, "app=api")[0]
    scheduled = next(one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled")
    assert (pod["status"]["phase"], scheduled["reason"]) == ("Pending", "Unschedulable")
    assert "nodes are available: " in scheduled["message"]
    events = [one for one in world.every(kinds.EVENT) if one["reason"] == "FailedScheduling"]
    assert {one["involvedObject"]["kind"] for one in events} == {"Pod"}


def _progress(world: World) -> str:
    conditions = (world.get(kinds.DEPLOYMENT, "api").get("status") or {}).get("conditions") or ()
    return next((str(one["reason"]) for one in conditions if one["type"] == "Progressing"), "")


def test_recreate_takes_all_old_pods_away_before_a_new_one_is_made(world: World) -> None:
    world.needs_pods()
    nowhere = manifests.template("api", nodeSelector={"vakhta.dev/nowhere": "yes"})
    _deployed(world, strategy={"type": "Recreate"})
    world.until(lambda: _ready(world, 3), "the first revision")

    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"template": nowhere}})
    world.until(lambda: _revision(world.get(kinds.DEPLOYMENT, "api")) == "2", "revision 2")
    world.until(lambda: len(world.every(kinds.POD, "app=api")) == 3, "new pods")

    assert {one["status"]["phase"] for one in world.every(kinds.POD, "app=api")} == {"Pending"}
    assert (world.get(kinds.DEPLOYMENT, "api").get("status") or {}).get("availableReplicas") is None


def test_items_of_a_list_do_not_say_what_they_are(world: World) -> None:
    _deployed(world, replicas=0)

    listed = world.every(kinds.DEPLOYMENT)[0]

    assert {"kind", "apiVersion"} <= world.get(kinds.DEPLOYMENT, "api").keys()
    assert not {"kind", "apiVersion"} & listed.keys()


def test_an_annotation_of_a_deployment_is_a_new_generation(world: World) -> None:
    before = _deployed(world, paused=True)["metadata"]["generation"]

    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": {"a": "b"}}})
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"labels": {"a": "b"}}})

    assert world.get(kinds.DEPLOYMENT, "api")["metadata"]["generation"] == before + 1


def test_a_budget_says_how_many_pods_may_go(world: World) -> None:
    world.needs_pods()
    _deployed(world)
    world.create(kinds.PDB, "api", **manifests.pdb(minAvailable=2))

    world.until(lambda: _budget(world).get("currentHealthy") == 3, "3 healthy pods")

    assert (_budget(world)["disruptionsAllowed"], _budget(world)["desiredHealthy"]) == (1, 2)


def _budget(world: World) -> KubernetesObject:
    return dict(world.get(kinds.PDB, "api").get("status") or {})


def test_a_paused_deployment_takes_no_new_image_and_still_scales(world: World) -> None:
    _deployed(world, paused=True, replicas=1)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", TWO), how=PatchType.STRATEGIC)

    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 2}})

    world.until(lambda: _seen(world), "the change to be seen")
    assert world.every(kinds.REPLICASET) == []


def _seen(world: World) -> bool:
    thing = world.get(kinds.DEPLOYMENT, "api")
    return bool((thing.get("status") or {}).get("observedGeneration") == thing["metadata"]["generation"])
