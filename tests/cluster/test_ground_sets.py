"""The ground again: pods by number, pods by node, and an autoscaler, on the fake and a real one alike."""

from __future__ import annotations

from bot.core.kubernetes import KubernetesObject, PatchType
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.world import World

_REVISION = "controller-revision-hash"


def _rolled(world: World, count: int) -> bool:
    thing = world.get(kinds.STATEFULSET, "db")
    status = thing.get("status") or {}
    counts = [status.get(name) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    seen = status.get("observedGeneration") == thing["metadata"]["generation"]
    return seen and counts == [count] * 4 and status["updateRevision"] == status["currentRevision"]


def _names(things: list[KubernetesObject]) -> list[str]:
    return sorted(one["metadata"]["name"] for one in things)


def _new_image(world: World) -> None:
    world.patch(kinds.STATEFULSET, "db", manifests.images("db", TWO), how=PatchType.STRATEGIC)


def test_a_statefulset_numbers_its_pods_and_keeps_its_revisions(world: World) -> None:
    world.needs_pods()
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset())
    world.until(lambda: _rolled(world, 3), "3 ready pods")
    first = world.get(kinds.STATEFULSET, "db")["status"]["currentRevision"]

    _new_image(world)
    world.until(lambda: _revisions(world) == [1, 2], "a second revision")
    world.until(lambda: _rolled(world, 3), "all pods of the second revision")

    second = world.get(kinds.STATEFULSET, "db")["status"]["currentRevision"]
    pods = world.every(kinds.POD, "app=db")
    assert _names(pods) == ["db-0", "db-1", "db-2"]
    assert {one["metadata"]["labels"][_REVISION] for one in pods} == {second}
    assert first != second


def _revisions(world: World) -> list[int]:
    return sorted(one["revision"] for one in world.every(kinds.REVISION))


def test_a_revisions_data_is_the_patch_that_brings_it_back(world: World) -> None:
    world.needs_pods()
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset(replicas=1))
    world.until(lambda: _revisions(world) == [1], "a first revision")
    _new_image(world)
    world.until(lambda: _revisions(world) == [1, 2], "a second revision")
    first = next(one for one in world.every(kinds.REVISION) if one["revision"] == 1)

    world.patch(kinds.STATEFULSET, "db", first["data"], how=PatchType.STRATEGIC)
    world.until(lambda: _revisions(world) == [2, 3], "the first revision, numbered anew")
    world.until(lambda: _rolled(world, 1), "the first revision again")

    assert first["data"]["spec"]["template"]["$patch"] == "replace"
    found = world.get(kinds.STATEFULSET, "db")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == ONE
    assert found["status"]["currentRevision"] == first["metadata"]["name"]


def test_below_its_partition_a_statefulset_keeps_the_old_revision(world: World) -> None:
    world.needs_pods()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset(updateStrategy=strategy))
    world.until(lambda: _rolled(world, 3), "3 ready pods")

    _new_image(world)
    world.until(lambda: _image(world, "db-2") == TWO, "a new pod above the partition")

    status = world.get(kinds.STATEFULSET, "db")["status"]
    assert _image(world, "db-1") == ONE
    assert status["updateRevision"] != status["currentRevision"]


def _image(world: World, name: str) -> str:
    pods = {one["metadata"]["name"]: one for one in world.every(kinds.POD)}
    return str(pods[name]["spec"]["containers"][0]["image"]) if name in pods else ""


def test_on_delete_moves_no_pod_until_somebody_deletes_it(world: World) -> None:
    world.needs_pods()
    body = manifests.statefulset(replicas=2, updateStrategy={"type": "OnDelete"})
    world.create(kinds.STATEFULSET, "db", **body)
    world.until(lambda: _ready(world) == 2, "2 ready pods")

    _new_image(world)
    world.until(lambda: _revisions(world) == [1, 2], "a second revision")
    before = (_image(world, "db-0"), _image(world, "db-1"))
    pod = world.ref(kinds.POD, "db-0")
    world.admin.delete(pod, uid=world.get(kinds.POD, "db-0")["metadata"]["uid"])
    world.until(lambda: _image(world, "db-0") == TWO, "a new pod in its place")

    assert before == (ONE, ONE)
    assert _image(world, "db-1") == ONE


def _ready(world: World) -> int:
    return int((world.get(kinds.STATEFULSET, "db").get("status") or {}).get("readyReplicas") or 0)


def test_scaled_down_a_statefulset_loses_its_highest_numbers(world: World) -> None:
    world.needs_pods()
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset())
    world.until(lambda: _rolled(world, 3), "3 ready pods")

    world.merge(kinds.STATEFULSET, "db", {"spec": {"replicas": 1}}, sub="scale")
    world.until(lambda: _rolled(world, 1), "1 pod")

    assert _names(world.every(kinds.POD, "app=db")) == ["db-0"]


def test_claims_go_with_their_pods_where_the_set_says_so(world: World) -> None:
    world.fake.settle()
    kept = {"whenScaled": "Delete"}
    claims = [manifests.claim_template()]
    body = manifests.statefulset(volumeClaimTemplates=claims, persistentVolumeClaimRetentionPolicy=kept)
    world.create(kinds.STATEFULSET, "db", **body)
    world.until(lambda: _rolled(world, 3), "3 ready pods")

    world.merge(kinds.STATEFULSET, "db", {"spec": {"replicas": 1}}, sub="scale")
    world.until(lambda: _rolled(world, 1), "1 pod")

    assert _names(world.every(kinds.CLAIM)) == ["data-db-0"]


def test_a_broken_pod_stays_after_its_template_was_brought_back_until_it_is_deleted(world: World) -> None:
    world.fake.broken_images.add(TWO)
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset())
    world.until(lambda: _rolled(world, 3), "3 ready pods")
    _new_image(world)
    world.until(lambda: _image(world, "db-2") == TWO, "a broken pod")

    world.patch(kinds.STATEFULSET, "db", manifests.images("db", ONE), how=PatchType.STRATEGIC)
    world.fake.settle()
    stuck = _image(world, "db-2")
    world.admin.delete(world.ref(kinds.POD, "db-2"), uid=world.get(kinds.POD, "db-2")["metadata"]["uid"])

    world.until(lambda: _rolled(world, 3), "3 ready pods again")
    assert stuck == TWO


def test_a_daemonset_has_a_pod_on_each_node_and_keeps_its_revisions(world: World) -> None:
    world.needs_pods()
    world.create(kinds.DAEMONSET, "agent", **manifests.daemonset())
    world.until(lambda: _everywhere(world), "a pod on each node")

    world.patch(kinds.DAEMONSET, "agent", manifests.images("agent", TWO), how=PatchType.STRATEGIC)
    world.until(lambda: _revisions(world) == [1, 2], "a second revision")
    world.until(lambda: _everywhere(world), "the new pod on each node")

    newest = next(one for one in world.every(kinds.REVISION) if one["revision"] == 2)
    pods = world.every(kinds.POD, "app=agent")
    assert {one["metadata"]["labels"][_REVISION] for one in pods} == {newest["metadata"]["labels"][_REVISION]}
    assert newest["data"]["spec"]["template"]["$patch"] == "replace"


def _everywhere(world: World) -> bool:
    thing = world.get(kinds.DAEMONSET, "agent")
    status = thing.get("status") or {}
    wanted = status.get("desiredNumberScheduled")
    names = ("updatedNumberScheduled", "numberAvailable", "currentNumberScheduled")
    seen = status.get("observedGeneration") == thing["metadata"]["generation"]
    return bool(seen and wanted and {status.get(name) for name in names} == {wanted})


def test_an_autoscaler_brings_a_count_back_between_its_bounds(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=3))
    made = world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=4))

    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 9}}, sub="scale")
    world.until(lambda: world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 4, "the ceiling")
    world.merge(kinds.HPA, "api", {"spec": {"minReplicas": 6, "maxReplicas": 8}})
    world.until(lambda: world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 6, "the floor")

    found = world.get(kinds.HPA, "api")
    assert (made["spec"]["minReplicas"], found["spec"]["minReplicas"]) == (2, 6)
    assert found["spec"]["metrics"][0]["resource"]["name"] == "cpu"


def test_an_autoscaler_leaves_a_count_of_zero_alone(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=2))
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=4))

    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 0}}, sub="scale")
    world.until(lambda: _active(world) == ("False", "ScalingDisabled"), "an autoscaler that is off")

    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 0


def _active(world: World) -> tuple[str, str]:
    conditions = (world.get(kinds.HPA, "api").get("status") or {}).get("conditions") or ()
    found = (one for one in conditions if one["type"] == "ScalingActive")
    return next(((one["status"], one["reason"]) for one in found), ("", ""))
