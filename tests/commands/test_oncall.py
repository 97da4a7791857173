"""oncall: who is on call now or at a time, until when, who is next and why; and what follows from it at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.access.conditions import Conditions
from bot.access.policy import Role, Rule
from bot.alerts.classification import AlertRules
from bot.core.catalog import Catalog, Service
from bot.core.rota import Rota
from tests.house import ACCOUNTS, ANA, BO, ROLES, SEVERITIES, House, alert
from tests.oncall.written import all_day, away, layer, put, rota

_DUTY = Role(
    name="responder",
    allow=(*(Rule(do=one) for one in ("page", "home", "oncall")), Rule(do="note", when=Conditions(on_call=True))),
)


def named(name: str, made: Rota) -> Rota:
    return replace(made, name=name)


@pytest.fixture
def house(store_url: str) -> Iterator[House]:
    """It is Monday 23 November 2026, 12:00 UTC. Ana's week began at 09:00; Bo has the next one, then nobody."""
    rules = AlertRules(
        severities=SEVERITIES, catalog=Catalog(services=(Service(name="prod/api", match={"service": "api"}),))
    )
    made = House(store_url, rules=rules, roles=(*ROLES, _DUTY))
    made.environments = {"prod/api": "prod"}
    made.rotas = {
        "orders": named("orders", rota(layer("ana", "bo", ()), leave=(away("bo", "2026-12-02", "2026-12-03"),))),
        "backup": named("backup", rota(all_day("cy"))),
    }
    made.services = ("prod/api", "prod/db")
    made.on_call = {"prod/api": ["cy", "rota orders"], "prod/db": ["rota backup"]}
    made.settle(ACCOUNTS)
    yield made
    made.close()


def said(house: House, words: str) -> list[str]:
    reply = house.says(words)
    assert reply.ok, reply.text
    return reply.text.splitlines()


def test_who_is_next_is_followed_to_the_end_of_their_shift(house: House) -> None:
    house.rotas = {**house.rotas, "weekly": named("weekly", rota(layer("ana", "bo")))}
    house.settle(ACCOUNTS)

    lines = said(house, "oncall weekly at 2026-12-11 09:00")

    assert lines[2].startswith("Then Ana, by layer weekly, until 2026-12-21 09:00 UTC"), lines
    assert "for more than a year" not in " ".join(lines)


def test_a_rota_says_who_is_on_call_until_when_why_and_who_is_next(house: House) -> None:
    assert said(house, "oncall orders") == [
        "Rota orders at 2026-11-23 12:00 UTC (13:00 Europe/Berlin):",
        "Ana, by layer weekly, until 2026-11-30 09:00 UTC (10:00 Europe/Berlin).",
        "Then Bo, by layer weekly, until 2026-12-02 00:00 UTC (01:00 Europe/Berlin).",
        (
            "WARNING: Nobody is on call for rota orders from 2026-12-02 00:00 UTC (01:00 Europe/Berlin)"
            " to 2026-12-03 00:00 UTC (01:00 Europe/Berlin) (Bo on leave)."
        ),
        (
            "WARNING: Nobody is on call for rota orders from 2026-12-07 09:00 UTC (10:00 Europe/Berlin)"
            " to 2026-12-14 09:00 UTC (10:00 Europe/Berlin) (turn of layer weekly is vacant)."
        ),
    ]


def test_a_service_says_who_is_always_on_call_and_what_its_rotas_say(house: House) -> None:
    lines = said(house, "oncall prod/api")

    assert lines[:3] == [
        "On call for prod/api at 2026-11-23 12:00 UTC:",
        "Cy, always, by the settings.",
        "Rota orders at 2026-11-23 12:00 UTC (13:00 Europe/Berlin):",
    ]
    assert said(house, "oncall db") == [
        "On call for prod/db at 2026-11-23 12:00 UTC:",
        "Rota backup at 2026-11-23 12:00 UTC (13:00 Europe/Berlin):",
        "Cy, by layer always, for more than a year.",
        "No gap within 30 days.",
    ]


def test_without_a_name_all_are_told_and_every_coming_gap(house: House) -> None:
    lines = said(house, "oncall")

    assert lines[:5] == [
        "On call at 2026-11-23 12:00 UTC:",
        "prod/api: Cy, rota orders",
        "prod/db: rota backup",
        "Rota backup: Cy.",
        "Rota orders: Ana until 2026-11-30 09:00 UTC (10:00 Europe/Berlin); then Bo.",
    ]
    assert [line.partition(" from ")[0] for line in lines[5:]] == ["WARNING: Nobody is on call for rota orders"] * 2


@pytest.mark.parametrize(
    ("time", "who"),
    [
        ("2026-12-01 12:00", "Bo, by layer weekly"),
        ("2026-11-16 09:59", "Bo, by layer weekly"),
        ("2026-11-16 10:00", "Nobody is on call until 2026-11-23"),
        ("2026-11-09 10:00", "Bo, by layer weekly"),
        ("2026-11-02", "Nobody is on call until 2026-11-02 09:00"),
        ("2026-12-07T10:00+02:00", "Bo, by layer weekly"),
        ("2026-12-07T11:00+02:00", "Nobody is on call until 2026-12-14"),
        ("2026-12-07 08:59 UTC", "Bo, by layer weekly"),
        ("now", "Ana, by layer weekly"),
        ("09:59", "Ana, by layer weekly"),
    ],
)
def test_a_time_is_local_to_the_rota_unless_it_says_otherwise(house: House, time: str, who: str) -> None:
    """Ten in Berlin is 09:00 UTC; of 16 November the turn is nobody's."""
    assert any(line.startswith(who) for line in said(house, f"oncall orders at {time}")), said(
        house, f"oncall orders at {time}"
    )


def test_the_time_of_a_day_is_the_next_such_time(house: House) -> None:
    assert said(house, "oncall orders at 09:59")[0].startswith("Rota orders at 2026-11-24 08:59 UTC")
    assert said(house, "oncall at 12:30 Asia/Kolkata")[0] == "On call at 2026-11-24 07:00 UTC:"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("oncall order", "'order' is not a known service or rota. Did you mean `orders`?"),
        ("oncall orders at noon", "'noon' is not a time. Type `at 2026-12-24 18:00`"),
        ("oncall orders at 2027-03-28 02:30", "2027-03-28 02:30 does not exist in Europe/Berlin"),
        ("oncall orders at 18:00 Europe/Berln", "'Europe/Berln' names no time zone"),
        ("oncall orders at 25:00", "'25:00' is not a time"),
        ("oncall orders at 2027-10-31 02:30", "write 2027-10-31T02:30+02:00 or 2027-10-31T02:30+01:00"),
    ],
)
def test_what_cannot_be_looked_up_is_refused_with_what_to_do(house: House, words: str, told: str) -> None:
    reply = house.says(words)

    assert (reply.ok, told in reply.text) == (False, True), reply.text


def test_a_service_that_names_nobody_is_told_so(house: House) -> None:
    house.on_call = {"prod/api": ["cy"]}
    house.settle(ACCOUNTS)

    reply = house.says("oncall prod/db")

    assert not reply.ok
    assert reply.text.startswith("Nobody is on call for prod/db: no service of that name says who is")


def test_an_override_says_in_whose_place_somebody_is(house: House) -> None:
    instead = put("2026-11-23 10:00", "2026-11-23 18:00", "cy", person="ana")
    house.rotas["orders"] = replace(house.rotas["orders"], replace=(instead,))
    house.settle(ACCOUNTS)

    assert said(house, "oncall orders")[1:3] == [
        "Cy, in the place of Ana, by `replace` of the settings, until 2026-11-23 18:00 UTC (19:00 Europe/Berlin).",
        "Then Ana, by layer weekly, until 2026-11-30 09:00 UTC (10:00 Europe/Berlin).",
    ]


def test_rights_that_follow_duty_pass_on_at_the_handoff_without_a_restart(house: House) -> None:
    house.hears(alert("Down", labels={"service": "api"}))

    def noted() -> list[bool]:
        return [house.says("note 1 it is the cache", by=who).ok for who in (ANA, BO)]

    assert noted() == [True, False]
    house.clock.pass_by(days=6, hours=21)
    assert noted() == [False, True]
    house.clock.pass_by(days=-1)
    assert noted() == [True, False]


def test_home_and_page_ask_who_is_on_call_now(house: House) -> None:
    house.on_call = {"prod/api": ["rota orders"]}
    house.settle(ACCOUNTS)

    assert "prod/api: Ana" in said(house, "home")
    house.clock.pass_by(days=7)
    assert "prod/api: Bo" in said(house, "home")
    assert "On call for prod/api, by the settings: Bo." in "\n".join(said(house, "page prod/api it hangs"))
    house.clock.pass_by(days=7)
    assert "prod/api: nobody now; `oncall` says until when" in said(house, "home")
