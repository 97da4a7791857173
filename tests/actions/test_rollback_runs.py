"""rollback through the whole bot: requested, shown, approved, run in a worker, reported, undone; and interruptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.access.policy import Role, Rule
from bot.core.audit import Code
from bot.core.errors import OutcomeUnknown
from bot.workloads.objects import kinds
from tests.cluster.revising import deploy, deployed, image_of, settled
from tests.cluster.wedges import Died, Wedged
from tests.cluster.world import World, fake_world
from tests.house import ANA, BO, CY, House
from tests.running import until
from tests.runs import done, handle, run_of, wait_until_told

_MAY = Role(name="turner", allow=tuple(Rule(do=do) for do in ("rollback *", "restart *", "undo", "runs")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fake_world(tmp_path) as made:
        deployed(made, "shop/api:1", "shop/api:2")
        yield made


@pytest.fixture
def on_call(house: House, world: World) -> Iterator[House]:
    """The whole bot, in which Ana may roll back what runs in that cluster. Waits there end by a clock of their own."""
    house.tools = replace(
        house.tools, targets=world, now=world.clock, elapsed=world.tools.elapsed, poll_interval=timedelta(0)
    )
    house.runs._parts = replace(house.runs._parts, tools=house.tools)
    house.roles = (_MAY, *(one for one in house.roles if one.name != _MAY.name))
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): BO, ("slack", "U3"): CY})
    yield house
    house.runs.stop(timedelta(seconds=10))


def image(world: World) -> str:
    return image_of(world.get(kinds.DEPLOYMENT, "api"))


def test_it_is_shown_agreed_to_run_and_undone_to_where_it_was(on_call: House, world: World) -> None:
    shown = on_call.says("rollback prod/api")
    first = run_of(done(on_call, "rollback prod/api"))
    back = image(world)
    undo = on_call.says(f"undo {first}")
    on_call.says(f"yes {handle(undo.text)}")
    wait_until_told(on_call)

    assert shown.card is not None
    assert "Container api: shop/api:2 -> shop/api:1." in shown.card.lines
    assert "Container api: shop/api:1 -> shop/api:2." in undo.text
    assert (back, image(world), on_call.audited()[-1]) == ("shop/api:1", "shop/api:2", Code.DONE)


def test_an_undo_over_somebody_else_s_later_deploy_is_refused(on_call: House, world: World) -> None:
    run = run_of(done(on_call, "rollback prod/api"))
    deploy(world, "shop/api:3")
    settled(world)

    refused = on_call.says(f"undo {run}")

    assert not refused.ok
    assert f"It was changed after run {run}: template: " in refused.text
    assert image(world) == "shop/api:3"


def test_a_plan_over_which_somebody_deployed_is_shown_anew(on_call: House, world: World) -> None:
    shown = on_call.says("rollback prod/api")
    deploy(world, "shop/api:3")
    settled(world)

    reply = on_call.says(f"yes {handle(shown.text)}")

    assert not reply.ok
    assert "is out of date. Nothing was done." in reply.text
    assert "Container api: shop/api:3 -> shop/api:2." in reply.text
    assert image(world) == "shop/api:3"


def test_of_two_asks_at_once_one_rolls_back_and_the_other_is_not_taken_for_the_way_forth(
    on_call: House, world: World
) -> None:
    other = replace(BO, roles=ANA.roles)
    on_call.settle({("slack", "U1"): ANA, ("slack", "U2"): other})
    first, second = on_call.says("rollback prod/api"), on_call.says("rollback prod/api", by=other)
    on_call.says(f"yes {handle(first.text)}")
    wait_until_told(on_call)

    late = on_call.says(f"yes {handle(second.text)}", by=other)

    assert not late.ok
    assert "is out of date. Nothing was done." in late.text
    assert "That revision is newer than the present one: somebody has rolled it back before." in late.text
    assert image(world) == "shop/api:1"


def test_a_write_whose_answer_is_lost_is_found_in_the_world_and_not_repeated(on_call: House, world: World) -> None:
    cluster = Wedged(world, after=OutcomeUnknown("the connection was cut"))
    world.place(cluster=cluster)

    done(on_call, "rollback prod/api")

    assert (cluster.patched, image(world), on_call.audited()[-1]) == (1, "shop/api:1", Code.DONE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_that_dies_between_the_write_and_its_record_has_written_once(on_call: House, world: World) -> None:
    cluster = Wedged(world, after=Died())
    world.place(cluster=cluster)
    shown = on_call.says("rollback prod/api")
    run = run_of(on_call.says(f"yes {handle(shown.text)}"))
    until(lambda: not on_call.runs._workers.running(), "its process is dead")

    on_call.clock.pass_by(minutes=3)
    on_call.tends()
    wait_until_told(on_call)

    assert (cluster.patched, image(world), on_call.audited()[-1]) == (1, "shop/api:1", Code.DONE)
    assert on_call.says(f"undo {run}").ok


def test_what_does_not_hold_is_told_with_its_reason(on_call: House, world: World) -> None:
    world.fake.broken_images.add("shop/api:1")

    done(on_call, "rollback prod/api")

    assert on_call.audited()[-1] is Code.UNWELL
    assert "ImagePull" in on_call.chat.said[-1][1]


def test_a_restart_says_that_it_cannot_be_undone_and_offers_no_undo(on_call: House, world: World) -> None:
    shown = on_call.says("restart prod/api")
    run = run_of(done(on_call, "restart prod/api"))

    refused = on_call.says(f"undo {run}")

    assert "There is no undo: data in the memory of the pods is lost." in shown.text
    assert on_call.audited()[-2] is Code.DONE
    assert not refused.ok
