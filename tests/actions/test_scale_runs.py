"""scale through the whole bot: requested, shown, approved, run in a worker, reported, undone; read from the cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.access.policy import Role, Rule
from bot.core.audit import Code
from bot.core.errors import OutcomeUnknown
from bot.core.site import ReplicaLimits
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.scale_world import Meddled, deployed, replicas
from tests.cluster.world import World, fake_world
from tests.house import ANA, BO, CY, House
from tests.running import until
from tests.runs import SPOT, done, handle, run_of, wait_until_told

_MAY = Role(name="turner", allow=tuple(Rule(do=do) for do in ("scale *", "undo", "keep", "runs")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        deployed(made)
        yield made


@pytest.fixture
def on_call(house: House, world: World) -> Iterator[House]:
    """The whole bot, in which Ana may scale what runs in that cluster. Waits there end by a clock of their own."""
    house.tools = replace(
        house.tools, targets=world, now=world.clock, elapsed=world.tools.elapsed, poll_interval=timedelta(0)
    )
    house.runs._parts = replace(house.runs._parts, tools=house.tools)
    house.roles = (_MAY, *(one for one in house.roles if one.name != _MAY.name))
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): BO, ("slack", "U3"): CY})
    yield house
    house.runs.stop(timedelta(seconds=10))


def holders(world: World) -> tuple[str, ...]:
    """The field managers that own the replica count."""
    return run_markers.holders_of(world.get(kinds.DEPLOYMENT, "api"), "spec", "replicas")


def test_it_is_planned_agreed_to_run_apart_and_its_end_is_told(on_call: House, world: World) -> None:
    shown = on_call.says("scale prod/api 5", spot=SPOT)
    reply = on_call.says(f"yes {handle(shown.text)}", spot=SPOT)
    wait_until_told(on_call)

    assert shown.card is not None
    assert shown.card.title == "Ana asks: scale prod/api 5"
    assert shown.card.lines[0] == f"Deployment {world.namespace}/api goes from 3 to 5 replicas."
    assert "Seen: replicas 3" in shown.card.lines
    assert "Undo: scale prod/api 3" in shown.card.lines
    assert reply.text.startswith("Running: scale prod/api 5.")
    assert (on_call.audited()[-1], replicas(world)) == (Code.DONE, 5)
    where, said = on_call.chat.said[-1]
    assert where == SPOT
    assert said.startswith("prod/api is scaled to 5. `undo ")


def test_the_undo_brings_it_back(on_call: House, world: World) -> None:
    run = run_of(done(on_call, "scale prod/api 5"))

    shown = on_call.says(f"undo {run}")
    on_call.says(f"yes {handle(shown.text)}")
    wait_until_told(on_call)

    assert "goes from 5 to 3 replicas." in shown.text
    assert "Then the bot gives up its ownership of the field" in shown.text
    assert (replicas(world), holders(world)) == (3, ())


def test_an_undo_over_somebody_else_s_later_change_is_refused(on_call: House, world: World) -> None:
    run = run_of(done(on_call, "scale prod/api 5"))
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 4}}, by="kubectl")

    refused = on_call.says(f"undo {run}")

    assert not refused.ok
    assert f"It was changed after run {run}: replicas: 5 -> 4. Nothing was done." in refused.text
    assert replicas(world) == 4


def test_none_at_all_in_production_takes_another_person(on_call: House, world: World) -> None:
    world.place(replicas=ReplicaLimits(minimum=0, maximum=9))
    shown = on_call.says("scale prod/api 0", spot=SPOT)

    own = on_call.says(f"yes {handle(shown.text)}", spot=SPOT)
    before = replicas(world)
    other = on_call.says(f"yes {handle(shown.text)}", by=CY, spot=SPOT)
    wait_until_told(on_call)

    assert "Needs 1 approval from somebody other than ana" in shown.text
    assert "another person must approve. " in own.text
    assert (before, other.ok, replicas(world)) == (3, True, 0)


def test_for_a_while_is_undone_by_itself(on_call: House, world: World) -> None:
    done(on_call, "scale prod/api 5 for 30m")
    there = replicas(world)

    on_call.clock.pass_by(minutes=31)
    on_call.tends()
    wait_until_told(on_call)

    assert (there, replicas(world), holders(world)) == (5, 3, ())


def test_a_plan_that_the_world_has_left_behind_is_shown_anew(on_call: House, world: World) -> None:
    shown = on_call.says("scale prod/api 5")
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": 4}}, by="kubectl")

    reply = on_call.says(f"yes {handle(shown.text)}")

    assert not reply.ok
    assert "replicas: 3 -> 4" in reply.text
    assert "goes from 4 to 5 replicas." in reply.text
    assert replicas(world) == 4


def test_of_two_people_at_once_one_is_done_and_the_other_sees_a_new_plan(on_call: House, world: World) -> None:
    first, second = on_call.says("scale prod/api 5"), on_call.says("scale prod/api 6")
    on_call.says(f"yes {handle(first.text)}")
    wait_until_told(on_call)

    late = on_call.says(f"yes {handle(second.text)}")

    assert "is out of date. Nothing was done." in late.text
    assert replicas(world) == 5


def test_what_an_autoscaler_takes_back_is_told_as_not_well(on_call: House, world: World) -> None:
    made = manifests.hpa(least=2, most=4)
    world.place(cluster=Meddled(world, after=lambda: world.create(kinds.HPA, "api", **made)))

    done(on_call, "scale prod/api 5")

    assert on_call.audited()[-1] is Code.UNWELL
    assert "It was set back to 4 by the HorizontalPodAutoscaler." in on_call.chat.said[-1][1]


def test_a_write_whose_answer_is_lost_is_found_in_the_world_and_not_repeated(on_call: House, world: World) -> None:
    def lost() -> None:
        raise OutcomeUnknown("the connection was cut")

    world.place(cluster=Meddled(world, after=lost))
    done(on_call, "scale prod/api 5")

    writes = [call for call in world.fake.writes() if call.path.endswith("/deployments/api/scale")]
    assert (len(writes), replicas(world), on_call.audited()[-1]) == (1, 5, Code.DONE)


def test_a_cluster_that_broke_off_is_looked_at_and_its_words_reach_the_person(on_call: House, world: World) -> None:
    said = {"kind": "Status", "reason": "InternalError", "message": "etcdserver: request timed out"}
    body = json.dumps(said).encode()
    broken = Meddled(world, before=lambda: world.fake.answer_next(status=500, path="/scale", body=body))
    world.place(cluster=broken)

    done(on_call, "scale prod/api 5")

    told = on_call.chat.said[-1][1]
    assert "prod/api is as it was: never changed, or set back." in told
    assert "The call returned: Cluster main answered 500: etcdserver: request timed out." in told
    assert (replicas(world), on_call.audited()[-1]) == (3, Code.FAILED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("when", "code", "count"), [("before", Code.FAILED, 3), ("after", Code.DONE, 5)])
def test_a_process_that_dies_at_its_write_is_judged_by_the_world(
    on_call: House, world: World, when: str, *, code: Code, count: int
) -> None:
    """The run's thread ends there as if it had been killed: it writes nothing down and renews nothing."""
    died = threading.Event()

    def die() -> None:
        died.set()
        raise SystemExit

    world.place(cluster=Meddled(world, **{when: die}))
    shown = on_call.says("scale prod/api 5", spot=SPOT)
    on_call.says(f"yes {handle(shown.text)}", spot=SPOT)
    assert died.wait(60)
    until(lambda: not on_call.runs._workers.running(), "its thread is gone")
    before = on_call.audited()[-1]

    on_call.clock.pass_by(minutes=3)
    on_call.tends()
    wait_until_told(on_call)

    writes = [call for call in world.fake.writes() if call.path.endswith("/deployments/api/scale")]
    assert (before, on_call.audited()[-1]) == (Code.INTENT, code)
    assert (len(writes), replicas(world)) == (int(when == "after"), count)
