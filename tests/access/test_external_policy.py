"""A policy outside may deny what the rights allow: asked before a plan is made and at the click, and on record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from bot.access.authorizer import Authorizer
from bot.access.conditions import Conditions, Impact
from bot.access.policy import Policy, Role, Rule
from bot.core.access import Permission
from bot.core.audit import Code
from bot.core.request import Request
from bot.integrations.opa.client import OpaClient
from bot.integrations.opa.settings import OpaSettings
from bot.store import audit_log
from tests.fakes.opa import FakeOpa
from tests.house import ANA, BO, House, alert
from tests.runs import handle


@pytest.fixture
def opa() -> Iterator[FakeOpa]:
    with FakeOpa() as made:
        yield made


@pytest.fixture
def house(store_url: str, opa: FakeOpa) -> Iterator[House]:
    made = House(store_url, opinion=OpaClient(OpaSettings(url=opa.url)))
    yield made
    made.close()


def closed(_: Mapping[str, Any]) -> object:
    return {"allow": False, "reasons": ["prod is closed"]}


def last_entry(house: House) -> Mapping[str, Any]:
    with house.store.read() as reading:
        entry: dict[str, Any] = json.loads(list(audit_log.entries(reading.sql, audit_log.EntryFilter()))[-1].body)
    return entry


def test_what_the_policy_denies_is_denied_on_record_and_nothing_is_planned(house: House, opa: FakeOpa) -> None:
    opa.policy = closed

    reply = house.says("turn prod/api 6")

    assert not reply.ok
    assert reply.text.startswith("Denied: Open Policy Agent denies it: prod is closed.")
    assert reply.text.endswith(" Nothing was done.")
    assert reply.card is None
    assert house.audited() == [Code.DENIED]
    entry = last_entry(house)
    assert (entry["by"], entry["verb"], entry["target"]) == ("ana", "turn", "prod/api")
    assert "prod is closed" in entry["said"]


def test_what_it_has_nothing_against_goes_on_and_it_is_asked_again_at_the_click(house: House, opa: FakeOpa) -> None:
    shown = house.says("turn prod/api 6")
    reply = house.says(f"yes {handle(shown.text)}")

    assert reply.ok
    assert [(one["person"]["id"], one["verb"], one["target"]) for one in opa.asked] == [
        ("ana", "turn", "prod/api"),
        ("ana", "turn", "prod/api"),
    ]
    assert len(house.dials.turned) == 1


def test_what_it_denies_at_the_click_does_not_run_and_names_the_plan_on_record(house: House, opa: FakeOpa) -> None:
    shown = house.says("turn prod/api 6")
    opa.policy = closed

    reply = house.says(f"yes {handle(shown.text)}")

    assert not reply.ok
    assert "prod is closed" in reply.text
    assert house.dials.turned == []
    assert house.audited() == [Code.PLANNED, Code.APPROVED, Code.DENIED]
    entry = last_entry(house)
    assert (entry["verb"], entry["target"]) == ("turn", "prod/api")
    assert entry["run"].startswith(handle(shown.text))


def test_while_it_does_not_answer_no_action_is_taken_and_incidents_are_worked_on(house: House, opa: FakeOpa) -> None:
    house.hears(alert())
    opa.answer_next(reset=True, times=10)

    action, ack, question = house.says("turn prod/api 6"), house.says("ack 1"), house.says("incidents")

    assert not action.ok
    assert "gave no answer" in action.text
    assert action.text.count("Nothing was done") == 1
    assert (ack.ok, question.ok) == (True, True)
    assert len(opa.received) == 1


def test_it_is_not_asked_about_what_the_rights_deny(house: House, opa: FakeOpa) -> None:
    reply = house.says("turn prod/api 6", by=BO)

    assert not reply.ok
    assert opa.received == []


def test_what_was_approved_is_undone_at_its_time_whatever_it_says(house: House, opa: FakeOpa) -> None:
    house.says(f"yes {handle(house.says('turn prod/api 6 for 30m').text)}")
    opa.policy = closed

    house.clock.pass_by(minutes=31)
    house.tends()

    assert house.dials.values["prod/api"] == 3
    assert len(opa.asked) == 2


def test_an_undo_that_somebody_asks_for_is_an_action_like_any_other(house: House, opa: FakeOpa) -> None:
    done = house.says(f"yes {handle(house.says('turn prod/api 6').text)}")
    opa.policy = closed

    reply = house.says(f"undo {done.text.partition('`undo ')[2].partition('`')[0]}")

    assert "prod is closed" in reply.text
    assert house.dials.values["prod/api"] == 6
    assert house.audited()[-1] is Code.DENIED


def test_the_service_of_a_thread_stands_for_nothing_that_was_named(house: House, opa: FakeOpa) -> None:
    house.hears(alert(labels={"service": "api"}))
    ask = Request(by=ANA, text="turn * 6", channel="slack", incident_id=1)
    when = Conditions(environment=("staging",))
    role = Role(name="turner", allow=(Rule(do="turn", when=when),))
    book = Policy([role], people=[ANA])
    rights = Authorizer(policy=book, linking=house.linking, environments={"staging/api": "staging"})

    with house.store.begin() as tx:
        incident = tx.incident(1)
        assert incident is not None
        here = replace(incident, service="staging/api")
        part = rights.decide(tx, ask, Permission(verb="turn", target="staging/api"), here, Impact.ACTION)
        everything = rights.decide(tx, ask, Permission(verb="turn", target="*"), here, Impact.ACTION)
        unknown = rights.decide(tx, ask, Permission(verb="turn", target="prod/api"), here, Impact.ACTION)
        itself = rights.decide(tx, ask, Permission(verb="turn", target="incident/1"), here, Impact.ACTION)

    assert (part.allowed, everything.allowed, unknown.allowed, itself.allowed) == (True, False, False, True)
