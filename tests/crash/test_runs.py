"""Each step from an ask to the outcome of its run, at which the process dies, breaks or is frozen: one call at most.

The failpoints are read from the source, so a new one is tested without a list to edit.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.lib import failpoints
from bot.lib.failpoints import FailpointError
from tests.crash.doing import OTHER_WISH, WISH, Doing, World, say
from tests.crash.test_failpoints import FAILPOINTS
from tests.running import until

pytestmark = pytest.mark.crash

STEPS = [name for name in FAILPOINTS if name.partition(".")[0] in ("desk", "gate", "run")]
#: From here on the silence stands.
_DONE = {"run.called", "run.ending", "run.ended"}


@pytest.fixture
def doing(tmp_path: Path, store_url: str) -> Iterator[Doing]:
    with World(store_url) as world:
        yield Doing(tmp_path, store_url, world)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    failpoints.arm("none=raise")


def test_there_are_failpoints_on_both_sides_of_each_step() -> None:
    assert {"gate.showing", "run.intending", "run.intended", "run.sealed", "run.calling", *_DONE} <= set(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_it_is_done_once_at_most_when_the_process_is_killed_at(name: str, doing: Doing) -> None:
    handle = doing.planned()

    doing.dies(OTHER_WISH if name == "gate.showing" else f"yes {handle}", name)

    assert len(doing.world.called) == (name in _DONE)
    _looked_at_and_said_again(doing, handle)


@pytest.mark.parametrize("name", STEPS)
def test_it_is_done_once_at_most_when_an_unexpected_error_is_raised_at(
    name: str, doing: Doing, broken: pytest.MonkeyPatch
) -> None:
    handle = doing.planned()
    broken.setenv("VAKHTA_FAILPOINT", f"{name}=raise")

    with pytest.raises(FailpointError):
        doing.says(OTHER_WISH if name == "gate.showing" else f"yes {handle}")

    assert len(doing.world.called) == (name in _DONE)
    _looked_at_and_said_again(doing, handle)


@pytest.mark.parametrize("name", ["desk.committed", "run.intending"])
def test_a_plan_whose_process_died_before_the_intent_is_told_and_stays_undone(name: str, doing: Doing) -> None:
    handle = doing.planned()
    doing.dies(f"yes {handle}", name)

    with doing.later() as house:
        house.upkeep.tick()
        house.upkeep.tick()
        again = say(house, f"yes {handle}")

    assert (doing.world.called, doing.rows.runs()) == ([], {})
    assert [title.partition(":")[0] for title in doing.rows.titles()] == ["PlanNotRun"]
    assert again.text == (
        f"Plan {handle} was stopped before its run. Nothing was done. Send the command again for a new plan."
    )
    doing.check()


@pytest.mark.parametrize("name", ["run.intended", "run.sealed"])
def test_a_process_that_was_frozen_before_its_call_makes_it_no_more_once_its_run_was_judged(
    name: str, doing: Doing
) -> None:
    handle = doing.planned()

    with doing.asked(f"yes {handle}", f"{name}=stall") as frozen:
        until(lambda: "failpoint reached" in frozen.said(), f"{name} is reached")
        frozen.signal(signal.SIGSTOP)
        with doing.later() as house:
            house.upkeep.tick()
        frozen.signal(signal.SIGCONT)
        until(lambda: not frozen.alive(), "the frozen one has ended")

    assert "was held up so long that it was given up. Nothing was changed." in frozen.said()
    assert doing.world.called == []
    doing.check()


def test_a_call_that_was_frozen_and_arrives_after_its_run_was_judged_failed_goes_to_a_person(doing: Doing) -> None:
    handle = doing.planned()

    with doing.asked(f"yes {handle}", "run.calling=stall") as frozen:
        until(lambda: "failpoint reached" in frozen.said(), "it is about to call")
        frozen.signal(signal.SIGSTOP)
        with doing.later() as house:
            house.upkeep.tick()
        judged = list(doing.rows.runs().values())
        frozen.signal(signal.SIGCONT)
        until(lambda: not frozen.alive(), "the frozen one has ended")

    ((run, sealed),) = doing.world.called
    assert (judged, sealed) == (["failed"], True)
    assert doing.rows.runs() == {run: "unknown"}
    assert doing.rows.outcomes(run) == ["VK122E", "VK123E"]
    assert doing.rows.held() == [run]
    assert [title.partition(":")[0] for title in doing.rows.titles()] == ["RunUnknown"]
    assert doing.says(f"settle {run} done because I looked").ok
    assert doing.rows.held() == []


def test_the_late_outcome_of_a_process_that_was_frozen_after_its_call_is_not_written_twice(doing: Doing) -> None:
    handle = doing.planned()

    with doing.asked(f"yes {handle}", "run.called=stall") as frozen:
        until(lambda: "failpoint reached" in frozen.said(), "it has called")
        frozen.signal(signal.SIGSTOP)
        with doing.later() as house:
            house.upkeep.tick()
        frozen.signal(signal.SIGCONT)
        until(lambda: not frozen.alive(), "the frozen one has ended")

    assert len(doing.world.called) == 1
    doing.check()


def test_a_run_that_died_and_cannot_be_looked_at_is_unknown_and_pages(doing: Doing) -> None:
    handle = doing.planned()
    doing.dies(f"yes {handle}", "run.called")
    doing.world.answer_next(reset=True, path="/silences", times=5)

    for minutes in (3, 6, 9, 12, 15):
        with doing.later(minutes) as house:
            house.upkeep.tick()

    (run,) = doing.rows.runs()
    assert doing.rows.runs() == {run: "unknown"}
    assert doing.rows.outcomes(run) == ["VK123E"]
    assert doing.rows.held() == [run]
    assert [title.partition(":")[0] for title in doing.rows.titles()] == ["RunUnknown"]
    assert len(doing.world.called) == 1


def _looked_at_and_said_again(doing: Doing, handle: str) -> None:
    """Somebody looks, somebody says yes again, and the target is as free as before."""
    with doing.later() as house:
        house.upkeep.tick()
        say(house, f"yes {handle}")
        assert len(doing.world.called) <= 1
        shown = say(house, WISH)
        more = say(house, f"yes {re.findall(r'`yes ([0-9a-f]+)`', shown.text)[-1]}")
        assert more.ok, more.text
    doing.check()
