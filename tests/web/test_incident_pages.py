"""The list by severity: nothing severe is hidden by what is newer, its counts are exact, and its pages join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.alert import Alert
from tests.web.web_house import WebHouse

#: More than one answer has room for.
WARNINGS = 205


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """Two criticals, one of them acknowledged, then more warnings than an answer holds; one more was resolved."""
    with WebHouse(tmp_path_factory.mktemp("pages")) as house:
        old, taken = house.fire("OldCritical"), house.fire("TakenCritical")
        for number in range(WARNINGS):
            house.fire(f"Warning{number}", severity="warning")
        house.fire("Error", severity="error")
        over = house.fire("Over")
        house.say(f"ack {taken}")
        house.say(f"resolve {over}")
        assert old < taken
        yield house


def listed(house: WebHouse, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = house.http.get(f"/api/incidents?sort=severity{query}").json()
    return found


def test_what_is_severe_comes_first_however_many_newer_ones_there_are(house: WebHouse) -> None:
    titles = [one["title"] for one in listed(house, "&limit=4")["incidents"]]

    assert [title.partition(":")[0] for title in titles] == ["OldCritical", "TakenCritical", "Error", "Warning0"]


def test_the_counts_are_exact_also_of_what_is_not_in_the_answer(house: WebHouse) -> None:
    counts = listed(house, "&limit=1&counts=true")["counts"]

    assert counts == {
        "open": {"critical": 1, "error": 1, "warning": WARNINGS, "info": 0},
        "acknowledged": {"critical": 1, "error": 0, "warning": 0, "info": 0},
    }


def test_the_pages_join_without_a_gap_and_end(house: WebHouse) -> None:
    pages = [listed(house, "&limit=70")]
    while pages[-1]["after"] is not None:
        pages.append(listed(house, f"&limit=70&after={pages[-1]['after']}"))

    ids = Counter(one["id"] for page in pages for one in page["incidents"])
    assert (len(pages), len(ids), max(ids.values())) == (3, WARNINGS + 3, 1)
    assert {page["next"] for page in pages} == {None}


def test_it_can_be_asked_for_one_status(house: WebHouse) -> None:
    taken = listed(house, "&status=acknowledged")["incidents"]

    assert [one["title"].partition(":")[0] for one in taken] == ["TakenCritical"]


def test_the_plain_list_is_as_it_was_the_newest_first_and_nothing_more(house: WebHouse) -> None:
    plain = house.http.get("/api/incidents?limit=2").json()

    assert set(plain) == {"incidents", "next"}
    assert plain["next"] == plain["incidents"][-1]["id"]
    assert plain["incidents"][0]["id"] > plain["incidents"][1]["id"]
    assert "since" not in plain["incidents"][0]


def test_the_contract_has_the_order_the_counts_and_the_next_page(house: WebHouse) -> None:
    contract = house.http.get("/api/openapi.json").json()
    asked = {one["name"]: one for one in contract["paths"]["/api/incidents"]["get"]["parameters"]}
    schemas: Mapping[str, Any] = contract["components"]["schemas"]

    assert {"status", "limit", "before", "sort", "after", "counts"} <= set(asked)
    assert "the most severe first" in asked["sort"]["description"]
    assert {"incidents", "next", "after", "counts"} == set(schemas["IncidentsOut"]["properties"])


def test_an_age_counts_from_the_first_alert_that_fires_and_not_from_when_the_bot_heard_of_it(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)

    def alert(name: str, hours: int, *, firing: bool = True) -> Alert:
        return Alert(
            source="alertmanager",
            group="g",
            fingerprint=name,
            firing=firing,
            labels={"alertname": "Down", "severity": "critical", "pod": name},
            annotations={},
            starts_at=now - timedelta(hours=hours),
            ends_at=None if firing else now,
        )

    with WebHouse(tmp_path) as house:
        house.take(alert("a", 5), alert("b", 3), alert("c", 1))
        (begun,) = listed(house)["incidents"]
        house.take(alert("a", 5, firing=False))
        (later,) = listed(house)["incidents"]
        shown = house.incident(begun["id"])

    assert datetime.fromisoformat(begun["since"]) == now - timedelta(hours=5)
    assert datetime.fromisoformat(later["since"]) == now - timedelta(hours=3)
    assert shown["since"] == later["since"]


def test_what_somebody_opened_has_no_alert_to_count_from(tmp_path: Path) -> None:
    with WebHouse(tmp_path) as house:
        house.fire("Fires")
        gone = house.fire("Gone")
        house.fire("Gone", firing=False)
        shown = house.incident(gone)

    assert shown["status"] == "resolved"
    assert shown["since"] is None
