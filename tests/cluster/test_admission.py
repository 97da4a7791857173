"""A refusal of admission is reported in its own words, never as a conflict."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import PatchType
from bot.core.plan import Result
from bot.workloads.objects import kinds
from commands.abort import AbortArgs as Abort
from commands.abort import action as abort
from commands.restart import RestartArgs as Service
from commands.restart import action as restart
from tests.cluster.admission import HOOK, policy, webhook
from tests.cluster.rollouts import PAUSE, canary, weight
from tests.cluster.scale_world import SCALE, deployed, refused, replicas, to
from tests.cluster.world import World

_API = Service(service="prod/api")
_ABORT = Abort(service="prod/api")
_STEP = [{"op": "replace", "path": "/spec/replicas", "value": 4}]


def denies(world: World) -> bool:
    """Whether a change of the Deployment is denied by now; nothing is changed by asking."""
    try:
        world.admin.patch(
            world.ref(kinds.DEPLOYMENT, "api"), _STEP, how=PatchType.JSON, by="somebody", sub="scale", dry=True
        )
    except (Rejected, Conflict):
        return True
    return False


def restarted(world: World) -> Rejected:
    with pytest.raises(Rejected) as caught:
        world.run(restart, _API)
    return caught.value


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
def test_a_policy_that_denies_is_told_by_name_with_its_words_in_the_plan(world: World, reason: str) -> None:
    deployed(world)
    with policy(world, reason, "no changes on a Friday", meets=lambda: denies(world)) as name:
        said = refused(world, to(5))

    assert f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: no changes on a Friday." in said
    assert "changed during planning" not in said
    assert "Ask again" not in said
    assert replicas(world) == 3


@pytest.mark.parametrize("reason", ["Invalid", "Forbidden"])
def test_a_policy_that_denies_what_a_run_writes_has_not_moved_it(world: World, reason: str) -> None:
    deployed(world)
    with policy(world, reason, "no changes on a Friday", meets=lambda: denies(world)) as name:
        caught = restarted(world)

    assert f"ValidatingAdmissionPolicy '{name}'" in caught.message
    assert "denied request: no changes on a Friday. Nothing was done." in caught.message
    assert caught.code == "denied"


def test_a_webhook_that_is_down_is_told_by_name_and_nothing_was_done(world: World) -> None:
    deployed(world)
    before = world.get(kinds.DEPLOYMENT, "api")["spec"]
    with webhook(world, meets=lambda: denies(world)):
        planned, run = refused(world, to(5)), restarted(world)

    for said in (planned, run.message):
        assert f'failed calling webhook "{HOOK}": ' in said
        assert "The cluster accepts no such change until that webhook answers; ask again then." in said
    assert run.code == "unasked"
    assert world.get(kinds.DEPLOYMENT, "api")["spec"] == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (400, "BadRequest"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "Conflict"),
        (409, ""),
        (422, "Invalid"),
        (429, ""),
        (500, ""),
    ],
)
def test_a_webhook_denies_with_whatever_status_it_likes(world: World, code: int, reason: str) -> None:
    """Told as something that moved it would be asked for again for ever; as a broken server, without its reason."""
    deployed(world)
    said = "Operation cannot be fulfilled on Fridays: the object has been modified"
    world.fake.verdicts[HOOK] = {"code": code, "reason": reason, "message": said}
    before = world.get(kinds.DEPLOYMENT, "api")["spec"]
    with webhook(world, meets=lambda: denies(world)):
        planned, run = refused(world, to(5)), restarted(world)

    for told in (planned, run.message):
        assert f'answered {code}: admission webhook "{HOOK}" denied the request: {said}. Nothing was done.' in told
        assert "ask again" not in told.lower()
    assert (run.code, world.get(kinds.DEPLOYMENT, "api")["spec"]) == ("denied", before)


def test_what_a_webhook_says_is_shown_on_one_line_without_secrets_and_not_endlessly(world: World) -> None:
    deployed(world)
    said = "no\x1b[2J\nwith ?token=abcdefghijklmnop \u202eand " + "on " * 2000
    world.fake.verdicts[HOOK] = {"code": 403, "message": said}
    with webhook(world, meets=lambda: denies(world)):
        told = restarted(world).message

    assert "denied the request: no [2J with ?token=[redacted] and on on" in told
    assert told.isprintable()
    assert len(told) < 700


def test_somebody_who_was_faster_is_still_told_as_that_beside_a_webhook_that_says_yes(world: World) -> None:
    deployed(world)
    world.fake.verdicts[HOOK] = None
    with webhook(world, meets=lambda: True):
        plan = world.plan(restart, _API)
        world.run(restart, _API, plan, run="aa" * 16)
        with pytest.raises(Conflict):
            world.run(restart, _API, plan, run="bb" * 16)
        stale: Any = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}}
        with pytest.raises(Conflict, match="the object has been modified"):
            world.admin.patch(world.ref(kinds.DEPLOYMENT, "api"), stale, how=PatchType.MERGE, by="somebody")

    assert world.run(SCALE, to(4)).result is Result.DONE


@pytest.mark.parametrize("code", [404, 409, 422, 500])
def test_a_webhook_that_denies_a_rollouts_change_is_not_got_around_by_another_path(world: World, code: int) -> None:
    """Only of a cluster whose Rollouts have no status of their own does a 404 mean that the object is written to."""
    canary(world, weight(25), PAUSE)
    world.fake.verdicts[HOOK] = {"code": code, "message": "not today"}
    plan = world.plan(abort, _ABORT)
    with webhook(world, meets=lambda: True), pytest.raises(Rejected, match="denied the request: not today") as caught:
        world.run(abort, _ABORT, plan)

    writes = [call for call in world.fake.writes() if "/rollouts/api" in call.path and b"abort" in call.body]
    assert (caught.value.code, [call.path.rpartition("/")[2] for call in writes]) == ("denied", ["status"])
