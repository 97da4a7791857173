"""override and remove-override: who is on call is changed in a chat, over whatever the settings say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.access.policy import Role, Rule
from bot.app.kept_overrides import KeptOverrides
from bot.core.request import Reply
from tests.house import ACCOUNTS, BO, ROLES, House
from tests.oncall.written import all_day, layer, rota

_RESPONDER = Role(
    name="responder", allow=tuple(Rule(do=one) for one in ("page", "oncall", "override", "remove-override"))
)


@pytest.fixture
def house(store_url: str) -> Iterator[House]:
    """It is Monday 23 November 2026, 12:00 UTC. Ana has this week, Bo the next one."""
    made = House(store_url, roles=(*ROLES, _RESPONDER))
    made.rotas = {
        "orders": replace(rota(layer("ana", "bo", ())), name="orders"),
        "backup": replace(rota(all_day("cy")), name="backup"),
    }
    made.services, made.on_call = ("prod/api",), {"prod/api": ["rota orders"]}
    made.settle(ACCOUNTS)
    yield made
    made.close()


def says(house: House, words: str) -> Reply:
    reply = house.says(words)
    house.overrides.refresh()
    return reply


def on_call(house: House) -> str:
    return house.says("oncall orders").text.splitlines()[1].partition(",")[0]


def notices(house: House) -> dict[str, str]:
    with house.store.begin() as tx:
        return {account: text for _, account, text in tx.sql.rows("SELECT place, account, said FROM notice")}


def number(reply: Reply) -> str:
    return reply.text.partition("`remove-override ")[2][:8]


def test_somebody_is_put_on_call_at_once_and_those_whom_it_concerns_are_told(house: House) -> None:
    reply = says(house, "override orders @cy 8h")

    assert reply.text == (
        "Cy is on call for rota orders from 2026-11-23 12:00 UTC (13:00 Europe/Berlin) to 2026-11-23 20:00 UTC"
        f" (21:00 Europe/Berlin) (8 h), in the place of Ana. `remove-override {number(reply)}` ends it."
    )
    assert on_call(house) == "Cy"
    told = notices(house)
    assert list(told) == ["U3", "1003"], "Cy, in each chat; Ana has asked, and has the answer"
    assert told["U3"].startswith("Ana has put Cy on call for rota orders from 2026-11-23 12:00 UTC")
    house.clock.pass_by(hours=8)
    assert on_call(house) == "Ana"


def test_it_counts_where_no_tick_has_read_it_yet(house: House) -> None:
    house.says("override orders @cy 8h")
    unread = KeptOverrides(house.store)

    assert [one.people for one in unread()["orders"]] == [("cy",)]


def test_it_counts_over_the_settings_after_a_restart_and_a_change_of_them_too(house: House) -> None:
    says(house, "override orders @cy 8h")
    house.rotas = {**house.rotas, "orders": replace(rota(layer("bo", "ana", ())), name="orders")}
    house.settle(ACCOUNTS)

    assert on_call(house) == "Cy"


def test_it_begins_at_a_local_time_and_may_be_for_one_person_alone(house: House) -> None:
    house.rotas = {"orders": replace(rota(layer(("ana", "bo"))), name="orders")}
    house.settle(ACCOUNTS)
    reply = says(house, "override orders @cy 2h instead @bo from 2026-11-24 10:00")

    assert "from 2026-11-24 09:00 UTC (10:00 Europe/Berlin)" in reply.text
    assert reply.text.count("in the place of Bo") == 1
    assert on_call(house) == "Ana and Bo"
    house.clock.pass_by(hours=21)
    assert "Cy" in house.says("oncall orders").text
    assert "Ana" in house.says("oncall orders").text


def test_it_is_listed_and_ended_and_what_was_before_stays(house: House) -> None:
    first = number(says(house, "override orders @cy 8h"))
    house.clock.pass_by(hours=2)
    listed = house.says("oncall orders").text
    ended = says(house, f"remove-override {first[:4]}")

    assert f"Override {first} of Ana: Cy for everybody from 2026-11-23 12:00 UTC" in listed
    assert ended.text == f"Cy is not on call for rota orders by override {first} any more."
    assert on_call(house) == "Ana"
    assert house.says("oncall orders at 2026-11-23 14:00").text.splitlines()[1].startswith("Cy,"), "13:00 UTC"
    again = says(house, f"remove-override {first}")
    assert (again.ok, again.text) == (False, f"Override {first} is over. Nothing was done.")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("override orders @ana 8h", "Ana is on call for rota orders then already."),
        ("override orders @cy 8h instead @bo", "Bo is not on call for rota orders in that time. On call then: Ana."),
        (
            "override orders @cy 8h from 2026-11-01 10:00",
            "who was on call then is not changed afterwards.",
        ),
        ("override orders @cy 8h from 2026-10-25 02:30", "comes twice in Europe/Berlin"),
        ("override nothing @cy 8h", "'nothing' is not a known rota."),
        ("override orders @cy 8 hours", "'8' is not a duration such as 90s, 30m, 2h or 1d12h."),
        ("remove-override ffff", "There is no override that begins with 'ffff'."),
    ],
)
def test_what_would_change_nothing_or_the_past_is_refused(house: House, words: str, why: str) -> None:
    reply = says(house, words)

    assert not reply.ok
    assert why in reply.text
    assert "Nothing was done." in reply.text
    assert on_call(house) == "Ana"
    assert notices(house) == {}


def test_who_may_not_is_refused_and_nobody_is_told(house: House) -> None:
    house.people["bo"] = replace(BO, roles=frozenset({"viewer"}))
    house.settle({("slack", "U2"): house.people["bo"], **{k: v for k, v in ACCOUNTS.items() if k != ("slack", "U2")}})
    reply = house.says("override orders @cy 8h", by=house.people["bo"])

    assert not reply.ok
    assert notices(house) == {}
