"""rollback of a Helm release: read in its Secrets, done by Helm's own program, and found again by the Secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import ClusterUser, KubernetesObject, PatchType, ResourceAccess, ResourceKind
from bot.core.plan import Result
from bot.integrations.helm.client import HelmClient
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads.objects import kinds
from commands.rollback import RollbackArgs, action
from tests.cluster import manifests, releases
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.world import World
from tests.house import ANA

ARGS = RollbackArgs(service="prod/api")
_MIGRATE = {"kind": "Job", "name": "api-migrate", "events": ["pre-upgrade"], "manifest": "kind: Job"}
_OLD, _NEW = ONE, TWO


@pytest.fixture(params=["3", "4"], ids=["helm 3", "helm 4"])
def program(request: pytest.FixtureRequest) -> str:
    return releases.needed(request.param)


def installed(world: World, place: Path, run: str) -> None:
    """Version 1 of the release had image 1; version 2 has image 2, and a ConfigMap more."""
    world.needs_pods()
    things = releases.objects(world, _NEW, "added")
    releases.install(world, things)
    releases.keep(world, 1, "superseded", releases.objects(world, _OLD), hooks=[_MIGRATE])
    releases.keep(world, 2, "deployed", things)
    world.place(helm=releases.tool(world, place, run), soak=timedelta(seconds=2))
    world.until(lambda: world.get(kinds.DEPLOYMENT, "api").get("status", {}).get("availableReplicas") == 2, "2 pods")


def image(world: World) -> str:
    return str(world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def statuses(world: World) -> Sequence[tuple[int, str]]:
    kept = (one["metadata"]["labels"] for one in world.every(kinds.SECRET, "owner=helm"))
    return sorted((int(labels["version"]), labels["status"]) for labels in kept)


def test_it_goes_back_by_helms_own_program(world: World, tmp_path: Path, program: str) -> None:
    installed(world, tmp_path, program)

    outcome = world.run(action, ARGS)

    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    assert outcome.message == "Release shop is at version 3, which is 1 again (api-1.1.0)."
    assert image(world) == _OLD
    assert statuses(world) == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert "added" not in [one["metadata"]["name"] for one in world.every(kinds.CONFIG)]


def test_what_it_leaves_is_what_its_undo_sees_and_that_goes_forward_again(
    world: World, tmp_path: Path, program: str
) -> None:
    installed(world, tmp_path, program)
    outcome = world.run(action, ARGS)
    back = RollbackArgs(service="prod/api", revision="2")

    plan = world.plan(action, back)
    again = world.run(action, back, plan, run="6a" * 16)

    assert outcome.expected_state.items() <= plan.preconditions.items()
    assert again.degraded == ""
    assert image(world) == _NEW


def test_a_release_that_is_stuck_gets_unstuck_by_it(world: World, tmp_path: Path, program: str) -> None:
    installed(world, tmp_path, program)
    releases.keep(world, 3, "pending-upgrade", releases.objects(world, THREE))

    plan = world.plan(action, ARGS)
    outcome = world.run(action, ARGS, plan)

    stuck = "It is stuck in pending-upgrade: Helm refuses every upgrade until a rollback, such as this one."
    assert stuck in plan.effect
    assert plan.undo_command == ""
    assert (
        "There is no undo: version 3 (api-1.3.0, pending-upgrade) was never in service. Deploy it again instead."
        in plan.effect
    )
    assert outcome.degraded == ""
    assert statuses(world)[-1] == (4, "deployed")


def test_a_version_that_does_not_come_up_is_told_by_helm_and_by_its_pods(
    world: World, tmp_path: Path, program: str
) -> None:
    world.fake.broken_images.add(_OLD)
    installed(world, tmp_path, program)
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"progressDeadlineSeconds": 1}})

    hasty = releases.tool(world, tmp_path, program)
    hasty.most_s = 3
    world.places["prod/api"] = replace(world.places["prod/api"], helm=hasty)

    outcome = world.run(action, ARGS)

    assert outcome.result is Result.DONE
    assert "Helm says: " in outcome.degraded
    assert "ImagePullBackOff" in outcome.degraded or "ErrImagePull" in outcome.degraded
    assert statuses(world)[-1] == (3, "failed")


def test_a_person_who_may_not_is_refused_by_the_cluster_itself(world: World, tmp_path: Path, program: str) -> None:
    world.granted += [ResourceAccess(verb="impersonate", group="", resource=one) for one in ("users", "groups")]
    world.fake.rights.grant("ana@example.com", "get list", "secrets", namespace=world.namespace)
    installed(world, tmp_path, program)
    helm = releases.tool(world, tmp_path, program).acting_as(
        ClusterUser(user="ana@example.com", groups=("sre", "a, b"))
    )
    world.places["prod/api"] = replace(world.places["prod/api"], helm=helm)

    with pytest.raises(Rejected, match=r"Helm refused: .*ana@example.com.*Nothing was done\.$"):
        world.run(action, ARGS)

    assert statuses(world) == [(1, "superseded"), (2, "deployed")]


def test_a_run_is_found_again_by_the_version_that_it_made(world: World, tmp_path: Path, program: str) -> None:
    installed(world, tmp_path, program)
    plan = world.plan(action, ARGS)

    before = world.probe(action, ARGS, plan)
    done = world.run(action, ARGS, plan)
    after = world.probe(action, ARGS, plan)

    assert (before.result, after.result) == (Result.FAILED, Result.DONE)
    assert before.message == "Helm has no version after 2. Nothing was changed."
    assert after.expected_state == done.expected_state


def test_the_plan_says_what_comes_goes_and_changes_and_which_hooks_do_not_run(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, "helm")

    plan = world.plan(action, ARGS)

    said = "\n".join(plan.effect)
    assert f"Helm rolls release {world.namespace}/shop back from version 2 (api-1.2.0, deployed) to version 1" in said
    assert f"Deployment api, container api: image {_NEW} -> {_OLD}." in plan.effect
    assert "Removed: ConfigMap added." in plan.effect
    assert "Changed: ConfigMap api, Deployment api." in plan.effect
    assert "Hooks that do not run, and revert nothing: Job api-migrate." in plan.effect
    assert plan.undo_command == "rollback prod/api to 2"


def test_a_release_on_which_somebody_is_at_work_is_left_alone(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, "helm")
    now = world.tools.now() - timedelta(minutes=5)
    releases.keep(world, 3, "pending-upgrade", releases.objects(world, THREE), at=now)

    with pytest.raises(Rejected, match=r"operation on release shop is in progress: version 3 .*pending-upgrade"):
        world.plan(action, ARGS)


def test_without_helms_program_it_is_said_which_setting_it_takes(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, "helm")
    world.places["prod/api"] = replace(world.places["prod/api"], helm=None)

    with pytest.raises(Rejected, match=r"a rollback needs Helm's program\. .* Set clusters\..*\.helm\."):
        world.plan(action, ARGS)


def test_a_program_that_is_not_there_is_told_and_nothing_is_done(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, str(tmp_path / "nowhere" / "helm"))

    with pytest.raises(Rejected, match=r"^The program .*/nowhere/helm does not exist\. Nothing was done\."):
        world.run(action, ARGS)


def test_who_may_not_touch_the_secrets_is_told_before_any_yes(world: World, tmp_path: Path) -> None:
    world.fake.rights.denied["vakhta"] = {("list", "secrets")}
    installed(world, tmp_path, "helm")

    with pytest.raises(Rejected, match="may not list secrets"):
        world.plan(action, ARGS)


@pytest.mark.parametrize("what", ["newer", "status", "pruned"])
def test_a_plan_over_which_the_release_moved_is_not_run(world: World, tmp_path: Path, what: str) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "sys.exit('never to be run')"))
    plan = world.plan(action, ARGS)
    if what == "newer":
        releases.keep(world, 3, "deployed", releases.objects(world, THREE))
    elif what == "pruned":
        world.remove(kinds.SECRET, "sh.helm.release.v1.shop.v1")
    else:
        world.remove(kinds.SECRET, "sh.helm.release.v1.shop.v2")
        releases.keep(world, 2, "failed", releases.objects(world, _NEW, "added"))

    with pytest.raises(Conflict):
        world.run(action, ARGS, plan)


def test_helms_refusal_is_shown_short_and_without_secrets_and_nothing_was_done(world: World, tmp_path: Path) -> None:
    words = "Error: cannot do it: token=ghp_0123456789abcdefghijABCDEFGHIJ012345 " + "x" * 1000
    installed(world, tmp_path, releases.stand_in(tmp_path, f"sys.exit({words!r})"))

    with pytest.raises(Rejected, match=r"^Helm refused: cannot do it: ") as refused:
        world.run(action, ARGS)

    assert "ghp_" not in refused.value.message
    assert len(refused.value.message) < 500


def test_a_program_that_is_killed_leaves_nobody_sure(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "os.kill(os.getpid(), 9)"))

    with pytest.raises(OutcomeUnknown, match="ended by signal 9"):
        world.run(action, ARGS)


def test_a_version_that_is_left_pending_is_for_a_person_to_look_at(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "os.kill(os.getpid(), 9)"))
    plan = world.plan(action, ARGS)
    with pytest.raises(OutcomeUnknown):
        world.run(action, ARGS, plan)

    releases.keep(world, 3, "pending-rollback", releases.objects(world, _OLD))

    assert world.probe(action, ARGS, plan).result is Result.UNKNOWN


def test_helm_s_program_that_outlives_the_bot_is_watched_to_its_end_and_what_it_brought_as_well(
    world: World, tmp_path: Path
) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "os.kill(os.getpid(), 9)"))
    plan = world.plan(action, ARGS)
    now = world.tools.now()
    releases.keep(world, 3, "pending-rollback", releases.objects(world, _OLD), at=now)
    seen: list[str] = []

    def over(said: str) -> None:
        """Helm ends once it has been looked at."""
        if not seen:
            world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", _OLD), how=PatchType.STRATEGIC)
            world.patch(kinds.CONFIG, "api", {"data": {"image": _OLD}}, how=PatchType.MERGE)
            world.remove(kinds.SECRET, "sh.helm.release.v1.shop.v3")
            releases.keep(world, 3, "deployed", releases.objects(world, _OLD), at=now)
        seen.append(said)

    outcome = action.probe(ARGS, plan, "5f" * 16, replace(world.tools, by=None, report_progress=over))

    assert seen[0].startswith("Helm is at version 3")
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")


def test_what_helm_brought_back_before_the_bot_died_is_watched_on(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "os.kill(os.getpid(), 9)"))
    plan = world.plan(action, ARGS)
    releases.keep(world, 3, "deployed", releases.objects(world, _OLD))
    world.fake.broken_images.add(_OLD)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", _OLD), how=PatchType.STRATEGIC)
    world.clock.by = timedelta(seconds=30)

    outcome = world.probe(action, ARGS, plan)

    assert outcome.result is Result.DONE
    assert "after the change: " in outcome.degraded


def test_a_hook_that_fails_leaves_a_version_that_is_said_to_be_stuck(world: World, tmp_path: Path) -> None:
    class Failing(HelmClient):
        def roll_back(self, *_: Any, **__: Any) -> str:
            releases.keep(world, 3, "pending-rollback", releases.objects(world, _OLD))
            return "pre-rollback hooks failed: job failed."

    installed(world, tmp_path, "helm")
    world.places["prod/api"] = replace(world.places["prod/api"], helm=Failing(ClusterSettings()))

    outcome = world.run(action, ARGS)

    assert outcome.result is Result.DONE
    assert outcome.degraded.startswith("Helm says: pre-rollback hooks failed: job failed.")
    at = releases.LONG_AGO + timedelta(minutes=15)
    left = (
        f"ask for a rollback from {at:%H:%M} UTC on, or run `helm rollback shop 1 --namespace {world.namespace}` now."
    )
    assert f"Version 3 stays pending-rollback, and Helm refuses every upgrade then: {left}" in outcome.degraded


def test_helm_that_says_done_and_made_nothing_is_for_a_person(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path, "sys.exit(0)"))

    assert world.run(action, ARGS).result is Result.UNKNOWN


def test_the_program_gets_its_words_and_little_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    record = f"json.dump([sys.argv[1:], dict(os.environ)], open({str(told)!r}, 'w'))"
    monkeypatch.setenv("VAKHTA_API_TOKEN", "a-secret")
    monkeypatch.setenv("HELM_DRIVER", "configmap")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    section = ClusterSettings(
        kubeconfig="/etc/vakhta/kubeconfig", context="main", helm=releases.stand_in(tmp_path, record)
    )
    helm = HelmClient(section).acting_as(ClusterUser(user="ana@example.com", groups=("sre", "a, b")))

    said = helm.roll_back("shop", "prod", 7, patience=timedelta(minutes=11))

    words, environment = json.loads(told.read_text())
    assert said == ""
    assert words == [
        *("rollback", "shop", "7", "--namespace=prod", "--wait", "--timeout=660s"),
        *("--kubeconfig=/etc/vakhta/kubeconfig", "--kube-context=main"),
        *("--kube-as-user=ana@example.com", "--kube-as-group=sre", "--kube-as-group=a, b"),
    ]
    assert environment["AWS_REGION"] == "eu-west-1"
    assert not {"VAKHTA_API_TOKEN", "HELM_DRIVER"} & set(environment)


def test_within_its_own_cluster_no_kubeconfig_of_anybodys_is_read(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    record = f"json.dump([sys.argv[1:], os.environ['KUBECONFIG']], open({str(told)!r}, 'w'))"

    HelmClient(ClusterSettings(helm=releases.stand_in(tmp_path, record))).roll_back(
        "shop", "prod", 7, patience=timedelta(minutes=1)
    )

    words, kubeconfig = json.loads(told.read_text())
    assert not [word for word in words if word.startswith("--kube")]
    assert not Path(kubeconfig).exists()


@pytest.mark.parametrize(
    ("release", "namespace"), [("--help", "prod"), ("shop;ls", "prod"), ("", "prod"), ("shop", "-n")]
)
def test_what_is_no_name_is_never_given_to_the_program(tmp_path: Path, release: str, namespace: str) -> None:
    helm = HelmClient(ClusterSettings(helm=releases.stand_in(tmp_path, "sys.exit('never to be run')")))

    with pytest.raises(Rejected, match="is not the name of a release"):
        helm.roll_back(release, namespace, 1, patience=timedelta(minutes=1))


def test_a_release_that_only_a_mark_on_the_workload_names_is_not_rolled_back(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path))
    releases.keep(world, 3, "deployed", [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "api"}}])

    with pytest.raises(Rejected, match="does not install it"):
        world.plan(action, ARGS)


def test_secrets_that_cannot_be_read_after_helm_ran_are_no_refusal(world: World, tmp_path: Path) -> None:
    installed(world, tmp_path, releases.stand_in(tmp_path))
    plan = world.plan(action, ARGS)
    run = action.run
    blind = Blind(world, after=2)
    world.places["prod/api"] = replace(world.places["prod/api"], cluster=blind)

    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        run(ARGS, plan, "5f" * 16, ANA, world.tools)


class Blind(KubernetesClient):
    """Reads Secrets once, and not again."""

    def __init__(self, world: World, *, after: int) -> None:
        super().__init__(world.bot.name, world.bot._section)
        self._left = after

    def find(self, kind: ResourceKind, namespace: str, **more: str) -> Sequence[KubernetesObject]:
        self._left -= kind == kinds.SECRET
        if kind == kinds.SECRET and self._left < 1:
            raise Rejected("Cluster main answered 403. Nothing was done.", code="no_entry", status=403)
        return super().find(kind, namespace, **more)
