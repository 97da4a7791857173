"""Rotas in the API: who is on call now, and a rota as a calendar that another program reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties
from tests.oncall.calendars import read
from tests.oncall.written import all_day, layer, rota
from tests.web.web_house import TOKEN, WebHouse

WEEKLY = replace(rota(layer("ana", "bo", (), anchor=date(2020, 1, 6))), name="shop/weekly")
ALWAYS = replace(rota(all_day("cy")), name="always")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    duties = Duties({}, {one.name: one for one in (WEEKLY, ALWAYS)}, lambda: datetime.now(UTC))
    cards = CardSettings(names={"ana": "Ana; Lima", "bo": "Bo"})
    with WebHouse(tmp_path_factory.mktemp("rotas"), duties=duties, cards=cards, api_token=TOKEN) as house:
        house.http.headers["authorization"] = f"Bearer {TOKEN}"
        yield house


def test_each_rota_says_who_is_on_call_and_until_when(house: WebHouse) -> None:
    always, weekly = house.http.get("/api/rotas").json()["rotas"]

    assert (always["name"], [one["people"] for one in always["on_call"]]) == ("always", [["cy"]])
    assert (always["until"], always["coming"], always["gaps"]) == (None, [], [])
    assert (weekly["name"], weekly["zone"]) == ("shop/weekly", "Europe/Berlin")
    assert weekly["until"] is not None
    assert weekly["gaps"][0]["text"].startswith("Nobody is on call for rota shop/weekly from ")


def test_a_calendar_has_every_shift_of_a_year_and_every_gap(house: WebHouse) -> None:
    answer = house.http.get("/api/rotas/shop/weekly.ics")

    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    events = read(answer.text)
    assert {one.summary for one in events} == {
        "Ana; Lima: shop/weekly",
        "Bo: shop/weekly",
        "NOBODY on call: shop/weekly",
    }
    covered = [one for one in events if "NOBODY" not in one.summary]
    assert covered[-1].end - covered[0].start > timedelta(days=370)


def test_a_calendar_of_no_rota_is_not_found_and_without_the_token_there_is_none(house: WebHouse) -> None:
    missing = house.http.get("/api/rotas/none.ics")
    refused = house.http.get("/api/rotas/always.ics", headers={"authorization": "Bearer wrong"})

    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert refused.status_code == 401
