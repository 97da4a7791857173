"""rollback by Argo CD's own rollback, which is waited for, ended if it is blocked, and found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import ClusterUser
from bot.core.plan import Result
from bot.integrations.argocd.client import ArgoCdClient
from bot.integrations.argocd.settings import ArgoCdSettings
from bot.workloads.objects import kinds
from commands.autosync import AutosyncArgs as Autosync
from commands.autosync import action as autosync
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests
from tests.cluster.world import World
from tests.fakes.argocd import FakeArgoCd, entry

ARGS = RollbackArgs(service="prod/api")
_A, _B = "a" * 40, "b" * 40
_OTHER_RUN = "6a" * 16


@pytest.fixture
def argocd(world: World) -> Iterator[FakeArgoCd]:
    """The Deployment `api`, of the application `shop`: it ran image 1 by revision a, and runs image 2 by b."""
    with FakeArgoCd(world.fake) as made:
        mark = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{world.namespace}/api"}
        body = manifests.deployment(replicas=2, image="vakhta.test/api:2")
        world.create(kinds.DEPLOYMENT, "api", **body, metadata={"annotations": mark})
        made.put(destination={"namespace": world.namespace})
        made.manifests = {_A: image("vakhta.test/api:1"), _B: image("vakhta.test/api:2")}
        section = ArgoCdSettings(url=made.url, token=SecretStr("argo-token"))
        world.place(argocd=ArgoCdClient(section), soak=timedelta(seconds=5))
        world.until(lambda: world.get(kinds.DEPLOYMENT, "api").get("status", {}).get("availableReplicas") == 2, "2")
        yield made


def image(name: str) -> dict[tuple[str, str], Any]:
    return {("Deployment", "api"): {"spec": {"template": manifests.template("api", name)}}}


def runs(world: World) -> str:
    return str(world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def changes(argocd: FakeArgoCd) -> list[str]:
    return [f"{call.verb} {call.path.rpartition('/')[2]}" for call in argocd.received if call.verb != "GET"]


def test_it_goes_back_by_argo_cd_and_waits_until_all_is_healthy(world: World, argocd: FakeArgoCd) -> None:
    outcome = world.run(action, ARGS)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert outcome.message.startswith(
        "prod/api runs aaaaaaaa again, entry 1 of the history. Git still has the newer version"
    )
    assert runs(world) == "vakhta.test/api:1"
    assert changes(argocd) == ["POST rollback"]
    assert not [call for call in world.fake.writes() if call.verb == "PATCH"]


def test_the_plan_says_from_where_to_where_and_what_becomes_of_git(world: World, argocd: FakeArgoCd) -> None:
    plan = world.plan(action, ARGS)

    said = "\n".join(plan.effect)
    assert "rolls application shop back from 2 (revision bbbbbbbb, deployed 2026-11-22 10:00:00 UTC) to 1" in said
    assert "The whole application is rolled back" in said
    assert "becomes OutOfSync, and its next sync brings git's version back." in said
    assert "Revert the commit before that." in plan.effect
    assert "Nothing is pruned" in said
    assert plan.undo_command == "rollback prod/api to 2"
    assert changes(argocd) == []


def test_what_it_leaves_is_what_its_undo_sees_and_that_goes_forward_again(world: World, argocd: FakeArgoCd) -> None:
    outcome = world.run(action, ARGS)
    back = RollbackArgs(service="prod/api", revision="2")

    plan = world.plan(action, back)
    again = world.run(action, back, plan, run=_OTHER_RUN)

    assert outcome.expected_state.items() <= plan.preconditions.items()
    assert again.degraded == ""
    assert runs(world) == "vakhta.test/api:2"


def test_a_deployment_in_between_is_no_longer_what_the_run_left(world: World, argocd: FakeArgoCd) -> None:
    outcome = world.run(action, ARGS)
    argocd.change(status={"history": [*argocd.app()["status"]["history"], entry(4, "c" * 40)]})

    plan = world.plan(action, RollbackArgs(service="prod/api", revision="2"))

    assert not outcome.expected_state.items() <= plan.preconditions.items()


def test_under_auto_sync_it_is_refused_and_the_words_that_pause_it_are_told(world: World, argocd: FakeArgoCd) -> None:
    argocd.change(spec={"syncPolicy": {"automated": {"selfHeal": True}}})

    with pytest.raises(
        Rejected,
        match=r"Auto-sync of application .* is on.*Nothing was done\. Run `autosync prod/api off for 2h` first",
    ):
        world.plan(action, ARGS)


def test_paused_rolled_back_and_let_again_it_is_what_git_has_once_more(world: World, argocd: FakeArgoCd) -> None:
    policy = {"automated": {"selfHeal": True, "prune": True}}
    argocd.change(spec={"syncPolicy": policy})
    world.fake.git["Deployment", "api"] = image("vakhta.test/api:2")["Deployment", "api"]

    world.run(autosync, Autosync(service="prod/api", state="off"))
    plan = world.plan(action, ARGS)
    world.run(action, ARGS, plan, run=_OTHER_RUN)
    held = runs(world)
    world.run(autosync, Autosync(service="prod/api", state="on"), run="7b" * 16)

    assert "Its auto-sync is paused by the bot; when that ends, git's version comes back." in plan.effect
    assert held == "vakhta.test/api:1"
    assert argocd.app()["spec"]["syncPolicy"] == policy
    world.until(lambda: runs(world) == "vakhta.test/api:2", "git's version")


def test_what_an_application_set_syncs_is_refused_for_git(world: World, argocd: FakeArgoCd) -> None:
    maker = {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shops", "uid": "5f"}
    argocd.change(metadata={"ownerReferences": [{**maker, "controller": True}]}, spec={"syncPolicy": {"automated": {}}})

    with pytest.raises(Rejected, match=r"Change ApplicationSet shops.*Or revert the commit in git\."):
        world.plan(action, ARGS)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"operation": {"sync": {}}}, "Another operation is in progress on application shop"),
        (
            {"status": {"operationState": {"phase": "Running", "message": "waiting for hooks"}}},
            "shop: waiting for hook",
        ),
    ],
)
def test_an_application_that_is_busy_is_left_alone(
    world: World, argocd: FakeArgoCd, patch: dict[str, Any], said: str
) -> None:
    argocd.held_still = True
    argocd.change(**patch)

    with pytest.raises(Rejected, match=said):
        world.plan(action, ARGS)


def test_an_application_that_is_being_deleted_is_left_alone(world: World, argocd: FakeArgoCd) -> None:
    argocd.held_still = True
    argocd.end()

    with pytest.raises(Rejected, match="is being deleted"):
        world.plan(action, ARGS)


def test_without_argo_cds_address_it_is_said_which_setting_it_takes(world: World, argocd: FakeArgoCd) -> None:
    world.places["prod/api"] = replace(world.places["prod/api"], argocd=None)

    with pytest.raises(Rejected, match=r"Set clusters\.main\.argocd\.url and \.token\."):
        world.plan(action, ARGS)


def test_an_application_that_is_not_there_is_told(world: World, argocd: FakeArgoCd) -> None:
    argocd.denied.add("get")

    with pytest.raises(Rejected, match="shows the bot no Application shop"):
        world.plan(action, ARGS)


def test_a_person_who_may_not_change_the_workload_may_not_by_argo_cd_either(world: World, argocd: FakeArgoCd) -> None:
    person = ClusterUser(user="ana@example.com")
    world.fake.rights.denied["ana@example.com"] = {("patch", "deployments")}
    world.places["prod/api"] = replace(world.places["prod/api"], person=person)

    with pytest.raises(Rejected, match=r"ana@example.com may not patch deployments\.apps"):
        world.plan(action, ARGS)


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"status": {"history": [entry(1, _A), entry(2, _B), entry(3, "c" * 40)]}}, "has synced the application since"),
        ({"status": {"history": [entry(2, _B)]}}, "history no longer has 1"),
        (
            {"status": {"operationState": {"phase": "Succeeded", "startedAt": "now"}}},
            "has synced the application since",
        ),
        ({"spec": {"syncPolicy": {"automated": {}}}}, "rollback cannot be initiated when auto-sync is enabled"),
        ({"operation": {"sync": {}}}, "another operation is already in progress"),
    ],
)
def test_a_plan_over_which_the_application_moved_is_not_run(
    world: World, argocd: FakeArgoCd, patch: dict[str, Any], said: str
) -> None:
    plan = world.plan(action, ARGS)
    argocd.held_still = True
    argocd.change(**patch)

    with pytest.raises(Conflict, match=said):
        world.run(action, ARGS, plan)


def test_what_a_sync_window_blocks_is_ended_and_nothing_was_changed(world: World, argocd: FakeArgoCd) -> None:
    argocd.window = True

    outcome = world.run(action, ARGS)

    assert outcome.result is Result.FAILED
    assert outcome.message == (
        "A sync window of its project keeps Argo CD from applying it. The operation was ended. Nothing was changed."
    )
    assert changes(argocd) == ["POST rollback", "DELETE operation"]
    assert "operation" not in argocd.app()
    assert runs(world) == "vakhta.test/api:2"


def test_what_is_blocked_when_the_bot_has_died_is_told_and_nothing_is_ended_by_a_look(
    world: World, argocd: FakeArgoCd
) -> None:
    plan = world.plan(action, ARGS)
    argocd.window = True
    argocd.answer_next(path="/rollback", reset=True, after_effect=True)
    with pytest.raises(OutcomeUnknown):
        world.run(action, ARGS, plan)

    outcome = world.probe(action, ARGS, plan)

    assert outcome.result is Result.UNKNOWN
    assert outcome.message.endswith("It starts when the window opens. `argocd app terminate-op shop` ends it.")
    assert changes(argocd) == ["POST rollback"]


def test_what_is_blocked_and_cannot_be_ended_is_for_a_person(world: World, argocd: FakeArgoCd) -> None:
    argocd.window = True
    plan = world.plan(action, ARGS)
    argocd.answer_next(path="/operation", status=403)

    outcome = world.run(action, ARGS, plan)

    assert outcome.result is Result.UNKNOWN
    assert "It could not be ended: Argo CD refused (403)" in outcome.message


@pytest.mark.parametrize("tried", [True, False])
def test_an_operation_that_fails_is_told_by_whether_it_applied_anything(
    world: World, argocd: FakeArgoCd, *, tried: bool
) -> None:
    argocd.fails, argocd.tried = "one or more objects failed to apply", tried

    outcome = world.run(action, ARGS)

    assert outcome.result is (Result.DONE if tried else Result.FAILED)
    assert "could not apply it: one or more objects failed to apply." in (
        outcome.degraded if tried else outcome.message
    )


def test_an_operation_that_never_begins_is_for_a_person_and_not_called_done(world: World, argocd: FakeArgoCd) -> None:
    plan = world.plan(action, ARGS)
    argocd.held_still = True
    world.clock.by = timedelta(minutes=2)

    outcome = world.run(action, ARGS, plan)

    assert outcome.result is Result.UNKNOWN
    assert "has not started" in outcome.message
    assert "It may still start." in outcome.message


def test_a_version_that_does_not_come_up_is_told_with_its_reason(world: World, argocd: FakeArgoCd) -> None:
    world.fake.broken_images.add("vakhta.test/api:1")
    plan = world.plan(action, ARGS)
    world.clock.by = timedelta(seconds=30)

    outcome = world.run(action, ARGS, plan)

    assert outcome.result is Result.DONE
    assert "ImagePullBackOff" in outcome.degraded or "ErrImagePull" in outcome.degraded


def test_an_answer_that_is_lost_is_found_by_the_operation_that_began(world: World, argocd: FakeArgoCd) -> None:
    plan = world.plan(action, ARGS)
    argocd.answer_next(path="/rollback", reset=True, after_effect=True)

    with pytest.raises(OutcomeUnknown):
        world.run(action, ARGS, plan)
    found = world.probe(action, ARGS, plan)

    assert (found.result, found.degraded) == (Result.DONE, "")
    assert found.expected_state["revision"] == "aaaaaaaa"
    assert changes(argocd) == ["POST rollback"]


def test_a_call_that_never_arrived_had_no_effect(world: World, argocd: FakeArgoCd) -> None:
    plan = world.plan(action, ARGS)
    argocd.answer_next(path="/rollback", reset=True)

    with pytest.raises(OutcomeUnknown):
        world.run(action, ARGS, plan)

    assert world.probe(action, ARGS, plan).result is Result.FAILED
    assert runs(world) == "vakhta.test/api:2"


@pytest.mark.parametrize(
    ("act", "args"),
    [(action, ARGS), (autosync, Autosync(service="prod/api", state="off"))],
    ids=["rollback", "autosync"],
)
def test_an_application_that_only_a_mark_on_the_workload_names_is_not_touched(
    world: World, argocd: FakeArgoCd, act: Any, args: object
) -> None:
    argocd.put("payments", destination={"namespace": "payments"}, syncPolicy={"automated": {}})
    mark = {"argocd.argoproj.io/tracking-id": f"payments:apps/Deployment:{world.namespace}/api"}
    world.merge(kinds.DEPLOYMENT, "api", {"metadata": {"annotations": mark}})

    with pytest.raises(Rejected, match="not among its resources"):
        world.plan(act, args)
