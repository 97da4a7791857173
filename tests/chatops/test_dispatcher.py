"""An action is planned, shown, approved, intended, run and reported, in this order; each step is recorded."""

from __future__ import annotations

import threading

import pytest

from bot.core.audit import Code
from bot.core.errors import Conflict, OutcomeUnknown
from bot.core.plan import Risk
from bot.core.request import Principal, Reply
from tests.dials import lost
from tests.house import ANA, BO, CY, House, alert
from tests.runs import handle


def test_an_action_is_shown_before_it_is_done(house: House) -> None:
    reply = house.says("turn prod/api 6")

    assert reply.ok
    assert reply.text.splitlines()[:3] == [
        "Ana asks: turn prod/api 6",
        "prod/api goes from 3 to 6",
        "Undo: turn prod/api 3",
    ]
    assert reply.card is not None
    assert [words.split()[0] for words in reply.card.buttons.values()] == ["yes", "no"]
    assert house.dials.turned == []
    assert house.audited() == [Code.PLANNED]


def test_the_asker_confirms_what_can_be_undone_and_it_runs_once(house: House) -> None:
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)}")
    again = house.says(f"yes {handle(shown.text)}")

    assert reply.ok
    assert reply.text.startswith("prod/api is at 6. `undo ")
    assert (again.ok, again.text) == (False, "Already approved by you. The plan runs once.")
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 6)]
    assert house.audited() == [Code.PLANNED, Code.APPROVED, Code.INTENT, Code.DONE, Code.REJECTED]


def test_two_clicks_at_once_run_it_once(house: House) -> None:
    shown = house.says("turn prod/api 6")
    replies: list[bool] = []
    clicks = [
        threading.Thread(target=lambda: replies.append(house.says(f"yes {handle(shown.text)}").ok)) for _ in range(4)
    ]

    for click in clicks:
        click.start()
    for click in clicks:
        click.join()

    assert sorted(replies) == [False, False, False, True]
    assert len(house.dials.turned) == 1


def test_what_lasts_needs_another_person_and_the_asker_is_not_one_of_them(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    shown = house.says("turn prod/api 6")

    own = house.says(f"yes {handle(shown.text)}")
    from_telegram = house.says(f"yes {handle(shown.text)}", place="telegram")
    reply = house.says(f"yes {handle(shown.text)}", by=CY, place="telegram")

    assert own.text == "You asked for this; another person must approve. Can approve: Cy. Nothing was done."
    assert from_telegram.text == own.text
    assert reply.ok
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 6)]


def test_a_plan_may_ask_for_another_person_by_itself(house: House) -> None:
    house.dials.others = 1

    shown = house.says("turn prod/api 0")
    own = house.says(f"yes {handle(shown.text)}")
    theirs = house.says(f"yes {handle(shown.text)}", by=CY)

    assert "Needs 1 approval from somebody other than ana" in shown.text
    assert (own.ok, theirs.ok) == (False, True)
    assert theirs.text.endswith("Requested by ana, approved by cy.")
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 0)]


def test_row_60_what_is_grave_needs_a_second_person_who_names_its_target(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE, typed=True)
    shown = house.says("turn prod/api 0")
    assert shown.card is not None
    short = handle(shown.text).split()[0]

    clicked = house.says(f"yes {short}", by=CY)
    mistaken = house.says(f"yes {short} prod/web", by=CY)
    own = house.says(f"yes {short} prod/api")
    assert house.dials.turned == []
    reply = house.says(f"yes {short} prod/api", by=CY)

    assert list(shown.card.buttons) == ["Drop it"], "nothing to click it away with"
    assert shown.text.endswith(f"`yes {short} prod/api`")
    assert clicked.text == (
        f"Name the target to approve this plan: `yes {short} prod/api`. Plan {short} is unchanged. Nothing was done."
    )
    assert mistaken.text == clicked.text
    assert own.text == "You asked for this; another person must approve. Can approve: Cy. Nothing was done."
    assert reply.ok
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 0)]


def test_a_plan_that_asks_for_no_name_takes_none(house: House) -> None:
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)} prod/web")

    assert reply.text.startswith(f"This plan is approved without a name: `yes {handle(shown.text)}`.")
    assert house.dials.turned == []


def test_who_may_not_approve_is_told_why_and_nothing_runs(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)}", by=BO)

    assert not reply.ok
    assert reply.text.startswith("Denied: ")
    assert house.dials.turned == []
    assert house.audited()[-1] is Code.DENIED


def test_a_plan_expires_after_fifteen_minutes(house: House) -> None:
    shown = house.says("turn prod/api 6")
    house.clock.pass_by(minutes=27)

    reply = house.says(f"yes {handle(shown.text)}")

    assert reply.text == (
        f"Plan {handle(shown.text)} expired 12 min ago. Nothing was done. Send the command again for a new plan."
    )
    assert house.dials.turned == []


def test_when_the_world_has_moved_nothing_runs_and_the_new_plan_says_what_changed(house: House) -> None:
    shown = house.says("turn prod/api 6")
    house.dials.values["prod/api"] = 4

    reply = house.says(f"yes {handle(shown.text)}")
    second = house.says(f"yes {handle(reply.text)}")

    assert not reply.ok
    assert "value: 3 -> 4" in reply.text
    assert "Nothing was done. The new plan:" in reply.text
    assert second.ok
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 6)]
    assert house.audited() == [
        Code.PLANNED, Code.APPROVED, Code.MOVED, Code.PLANNED, Code.APPROVED, Code.INTENT, Code.DONE,
    ]  # fmt: skip


def test_a_right_that_ended_between_plan_and_yes_stops_it(house: House) -> None:
    house.action(risk=Risk.IRREVERSIBLE)
    shown = house.says("turn prod/api 6")
    house.takes_away("turner")

    reply = house.says(f"yes {handle(shown.text)}", by=CY)

    assert reply.text.startswith("ana may no longer do this: ")
    assert house.dials.turned == []
    assert house.audited() == [Code.PLANNED, Code.DENIED]


def test_a_dropped_plan_does_not_run(house: House) -> None:
    shown = house.says("turn prod/api 6")

    house.says(f"no {handle(shown.text)}")
    reply = house.says(f"yes {handle(shown.text)}")

    assert reply.text == f"Plan {handle(shown.text)} was dropped. Nothing was done."
    assert house.dials.turned == []


def test_one_target_has_one_run_at_a_time(house: House) -> None:
    first, second = house.says("turn prod/api 6"), house.says("turn prod/api 7")
    replies = []
    house.dials.before.append(lambda: replies.append(house.says(f"yes {handle(second.text)}")))

    house.says(f"yes {handle(first.text)}")

    assert not replies[0].ok
    assert "is held by run" in replies[0].text
    assert [turned[:2] for turned in house.dials.turned] == [("prod/api", 6)]


def test_a_lost_answer_is_looked_up_and_never_asked_for_again(house: House) -> None:
    house.dials.after.append(lost)
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)}")

    assert reply.ok
    assert len(house.dials.turned) == 1


def test_a_call_that_never_arrived_ends_as_failed(house: House) -> None:
    house.dials.before.append(lost)
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)}")

    told = "Failed: It was not turned. Nothing was changed. The call returned: the connection was cut."
    assert (reply.ok, reply.text) == (False, told)
    assert house.audited()[-1] is Code.FAILED


def test_an_end_that_nobody_can_see_becomes_unknown_and_goes_to_a_person(house: House) -> None:
    def cut() -> None:
        house.dials.silent = True
        lost()

    house.dials.after.append(cut)
    shown = house.says("turn prod/api 6")
    reply = house.says(f"yes {handle(shown.text)}")

    for _ in range(8):
        house.clock.pass_by(minutes=3)
        house.tends()

    assert not reply.ok
    assert house.audited()[-1] is Code.UNKNOWN
    assert len(house.dials.turned) == 1
    assert [one.title.partition(":")[0] for one in house.incidents()] == ["RunUnknown"]


def test_an_unknown_run_holds_its_target_until_a_person_has_settled_it(house: House) -> None:
    test_an_end_that_nobody_can_see_becomes_unknown_and_goes_to_a_person(house)
    house.dials.silent = False
    listed = house.says("runs").text.splitlines()
    run = listed[1].split()[0]
    assert listed[0] == "1 of the last 1 needs attention: 1 unknown."
    assert listed[1].startswith(f"{run} unknown: turn prod/api 6 (ana, 2026-11-23 12:00 UTC). It is not known whether")
    assert f"`settle {run} done because <text>`" in listed[1]

    held = house.says(f"yes {handle(house.says('turn prod/api 9').text)}")
    settled = house.says(f"settle {run} done because I looked", by=CY)
    free = house.says(f"yes {handle(house.says('turn prod/api 9').text)}")

    assert "is held by run" in held.text
    assert settled.ok
    assert free.ok


def test_when_the_audit_log_cannot_be_sealed_nothing_is_called(house: House) -> None:
    shown = house.says("turn prod/api 6")
    house.seals = "disk full"

    reply = house.says(f"yes {handle(shown.text)}")

    assert reply.text == "Refused: the audit log cannot be written (disk full). Nothing was changed."
    assert house.dials.turned == []


def test_a_run_is_undone_in_the_words_it_left(house: House) -> None:
    done = house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    run = done.text.partition("`undo ")[2].partition("`")[0]

    shown = house.says(f"undo {run}")
    reply = house.says(f"yes {handle(shown.text)}")

    assert shown.text.splitlines()[0] == "Ana asks: turn prod/api 3"
    assert reply.ok
    assert house.dials.values["prod/api"] == 3


def test_an_undo_over_somebody_elses_change_is_refused(house: House) -> None:
    done = house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    run = done.text.partition("`undo ")[2].partition("`")[0]
    house.dials.values["prod/api"] = 8

    reply = house.says(f"undo {run}")

    assert (
        reply.text
        == f"It was changed after run {run}: value: 6 -> 8. Nothing was done. Check its state, and use a new command."
    )


def test_a_timed_run_undoes_itself(house: House) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")

    house.clock.pass_by(minutes=29)
    house.tends()
    early = house.dials.values["prod/api"]
    house.clock.pass_by(minutes=2)
    house.tends()
    house.tends()

    assert (early, house.dials.values["prod/api"]) == (6, 3)
    assert len(house.dials.turned) == 2


def test_a_timed_run_that_is_kept_stays(house: House) -> None:
    done = house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    run = done.text.partition("`undo ")[2].partition("`")[0]

    kept = house.says(f"keep {run}")
    house.clock.pass_by(minutes=31)
    house.tends()

    assert kept.ok
    assert house.dials.values["prod/api"] == 6


def test_a_timed_run_that_is_kept_while_its_undo_is_looked_at_stays_though_its_check_is_due(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.action(check="up == 1")
    house.well = True
    done = house.says(f"yes {handle(house.says('turn prod/api 6 for 4m').text)}")
    run = done.text.partition("`undo ")[2].partition("`")[0]
    read = house.dials.read
    kept: list[Reply] = []

    def meanwhile(name: str) -> int:
        if not kept:
            kept.append(house.says(f"keep {run}"))
        return read(name)

    monkeypatch.setattr(house.dials, "read", meanwhile)
    house.clock.pass_by(minutes=4, seconds=1)
    house.tends()

    assert [one.ok for one in kept] == [True]
    assert house.dials.values["prod/api"] == 6
    assert house.incidents() == [], "what somebody keeps is no trouble"


def test_a_timed_run_is_not_undone_over_somebody_elses_change_and_a_person_is_told(house: House) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    house.dials.values["prod/api"] = 8

    house.clock.pass_by(minutes=31)
    house.tends()
    house.tends()

    assert house.dials.values["prod/api"] == 8
    assert [one.title.partition(":")[0] for one in house.incidents()] == ["RunNotUndone"]


@pytest.mark.parametrize(("well", "value"), [(True, 6), (None, 6), (False, 3)])
def test_what_makes_things_worse_is_undone(house: House, *, well: bool | None, value: int) -> None:
    house.action(check="up == 1")
    house.well = well
    house.says(f"yes {handle(house.says('turn prod/api 6').text)}")

    for _ in range(7):
        house.clock.pass_by(minutes=1)
        house.tends()

    assert house.dials.values["prod/api"] == value


def test_what_was_done_and_is_not_well_stands_and_is_told_with_its_reason(house: House) -> None:
    house.action(check="up == 1")
    house.dials.unwell = "Pod api-1: ImagePullBackOff."
    shown = house.says("turn prod/api 6")

    reply = house.says(f"yes {handle(shown.text)}")
    house.well = False
    house.tends()
    undone = house.says(f"undo {reply.text.partition('`undo ')[2].partition('`')[0]}")

    assert (reply.ok, undone.ok) == (False, True)
    assert reply.text.startswith("Done but not well: prod/api is at 6. NOT WELL: Pod api-1: ImagePullBackOff. `undo ")
    assert house.audited()[-2:] == [Code.UNWELL, Code.PLANNED]
    assert [turned[1] for turned in house.dials.turned] == [6], "it is for a person to go back"
    assert house.incidents() == []


def test_what_time_has_undone_and_is_not_well_goes_to_a_person(house: House) -> None:
    shown = house.says("turn prod/api 6 for 30m")
    house.says(f"yes {handle(shown.text)}")
    house.dials.unwell = "Pod api-1: ImagePullBackOff."
    house.clock.pass_by(minutes=31)

    house.tends()
    house.tends()

    (page,) = house.incidents()
    assert page.title.startswith("RunUnwell: turn prod/api 3: prod/api is at 3. NOT WELL: Pod api-1")
    assert [turned[1] for turned in house.dials.turned] == [6, 3]


def test_in_an_incidents_thread_every_chat_hears_of_the_plan_and_of_its_end(house: House) -> None:
    house.hears(alert())
    shown = house.says("turn prod/api 6", here=1)
    house.says(f"yes {handle(shown.text)}", here=1)
    house.drain()

    lines = [line for line in house.telegram.said() if line.startswith("line")]

    assert lines[0].startswith("line action.asked: Ana asks: turn prod/api 6. prod/api goes from 3 to 6.")
    assert lines[1] == "line action.done: ana: turn prod/api 6: done. prod/api is at 6."


def test_whoever_may_not_do_it_is_denied_and_the_attempt_is_on_record(house: House) -> None:
    reply = house.says("turn prod/api 6", by=BO)

    assert not reply.ok
    assert house.audited() == [Code.DENIED]
    assert house.dials.turned == []


def test_the_same_message_twice_shows_one_plan(house: House) -> None:
    first = house.says("turn prod/api 6", once="m1")
    second = house.says("turn prod/api 6", once="m1")

    assert (second.text, second.repeated) == (first.text, True)
    assert house.audited() == [Code.PLANNED, Code.REPLAYED]


def test_a_handle_that_is_no_plans_is_an_unknown_button(house: House) -> None:
    reply = house.says("yes 0123456789abcdef")

    assert not reply.ok
    assert "Nothing was done" in reply.text


def test_a_question_to_the_world_is_answered_at_once_and_is_no_run(house: House) -> None:
    house.action(risk=Risk.NONE, reads=True)

    reply = house.says("turn prod/api 6", by=Principal(id="dee", roles=frozenset({"turner"})))

    assert reply.card is None
    assert house.audited() == [Code.ANSWERED]
    assert house.says("runs").text == "Nothing has run yet."


def test_whoami_tells_what_follows_duty_and_when_it_ends(house: House) -> None:
    house.on_call = {"prod/api": ["ana"]}
    house.settle({("slack", "U1"): ANA})
    house.hears(alert(labels={"service": "prod/api"}))

    lines = house.says("whoami").text.splitlines()

    assert "On call for prod/api, according to the settings." in lines
    assert "An incident is open on prod/api: rights that depend on it end when it is resolved." in lines


@pytest.mark.parametrize("odd", [KeyError("spec"), OutcomeUnknown("no answer"), Conflict("it was made anew")])
def test_a_world_that_cannot_be_read_is_answered_in_words_and_on_record(house: House, odd: Exception) -> None:
    house.dials.odd = odd

    reply = house.says("turn prod/api 6")

    assert (reply.ok, house.dials.turned) == (False, [])
    assert "Nothing was done." in reply.text
    assert house.audited() == [Code.REJECTED]


def test_a_plan_that_is_approved_and_cannot_be_made_again_is_stopped(house: House) -> None:
    shown = house.says("turn prod/api 6")
    house.dials.odd = KeyError("spec")

    reply = house.says(f"yes {handle(shown.text)}")
    house.dials.odd = None
    again = house.says(f"yes {handle(shown.text)}")

    assert "Nothing was done." in reply.text
    assert "Plan" in again.text
    assert "stopped before its run" in again.text
    assert house.dials.turned == []
