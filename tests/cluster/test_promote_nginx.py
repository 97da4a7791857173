"""promote with ingress-nginx: from weight to weight, and back."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.plan import Result
from bot.workloads.objects import kinds
from commands.promote import PromoteArgs
from commands.promote import action as promote
from tests.cluster.manifests import deployment
from tests.cluster.world import World

_API = PromoteArgs(service="prod/api")
_NOTE = "nginx.ingress.kubernetes.io/canary"


@pytest.fixture
def split(world: World) -> World:
    """The Deployment `api` is the canary, at 10 percent."""
    world.needs_pods()
    world.create(kinds.DEPLOYMENT, "api", **deployment(replicas=2))
    world.create(kinds.SERVICE, "api", spec={"selector": {"app": "api"}, "ports": [{"port": 80}]})
    ingress(world, {_NOTE: "true", f"{_NOTE}-weight": "10"})
    world.place()
    world.until(lambda: (world.get(kinds.DEPLOYMENT, "api").get("status") or {}).get("availableReplicas") == 2, "pods")
    return world


def ingress(world: World, notes: dict[str, str], **meta: Any) -> None:
    backend = {"service": {"name": "api", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    rules = [{"host": "api.vakhta.test", "http": {"paths": paths}}]
    world.create(kinds.INGRESS, "canary", metadata={"annotations": notes, **meta}, spec={"rules": rules})


def weight(world: World) -> object:
    return world.get(kinds.INGRESS, "canary")["metadata"]["annotations"][f"{_NOTE}-weight"]


def test_it_goes_on_to_the_next_weight_as_a_text(split: World) -> None:
    plan = split.plan(promote, _API)
    outcome = split.run(promote, _API, plan)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert weight(split) == "25"
    assert any("api gets 25% of the traffic instead of 10%" in line for line in plan.effect)
    assert plan.undo_command == "promote prod/api 10%"


def test_its_undo_brings_the_old_weight_back_and_sees_what_was_left(split: World) -> None:
    done = split.run(promote, _API)
    back = PromoteArgs(service="prod/api", far="10%")

    plan = split.plan(promote, back)
    outcome = split.run(promote, back, plan, run="6e" * 16)

    assert {name: plan.preconditions[name] for name in done.expected_state} == dict(done.expected_state)
    assert (outcome.degraded, weight(split)) == ("", "10")


def test_a_weight_of_another_total_is_a_part_of_that(split: World) -> None:
    split.merge(kinds.INGRESS, "canary", {"metadata": {"annotations": {f"{_NOTE}-weight-total": "1000"}}})

    plan = split.plan(promote, _API)
    split.run(promote, _API, plan)

    assert any("gets 10% of the traffic instead of 1%" in line for line in plan.effect)
    assert weight(split) == "100"


def test_what_somebody_else_has_set_since_is_left_alone(split: World) -> None:
    plan = split.plan(promote, _API)
    split.merge(kinds.INGRESS, "canary", {"metadata": {"annotations": {f"{_NOTE}-weight": "40"}}})

    with pytest.raises(Conflict, match="weight: 10% -> 40%"):
        split.run(promote, _API, plan)


def test_a_run_that_died_after_its_write_is_found_again(split: World) -> None:
    plan = split.plan(promote, _API)
    before = split.probe(promote, _API, plan)
    split.run(promote, _API, plan)

    after = split.probe(promote, _API, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)


def test_a_run_that_died_over_which_somebody_set_another_weight_is_not_called_well(split: World) -> None:
    plan = split.plan(promote, _API)
    split.run(promote, _API, plan)
    split.merge(kinds.INGRESS, "canary", {"metadata": {"annotations": {f"{_NOTE}-weight": "40"}}})

    found = split.probe(promote, _API, plan)

    assert (found.result, found.degraded) == (Result.DONE, "Somebody has set the weight to 40% since.")


@pytest.mark.parametrize(
    ("far", "notes", "code"),
    [
        ("10%", {}, "same_weight"),
        ("", {f"{_NOTE}-weight": "100"}, "not_updating"),
        ("", {_NOTE: "false"}, "nothing_to_promote"),
    ],
)
def test_what_would_change_nothing_is_refused(split: World, far: str, notes: dict[str, str], code: str) -> None:
    split.merge(kinds.INGRESS, "canary", {"metadata": {"annotations": notes}})

    with pytest.raises(Rejected) as why:
        promote.plan(PromoteArgs(service="prod/api", far=far), split.tools)

    assert why.value.code == code
    assert "Nothing was done." in why.value.message


def test_an_ingress_of_a_rollout_or_of_flagger_is_left_to_it(split: World) -> None:
    assert split.fake, "what has an owner that is not there is removed by a real cluster"
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "api", "uid": "u1"}
    split.merge(kinds.INGRESS, "canary", {"metadata": {"ownerReferences": [owner]}})

    with pytest.raises(Rejected, match="belongs to Rollout api, which sets its weight"):
        promote.plan(_API, split.tools)
