"""Slack's cards at a phone's width: nothing is cut off, and a notification of three lines says who has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.e2e.chromium import browse, why_not
from tests.e2e.slack_pictures import photograph, show
from tests.integrations.slack.phone import WIDTH
from tests.integrations.slack.pictures import pictures

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]

#: In the notification, each name of a picture -> what has to be read of who has it.
HELD = {
    "critical": "nobody has it yet",
    "eight-alerts": "nobody has it yet",
    "acknowledged": "Ana Lima has it",
    "with-notes": "Bo has it",
    "resolved": "by alertmanager",
    "long-labels": "nobody has it yet",
    "by-a-person": "nobody has it yet",
}
#: How far below the top of its box the end of a text stands, or nothing where the text is not there.
_WHERE = """
const box = document.querySelector(arguments[0]), text = arguments[1];
const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
const nodes = []; while (walker.nextNode()) nodes.push(walker.currentNode);
const all = nodes.map(node => node.data).join(''), from = all.indexOf(text);
if (from < 0) return null;
const place = at => { for (const node of nodes) { if (at <= node.length) return [node, at]; at -= node.length } };
const range = document.createRange();
range.setStart(...place(from)); range.setEnd(...place(from + text.length));
return range.getBoundingClientRect().bottom - box.getBoundingClientRect().bottom;
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browse(tmp_path_factory.mktemp("profile"), width=WIDTH) as browser:
        yield browser


@pytest.mark.parametrize("name", HELD)
def test_a_card_fits_a_phone_and_its_notification_says_who_has_it(
    chromium: WebDriver, tmp_path: Path, name: str
) -> None:
    show(chromium, pictures()[name], tmp_path)

    below: Any = chromium.execute_script(_WHERE, ".notice span", HELD[name])
    assert below is not None
    assert float(below) <= 1, "the phone cuts the line before it says who has it"
    assert chromium.execute_script("return document.documentElement.scrollWidth") == WIDTH
    assert photograph(chromium).startswith(b"\x89PNG")


def test_every_picture_is_looked_at() -> None:
    assert HELD.keys() == pictures().keys()
