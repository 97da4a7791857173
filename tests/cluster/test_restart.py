"""restart: every pod is replaced by a new one with the same template, by the annotation that kubectl sets too."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import ResourceKind
from bot.core.plan import Plan, Result
from bot.workloads.objects import kinds, run_markers
from commands.restart import RestartArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE, TWO
from tests.cluster.revising import deploy, deployed, settled
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World

ARGS = RestartArgs(service="prod/api")
KINDS = pytest.mark.parametrize(
    "kind", [kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.DAEMONSET], ids=lambda kind: kind.title
)


def uids(world: World) -> set[str]:
    found = [one["metadata"] for one in world.every(kinds.POD)]
    return {one["uid"] for one in found if not one.get("deletionTimestamp")}


def notes_of(world: World, kind: ResourceKind = kinds.DEPLOYMENT) -> dict[str, Any]:
    """The annotations of its template."""
    return dict(world.get(kind, "api")["spec"]["template"]["metadata"].get("annotations") or {})


def refusal(world: World) -> str:
    with pytest.raises(Rejected) as refused:
        world.plan(action, ARGS)
    return refused.value.message


def told(plan: Plan) -> str:
    return " ".join(plan.effect)


@KINDS
def test_every_pod_is_replaced_and_runs_the_same(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, kind=kind)
    before, spec = uids(world), world.get(kind, "api")["spec"]

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    now = world.get(kind, "api")
    assert (outcome.result, outcome.degraded, plan.undo_command) == (Result.DONE, "", "")
    assert len(before) == len(uids(world))
    assert before.isdisjoint(uids(world))
    assert notes_of(world, kind)["kubectl.kubernetes.io/restartedAt"].endswith("Z")
    assert now["spec"]["template"]["spec"] == spec["template"]["spec"]
    assert run_markers.written_by(now, "5f" * 16)
    assert told(plan).endswith("There is no undo: data in the memory of the pods is lost.")


@KINDS
def test_it_can_be_restarted_again_and_keeps_what_its_template_says(world: World, kind: ResourceKind) -> None:
    deployed(world, ONE, kind=kind)
    world.merge(kind, "api", {"spec": {"template": {"metadata": {"annotations": {"team": "core"}}}}})
    settled(world, kind)
    world.run(action, ARGS)
    first = notes_of(world, kind)

    world.run(action, ARGS, run="aa" * 16)

    assert first["team"] == notes_of(world, kind)["team"] == "core"
    assert run_markers.written_by(world.get(kind, "api"), "aa" * 16)


def test_a_paused_deployment_and_one_whose_pods_people_replace_are_refused(world: World) -> None:
    deployed(world, ONE)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"paused": True}})
    paused = refusal(world)
    world.create(kinds.STATEFULSET, "db", **manifests.statefulset("db", updateStrategy={"type": "OnDelete"}))
    world.place(kind=kinds.STATEFULSET, name="db")

    assert (
        "is paused, so no pod would be replaced. Nothing was done. Run `kubectl rollout resume deployment/api`"
        in paused
    )
    assert "has the update strategy OnDelete, so no pod would be replaced. Nothing was done." in refusal(world)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"replicas": 1}, "It has one replica: nothing serves"),
        ({"strategy": {"type": "Recreate"}}, "Its strategy is Recreate: all pods end before the first new one starts."),
    ],
)
def test_what_may_go_away_meanwhile_is_said(world: World, spec: dict[str, Any], said: str) -> None:
    deployed(world, ONE)
    unwarned = told(world.plan(action, ARGS))
    world.remove(kinds.DEPLOYMENT, "api")
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(**spec))

    assert said not in unwarned
    assert said in told(world.plan(action, ARGS))


def test_what_an_operator_keeps_may_be_taken_back_by_it(world: World) -> None:
    owner = world.create(kinds.CONFIG, "database")
    deployed(world, ONE)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "database", "uid": owner["metadata"]["uid"]}
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"ownerReferences": [{**reference, "controller": True}]}})

    assert f"It is managed by an operator (ConfigMap {world.namespace}/database), which may revert" in told(
        world.plan(action, ARGS)
    )


def test_of_two_people_with_the_same_plan_one_restarts_and_the_other_is_told_that_it_moved(world: World) -> None:
    deployed(world, ONE)
    plan = world.plan(action, ARGS)

    world.run(action, ARGS, plan, run="aa" * 16)
    with pytest.raises(Conflict, match="was restarted or changed since"):
        world.run(action, ARGS, plan, run="bb" * 16)

    assert run_markers.written_by(world.get(kinds.DEPLOYMENT, "api"), "aa" * 16)


def test_who_deploys_between_the_last_look_and_the_write_is_not_restarted(world: World) -> None:
    deployed(world, ONE)
    plan = world.plan(action, ARGS)
    world.place(cluster=Wedged(world, before=lambda: deploy(world, TWO)))

    with pytest.raises(Conflict):
        world.run(action, ARGS, plan)

    assert "kubectl.kubernetes.io/restartedAt" not in notes_of(world)


def test_a_run_is_found_by_its_mark_and_one_that_never_wrote_is_not(world: World) -> None:
    deployed(world, ONE)
    plan = world.plan(action, ARGS)
    world.place(cluster=Wedged(world, after=Died()))
    before = world.probe(action, ARGS, plan)

    with pytest.raises(Died):
        world.run(action, ARGS, plan)
    after, other = world.probe(action, ARGS, plan), world.probe(action, ARGS, plan, run="bb" * 16)

    assert [one.result for one in (before, after, other)] == [Result.FAILED, Result.DONE, Result.UNKNOWN]


def test_pods_that_crash_are_why_one_restarts_so_only_those_that_come_are_judged(world: World) -> None:
    world.fake.crashing_images.add(ONE)
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(image=ONE))
    world.place()
    world.until(lambda: "CrashLoopBackOff" in str(world.every(kinds.POD)), "its pods crash")
    unhealed = world.run(action, ARGS)
    world.fake.crashing_images.clear()

    outcome = world.run(action, ARGS, run="aa" * 16)

    assert "container api: CrashLoopBackOff" in unhealed.degraded
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")


def test_whoever_may_not_patch_it_is_told_so_before_any_yes(world: World) -> None:
    deployed(world, ONE)
    world.fake.rights.denied["vakhta"] = {("patch", "deployments")}

    assert "The bot may not patch deployments.apps" in refusal(world)
