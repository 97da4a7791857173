"""rollback of a release whose objects are not as its versions say: somebody scaled it, took a field, or stopped Helm.

Helm's own programs install, upgrade and roll back, 3 by merges and 4 by server-side apply with its conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.integrations.kubernetes.client import KubernetesClient
from bot.workloads import rbac
from bot.workloads.objects import kinds
from commands.rollback import RollbackArgs, action
from commands.scale import ScaleArgs
from commands.scale import action as scale
from tests.cluster import manifests, releases
from tests.cluster.manifests import ONE, THREE, TWO
from tests.cluster.releases import Shop
from tests.cluster.world import World
from tests.late import GO_IS_BEHIND

BACK = RollbackArgs(service="prod/api", revision="1")
KEEPING = replace(BACK, replicas="keep")
FORCING = replace(BACK, conflicts="force")
_SCALED_BY = "5c" * 16


@pytest.fixture(params=["3", "4"], ids=["helm 3", "helm 4"])
def program(request: pytest.FixtureRequest) -> str:
    return releases.needed(request.param)


@pytest.fixture
def helm_3() -> str:
    return releases.needed("3")


@pytest.fixture
def helm_4() -> str:
    return releases.needed("4")


def deployed(world: World, place: Path, run: str, **more: Any) -> Shop:
    """Version 1 of the release had image 1; version 2, in service, has image 2."""
    world.needs_pods()
    shop = Shop(world, place, run)
    world.place(helm=releases.tool(world, place, run), soak=timedelta(seconds=2))
    world.granted += rbac.keep_replicas_grants(world.ref(kinds.DEPLOYMENT, "api"))
    shop.deploy(image=ONE)
    shop.deploy(image=TWO, **more)
    up(world, 2)
    return shop


def up(world: World, count: int) -> None:
    """So many pods, all of the newest version, and none of another."""
    counted = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), count).items()

    def holds() -> bool:
        status = world.get(kinds.DEPLOYMENT, "api").get("status", {})
        return counted <= status.items() and len(world.every(kinds.POD)) == count

    world.until(holds, f"{count} pods")
    if not world.real:
        world.fake.settle()


def scaled(world: World, count: int) -> None:
    """By the bot, in the middle of an incident."""
    outcome = world.run(scale, ScaleArgs(service="prod/api", replicas=count), run=_SCALED_BY)
    assert outcome.degraded == ""


def replicas(world: World) -> int:
    return int(world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"])


def image(world: World) -> str:
    return str(world.get(kinds.DEPLOYMENT, "api")["spec"]["template"]["spec"]["containers"][0]["image"])


def statuses(world: World) -> Sequence[tuple[int, str]]:
    kept = (one["metadata"]["labels"] for one in world.every(kinds.SECRET, "owner=helm"))
    return sorted((int(labels["version"]), labels["status"]) for labels in kept)


def refused(world: World, args: RollbackArgs) -> str:
    with pytest.raises(Rejected) as caught:
        world.plan(action, args)
    assert "Nothing was done." in caught.value.message
    return str(caught.value.message)


def done(world: World, args: RollbackArgs, plan: Plan | None = None) -> Outcome:
    outcome = world.run(action, args, plan)
    assert (outcome.result, outcome.degraded) == (Result.DONE, "")
    return outcome


def test_helm_3_sets_back_what_was_scaled_and_the_plan_says_so(world: World, tmp_path: Path, helm_3: str) -> None:
    deployed(world, tmp_path, helm_3)
    scaled(world, 4)

    plan = world.plan(action, BACK)
    done(world, BACK, plan)

    said = "Deployment {}/api has 4 replicas now, set by this bot's run 5c5c5c5c, and Helm sets 2."
    keep = "`rollback prod/api to 1 replicas keep` keeps them."
    assert f"{said.format(world.namespace)} {keep}" in plan.effect
    assert (replicas(world), image(world)) == (2, ONE)


def test_replicas_that_are_to_stay_stay_with_either_helm_and_with_the_undo(
    world: World, tmp_path: Path, program: str
) -> None:
    deployed(world, tmp_path, program)
    scaled(world, 4)

    plan = world.plan(action, KEEPING)
    outcome = done(world, KEEPING, plan)

    assert any("keeps its 4 replicas" in line and "Pods may be lost in between." in line for line in plan.effect)
    assert (replicas(world), image(world)) == (4, ONE)
    assert outcome.message == "Release shop is at version 3, which is 1 again (api-1.0.0)."
    assert plan.undo_command == "rollback prod/api to 2 replicas keep"

    done(world, replace(KEEPING, revision="2"))

    assert (replicas(world), image(world)) == (4, TWO)


def test_helm_4_is_not_let_into_a_conflict_and_the_plan_says_whose_field_it_is(
    world: World, tmp_path: Path, helm_4: str
) -> None:
    deployed(world, tmp_path, helm_4)
    scaled(world, 4)

    said = refused(world, BACK)

    field = f".spec.replicas of Deployment {world.namespace}/api is owned by this bot's run 5c5c5c5c"
    assert said.startswith(f"Helm would stop half-way: {field}, with another value than version 1 has.")
    assert "`undo 5c5c5c5c` undoes that, and gives the field back." in said
    assert "`rollback prod/api to 1 replicas keep` keeps the count." in said
    assert statuses(world) == [(1, "superseded"), (2, "deployed")]


def test_conflicts_are_forced_where_that_is_asked_for_and_told(world: World, tmp_path: Path, helm_4: str) -> None:
    deployed(world, tmp_path, helm_4)
    scaled(world, 4)

    plan = world.plan(action, FORCING)
    done(world, FORCING, plan)

    assert any(line.startswith("Overwritten by force: .spec.replicas of ") for line in plan.effect)
    assert (replicas(world), image(world)) == (2, ONE)


def test_what_the_bot_keeps_is_said_to_stop_the_next_upgrade_of_helm_4_and_does(
    world: World, tmp_path: Path, helm_4: str
) -> None:
    shop = deployed(world, tmp_path, helm_4)
    scaled(world, 4)

    plan = world.plan(action, KEEPING)
    done(world, KEEPING, plan)
    upgraded = shop.tried("upgrade", "shop", str(tmp_path / "chart"), "--disable-openapi-validation")
    shop.deploy(image=THREE, replicas=4)

    assert any(
        "The bot owns .spec.replicas from then on: until the values of the release" in one for one in plan.effect
    )
    assert "Apply failed with 1 conflict" in upgraded.stderr
    assert (replicas(world), image(world)) == (4, THREE)


def test_versions_that_install_the_same_are_said_to(world: World, tmp_path: Path, helm_3: str) -> None:
    shop = deployed(world, tmp_path, helm_3)
    shop.deploy(image=ONE)

    plan = world.plan(action, BACK)

    assert "Versions 3 and 1 install the same: only later changes are reverted." in plan.effect


def test_a_second_scale_says_that_helm_4_meets_a_conflict_over_it(world: World, tmp_path: Path, helm_4: str) -> None:
    deployed(world, tmp_path, helm_4)
    first = world.plan(scale, ScaleArgs(service="prod/api", replicas=4))
    scaled(world, 4)

    second = world.plan(scale, ScaleArgs(service="prod/api", replicas=3))

    assert any("sets .spec.replicas of Deployment" in line for line in first.effect)
    assert any(".spec.replicas is owned by this bot's run 5c5c5c5c" in line for line in second.effect)
    assert not any("may set" in line for line in second.effect)


def test_an_upgrade_that_stopped_before_the_workload_is_not_said_to_run(
    world: World, tmp_path: Path, helm_4: str
) -> None:
    shop = deployed(world, tmp_path, helm_4)
    scaled(world, 4)
    with pytest.raises(AssertionError, match="conflict"):
        shop.deploy(image=THREE)

    same = world.plan(action, replace(KEEPING, revision="2"))
    older = world.plan(action, KEEPING)
    done(world, KEEPING, older)
    with pytest.raises(AssertionError, match="conflict"):
        shop.deploy(image=THREE)
    other = world.plan(action, replace(KEEPING, revision="2"))

    at, runs = f"Deployment {world.namespace}/api, container api", "runs"
    applied = f"already {runs} {TWO} of version 2; version 3 was not applied to it."
    assert f"{at}: {applied}" in same.effect
    assert f"{at}: {runs} {TWO} now, as in version 2; that is overwritten." in older.effect
    assert f"{at}: {runs} {ONE} now, as in version 4; that is overwritten." in other.effect


def test_a_field_of_somebody_elses_is_not_taken_for_one_that_keeps_replicas(
    world: World, tmp_path: Path, helm_4: str
) -> None:
    deployed(world, tmp_path, helm_4)
    scaled(world, 4)
    world.merge(kinds.CONFIG, "api", {"data": {"image": "by hand"}}, by="kubectl-edit")

    said = refused(world, KEEPING)

    assert f".data.image of ConfigMap {world.namespace}/api is owned by kubectl-edit" in said
    assert ".spec.replicas" not in said
    assert "replicas keep" not in said


def test_a_count_that_helm_says_itself_by_now_is_no_conflict(world: World, tmp_path: Path, helm_4: str) -> None:
    """Somebody put what the bot had scaled to into the values: the bot's hold has outlived its reason."""
    shop = deployed(world, tmp_path, helm_4)
    scaled(world, 4)
    shop.deploy(image=THREE, replicas=4)

    plan = world.plan(action, BACK)
    done(world, BACK, plan)

    assert "Before that the bot gives up .spec.replicas, which Helm now sets itself." in plan.effect
    assert (replicas(world), image(world)) == (2, ONE)


def test_a_rollback_that_stops_half_way_is_told_by_what_is_there(world: World, tmp_path: Path, helm_4: str) -> None:
    """As it went when nobody looked beforehand: the field is taken between the plan and the run."""
    deployed(world, tmp_path, helm_4)
    plan = world.plan(action, BACK)
    scaled(world, 4)

    outcome = world.run(action, BACK, plan)
    found = world.probe(action, BACK, plan)

    for one in (outcome, found):
        assert one.message == "Release shop is not back at version 1: version 3 is failed, and only partly applied."
        assert "Different from version 1: Deployment api (.spec.replicas is 4, not 2" in one.degraded
        assert "Rolled back: ConfigMap api." in one.degraded
    assert "Apply failed with 1 conflict" in outcome.degraded
    assert (replicas(world), image(world)) == (4, TWO)


def test_what_helm_calls_done_and_is_not_is_told_too(world: World, tmp_path: Path, helm_3: str) -> None:
    deployed(world, tmp_path, helm_3)
    plan = world.plan(action, BACK)
    world.run(action, BACK, plan)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", THREE), how=PatchType.STRATEGIC, by="somebody")
    up(world, 2)

    found = world.probe(action, BACK, plan)

    assert found.message == "Release shop is not back at version 1: version 3 is deployed, and only partly applied."
    assert f'.spec.template.spec.containers[name="api"].image is {THREE}, not {ONE}' in found.degraded


def test_images_set_by_hand_are_told_before_they_go(world: World, tmp_path: Path, helm_3: str) -> None:
    deployed(world, tmp_path, helm_3)
    world.patch(kinds.DEPLOYMENT, "api", manifests.images("api", THREE), how=PatchType.STRATEGIC, by="somebody")

    plan = world.plan(action, BACK)

    said = f"Deployment {world.namespace}/api, container api: runs {THREE} now"
    assert f"{said}, which is in no version of the release; that is overwritten." in plan.effect


def test_a_count_that_an_autoscaler_holds_is_not_for_the_bot_to_keep(world: World, tmp_path: Path, helm_4: str) -> None:
    deployed(world, tmp_path, helm_4)
    world.create(kinds.HPA, "api", **manifests.hpa(least=3))
    world.until(lambda: replicas(world) == 3, "3 replicas")
    up(world, 3)

    said = refused(world, KEEPING)

    assert f".spec.replicas of Deployment {world.namespace}/api is owned by the HorizontalPodAutoscaler" in said
    assert "replicas keep" not in said
    assert any(line.endswith("and decides the count after the rollback as well.") for line in forced(world))


def forced(world: World) -> Sequence[str]:
    return world.plan(action, replace(KEEPING, conflicts="force")).effect


def test_an_undo_that_was_to_keep_replicas_is_no_failure_where_none_are_to_keep(
    world: World, tmp_path: Path, helm_3: str
) -> None:
    deployed(world, tmp_path, helm_3)

    plan = world.plan(action, KEEPING)
    done(world, KEEPING, plan)

    said = "There is no count to keep: the older version sets the present one of Deployment"
    assert f"{said} {world.namespace}/api, or none." in plan.effect


class Untried(KubernetesClient):
    """A cluster with a webhook that takes no dry run: each is refused with 400."""

    def patch(
        self, ref: ObjectRef, patch: object, *, how: PatchType, by: str, sub: str = "", dry: bool = False
    ) -> KubernetesObject:
        if dry:
            raise Rejected("admission webhook does not support dry run", status=400)
        return super().patch(ref, patch, how=how, by=by, sub=sub, dry=dry)


def test_what_could_not_be_compared_is_said_before_and_after(world: World, tmp_path: Path, helm_4: str) -> None:
    deployed(world, tmp_path, helm_4)
    untried = Untried(world.bot.name, world.bot._section)
    world.places["prod/api"] = replace(world.places["prod/api"], cluster=untried)

    plan = world.plan(action, BACK)
    outcome = done(world, BACK, plan)

    named = f"ConfigMap {world.namespace}/api, Deployment {world.namespace}/api"
    assert f"It is unknown whether Helm stops half-way at these: {named}." in plan.effect
    assert outcome.message.endswith("Not checked: ConfigMap api, Deployment api.")


def test_an_upgrade_that_was_killed_is_got_unstuck_although_it_dropped_what_is_still_there(
    world: World, tmp_path: Path, program: str
) -> None:
    stuck(world, tmp_path, program)

    done(world, replace(BACK, revision="2"))

    assert statuses(world)[-1] == (4, "deployed")
    assert world.get(kinds.CONFIG, "extra")


def test_an_older_helm_is_refused_over_what_was_dropped_with_what_a_person_does(world: World, tmp_path: Path) -> None:
    old = releases.stand_in(tmp_path, "print('v3.21')")
    stuck(world, tmp_path, old, by=releases.needed("3"))

    said = refused(world, replace(BACK, revision="2"))

    assert said.startswith("Version 3 (api-1.0.0, pending-upgrade) no longer has ConfigMap ")
    assert "Helm 3.21 stops half-way at that; 3.22 and 4.2 do not." in said
    forget = f"`kubectl delete secret sh.helm.release.v1.shop.v3 --namespace {world.namespace}`"
    assert f"Or let somebody who may delete Secrets run {forget}, which makes Helm forget that version" in said


def test_forgetting_the_stuck_version_is_what_gets_an_older_helm_unstuck(
    world: World, tmp_path: Path, helm_3: str
) -> None:
    """The words of the refusal, done by a person; a version that names the object is the newest again."""
    stuck(world, tmp_path, helm_3)
    world.remove(kinds.SECRET, "sh.helm.release.v1.shop.v3")

    plan = world.plan(action, BACK)

    assert "is stuck" not in " ".join(plan.effect)
    done(world, BACK, plan)


def test_a_pending_release_says_what_a_person_may_do_and_that_is_what_ends_it(
    world: World, tmp_path: Path, program: str
) -> None:
    begun = world.tools.now() - timedelta(minutes=5)
    shop = stuck(world, tmp_path, program, at=begun)

    said = refused(world, BACK)
    command = f"helm rollback shop 2 --namespace {world.namespace}"
    assert shop.tried("upgrade", "shop", str(tmp_path / "chart")).returncode != 0
    shop.helm(*command.split()[1:4])

    assert (
        f"If that helm was killed: from {begun + timedelta(minutes=15):%H:%M} UTC on the bot treats it as stuck" in said
    )
    assert f"once sure that no helm still runs, `{command}`" in said
    assert statuses(world)[-1] == (4, "deployed")


@pytest.mark.skipif(bool(GO_IS_BEHIND), reason=GO_IS_BEHIND)
def test_a_helm_that_was_killed_is_waited_for_a_quarter_of_an_hour_and_then_its_release_is_got_unstuck(
    world: World, tmp_path: Path, program: str
) -> None:
    world.fake.broken_images.add(THREE)
    shop = deployed(world, tmp_path, program)
    shop.killed(image=THREE, once=lambda: image(world) == THREE)
    world.clock.at = datetime.now(UTC)  # Helm goes by the machine's.

    said = refused(world, BACK)
    world.clock.at += timedelta(minutes=16)
    plan = world.plan(action, BACK)
    done(world, BACK, plan)

    assert "Another operation on release shop is in progress: version 3 (api-1.0.0, pending-upgrade), started " in said
    stuck = "It is stuck in pending-upgrade: Helm refuses every upgrade until a rollback, such as this one."
    assert stuck in plan.effect
    assert (statuses(world)[-1], image(world)) == ((4, "deployed"), ONE)


def stuck(world: World, place: Path, run: str, *, by: str = "", at: datetime = releases.LONG_AGO) -> Shop:
    """Version 3, without the ConfigMap `extra`, whose helm was killed before it wrote anything."""
    shop = deployed(world, place, by or run, extra=True)
    world.places["prod/api"] = replace(world.places["prod/api"], helm=releases.tool(world, place, run))
    releases.copy(world, 2, 3, status="pending-upgrade", at=at, without="extra")
    return shop
