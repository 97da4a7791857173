"""scale: a workload gets as many replicas as was said, if it is as the plan saw it, and is watched until it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.scale_world import SCALE, Meddled, deployed, refused, replicas, to
from tests.cluster.world import World

_RUN = "5f" * 16


def test_a_plan_says_what_is_done_what_it_saw_and_what_undoes_it(world: World) -> None:
    deployed(world)

    plan = world.plan(SCALE, to(6))

    assert plan.target == "prod/api"
    assert plan.effect[0] == f"Deployment {world.namespace}/api goes from 3 to 6 replicas."
    assert plan.blast_radius.startswith(f"3 pods more, of Deployment {world.namespace}/api on cluster ")
    assert {name: value for name, value in plan.preconditions.items() if name not in plan.hidden} == {"replicas": "3"}
    assert (plan.undo_command, plan.approvals_needed, plan.undo_after) == ("scale prod/api 3", 0, timedelta(0))
    assert replicas(world) == 3


def test_more_replicas_are_there_and_ready_when_it_is_done(world: World) -> None:
    deployed(world)

    outcome = world.run(SCALE, to(5))

    assert (outcome.result, outcome.message, outcome.degraded) == (Result.DONE, "prod/api is scaled to 5.", "")
    assert dict(outcome.expected_state) == {"replicas": "5"}
    assert world.get(kinds.DEPLOYMENT, "api")["status"]["availableReplicas"] == 5
    assert any("of 5 are available" in said for said in world.reports)


def test_fewer_replicas_are_gone_when_it_is_done(world: World) -> None:
    deployed(world)

    outcome = world.run(SCALE, to(2))

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert world.get(kinds.DEPLOYMENT, "api")["status"]["replicas"] == 2


def test_the_write_bears_the_run_s_own_name(world: World) -> None:
    deployed(world)

    world.run(SCALE, to(4))

    found = world.get(kinds.DEPLOYMENT, "api")
    assert run_markers.owner_of_field(found, "spec", "replicas") == f"vakhta-{_RUN}"
    assert run_markers.written_by(found, _RUN)


def test_it_is_undone_by_the_words_of_its_plan(world: World) -> None:
    deployed(world)
    first = world.plan(SCALE, to(6))
    done = world.run(SCALE, to(6), first)

    back = world.plan(SCALE, to(3))
    world.run(SCALE, to(3), back, run="6a" * 16)

    assert first.undo_command == "scale prod/api 3"
    assert all(back.preconditions[name] == value for name, value in done.expected_state.items())
    assert replicas(world) == 3


def test_from_0_and_to_0(world: World) -> None:
    deployed(world)
    bounds = replace(world.places["prod/api"].replicas, minimum=0)
    world.place(replicas=bounds, check="up == 1", check_duration=timedelta(minutes=5))

    down = world.plan(SCALE, to(0))
    gone = world.run(SCALE, to(0), down)
    up = world.run(SCALE, to(3), run="6a" * 16)

    assert (down.approvals_needed, down.check) == (1, "")
    assert "It serves nothing from then on." in down.effect
    assert (gone.degraded, up.degraded) == ("", "")
    assert world.get(kinds.DEPLOYMENT, "api")["status"]["availableReplicas"] == 3


def test_0_of_what_is_no_production_needs_nobody_else(world: World) -> None:
    deployed(world)
    world.place(production=False, replicas=replace(world.places["prod/api"].replicas, minimum=0))

    assert world.plan(SCALE, to(0)).approvals_needed == 0


def test_a_check_of_the_service_is_held_afterwards(world: World) -> None:
    deployed(world)
    world.place(check="up == 1", check_duration=timedelta(minutes=5))

    plan = world.plan(SCALE, to(4, held=timedelta(minutes=30)))

    assert (plan.check, plan.check_duration, plan.undo_after) == (
        "up == 1",
        timedelta(minutes=5),
        timedelta(minutes=30),
    )


def test_as_many_as_there_are_is_refused_in_words(world: World) -> None:
    deployed(world)

    assert refused(world, to(3)) == "prod/api has 3 replicas already. Nothing was done."


def test_a_plan_that_somebody_else_has_overtaken_is_moved_and_writes_nothing(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(6))
    set_to(world, 4)

    with pytest.raises(Conflict, match="replicas: 3 -> 4"):
        world.run(SCALE, to(6), plan)

    assert replicas(world) == 4


def test_of_two_at_once_one_is_done_and_the_other_moved(world: World) -> None:
    deployed(world)
    first, second = world.plan(SCALE, to(5)), world.plan(SCALE, to(6))

    world.run(SCALE, to(5), first)
    with pytest.raises(Conflict):
        world.run(SCALE, to(6), second, run="6a" * 16)

    assert replicas(world) == 5


def test_what_changes_between_the_look_and_the_write_is_found_by_the_write_itself(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(6))
    world.place(cluster=Meddled(world, before=lambda: set_to(world, 2)))

    with pytest.raises(Conflict):
        world.run(SCALE, to(6), plan)

    assert replicas(world) == 2


def test_a_new_version_of_something_else_about_it_is_in_nobody_s_way(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(4))
    note = {"metadata": {"annotations": {"note": "hello"}}}
    world.place(cluster=Meddled(world, before=lambda: world.merge(kinds.DEPLOYMENT, "api", note)))

    assert world.run(SCALE, to(4), plan).result is Result.DONE


def test_one_of_the_same_name_that_was_made_anew_is_another(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(6))
    world.remove(kinds.DEPLOYMENT, "api")
    world.until(lambda: world.admin.get(world.ref(kinds.DEPLOYMENT, "api")) is None, "it is gone")
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())

    with pytest.raises(Conflict, match="made anew"):
        world.run(SCALE, to(6), plan)

    assert replicas(world) == 3


def test_whoever_takes_it_back_is_named(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(5))
    world.place(cluster=Meddled(world, after=lambda: set_to(world, 3)))

    outcome = world.run(SCALE, to(5), plan)

    assert outcome.result is Result.DONE
    assert outcome.degraded == "It was taken back to 3 by somebody."


def test_a_run_that_was_cut_off_is_found_again_by_what_it_wrote(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(5))
    before = world.probe(SCALE, to(5), plan)
    world.run(SCALE, to(5), plan)

    after = world.probe(SCALE, to(5), plan)
    another = world.probe(SCALE, to(5), plan, run="77" * 16)

    assert (before.result, before.message) == (Result.FAILED, "prod/api is as it was: never changed, or back at once.")
    assert (after.result, after.degraded, dict(after.expected_state)) == (Result.DONE, "", {"replicas": "5"})
    assert another.result is Result.UNKNOWN


def test_an_answer_that_is_lost_leaves_one_write_that_the_probe_finds(world: World) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(5))
    fake, before = world.fake, len(world.fake.writes())
    lost = Meddled(world, before=lambda: fake.answer_next(reset=True, after_effect=True, path="/scale"))
    world.place(cluster=lost)

    with pytest.raises(OutcomeUnknown):
        world.run(SCALE, to(5), plan)

    assert len(fake.writes()) == before + 1
    assert world.probe(SCALE, to(5), plan).result is Result.DONE


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble_is_not_asked_a_second_time(world: World, status: int) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(5))
    fake, before = world.fake, len(world.fake.writes())
    world.place(cluster=Meddled(world, before=lambda: fake.answer_next(status=status, path="/scale")))

    with pytest.raises(OutcomeUnknown):
        world.run(SCALE, to(5), plan)

    assert len(fake.writes()) == before + 1
    assert world.probe(SCALE, to(5), plan).result is Result.FAILED


@pytest.mark.parametrize("status", [403, 422, 429])
def test_a_refusal_of_the_write_is_told_and_nothing_was_done(world: World, status: int) -> None:
    deployed(world)
    plan = world.plan(SCALE, to(5))
    fake = world.fake
    world.place(cluster=Meddled(world, before=lambda: fake.answer_next(status=status, path="/scale")))

    with pytest.raises((Rejected, Conflict)):
        world.run(SCALE, to(5), plan)

    assert replicas(world) == 3


def set_to(world: World, count: int) -> None:
    """Somebody else does."""
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": count}})
