"""A browser that meets an error sees a page; a program goes on to get JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bot.core.errors import Rejected
from bot.web.error_page import error_page
from tests.web.edges import error_of
from tests.web.web_house import TOKEN, WebHouse

#: What Firefox and Chromium send when an address is opened.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("pages")) as house:
        yield house


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("locked"), api_token=TOKEN) as house:
        yield house


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [
        ("/nothing", 404, "Not Found"),
        ("/incidents/", 404, "Not Found"),
        ("/api/incidents/999999", 404, "Not Found"),
        ("/pages/nothing.js", 404, "Not Found"),
        ("/console", 405, "Method Not Allowed"),
        ("/events", 403, "Forbidden"),
        ("/api/incidents?stauts=open", 422, "Unprocessable"),
    ],
)
def test_a_browser_sees_what_is_wrong_and_the_way_to_the_board(
    house: WebHouse, path: str, status: int, title: str
) -> None:
    page = house.http.get(path, headers=BROWSER)
    said = house.http.get(path)

    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert re.search(rf"<h1>{title}", page.text)
    assert '<a href="/">Go to the board</a>' in page.text
    assert page.headers["x-request-id"] in page.text
    assert error_of(said)["message"].split(".")[0].split("`")[0].split("'")[0] in page.text
    assert said.headers["content-type"] == "application/json"


def test_who_has_no_access_sees_a_page_too(locked: WebHouse) -> None:
    page = locked.http.get("/api/incidents", headers=BROWSER)

    assert page.status_code == 401
    assert page.headers["www-authenticate"] == "Bearer"
    assert "server.api_token" in page.text


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "text/html, application/json", "text/event-stream"])
def test_a_program_gets_json(house: WebHouse, accept: str) -> None:
    answer = house.http.get("/nothing", headers={"Accept": accept})

    assert answer.status_code == 404
    assert error_of(answer)["code"] == "not_found"


def test_what_a_browser_posts_is_answered_in_json(house: WebHouse) -> None:
    answer = house.http.post("/console", headers=BROWSER, json={"words": "help"})

    assert answer.status_code == 403
    assert error_of(answer)["code"]


def test_the_page_runs_nothing_and_loads_nothing_from_elsewhere(house: WebHouse) -> None:
    board = house.http.get("/")
    page = house.http.get("/nothing", headers=BROWSER)

    for header in ("content-security-policy", "x-content-type-options", "cache-control", "referrer-policy"):
        assert page.headers[header] == board.headers[header], header
    assert re.findall(r"(?:https?:)?//\w", page.text) == []
    assert re.findall(r"<script|\son\w+=|\sstyle=|x-vakhta-page|vakhta-page", page.text) == []
    for file in re.findall(r'(?:href|src)="(/pages/[^"]+)"', page.text):
        assert house.http.get(file).status_code == 200, file


@pytest.mark.parametrize(("status", "title"), [(500, "Internal Server Error"), (503, "Service Unavailable")])
def test_text_in_a_message_is_never_markup(status: int, title: str) -> None:
    page = error_page(Rejected("<script>alert(1)</script>\ud800", status=status), "<b>").decode()

    assert f"<h1>{title}</h1>" in page
    assert "<script" not in page
    assert "<b>" not in page
