"""A slow run goes on in a worker, reports its progress, and has its result posted where it was requested."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from bot.actions import progress as reports
from bot.actions import runner
from bot.actions.workers import MAX_RUNNING
from bot.core.audit import Code
from bot.core.errors import Rejected, Undelivered
from bot.core.request import Reply
from bot.store import runs as ran
from tests.house import CY, House, alert
from tests.running import until
from tests.runs import SPOT, handle, wait_until_ended, wait_until_told

pytestmark = pytest.mark.waits


class Steps:
    """The steps that slow calls wait for, and report."""

    def __init__(self, house: House, *said: str) -> None:
        self.reached = [threading.Event() for _ in said]
        self._may = [threading.Event() for _ in said]
        house.dials.steps = [partial(self._step, at, one) for at, one in enumerate(said)]

    def go_on(self) -> None:
        """One step further."""
        next(one for one in self._may if not one.is_set()).set()

    def finish(self) -> None:
        for may in self._may:
            may.set()

    def _step(self, at: int, said: str) -> str:
        self.reached[at].set()
        assert self._may[at].wait(60)
        return said


@pytest.fixture
def slow(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(reports, "EVERY_S", 0.0)
    house.action(slow=True)
    yield house
    house.runs.stop(timedelta(seconds=10))


def approved(house: House, words: str = "turn prod/api 6", *, here: int | None = None, spot: str = SPOT) -> Reply:
    shown = house.says(words, spot=spot, here=here)
    return house.says(f"yes {handle(shown.text)}", spot=spot, here=here)


def refused() -> None:
    """By the world, when the call arrives."""
    raise Rejected("The dial is locked. Nothing was changed.")


def test_who_asks_is_answered_at_once_and_the_end_is_told_where_it_was_asked(slow: House) -> None:
    steps = Steps(slow, "1 of 2 is done", "2 of 2 are done")

    reply = approved(slow)
    going_on = slow.audited()
    steps.finish()
    wait_until_ended(slow)
    slow.tends()
    slow.tends()

    assert (reply.ok, reply.shared) == (True, True)
    assert reply.text.startswith("Running: turn prod/api 6. `runs` shows how run ")
    assert going_on[-1] is Code.INTENT
    assert slow.audited()[-1] is Code.DONE
    (progress, end) = slow.chat.said
    assert progress == (SPOT, "turn prod/api 6: 2 of 2 are done")
    assert end[0] == SPOT
    assert end[1].startswith("prod/api is at 6. `undo ")


def test_the_end_says_who_asked_who_approved_and_how_long_it_took(slow: House) -> None:
    slow.dials.others = 1
    steps = Steps(slow, "1 of 1 is done")
    shown = slow.says("turn prod/api 6", spot=SPOT)

    begun = slow.says(f"yes {handle(shown.text)}", by=CY, spot=SPOT)
    assert steps.reached[0].wait(60)
    slow.clock.pass_by(minutes=3)
    steps.finish()
    wait_until_told(slow)

    assert begun.text.startswith("Running: turn prod/api 6, approved by cy. `runs` shows how run ")
    assert slow.chat.said[-1][1].endswith("undoes it. Requested by ana, approved by cy, took 3 min.")


def test_a_chat_that_breaks_over_how_it_goes_does_not_end_what_goes_on(slow: House) -> None:
    steps = Steps(slow, "1 of 2 is done", "2 of 2 are done")
    slow.chat.troubles = [RuntimeError("a bug in the channel")]

    approved(slow)
    steps.finish()
    wait_until_ended(slow)

    assert slow.audited()[-1] is Code.DONE
    assert slow.dials.last_run["prod/api"]
    assert slow.chat.said == [(SPOT, "turn prod/api 6: 2 of 2 are done")]


def test_how_it_goes_is_one_message_and_the_answer_of_runs(slow: House) -> None:
    steps = Steps(slow, "1 of 2 is done", "2 of 2 are done")
    approved(slow)
    steps.go_on()
    assert steps.reached[1].wait(60)

    said = slow.says("runs").text

    assert "running: turn prod/api 6 (ana, 2026-11-23 12:00 UTC). 1 of 2 is done" in said
    assert slow.chat.said == [(SPOT, "turn prod/api 6: 1 of 2 is done")]
    steps.finish()


def test_of_two_that_would_touch_one_target_the_second_is_refused_while_the_first_goes_on(slow: House) -> None:
    steps = Steps(slow, "half")
    approved(slow)

    second = approved(slow, "turn prod/api 7")

    assert not second.ok
    assert "prod/api is held by run " in second.text
    steps.finish()


def test_the_end_of_a_run_on_an_incident_is_told_in_its_story_alone(slow: House) -> None:
    slow.hears(alert("HighLatency"))

    approved(slow, here=1)
    wait_until_ended(slow)
    slow.tends()

    assert slow.chat.said == []
    assert slow.story(1)[-1].text.endswith("turn prod/api 6: done. prod/api is at 6.")


def test_an_end_that_the_chat_did_not_take_is_told_later(slow: House) -> None:
    slow.chat.troubles = [Undelivered("Slack is down.")]
    approved(slow)
    wait_until_ended(slow)

    slow.tends()
    slow.tends()
    before = list(slow.chat.said)
    slow.clock.pass_by(seconds=31)
    slow.tends()

    assert before == []
    assert [where for where, _ in slow.chat.said] == [SPOT]


def test_an_end_that_the_chat_will_never_take_is_let_go(slow: House) -> None:
    slow.chat.troubles = [Undelivered("No such channel.", permanent=True)]
    approved(slow)
    wait_until_ended(slow)

    slow.tends()
    slow.clock.pass_by(minutes=5)
    slow.tends()

    assert (slow.chat.said, slow.chat.troubles) == ([], [])


def test_a_run_that_goes_on_is_not_looked_at_by_others_as_if_it_had_died(
    slow: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.actions.runner._RENEW_S", 0.0)
    steps = Steps(slow, "half")
    approved(slow)

    for _ in range(4):
        slow.clock.pass_by(seconds=100)
        slow.tends()
    judged = Code.FAILED in slow.audited()
    steps.finish()
    wait_until_ended(slow)

    assert not judged
    assert slow.audited()[-1] is Code.DONE


def test_a_run_whose_lease_could_not_be_renewed_is_not_looked_at_by_the_process_in_which_it_goes_on(
    slow: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after minutes in which the database did not answer."""
    monkeypatch.setattr("bot.actions.runner._RENEW_S", 3600.0)
    steps = Steps(slow, "half")
    approved(slow)

    slow.clock.pass_by(minutes=3)
    looked_at = slow.runs.recover()
    steps.finish()
    wait_until_ended(slow)

    assert (looked_at, slow.audited()[-1]) == (0, Code.DONE)
    assert len(slow.dials.turned) == 1


def test_more_than_a_few_at_a_time_are_refused_before_anything_is_written(slow: House) -> None:
    slow.dials.values |= {f"prod/s{number}": 1 for number in range(MAX_RUNNING)}
    steps = Steps(slow, "half")
    going_on = [approved(slow, f"turn prod/s{number} 2").ok for number in range(MAX_RUNNING)]

    one_more = approved(slow)

    assert all(going_on)
    assert one_more.text.startswith(f"{MAX_RUNNING} runs are going on, the limit. Nothing was done.")
    steps.finish()


def test_one_that_ends_by_itself_is_undone_apart_as_well_and_once(slow: House) -> None:
    approved(slow, "turn prod/api 6 for 30m")
    wait_until_ended(slow)
    slow.clock.pass_by(minutes=31)

    slow.tends()
    until(lambda: slow.dials.values["prod/api"] == 3, "it is undone")
    wait_until_ended(slow)
    slow.tends()
    slow.tends()

    assert [turned[:2] for turned in slow.dials.turned] == [("prod/api", 6), ("prod/api", 3)]


def test_an_undo_that_fails_again_and_again_goes_to_a_person(slow: House) -> None:
    approved(slow, "turn prod/api 6 for 30m")
    wait_until_ended(slow)
    slow.clock.pass_by(minutes=31)

    for _ in range(4):
        slow.dials.before = [refused]
        slow.tends()
        wait_until_ended(slow)

    assert [one.title.partition(":")[0] for one in slow.incidents()] == ["RunNotUndone"]
    assert slow.dials.values["prod/api"] == 6


def test_the_end_is_told_below_the_plan_when_the_yes_was_said_elsewhere(slow: House) -> None:
    shown = slow.says("turn prod/api 6", spot=SPOT)

    slow.says(f"yes {handle(shown.text)}", place="telegram")
    wait_until_ended(slow)
    slow.tends()

    assert [where for where, _ in slow.chat.said] == [SPOT]


def test_a_run_that_is_waited_for_keeps_its_lease_while_it_says_nothing(
    slow: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_RENEW_S", 0.01)
    slow.runs._parts = replace(slow.runs._parts, wait_for_result=True)
    looked_at: list[int] = []

    def silent() -> None:
        slow.clock.pass_by(minutes=3)
        until(lambda: lease(slow) > slow.clock(), "its lease is renewed")
        looked_at.append(slow.runs.recover())

    slow.dials.before = [silent]
    reply = approved(slow)

    assert (reply.ok, looked_at) == (True, [0])
    assert slow.audited()[-1] is Code.DONE


def lease(house: House) -> datetime:
    with house.store.read() as seen:
        return ran.runs(seen.sql, 1)[0].lease_until
