"""The states of runs, through the whole bot: undone, degraded, degraded later; in every place that shows them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from bot.core.audit import Code
from bot.core.incident import EventType
from bot.core.message import MessageKind
from bot.core.plan import Plan, plan_bytes
from bot.core.run_state import State
from bot.store import migrating, run_states, runs
from bot.store.engine import Store
from tests.actions.test_slow_runs import refused
from tests.dials import Turn
from tests.house import BO, CY, House, alert
from tests.runs import handle


def done(house: House, words: str = "turn prod/api 6", *, here: int | None = None) -> str:
    """Requested and confirmed; returns the run's handle."""
    house.says(f"yes {handle(house.says(words, here=here).text)}", here=here)
    with house.store.read() as seen:
        return run_states.last(seen.sql, 1)[0].short_id


def stands(house: House, run: str) -> State:
    with house.store.read() as seen:
        return next(one.state for one in run_states.last(seen.sql, 20) if one.short_id == run)


def listed(house: House, run: str) -> str:
    """Its line in `runs`."""
    return next(line for line in house.says("runs").text.splitlines() if line.startswith(run))


def undone(house: House, run: str) -> str:
    """By Ana, a second later; returns the run that did it."""
    house.clock.pass_by(seconds=1)
    house.says(f"yes {handle(house.says(f'undo {run}').text)}")
    with house.store.read() as seen:
        return run_states.last(seen.sql, 1)[0].short_id


def test_a_run_that_was_undone_reads_undone_by_whom_and_when(house: House) -> None:
    run = done(house)
    house.clock.pass_by(minutes=5)

    undo = undone(house, run)

    assert stands(house, run) is State.UNDONE
    assert listed(house, run).endswith(f"Undone by ana at 2026-11-23 12:05 UTC, run {undo}.")
    assert listed(house, undo).startswith(f"{undo} done: turn prod/api 3 (ana, 2026-11-23 12:05 UTC, undoes {run}).")


def test_what_was_undone_is_not_undone_again(house: House) -> None:
    run = done(house)
    undo = undone(house, run)

    again = house.says(f"undo {run}")

    assert not again.ok
    assert again.text == f"Run {run} cannot be undone: it is undone by ana, run {undo}. Nothing was done."


def test_what_was_undone_cannot_be_kept(house: House) -> None:
    run = done(house, "turn prod/api 6 for 30m")
    undone(house, run)

    kept = house.says(f"keep {run}")

    assert not kept.ok
    assert "cannot be kept: it is undone by ana" in kept.text
    assert "Undone automatically" not in listed(house, run)


def test_an_undo_that_is_undone_itself_gives_the_first_run_its_word_back(house: House) -> None:
    run = done(house)
    undo = undone(house, run)

    undone(house, undo)

    assert (stands(house, run), stands(house, undo)) == (State.DONE, State.UNDONE)
    assert house.dials.values["prod/api"] == 6


def test_an_undo_that_failed_after_one_that_was_done_changes_nothing_of_the_word(house: House) -> None:
    run = done(house)
    undone(house, run)
    house.clock.pass_by(minutes=1)
    house.dials.values["prod/api"] = 6
    house.dials.before.append(refused)
    with house.store.begin() as tx:
        (first,) = runs.find_runs(tx.sql, run)
        tx.sql.run("UPDATE run SET revert_at = 0 WHERE id = ?", first.id)  # as another replica still sees it

    second = house.dispatcher.undo_automatically(first, "somebody asked twice")

    assert "The dial is locked" in second.text
    assert stands(house, run) is State.UNDONE


def test_what_is_undone_by_its_time_says_that_the_watch_did_it(house: House) -> None:
    run = done(house, "turn prod/api 6 for 30m")
    house.clock.pass_by(minutes=31)

    house.tends()

    assert stands(house, run) is State.UNDONE
    assert "Undone by the scheduler at 2026-11-23 12:31 UTC" in listed(house, run)


def test_what_is_not_well_says_so_with_its_reason_in_the_list_and_at_home(house: House) -> None:
    house.dials.unwell = "Pod api-1: ImagePullBackOff."

    run = done(house)

    first, *lines = house.says("runs").text.splitlines()
    assert first == "1 of the last 1 needs attention: 1 done but not well."
    (line,) = lines
    assert line == (
        f"{run} done but not well: turn prod/api 6 (ana, 2026-11-23 12:00 UTC). Pod api-1: ImagePullBackOff."
        f" Repair prod/api, or undo the run: `undo {run}`."
    )
    home = house.says("home").text.splitlines()
    assert "Your runs that are in progress or need attention: 1" in home
    assert line in home
    assert line not in house.says("home", by=BO).text


def test_what_failed_says_why_in_the_list(house: House) -> None:
    house.dials.before.append(refused)

    run = done(house)

    assert listed(house, run) == (
        f"{run} failed: turn prod/api 6 (ana, 2026-11-23 12:00 UTC). The dial is locked. Nothing was changed."
    )


def test_a_run_whose_check_could_not_be_asked_is_not_called_done(house: House) -> None:
    house.action(check="up == 1")
    house.well = None
    run = done(house)
    assert "Its check runs until 12:05 UTC: up == 1." in listed(house, run)

    house.clock.pass_by(minutes=6)
    house.tends()
    house.tends()

    assert stands(house, run) is State.DEGRADED
    assert "Its check (up == 1) could not be evaluated." in listed(house, run)
    assert house.audited().count(Code.UNWELL) == 1


def test_nobody_is_paged_that_what_was_undone_could_not_be_asked(house: House) -> None:
    house.action(check="up == 1")
    house.well = None
    run = done(house)
    undone(house, run)

    house.clock.pass_by(minutes=6)
    house.tends()
    house.tends()

    assert stands(house, run) is State.UNDONE
    assert house.audited().count(Code.UNWELL) == 1, "the undo has a check of its own"
    assert [one.title for one in house.incidents() if run in one.title] == []


def test_a_run_that_was_to_be_undone_and_could_not_be_is_not_called_done(house: House) -> None:
    house.hears(alert())
    run = done(house, "turn prod/api 6 for 30m", here=1)
    house.dials.values["prod/api"] = 8
    house.clock.pass_by(minutes=31)

    house.tends()
    house.tends()

    assert stands(house, run) is State.DEGRADED
    assert "It was changed after run" in listed(house, run)
    assert house.audited().count(Code.UNWELL) == 1
    assert house.story(1)[-1].type is EventType.ACTION_DEGRADED


def test_a_check_that_does_not_hold_leaves_the_run_undone(house: House) -> None:
    house.action(check="up == 1")
    run = done(house)
    house.well = False

    house.tends()

    assert (stands(house, run), house.dials.values["prod/api"]) == (State.UNDONE, 3)


@pytest.mark.parametrize("unwell", ["", "It crashes."])
def test_the_story_has_the_word_and_an_event_of_its_own(house: House, unwell: str) -> None:
    house.hears(alert())
    house.dials.unwell = unwell

    done(house, here=1)

    last = house.story(1)[-1]
    assert last.type is (EventType.ACTION_DEGRADED if unwell else EventType.ACTION_DONE)
    assert last.text.startswith(f"ana: turn prod/api 6: {'done but not well' if unwell else 'done'}. prod/api is at 6.")


def test_the_story_says_of_an_undo_which_run_it_undoes(house: House) -> None:
    house.hears(alert())
    run = done(house, here=1)

    house.says(f"yes {handle(house.says(f'undo {run}', here=1).text)}", here=1)

    assert house.story(1)[-1].text == f"ana: turn prod/api 3, which undoes run {run}: done. prod/api is at 3."


def test_who_is_refused_a_target_hears_how_the_run_stands_that_holds_it(house: House) -> None:
    def cut() -> None:
        house.dials.silent = True
        raise RuntimeError

    house.dials.after.append(cut)
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    house.dials.silent = False

    held = house.says(f"yes {handle(house.says('turn prod/api 9').text)}")

    assert re.search(r"is held by run [0-9a-f]{8} of ana, running\.", held.text)


def test_what_a_person_settled_reads_as_they_said(house: House) -> None:
    def cut() -> None:
        house.dials.silent = True
        raise RuntimeError

    house.dials.after.append(cut)
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    for _ in range(8):
        house.clock.pass_by(minutes=3)
        house.tends()
    with house.store.read() as seen:
        run = run_states.last(seen.sql, 1)[0].short_id
    unknown = stands(house, run)
    house.dials.silent = False
    held = house.says(f"yes {handle(house.says('turn prod/api 9').text)}")

    house.says(f"settle {run} failed because it is at 3", by=CY)
    again = house.says(f"settle {run} done because really", by=CY)

    assert (unknown, stands(house, run)) == (State.UNKNOWN, State.FAILED)
    assert held.text.endswith("Ask again when its result is known; `runs` shows what to do.")
    assert listed(house, run).endswith("Cy: it is at 3")
    assert again.text == f"Run {run} is failed, not unknown. Nothing was done."


def test_the_card_of_the_incident_says_what_is_not_well_until_it_is_undone(house: House) -> None:
    house.hears(alert())
    house.dials.unwell = "It crashes."
    run = done(house, here=1)
    house.drain()
    unwell = cards(house)[-1]
    house.dials.unwell = ""

    undone(house, run)
    house.drain()

    assert unwell[-1] == "Runs: 1 done but not well. Details: `runs`"
    assert not [one for one in cards(house)[-1] if one.startswith("Runs:")]


def test_what_was_settled_is_told_on_the_incident_and_leaves_its_card(house: House) -> None:
    def cut() -> None:
        house.dials.silent = True
        raise RuntimeError

    house.hears(alert())
    house.dials.after.append(cut)
    house.says(f"yes {handle(house.says('turn prod/api 6', here=1).text)}", here=1)
    for _ in range(8):
        house.clock.pass_by(minutes=3)
        house.tends()
    house.drain()
    unknown = cards(house)[-1]
    with house.store.read() as seen:
        run = run_states.last(seen.sql, 1)[0].short_id

    house.says(f"settle {run} done because I looked", by=CY)
    house.drain()

    assert "Runs: 1 unknown. Details: `runs`" in unknown
    assert house.story(1)[-1].text == "Cy: turn prod/api 6: done. I looked"
    assert not [one for one in cards(house)[-1] if one.startswith("Runs:")]


def cards(house: House) -> list[tuple[str, ...]]:
    """The lines of each card of the first incident in Slack, in order."""
    return [one.card.lines for one in house.slack.given if one.kind is MessageKind.CARD and one.incident.id == 1]


def test_runs_of_days_ago_are_not_at_home(house: House) -> None:
    house.dials.unwell = "It crashes."
    run = done(house)
    house.clock.pass_by(days=2)

    assert run not in house.says("home").text


def test_an_undo_whose_world_moved_is_the_undo_of_the_same_run_still(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = done(house)
    first = handle(house.says(f"undo {run}").text)
    monkeypatch.setattr(Turn, "plan", _telling_more(Turn.plan))
    moved = house.says(f"yes {first}")
    assert "is out of date. Nothing was done." in moved.text

    house.clock.pass_by(seconds=1)
    assert house.says(f"yes {handle(moved.text)}").ok

    assert house.dials.values["prod/api"] == 3
    assert stands(house, run) is State.UNDONE


def test_an_undo_is_not_planned_anew_over_what_somebody_changed_before_the_yes(house: House) -> None:
    run = done(house)
    first = handle(house.says(f"undo {run}").text)
    house.dials.values["prod/api"] = 8

    moved = house.says(f"yes {first}")

    assert moved.text == (
        f"It was changed after run {run}: value: 6 -> 8. Nothing was done. Check its state, and use a new command."
    )
    assert house.says(f"yes {first}").ok is False
    assert house.dials.values["prod/api"] == 8


def _telling_more(plan: Any) -> Any:
    return lambda *args: replace(plan(*args), effect=("It is another morning.",))


def test_an_undo_that_is_asked_elsewhere_is_told_on_the_incident_of_what_it_undoes(house: House) -> None:
    house.hears(alert())
    run = done(house, here=1)

    undone(house, run)

    assert house.story(1)[-1].text == f"ana: turn prod/api 3, which undoes run {run}: done. prod/api is at 3."


def test_a_database_of_before_says_of_its_runs_what_can_be_told_of_them(store_url: str) -> None:
    """That a run was degraded was in the text of its outcome alone."""
    store = Store(store_url)
    with store.connected() as connection:
        made = migrating.config()
        made.attributes["connection"] = connection
        command.downgrade(made, "0011")
        for run, said in (("aa", "prod/api is at 6. NOT WELL: It crashes."), ("bb", "prod/api is at 6.")):
            connection.execute(
                text(
                    'INSERT INTO plan (handle, verb, words, "by", place, at, needs, state, body, digest, undoes, spot)'
                    " VALUES (:run, 'turn', 'turn prod/api 6', 'ana', 'slack', 0, 0, 'begun', :body, '', '', '')"
                ),
                {"run": run, "body": plan_bytes("turn", "", Plan(target="prod/api", effect=(), blast_radius=""))},
            )
            connection.execute(
                text(
                    'INSERT INTO run (id, handle, "by", target, state, token, lease_until, began_at, said, undo,'
                    ' "left", rule)'
                    " VALUES (:run, :run, 'ana', 'prod/api', 'done', 1, 0, 0, :said, '', '{}', '')"
                ),
                {"run": run, "said": said},
            )
    migrating.migrate(store)

    with store.read() as seen:
        found = {one.run: (one.state, one.reason) for one in run_states.last(seen.sql, 10)}
    differ = migrating.differences(store)
    store.close()

    assert found == {"aa": (State.DEGRADED, "It crashes."), "bb": (State.DONE, "prod/api is at 6.")}
    assert differ == []
