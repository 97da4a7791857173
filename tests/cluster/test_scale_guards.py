"""scale is refused while planning where it could not hold, or would destroy something; the rest is said in the plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from bot.core.kubernetes import PatchType
from bot.core.plan import Result
from bot.core.site import ConnectionLimits, Headroom, ReplicaLimits
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.manifests import TWO
from tests.cluster.scale_world import SCALE, deployed, refused, replicas, stateful, to
from tests.cluster.world import World


@dataclass
class Gauge:
    """Answers what it was told to, and keeps what was asked."""

    answer: bool | None
    asked: list[str] = field(default_factory=list)

    def holds(self, expression: str) -> bool | None:
        self.asked.append(expression)
        return self.answer


def bounded(world: World, least: int = 1, most: int = 100, step: int | None = None) -> None:
    world.place(replicas=ReplicaLimits(minimum=least, maximum=most, step=step))


@pytest.mark.parametrize(
    ("count", "ceiling", "said"),
    [
        (0, None, "prod/api has 1 to 10 replicas by the settings, not 0."),
        (11, None, "prod/api has 1 to 10 replicas by the settings, not 11."),
        (6, 5, "A ceiling of 5 is below 6 replicas."),
    ],
)
def test_what_the_words_and_the_settings_rule_out_is_refused_before_anything_is_asked(
    world: World, count: int, ceiling: int | None, said: str
) -> None:
    bounded(world, most=10)
    fake = world.fake
    before = len(fake.received)

    assert said in refused(world, to(count, ceiling))
    assert len(fake.received) == before


@pytest.mark.parametrize(
    ("now", "count", "step", "said"),
    [
        (3, 7, None, "From 3 it goes to 6 at most at once, not to 7."),
        (3, 6, None, ""),
        (5, 2, None, "From 5 it goes to 3 at least at once, not to 2."),
        (5, 3, None, ""),
        (3, 5, 1, "From 3 it goes to 4 at most at once, not to 5."),
        (3, 4, 1, ""),
    ],
)
def test_the_largest_step_at_once(world: World, now: int, count: int, step: int | None, said: str) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=now))
    bounded(world, step=step)

    if said:
        assert said in refused(world, to(count))
    else:
        assert world.plan(SCALE, to(count)).preconditions["replicas"] == str(now)


def test_the_ceiling_of_an_autoscaler_has_to_be_within_the_settings_and_within_a_step(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    world.create(kinds.HPA, "api", **manifests.hpa(most=10))
    bounded(world, most=30)

    assert "has 1 to 30 replicas by the settings, not 40" in refused(world, to(5, 40))
    assert "From a ceiling of 10 it goes to 20 at most at once, not to 25." in refused(world, to(5, 25))


def test_what_a_floor_brings_at_once_is_a_step_and_the_way_back_is_none(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=50))
    world.place()

    far = refused(world, to(7))
    named = world.plan(SCALE, to(7, 50))

    assert "From 3 it goes to 6 at most at once, not to 7." in far
    assert named.undo_command == "scale prod/api 2 max 50"


def test_what_is_not_there_or_cannot_be_scaled_is_refused(world: World) -> None:
    world.place()
    gone = refused(world, to(4))
    world.place(kind=kinds.DAEMONSET, name="agent")
    another = refused(world, to(4))

    assert f"There is no Deployment {world.namespace}/api on cluster " in gone
    assert "prod/api is a DaemonSet; this is for Deployment, StatefulSet, Rollout." in another


def test_what_an_operator_keeps_is_scaled_by_its_own_resource(world: World) -> None:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True, "blockOwnerDeletion": False}
    held = world.create(kinds.CONFIG, "cluster", data={})
    owner |= {"name": "cluster", "uid": held["metadata"]["uid"]}
    world.create(kinds.DEPLOYMENT, "api", metadata={"ownerReferences": [owner]}, **manifests.deployment())
    world.place()

    said = refused(world, to(4))

    assert "belongs to ConfigMap cluster, whose operator sets its replicas back." in said
    assert said.endswith("Scale the ConfigMap.")


def test_a_deployment_whose_pods_a_rollout_runs_is_refused(world: World) -> None:
    if not world.serves(kinds.ROLLOUT):
        pytest.skip("Argo Rollouts is not installed there")
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=0))
    body = manifests.rollout()["spec"]
    named = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    spec = {name: value for name, value in body.items() if name not in ("template", "selector")}
    world.create(kinds.ROLLOUT, "canary", spec={**spec, "workloadRef": named})
    bounded(world, least=0)

    said = refused(world, to(4))

    assert "Rollout canary runs the pods of Deployment" in said
    assert "Set `workload: rollout/canary` of the service." in said


def test_a_statefulset_grows_and_shrinks(world: World) -> None:
    stateful(world, count=2)

    up = world.run(SCALE, to(4))
    down_plan = world.plan(SCALE, to(2))
    down = world.run(SCALE, to(2), down_plan, run="6a" * 16)

    assert (up.degraded, down.degraded, replicas(world, kinds.STATEFULSET)) == ("", "", 2)
    assert "The replicas with the highest numbers go; their volumes stay." in down_plan.effect
    assert [one["metadata"]["name"] for one in world.every(kinds.POD)] == ["api-0", "api-1"]


def test_a_statefulset_that_deletes_volumes_is_never_scaled_down(world: World) -> None:
    kept = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    stateful(world, count=2, persistentVolumeClaimRetentionPolicy=kept)

    said = refused(world, to(1))
    up = world.plan(SCALE, to(3))

    assert "deletes the volumes of replicas that it loses (whenScaled: Delete)." in said
    assert up.undo_command == ""
    assert any(one.startswith("Nothing undoes it: StatefulSet ") for one in up.effect)
    assert "It cannot be for 30m only" in refused(world, to(3, held=timedelta(minutes=30)))


@pytest.mark.parametrize(("now", "count", "goes"), [(5, 3, True), (5, 2, False), (3, 2, True), (3, 1, False)])
def test_voters_keep_their_majority(world: World, now: int, count: int, *, goes: bool) -> None:
    world.create(kinds.STATEFULSET, "api", **manifests.statefulset("api", replicas=now))
    world.place(kind=kinds.STATEFULSET, quorum=True, replicas=ReplicaLimits(minimum=1, maximum=9, step=9))

    if goes:
        assert world.plan(SCALE, to(count)).preconditions["replicas"] == str(now)
    else:
        assert "are their majority. Nothing was done." in refused(world, to(count))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (True, ""),
        (None, "Whether 2 would carry the load is not known: Prometheus does not say."),
        (False, "2 of 3 replicas would be used by more than 75%, as the load is now."),
    ],
)
def test_fewer_have_to_carry_the_load(world: World, *, answer: bool | None, said: str) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    world.place(headroom=Headroom(query="avg(used)", maximum=0.75))
    gauge = Gauge(answer)
    world.gauge = gauge

    if answer is False:
        assert said in refused(world, to(2))
    else:
        assert (said in world.plan(SCALE, to(2)).effect) is bool(said)
    assert gauge.asked[0] == "(avg(used)) * 3 / 2 < bool 0.75"


def test_more_of_them_are_asked_no_such_thing(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    world.place(headroom=Headroom(query="avg(used)"))
    world.gauge = gauge = Gauge(answer=False)

    world.plan(SCALE, to(4))

    assert gauge.asked == []


def test_a_rollout_in_flight_is_told(world: World) -> None:
    fake = world.fake
    deployed(world)
    fake.broken_images.add(TWO)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", TWO), how=PatchType.STRATEGIC)
    fake.settle()

    plan = world.plan(SCALE, to(4))
    outcome = world.run(SCALE, to(4), plan)

    assert any("A rollout of Deployment" in said and "is in flight" in said for said in plan.effect)
    assert outcome.result is Result.DONE
    assert ": ErrImagePull" in outcome.degraded or ": ImagePullBackOff" in outcome.degraded


def test_pods_that_cannot_start_are_told_at_once_with_their_reason(world: World) -> None:
    fake = world.fake
    deployed(world)
    fake.broken_images.add(manifests.ONE)
    began = world.clock.at

    outcome = world.run(SCALE, to(5))

    assert "container api: ErrImagePull" in outcome.degraded or "container api: ImagePullBackOff" in outcome.degraded
    assert world.clock.at - began < timedelta(minutes=2)


def test_who_may_not_scale_is_told_so_while_planning(world: World) -> None:
    deployed(world)
    fake = world.fake
    fake.rights.denied["vakhta"] = {("patch", "deployments/scale")}

    assert "The bot may not patch deployments/scale.apps in " in refused(world, to(5))


def test_row_60_a_zero_that_is_allowed_takes_somebody_else_who_names_it_where_it_is_production(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    site = world.place(replicas=ReplicaLimits(minimum=0, maximum=5))

    there = world.plan(SCALE, to(0))
    world.places["prod/api"] = replace(site, production=False)
    elsewhere = world.plan(SCALE, to(0))

    assert (there.approvals_needed, elsewhere.approvals_needed) == (1, 0)
    assert (there.confirm_name, elsewhere.confirm_name) == ("prod/api", "")


def test_connections_are_a_budget_for_as_many_as_there_may_be(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment())
    world.place(connections=ConnectionLimits(per_replica=20, maximum=100))

    assert world.plan(SCALE, to(5)).preconditions["replicas"] == "3"
    said = refused(world, to(6))
    assert "6 replicas open 120 connections, 20 each, and 100 are the most." in said
    assert said.endswith("Go no higher than 5.")
