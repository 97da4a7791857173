"""Backups on the board, on a phone and on a desk: how each store stands, and its drills as a chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from bot.store.backup_rows import StoredBackupRecords
from tests.e2e.chromium import browse, why_not
from tests.e2e.looking import complaints, find, parts_beside_the_screen, press, resize, text, texts
from tests.web.stores import shown_stores
from tests.web.web_house import WebHouse, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("stores"), backups=shown_stores) as made:
        yield made


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browse(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.mark.parametrize("screen", [(390, 844), (1280, 900)], ids=["phone", "desk"])
def test_the_stores_and_their_drills_can_be_read(house: WebHouse, chromium: WebDriver, screen: tuple[int, int]) -> None:
    resize(chromium, *screen)
    chromium.get(f"{house.url}/")
    wait_for(lambda: text(chromium, "#stores-counted"))
    assert texts(chromium, "#stores-counted .verdict") == ["1 red", "1 unknown", "1 ok"]

    press(chromium, "#stores > summary")
    find(chromium, ".store svg")
    chromium.execute_script("document.querySelector('#stores').scrollIntoView()")

    names = [one.replace("\n", " ") for one in texts(chromium, ".store h3")]
    assert [one.split(" ")[1] for one in names] == ["prod/sessions", "prod/events", "prod/orders-db"]
    assert "prod/events <b>bold</b>" in names[1], "as text, never as markup"
    assert "b-9" in text(chromium, ".store .findings"), "which backup cannot be used"
    charts = [one.get_attribute("aria-label") or "" for one in chromium.find_elements("css selector", ".store svg")]
    assert charts[0].startswith("RTO of the last 8 drills: 2 h 40 min, 2 h 20 min, 2 h,"), "the oldest first"
    assert charts[1].endswith("6 min; 1 h allowed")
    bars = chromium.find_elements("css selector", ".store .bar")
    assert {float(one.get_attribute("width") or 0) for one in bars} == {23}, "a twelfth of the chart, however few"
    press(chromium, ".store:last-child summary")
    assert " UTC, 20 min" in text(chromium, ".store:last-child .drills"), "as a restore takes its time"
    assert parts_beside_the_screen(chromium, ".store, .store-facts dd, .store figure") == []
    assert complaints(chromium) == []


def test_stores_that_cannot_be_read_hide_no_incident(
    house: WebHouse, chromium: WebDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.fire("DiskFull")
    monkeypatch.setattr(StoredBackupRecords, "get_look", _broken)

    chromium.get(f"{house.url}/")
    wait_for(lambda: text(chromium, "#stores-counted"))

    assert "DiskFull" in text(chromium, "#open")
    assert text(chromium, "#stores-counted") == "cannot be read"
    assert not find(chromium, "#trouble").is_displayed(), "the incidents are up to date"
    press(chromium, "#stores > summary")
    assert text(chromium, "#stores-trouble").startswith("The backups cannot be read: The database does not answer.")
    assert len(complaints(chromium)) == 1, "the answer 503"


def _broken(_records: StoredBackupRecords, _store: str) -> NoReturn:
    raise RuntimeError("no such table: backup_look")
