"""rollback: StatefulSets and DaemonSets go back to a revision that their controller has kept."""

from __future__ import annotations

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ResourceKind
from bot.core.plan import Plan, Result
from bot.workloads.objects import kinds, run_markers
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.revising import deploy, deployed, image_of, restart, settled
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World

ARGS = RollbackArgs(service="prod/api")
SETS = pytest.mark.parametrize("kind", [kinds.STATEFULSET, kinds.DAEMONSET], ids=lambda kind: kind.title)


def image(world: World, kind: ResourceKind = kinds.STATEFULSET) -> str:
    return image_of(world.get(kind, "api"))


def pods(world: World) -> list[KubernetesObject]:
    return [one for one in world.every(kinds.POD) if not one["metadata"].get("deletionTimestamp")]


def broken(world: World, bad: str = TWO) -> None:
    """The update to that image has begun, and hangs on its first pod."""
    world.fake.broken_images.add(bad)
    deploy(world, bad, kind=kinds.STATEFULSET)
    world.until(
        lambda: any("ImagePullBackOff" in str(one.get("status")) for one in pods(world)), "the first pod is broken"
    )


def told(plan: Plan) -> str:
    return " ".join(plan.effect)


@SETS
def test_it_goes_back_to_the_image_before_and_its_pods_with_it(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, TWO, kind=kind)
    before = world.get(kind, "api")

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    now = world.get(kind, "api")
    assert f"{kind.title} {world.namespace}/api goes back from revision 2 (" in plan.effect[0]
    assert f"Container api: {TWO} -> {ONE}." in plan.effect
    assert (outcome.result, outcome.degraded, outcome.expected_state) == (
        Result.DONE,
        "",
        {"template": plan.preconditions["goal"]},
    )
    assert image_of(now) == ONE
    assert {one["spec"]["containers"][0]["image"] for one in pods(world)} == {ONE}
    assert {**now["spec"], "template": None} == {**before["spec"], "template": None}
    assert run_markers.written_by(now, "5f" * 16)


@SETS
def test_a_restart_is_passed_over_and_a_hash_finds_what_got_a_new_number(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, TWO, kind=kind)
    restart(world, "2026-11-24T03:00:00Z", kind=kind)

    plan = world.plan(action, ARGS)
    world.run(action, ARGS, plan)
    back = RollbackArgs(service="prod/api", revision=plan.undo_command.rpartition(" ")[2])
    again = world.plan(action, back)
    world.run(action, back, again)

    assert "Skipped, because it runs the same as now (a restart): revision 2." in plan.effect
    assert "from revision 4 (" in again.effect[0]
    assert image(world, kind) == TWO
    assert "2026-11-24T03:00:00Z" in str(world.get(kind, "api")["spec"]["template"])


@SETS
def test_what_another_has_changed_since_is_not_overwritten(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, TWO, kind=kind)
    plan = world.plan(action, ARGS)
    cluster = Wedged(world, before=lambda: deploy(world, THREE, kind=kind))
    world.place(kind=kind, cluster=cluster)

    with pytest.raises(Conflict):
        world.run(action, ARGS, plan)
    with pytest.raises(Conflict, match="went from"):
        world.run(action, ARGS, plan)

    assert (image(world, kind), cluster.patched) == (THREE, 1)


@SETS
def test_a_process_that_dies_after_its_write_is_found_to_have_written(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, TWO, kind=kind)
    plan = world.plan(action, ARGS)
    before = world.probe(action, ARGS, plan)
    world.place(kind=kind, cluster=Wedged(world, after=Died()))

    with pytest.raises(Died):
        world.run(action, ARGS, plan)
    settled(world, kind)

    assert (before.result, world.probe(action, ARGS, plan).result) == (Result.FAILED, Result.DONE)


def test_a_statefulset_that_hangs_on_a_broken_pod_gets_rid_of_that_one_alone(world: World) -> None:
    deployed(world, ONE, kind=kinds.STATEFULSET)
    broken(world)
    well = {one["metadata"]["uid"] for one in pods(world) if one["spec"]["containers"][0]["image"] == ONE}
    cluster = Wedged(world)
    world.place(kind=kinds.STATEFULSET, cluster=cluster)

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    assert "Unready pods of other revisions would block it, and are deleted: at most 3." in told(plan)
    assert (outcome.degraded, cluster.deleted) == ("", ["api-2"])
    assert outcome.message.endswith("Deleted: api-2.")
    assert well <= {one["metadata"]["uid"] for one in pods(world)}
    assert image(world) == ONE


def test_a_statefulset_that_hangs_on_an_older_mistake_gets_rid_of_that_too(world: World) -> None:
    deployed(world, ONE, kind=kinds.STATEFULSET)
    broken(world)
    deploy(world, THREE, kind=kinds.STATEFULSET)
    one = next(each for each in world.every(kinds.REVISION) if ONE in str(each["data"]))

    outcome = world.run(action, RollbackArgs(service="prod/api", revision=one["metadata"]["name"]))

    assert (outcome.degraded, image(world)) == ("", ONE)
    assert outcome.message.endswith("Deleted: api-2.")


def test_pods_that_are_ready_are_left_to_the_controller(world: World) -> None:
    deployed(world, ONE, TWO, kind=kinds.STATEFULSET)
    cluster = Wedged(world)
    world.place(kind=kinds.STATEFULSET, cluster=cluster)

    world.run(action, ARGS)

    assert cluster.deleted == []


def test_a_run_that_died_before_it_deleted_says_which_pods_hold_it_up(world: World) -> None:
    deployed(world, ONE, kind=kinds.STATEFULSET)
    broken(world)
    plan = world.plan(action, ARGS)
    world.place(kind=kinds.STATEFULSET, cluster=Wedged(world, after=Died()))
    with pytest.raises(Died):
        world.run(action, ARGS, plan)
    world.until(
        lambda: world.get(kinds.STATEFULSET, "api")["status"]["observedGeneration"] == 3, "its controller has seen it"
    )

    found = world.probe(action, ARGS, plan)

    assert found.result is Result.DONE
    assert found.degraded == "It waits for pods that have to be deleted first: api-2."


def test_where_the_bot_may_not_delete_pods_it_says_so_before_any_yes(world: World) -> None:
    deployed(world, ONE, TWO, kind=kinds.STATEFULSET)
    world.fake.rights.denied["vakhta"] = {("delete", "pods")}

    with pytest.raises(Rejected, match="The bot may not delete pods in"):
        world.plan(action, ARGS)


def test_pods_that_come_all_at_once_are_never_deleted_by_us(world: World) -> None:
    deployed(world, ONE, kind=kinds.STATEFULSET, podManagementPolicy="Parallel")
    broken(world)
    cluster = Wedged(world)
    world.place(kind=kinds.STATEFULSET, cluster=cluster)

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    assert "deleted" not in told(plan)
    assert (outcome.degraded, cluster.deleted) == ("", [])


def test_pods_below_the_partition_stay_and_the_plan_says_so(world: World) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    deployed(world, ONE, kind=kinds.STATEFULSET, updateStrategy=rolling)
    deploy(world, TWO, kind=kinds.STATEFULSET)
    settled(world, kinds.STATEFULSET)

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    assert "Its partition is 2: pods below api-2 are not replaced." in told(plan)
    assert outcome.degraded == ""
    assert {one["spec"]["containers"][0]["image"] for one in pods(world)} == {ONE}


def test_a_quota_that_keeps_its_pods_away_is_why_it_is_not_well(world: World) -> None:
    deployed(world, ONE, TWO, kind=kinds.STATEFULSET)
    assert world.fake, "on a real cluster it would be waited for in real minutes"
    world.create(kinds.QUOTA, "tight", **manifests.quota(pods="2"))
    world.until(lambda: world.get(kinds.QUOTA, "tight").get("status", {}).get("used"), "the quota has counted")

    outcome = world.run(action, ARGS)

    assert outcome.result is Result.DONE
    assert "; FailedCreate, " in outcome.degraded
    assert "exceeded quota: tight" in outcome.degraded


@SETS
def test_where_somebody_has_to_delete_the_pods_that_is_said_and_none_moves(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, kind=kind, updateStrategy={"type": "OnDelete"})
    deploy(world, TWO, kind=kind)
    world.until(lambda: len(world.every(kinds.REVISION)) == 2, "both revisions are kept")
    before = {one["metadata"]["uid"] for one in pods(world)}

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    assert "Its update strategy is OnDelete: no pod is replaced until somebody deletes it." in told(plan)
    assert outcome.message.endswith("each pod gets it when somebody deletes it.")
    assert (image(world, kind), {one["metadata"]["uid"] for one in pods(world)}) == (ONE, before)


def test_pods_of_what_somebody_deploys_meanwhile_are_not_deleted(world: World) -> None:
    deployed(world, ONE, TWO, kind=kinds.STATEFULSET)
    world.fake.broken_images.add(THREE)
    cluster = Wedged(world, then=lambda: broken(world, THREE))
    world.place(kind=kinds.STATEFULSET, cluster=cluster)

    outcome = world.run(action, ARGS)

    assert (cluster.deleted, image(world)) == ([], THREE)
    assert outcome.degraded == "Its template was changed since by somebody."
