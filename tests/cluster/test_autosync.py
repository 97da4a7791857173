"""autosync: Argo CD's auto-sync of an application is turned off, and on again exactly as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject, ResourceAccess
from bot.core.plan import Result
from bot.integrations.argocd.client import ArgoCdClient
from bot.integrations.argocd.settings import ArgoCdSettings
from bot.workloads.objects import kinds
from commands.autosync import AutosyncArgs, action
from tests.cluster import manifests
from tests.cluster.world import World
from tests.fakes.argocd import FakeArgoCd

OFF, ON = AutosyncArgs(service="prod/api", state="off"), AutosyncArgs(service="prod/api", state="on")
_HEALS = {"automated": {"selfHeal": True, "prune": True}, "syncOptions": ["CreateNamespace=true"]}
_REMEMBERED = "vakhta.dev/sync-policy"
_BY_SET = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "ApplicationSet",
    "name": "shops",
    "uid": "5f",
    "controller": True,
}


@pytest.fixture
def argocd(world: World) -> Iterator[FakeArgoCd]:
    with FakeArgoCd(world.fake) as made:
        yield made


def placed(world: World, policy: Any = _HEALS, **metadata: Any) -> None:
    """An application beside the workload that it keeps, in the test's own namespace."""
    if not world.serves(kinds.APPLICATION):
        pytest.skip("there are no applications of Argo CD here")
    mark = {"argocd.argoproj.io/tracking-id": f"{world.namespace}_shop:apps/Deployment:{world.namespace}/api"}
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=1), metadata={"annotations": mark})
    source = {"repoURL": "https://git.example.com/shop.git", "path": "api", "targetRevision": "main"}
    where = {"server": "https://kubernetes.default.svc", "namespace": world.namespace}
    spec = {"project": "default", "source": source, "destination": where, **({"syncPolicy": policy} if policy else {})}
    kept = {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": world.namespace, "name": "api"}
    world.create(kinds.APPLICATION, "shop", spec=spec, metadata=metadata, status={"resources": [kept]})
    world.granted.append(
        ResourceAccess(verb="patch", group="argoproj.io", resource="applications", namespace=world.namespace)
    )
    world.place(soak=timedelta(seconds=2))


def by_api(world: World, argocd: FakeArgoCd) -> None:
    """From here on Argo CD itself is asked."""
    section = ArgoCdSettings(url=argocd.url, token=SecretStr("argo-token"))
    world.places["prod/api"] = replace(world.places["prod/api"], argocd=ArgoCdClient(section))


def app(world: World) -> KubernetesObject:
    return world.get(kinds.APPLICATION, "shop")


def test_it_is_switched_off_and_back_on_exactly_as_it_was(world: World) -> None:
    placed(world)
    before = app(world)["spec"]

    off = world.run(action, OFF)
    paused = app(world)
    on = world.run(action, ON, run="6a" * 16)

    assert (off.result, off.degraded, on.result, on.degraded) == (Result.DONE, "", Result.DONE, "")
    assert paused["spec"]["syncPolicy"] == {"syncOptions": ["CreateNamespace=true"]}
    assert json.loads(paused["metadata"]["annotations"][_REMEMBERED]) == before["syncPolicy"]
    assert app(world)["spec"] == before
    assert _REMEMBERED not in app(world)["metadata"]["annotations"]


def test_what_is_put_back_is_the_very_text_that_was_kept(world: World) -> None:
    placed(world)
    world.run(action, OFF)
    kept = app(world)["metadata"]["annotations"][_REMEMBERED]

    world.run(action, ON, run="6a" * 16)

    assert json.dumps(app(world)["spec"]["syncPolicy"], separators=(",", ":")) == kept


def test_the_plan_says_what_is_off_what_is_kept_and_what_comes_after(world: World) -> None:
    placed(world)

    plan = world.plan(action, replace(OFF, held=timedelta(hours=2)))

    said = "\n".join(plan.effect)
    assert "Argo CD stops syncing Application" in said
    assert "Now auto-sync is on, with self-heal and pruning." in said
    assert "The policy is put back by undo, and automatically after 2 h unless kept." in said
    assert "commit by then what has to stay" in said
    assert (plan.undo_command, plan.undo_after) == ("autosync prod/api on", timedelta(hours=2))
    assert not set(plan.preconditions) - {"auto-sync"} - set(plan.hidden)


def test_off_leaves_what_the_plan_of_its_undo_sees_and_the_other_way_round(world: World) -> None:
    placed(world)

    off = world.run(action, OFF)
    back = world.plan(action, ON)
    on = world.run(action, ON, back, run="6a" * 16)
    again = world.plan(action, OFF)

    assert off.expected_state.items() <= back.preconditions.items()
    assert on.expected_state.items() <= again.preconditions.items()


@pytest.mark.parametrize(
    "policy", [None, {"syncOptions": ["CreateNamespace=true"]}, {"automated": {"enabled": False, "selfHeal": True}}]
)
def test_what_does_not_sync_by_itself_is_not_switched_off(world: World, policy: Any) -> None:
    placed(world, policy)

    with pytest.raises(Rejected, match="is off already"):
        world.plan(action, OFF)


def test_what_was_not_switched_off_here_is_not_switched_on(world: World) -> None:
    placed(world, None)

    with pytest.raises(Rejected, match=r"has no policy to put back\. Nothing was done\. By hand: `argocd app set shop"):
        world.plan(action, ON)


def test_on_is_refused_over_somebody_elses_later_change(world: World) -> None:
    placed(world)
    world.run(action, OFF)
    world.merge(kinds.APPLICATION, "shop", {"spec": {"syncPolicy": {"automated": {"prune": False}}}})

    with pytest.raises(Rejected, match="Somebody changed the sync policy of Application"):
        world.plan(action, ON)


def test_on_for_a_while_is_refused(world: World) -> None:
    placed(world)

    with pytest.raises(Rejected, match="Leave `for` out"):
        world.plan(action, replace(ON, held=timedelta(hours=1)))


def test_a_plan_over_which_the_policy_moved_is_not_run(world: World) -> None:
    placed(world)
    plan = world.plan(action, OFF)
    world.merge(kinds.APPLICATION, "shop", {"spec": {"syncPolicy": {"automated": {"prune": False}}}})

    with pytest.raises(Conflict, match="was changed meanwhile: policy"):
        world.run(action, OFF, plan)


def test_what_an_application_set_makes_is_not_switched_off(world: World) -> None:
    placed(world, ownerReferences=[_BY_SET])

    with pytest.raises(Rejected, match=r"is made by an operator \(ApplicationSet .*Change ApplicationSet shops"):
        world.plan(action, OFF)


def test_what_another_application_heals_is_not_switched_off_and_that_one_is_named(world: World) -> None:
    tracking = f"{world.namespace}_apps:argoproj.io/Application:{world.namespace}/shop"
    placed(world, annotations={"argocd.argoproj.io/tracking-id": tracking})
    world.create(kinds.APPLICATION, "apps", spec={"project": "default", "destination": {}, "syncPolicy": _HEALS})

    with pytest.raises(
        Rejected, match=r"Application .*/shop is managed by Argo CD \(Application .*/apps\) with self-heal"
    ):
        world.plan(action, OFF)


def test_a_workload_that_argo_cd_does_not_keep_has_nothing_to_switch(world: World) -> None:
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=1))
    world.place()

    with pytest.raises(Rejected, match="is not managed by Argo CD"):
        world.plan(action, OFF)


def test_a_run_is_found_again_by_its_mark_and_one_that_never_was_is_not(world: World) -> None:
    placed(world)
    plan = world.plan(action, OFF)

    before = world.probe(action, OFF, plan)
    done = world.run(action, OFF, plan)
    after = world.probe(action, OFF, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)
    assert after.expected_state == done.expected_state


def test_what_somebody_switched_on_again_before_anybody_looked_is_not_called_off(world: World) -> None:
    placed(world)
    plan = world.plan(action, OFF)
    done = world.run(action, OFF, plan)
    world.merge(kinds.APPLICATION, "shop", {"spec": {"syncPolicy": _HEALS}})

    found = world.probe(action, OFF, plan)

    assert (found.result, found.expected_state) == (Result.DONE, done.expected_state)
    assert "Somebody reverted the change of" in found.degraded


def test_a_change_by_somebody_else_is_nobodys_run(world: World) -> None:
    placed(world)
    plan = world.plan(action, OFF)
    world.merge(kinds.APPLICATION, "shop", {"spec": {"syncPolicy": {"automated": None}}})

    assert world.probe(action, OFF, plan).result is Result.UNKNOWN


def test_while_it_is_off_nothing_is_healed_and_once_it_is_on_git_comes_back(world: World) -> None:
    fake = world.fake
    placed(world)
    fake.git["Deployment", "api"] = {"spec": {"replicas": 1}}
    world.run(action, OFF)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 3}})
    fake.settle()
    held = world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"]

    world.run(action, ON, run="6a" * 16)

    world.until(lambda: world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"] == 1, "git's count")
    assert held == 3


def test_by_argo_cds_own_api_it_is_the_same_and_the_cluster_is_not_written_to(world: World, argocd: FakeArgoCd) -> None:
    placed(world)
    by_api(world, argocd)
    before, writes = app(world)["spec"], len(world.fake.writes())

    world.run(action, OFF)
    paused = app(world)
    world.run(action, ON, run="6a" * 16)

    assert "automated" not in paused["spec"]["syncPolicy"]
    assert app(world)["spec"] == before
    assert len(world.fake.writes()) == writes
    assert [call.verb for call in argocd.received if call.verb != "GET"] == ["PATCH", "PATCH"]


def test_an_answer_that_is_lost_is_found_by_its_mark(world: World, argocd: FakeArgoCd) -> None:
    placed(world)
    by_api(world, argocd)
    plan = world.plan(action, OFF)
    read = len(argocd.received)

    class Losing(ArgoCdClient):
        def patch(self, application: KubernetesObject, patch: object) -> None:
            argocd.answer_next(reset=True, after_effect=True)
            super().patch(application, patch)

    section = ArgoCdSettings(url=argocd.url, token=SecretStr("argo-token"))
    world.places["prod/api"] = replace(world.places["prod/api"], argocd=Losing(section))

    with pytest.raises(OutcomeUnknown):
        world.run(action, OFF, plan)

    assert world.probe(action, OFF, plan).result is Result.DONE
    assert [call.verb for call in argocd.received[read:]].count("PATCH") == 1


def test_a_policy_that_is_set_back_at_once_does_not_hold(world: World, argocd: FakeArgoCd) -> None:
    placed(world)
    by_api(world, argocd)

    class SetBack(ArgoCdClient):
        def patch(self, application: KubernetesObject, patch: object) -> None:
            super().patch(application, patch)
            argocd.change("shop", world.namespace, spec={"syncPolicy": _HEALS})

    section = ArgoCdSettings(url=argocd.url, token=SecretStr("argo-token"))
    world.places["prod/api"] = replace(world.places["prod/api"], argocd=SetBack(section))

    outcome = world.run(action, OFF)

    assert outcome.result is Result.DONE
    assert "Somebody reverted the change of" in outcome.degraded
