"""The board for people who do not look at it with a mouse: structure by hand, and axe-core where it is installed.

axe-core is no part of this repository. Name a copy of axe.min.js in AXE_CORE (npm package
axe-core) to run it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.dials import Dials, Turn
from tests.e2e.chromium import browse, why_not
from tests.e2e.looking import resize, text
from tests.web.web_house import WebHouse, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]

AXE = Path(os.environ.get("AXE_CORE", "/usr/share/nodejs/axe-core/axe.min.js"))
RUN_AXE = """
  const done = arguments[arguments.length - 1];
  axe.run(document).then((found) => done(found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`)));
"""
LEVELS = """
  return [...document.querySelectorAll("h1, h2, h3")].filter((one) => one.checkVisibility()).map((one) => one.tagName)
"""
STRAY_ITEMS = """
  const stray = (list) => !["UL", "OL"].includes(list.tagName) || list.role;
  return [...document.querySelectorAll("li")].filter((one) => stray(one.parentElement)).length
"""
NAMELESS = """
  return [...document.querySelectorAll("button, a, input, summary")].filter((one) => one.checkVisibility())
    .filter((one) => !(one.ariaLabel || one.innerText.trim() || one.labels?.[0]?.textContent.trim()))
    .map((one) => one.outerHTML)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("house")) as house:
        for severity in ("critical", "error", "warning", "info"):
            house.fire(severity.title(), severity=severity, namespace="payments", link="https://prom.example.com/graph")
        taken, over = house.fire("Taken"), house.fire("Over")
        house.say(f"ack {taken}")
        house.say(f"resolve {over}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(house.dispatcher._registry.actions, "turn", Turn(Dials()))
            house.say("turn prod/api 6", incident=1)
            house.say("turn prod/api 7", incident=1)
            yield house


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def chromium(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browse(tmp_path_factory.mktemp("profile"), dark=request.param) as browser:
        yield browser


@pytest.fixture(params=["/", "/incidents/1"], ids=["list", "incident"])
def board(request: pytest.FixtureRequest, house: WebHouse, chromium: WebDriver) -> WebDriver:
    chromium.get(f"{house.url}{request.param}")
    shown = "#open .incident" if request.param == "/" else "#detail .story"
    wait_for(lambda: text(chromium, "#live") == "live" and text(chromium, shown) and text(chromium, "#plans"))
    chromium.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    return chromium


def test_headings_skip_no_level_lists_hold_their_items_and_everything_pressed_has_a_name(board: WebDriver) -> None:
    levels = [int(tag[1]) for tag in board.execute_script(LEVELS)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert board.execute_script(STRAY_ITEMS) == 0
    assert board.execute_script(NAMELESS) == []


def test_the_log_tells_only_what_comes_after_the_page_was_opened(house: WebHouse, board: WebDriver) -> None:
    alive = "return document.getElementById('log').ariaLive"
    assert board.execute_script(alive) == "off"

    house.say(f"note 1 in {board.session_id} at {board.current_url}")

    wait_for(lambda: f"in {board.session_id} at {board.current_url}" in text(board, "#log"))
    assert board.execute_script(alive) == "polite"


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: set AXE_CORE to its axe.min.js")
@pytest.mark.parametrize("size", [(390, 844), (1280, 900)], ids=["phone", "desk"])
def test_axe_finds_nothing(board: WebDriver, size: tuple[int, int]) -> None:
    resize(board, *size)
    board.execute_script(AXE.read_text())

    assert board.execute_async_script(RUN_AXE) == []
