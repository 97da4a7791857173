"""Backups on the board, on a phone and on a desk: how each store stands, and its drills as a chart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

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
    assert parts_beside_the_screen(chromium, ".store, .store-facts dd, .store figure") == []
    assert complaints(chromium) == []
