"""Drills in the API: the rows as auditors want them, of one store or of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.backup import DrillResult
from bot.store.backup_rows import StoredBackupRecords
from tests.backups.test_drill_report import PASSED
from tests.web.web_house import WebHouse


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("drills")) as house:
        records = StoredBackupRecords(house.store)
        records.put_drill(PASSED)
        later = PASSED.began_at + timedelta(days=1)
        missed = replace(PASSED, run="6e" * 16, store="prod/other", began_at=later, result=DrillResult.MISSED)
        records.put_drill(missed)
        yield house


def test_the_newest_comes_first_and_one_store_can_be_asked_for(house: WebHouse) -> None:
    every = house.http.get("/api/drills").json()["drills"]
    one = house.http.get("/api/drills", params={"store": "prod/orders"}).json()["drills"]

    assert [row["store"] for row in every] == ["prod/other", "prod/orders"]
    assert [row["run"] for row in one] == [PASSED.run]
    assert one[0]["rto_seconds"] == 660
    assert one[0]["checks"] == [{"name": "orders", "expected": "3", "got": "3", "ok": True}]
    assert house.http.get("/api/drills", params={"store": "nobody's"}).json() == {"drills": []}


def test_the_same_is_had_as_a_page(house: WebHouse) -> None:
    answer = house.http.get("/api/drills", params={"store": "prod/orders", "format": "markdown"})

    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# Drill of prod/orders, 2026-11-23\n")
    assert "prod/other" not in answer.text


@pytest.mark.parametrize("said", [{"limit": "0"}, {"limit": "201"}, {"format": "pdf"}, {"stroe": "x"}])
def test_what_it_does_not_know_is_refused(house: WebHouse, said: dict[str, str]) -> None:
    assert house.http.get("/api/drills", params=said).status_code == 422
