"""The same request again: one plan waits, and whoever asks again is shown that one."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from bot.access.policy import Role, Rule
from bot.core.audit import Code
from bot.core.request import Reply
from bot.store import plans
from tests.house import ACCOUNTS, CY, House, alert
from tests.runs import handle


def waiting(house: House) -> list[str]:
    with house.store.read() as seen:
        return [one.short_handle for one in plans.waiting_plans(seen.sql, house.clock(), 20)]


def test_the_same_request_again_is_answered_with_the_plan_that_waits(house: House) -> None:
    first = house.says("turn prod/api 6")
    house.clock.pass_by(minutes=4)

    second = house.says("turn prod/api 6", place="telegram")

    short = handle(first.text)
    assert second.ok
    assert second.card is not None
    assert second.card.lines[0] == (
        f"Asked for already, at 12:00 UTC in slack: plan {short} waits, and no second one was made. To drop it:"
        f" `no {short}`"
    )
    assert second.card.lines[-1] == f"ana confirms it, until 12:15 UTC: `yes {short}`"
    assert second.card.buttons == (first.card and first.card.buttons)
    assert waiting(house) == [short]
    assert house.audited() == [Code.PLANNED, Code.REPLAYED]
    assert house.says(f"yes {handle(second.text)}").ok
    assert len(house.dials.turned) == 1


def test_the_same_request_twice_at_once_makes_one_plan(house: House) -> None:
    both = threading.Barrier(2, timeout=60)
    read, answers = house.dials.read, list[Reply]()

    def together(name: str) -> int:
        both.wait()
        return read(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.dials, "read", together)
        asking = [threading.Thread(target=lambda: answers.append(house.says("turn prod/api 6"))) for _ in range(2)]
        for one in asking:
            one.start()
        for one in asking:
            one.join()

    assert len({handle(one.text) for one in answers}) == 1
    assert len(waiting(house)) == 1


def test_a_plan_of_another_world_replaces_nothing_and_tells_of_the_older_one(house: House) -> None:
    first = house.says("turn prod/api 6")
    house.dials.values["prod/api"] = 4

    second = house.says("turn prod/api 6")
    third = house.says("turn prod/api 6")

    old, new = handle(first.text), handle(second.text)
    too = f"An older plan of the same request waits too, until 12:15 UTC: {old}. It is not this plan, and stays."
    assert second.card is not None
    assert second.card.lines[0] == f"{too} To drop it: `no {old}`"
    assert third.card is not None
    assert f"plan {new} waits, and no second one was made" in third.card.lines[0]
    assert third.card.lines[1] == second.card.lines[0]
    assert sorted(waiting(house)) == sorted([old, new])


def test_a_plan_that_is_out_of_date_leads_to_the_newer_one_that_waits(house: House) -> None:
    first = house.says("turn prod/api 6")
    house.dials.values["prod/api"] = 4
    second = house.says("turn prod/api 6")

    moved = house.says(f"yes {handle(first.text)}")

    assert moved.text.startswith(f"Plan {handle(first.text)} is out of date. Nothing was done. The new plan:")
    assert "Changed: value: 3 -> 4" in moved.text
    assert waiting(house) == [handle(second.text)] == [handle(moved.text)]


@pytest.mark.parametrize("over", ["dropped", "expired", "run"])
def test_a_plan_that_is_over_answers_nobody(house: House, over: str) -> None:
    first = handle(house.says("turn prod/api 6").text)
    if over == "dropped":
        house.says(f"no {first}")
    elif over == "expired":
        house.clock.pass_by(minutes=15)
    else:
        house.says(f"yes {first}")
        house.dials.values["prod/api"] = 3

    again = house.says("turn prod/api 6")

    assert waiting(house) == [handle(again.text)] != [first]
    assert "waits" not in again.text


def test_what_another_person_asks_for_is_a_plan_of_their_own(house: House) -> None:
    house.settle(ACCOUNTS | {("slack", "U3"): replace(CY, roles=CY.roles | {"turner"})})
    first = house.says("turn prod/api 6")

    theirs = house.says("turn prod/api 6", by=CY)

    assert handle(theirs.text) != handle(first.text)
    assert "waits" not in theirs.text


def test_a_plan_of_another_thread_is_another_one_for_its_incident_decides_the_rights(house: House) -> None:
    house.hears(alert())
    first = house.says("turn prod/api 6")

    in_thread = house.says("turn prod/api 6", here=1)

    assert handle(in_thread.text) != handle(first.text)
    assert f"waits too, until 12:15 UTC: {handle(first.text)}." in in_thread.text


def test_a_plan_that_needed_an_approval_does_not_answer_a_request_that_needs_none(store_url: str) -> None:
    turner = Role(name="turner", allow=(Rule(do="turn *", approvals=1),))
    house = House(store_url, roles=(turner,))
    first = house.says("turn prod/api 6")
    house.roles = (Role(name="turner", allow=(Rule(do="turn *"),)),)
    house.settle(ACCOUNTS)

    second = house.says("turn prod/api 6")

    assert "Needs 1 approval" in first.text
    assert "ana confirms it" in second.text
    assert house.says(f"yes {handle(second.text)}").ok
    house.close()


def test_a_plan_whose_requester_lost_the_account_it_came_from_answers_nobody(house: House) -> None:
    first = house.says("turn prod/api 6")
    house.settle({account: who for account, who in ACCOUNTS.items() if account != ("slack", "U1")})

    second = house.says("turn prod/api 6", place="telegram")

    assert handle(second.text) != handle(first.text)
    assert house.says(f"yes {handle(second.text)}", place="telegram").ok


def test_approvals_that_were_given_count_in_what_is_shown_again(house: House) -> None:
    house.dials.others = 2
    first = house.says("turn prod/api 6")
    house.says(f"yes {handle(first.text)}", by=CY)

    again = house.says("turn prod/api 6")

    assert "Needs 2 approvals" in first.text
    assert "Needs 1 approval from somebody other than ana" in again.text
    assert "NOBODY ELSE can approve this." in again.text, "cy has approved, and no other person may"
