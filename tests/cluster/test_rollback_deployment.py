"""rollback: a Deployment gets the template of an older ReplicaSet, pinned to that, and nothing else changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.actions import approval
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import PatchType
from bot.core.plan import Plan, Result
from bot.workloads.objects import kinds, run_markers
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.revising import deploy, deployed, image_of, restart, settled
from tests.cluster.world import World

ARGS = RollbackArgs(service="prod/api")
RUN = "5f" * 16


def api(world: World) -> dict[str, object]:
    return dict(world.get(kinds.DEPLOYMENT, "api"))


def hash_of(world: World, image: str) -> str:
    """Of the ReplicaSet with that image."""
    found = [one for one in world.every(kinds.REPLICASET) if image_of(one) == image]
    return str(found[0]["metadata"]["labels"]["pod-template-hash"])


def back_to(plan: Plan) -> RollbackArgs:
    """The words of its undo, as arguments."""
    service, _, revision = plan.undo_command.removeprefix("rollback ").partition(" to ")
    return RollbackArgs(service=service, revision=revision)


def refusal(world: World, args: RollbackArgs = ARGS) -> str:
    with pytest.raises(Rejected) as refused:
        world.plan(action, args)
    return refused.value.message


def test_the_plan_says_which_way_it_goes_and_why_and_what_changes(world: World) -> None:
    deployed(world, ONE, TWO)

    plan = world.plan(action, ARGS)

    one, two = hash_of(world, ONE), hash_of(world, TWO)
    assert plan.effect[-1].startswith(
        f"No other tool manages Deployment {world.namespace}/api, so one of its own revisions"
    )
    assert f"Deployment {world.namespace}/api goes back from revision 2 ({two}) to revision 1 ({one})." in plan.effect
    assert f"Container api: {TWO} -> {ONE}." in plan.effect
    assert plan.undo_command == f"rollback prod/api to {two}"
    assert (plan.preconditions["template"], plan.preconditions["goal"]) == (two, one)


def test_the_older_image_runs_again_and_nothing_else_of_the_deployment_is_touched(world: World) -> None:
    deployed(world, ONE, TWO)
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": {"team": "core"}}, "spec": {"replicas": 4}})
    settled(world)
    one = hash_of(world, ONE)

    outcome = world.run(action, ARGS)

    now = world.get(kinds.DEPLOYMENT, "api")
    assert (outcome.result, outcome.degraded, outcome.expected_state) == (Result.DONE, "", {"template": one})
    assert (image_of(now), now["spec"]["replicas"]) == (ONE, 4)
    assert now["metadata"]["annotations"]["team"] == "core"
    assert run_markers.written_by(now, RUN)
    assert now["status"]["updatedReplicas"] == 4
    assert "pod-template-hash" not in now["spec"]["template"]["metadata"]["labels"]


def test_a_restart_is_passed_over_because_it_runs_the_same(world: World) -> None:
    deployed(world, ONE, TWO)
    restart(world, "2026-11-24T03:00:00Z")

    plan = world.plan(action, ARGS)
    world.run(action, ARGS, plan)

    assert "Skipped, because it runs the same as now (a restart): revision 2." in plan.effect
    assert image_of(api(world)) == ONE


def test_where_all_that_is_kept_runs_the_same_it_is_refused_and_a_named_one_is_gone_back_to(world: World) -> None:
    deployed(world, ONE)
    first = world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]
    restart(world, "2026-11-24T03:00:00Z")

    said = refusal(world)
    plan = world.plan(action, RollbackArgs(service="prod/api", revision="1"))
    world.run(action, RollbackArgs(service="prod/api", revision="1"), plan)

    assert "All older revisions run the same images, commands and environment." in said
    assert "Its containers run the same in both; the difference is elsewhere in the template." in plan.effect
    assert world.get(kinds.DEPLOYMENT, "api")["spec"]["template"] == first


def test_what_is_gone_back_to_gets_a_new_number_and_its_hash_still_finds_it(world: World) -> None:
    deployed(world, ONE, TWO, THREE)
    two = hash_of(world, TWO)
    plan = world.plan(action, ARGS)
    world.run(action, ARGS, plan)
    settled(world)

    said = refusal(world, RollbackArgs(service="prod/api", revision="2"))
    world.run(action, back_to(plan))

    assert said.startswith("It has no revision 2. Nothing was done. Revisions: 4 (")
    assert image_of(api(world)) == THREE
    assert f"({two})" in " ".join(world.plan(action, RollbackArgs(service="prod/api", revision=two)).effect)


def test_going_back_twice_comes_back_and_the_plan_says_that_this_is_the_newer_one(world: World) -> None:
    deployed(world, ONE)
    began = world.tools.now()
    world.until(lambda: world.tools.now() - began > timedelta(seconds=1), "another second has begun")
    deploy(world, TWO)
    settled(world)
    first = world.plan(action, ARGS)
    world.run(action, ARGS, first)

    second = world.plan(action, ARGS)

    newer = "That revision is newer than the present one: somebody has rolled it back before."
    assert f"Container api: {ONE} -> {TWO}." in second.effect
    assert (newer in first.effect, newer in second.effect) == (False, True)


def test_an_undo_over_somebody_s_later_deploy_is_seen_as_one(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    left = dict(world.run(action, ARGS, plan).expected_state)
    unmoved = approval.changed_since(left, world.plan(action, back_to(plan)))
    deploy(world, THREE)
    settled(world)

    changed = approval.changed_since(left, world.plan(action, back_to(plan)))

    assert unmoved == ()
    assert changed == (f"template: {hash_of(world, ONE)} -> {hash_of(world, THREE)}",)


def test_a_paused_deployment_is_refused(world: World) -> None:
    deployed(world, ONE, TWO)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"paused": True}})

    assert "is paused, so a rollback would have no effect. Nothing was done. Run `kubectl rollout resume" in refusal(
        world
    )


def test_where_it_already_is_or_never_was_cannot_be_gone_back_to(world: World) -> None:
    deployed(world, ONE, TWO)
    two = hash_of(world, TWO)

    assert refusal(world, RollbackArgs(service="prod/api", revision=two)).startswith(
        f"It is already at revision 2 ({two})."
    )
    assert refusal(world, RollbackArgs(service="prod/api", revision="2")).startswith(
        f"It is already at revision 2 ({two})."
    )
    assert f"It has no revision 7. Nothing was done. Revisions: 2 ({two}), 1 (" in refusal(
        world, RollbackArgs(service="prod/api", revision="7")
    )


def test_what_it_cannot_undo_is_said(world: World) -> None:
    deployed(world, ONE)
    needed = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "level"}}}
    world.create(kinds.CONFIG, "gone", data={"level": "debug"})
    needy = {"spec": {"template": {"spec": {"containers": [{"name": "api", "env": [needed]}]}}}}
    world.patch(kinds.DEPLOYMENT, "api", needy, how=PatchType.STRATEGIC)
    settled(world)
    deploy(world, TWO)
    settled(world)
    world.remove(kinds.CONFIG, "gone")
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": notes}})

    told = " ".join(world.plan(action, ARGS).effect)

    assert "ConfigMap gone, which it needs, does not exist: its pods will not start." in told
    assert "migrations of its database, are not rolled back." in told
    assert "It was created by `kubectl apply`: the next one brings the newer version back" in told


def test_the_change_cause_goes_back_with_the_template_it_is_about(world: World) -> None:
    deployed(world, ONE)
    cause = "kubernetes.io/change-cause"
    for image, said in ((ONE, "release 1"), (TWO, "release 2")):
        released = {"metadata": {"annotations": {cause: said}}, **manifests.images("api", image)}
        world.patch(kinds.DEPLOYMENT, "api", released, how=PatchType.STRATEGIC)
        settled(world)

    world.run(action, ARGS)

    assert world.get(kinds.DEPLOYMENT, "api")["metadata"]["annotations"][cause] == "release 1"


def test_a_plan_over_which_somebody_deployed_is_not_run(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    deploy(world, THREE)
    settled(world)

    with pytest.raises(Conflict, match="went from"):
        world.run(action, ARGS, plan)

    assert image_of(api(world)) == THREE


def test_a_plan_of_a_deployment_that_was_made_anew_since_is_not_run(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    world.remove(kinds.DEPLOYMENT, "api")
    world.until(lambda: not world.every(kinds.REPLICASET), "its ReplicaSets are gone")
    deployed(world, ONE, TWO)

    with pytest.raises(Conflict, match="was recreated"):
        world.run(action, ARGS, plan)

    assert image_of(api(world)) == TWO


def test_of_two_people_with_the_same_plan_one_rolls_back_and_the_other_is_told_that_it_moved(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)

    world.run(action, ARGS, plan, run="aa" * 16)
    with pytest.raises(Conflict):
        world.run(action, ARGS, plan, run="bb" * 16)

    assert run_markers.written_by(world.get(kinds.DEPLOYMENT, "api"), "aa" * 16)


def test_a_run_is_found_again_by_its_mark_and_one_that_never_wrote_is_not(world: World) -> None:
    deployed(world, ONE, TWO)
    plan = world.plan(action, ARGS)
    before = world.probe(action, ARGS, plan)

    world.run(action, ARGS, plan)
    after, other = world.probe(action, ARGS, plan), world.probe(action, ARGS, plan, run="bb" * 16)

    assert (before.result, before.message.endswith("Nothing was changed.")) == (Result.FAILED, True)
    assert (after.result, after.expected_state) == (Result.DONE, {"template": hash_of(world, ONE)})
    assert other.result is Result.UNKNOWN


def test_whoever_may_not_patch_it_is_told_so_before_any_yes(world: World) -> None:
    deployed(world, ONE, TWO)
    world.fake.rights.denied["vakhta"] = {("patch", "deployments")}

    assert "The bot may not patch deployments.apps" in refusal(world)
