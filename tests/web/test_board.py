"""The board without a browser: its pages, their content policy, and who may give commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.request import Principal
from bot.web.server import Server
from tests.web.web_house import WebHouse

ANA = Principal(id="ana", name="Ana")
LOCAL = Principal(id="local", name="Night desk", roles=frozenset({"responder"}))

SCRIPTS = ["board.js", "draw.js", "incident.js", "key.js", "talk.js", "live.js", "stores.js"]
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("board")) as house:
        yield house


@pytest.fixture(scope="module")
def abroad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """A bot that people reach by a name."""
    with WebHouse(tmp_path_factory.mktemp("abroad"), public_url="https://Vakhta.example.com/") as house:
        yield house


@pytest.mark.parametrize("path", ["/", "/incidents/42", "/api/docs"])
def test_a_page_may_run_only_what_is_served_here(house: WebHouse, path: str) -> None:
    answer = house.http.get(path)

    assert answer.status_code == 200
    assert {rule.strip() for rule in answer.headers["content-security-policy"].split(";")} == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert re.findall(r"(?:https?:)?//\w", answer.text) == []
    assert re.findall(r"<script(?! type=\"module\" src=\"/pages/)|\son\w+=|\sstyle=", answer.text) == []


@pytest.mark.parametrize("name", [*SCRIPTS, "board.css", "icon.svg"])
def test_a_file_of_the_page_is_sent_again_only_when_it_changed(house: WebHouse, name: str) -> None:
    first = house.http.get(f"/pages/{name}")
    again = house.http.get(f"/pages/{name}", headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, again.status_code) == (200, 304)
    assert again.content == b""


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_all_text_has_enough_contrast_in_both_themes(house: WebHouse, theme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", house.http.get("/pages/board.css").text, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[theme]))
    severities = [(name, "surface") for name in ("critical", "error", "warning", "info", "good")]
    badges = [("on-severity", name) for name in ("critical", "error", "warning", "info")]
    grounds = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("ground", "surface", "sunken")]

    tallies = [(name, "ground") for name in ("critical", "error", "warning", "info")]

    pairs = [*severities, *tallies, *badges, *grounds, ("on-accent", "accent"), ("lost-ink", "lost")]
    poor = {pair: ratio for pair in pairs if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < 4.5}

    assert poor == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_never_makes_markup_of_text(house: WebHouse, name: str) -> None:
    script = house.http.get(f"/pages/{name}").text

    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script) == []


def test_words_from_the_board_change_the_incident(house: WebHouse) -> None:
    number = house.fire("Typed")

    answer = house.say(f"ack {number}")

    assert answer.json()["ok"] is True
    shown = house.incident(number)
    assert (shown["status"], shown["owner"]) == ("acknowledged", "local")
    assert shown["events"][-1]["via"] == "console"


def test_on_the_page_of_an_incident_its_number_may_be_left_out(house: WebHouse) -> None:
    number = house.fire("Bare")

    answer = house.say("ack", incident=number)

    assert answer.json()["ok"] is True
    assert house.incident(number)["status"] == "acknowledged"


def test_the_same_act_sent_twice_has_one_effect(house: WebHouse) -> None:
    number = house.fire("Twice")

    first = house.say(f"note {number} once only", once="act-1").json()
    second = house.say(f"note {number} once only", once="act-1").json()

    assert (first["repeated"], second["repeated"]) == (False, True)
    assert [event["said"] for event in house.incident(number)["events"]].count("local: once only") == 1


def test_a_refusal_is_told_and_changes_nothing(house: WebHouse) -> None:
    answer = house.say("ack 999999")

    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert "999999" in answer.json()["said"]


@pytest.mark.parametrize(
    ("header", "put", "code"),
    [
        ("Origin", None, "wrong_origin"),
        ("Origin", "null", "wrong_origin"),
        ("Origin", "http://evil.example", "wrong_origin"),
        ("Origin", "http://127.0.0.1:1", "wrong_origin"),
        ("Origin", "http://[", "wrong_origin"),
        ("Origin", "http://127.0.0.1:x", "wrong_origin"),
        ("Sec-Fetch-Site", "cross-site", "wrong_origin"),
        ("Sec-Fetch-Site", "same-site", "wrong_origin"),
        ("X-Vakhta-Page", None, "page_required"),
        ("X-Vakhta-Page", "", "page_old"),
        ("X-Vakhta-Page", "x" * 43, "page_old"),
        ("X-Vakhta-Page", "\u00e9", "page_old"),
    ],
)
def test_words_from_elsewhere_are_refused_and_do_nothing(
    house: WebHouse, header: str, put: str | None, code: str
) -> None:
    number = house.fire("Forged")
    before = len(house.incident(number)["events"])
    headers = [(name.encode(), value.encode()) for name, value in house.own_page().items() if name != header]
    if put is not None:
        headers.append((header.encode(), put.encode("latin-1")))

    answer = house.http.post("/console", json={"words": f"note {number} forged"}, headers=headers)

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == code
    assert "Nothing was done" in answer.json()["error"]["message"]
    assert len(house.incident(number)["events"]) == before


def test_a_name_that_was_pointed_here_cannot_type_even_with_a_fitting_origin(house: WebHouse) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example", **house.page()}

    answer = house.http.post("/console", json={"words": "incidents"}, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_host"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 30_000, 400, "bad_json"),
        (b"null", 422, "not_an_object"),
        (b'["ack 1"]', 422, "not_an_object"),
        (b"{}", 422, "bad_words"),
        (b'{"words": "  "}', 422, "bad_words"),
        (b'{"words": 7}', 422, "bad_words"),
        (json.dumps({"words": "x" * 4001}).encode(), 422, "bad_words"),
        (b'{"words": "help", "once": 7}', 422, "bad_once"),
        (b'{"words": "help", "once": "\\ud800"}', 422, "bad_once"),
        (b'{"words": "help", "once": "a\\u0000"}', 422, "bad_once"),
        (b'{"words": "help", "incident": true}', 422, "bad_incident"),
        (b'{"words": "help", "incident": -1}', 422, "bad_incident"),
        (b'{"words": "help", "incident": 1e400}', 422, "bad_incident"),
        (b'{"words": "' + b"x" * 65536 + b'"}', 413, "too_large"),
    ],
)
def test_a_line_that_cannot_be_read_says_what_is_wrong(house: WebHouse, body: bytes, status: int, code: str) -> None:
    headers = {**house.own_page(), "Content-Type": "application/json"}

    answer = house.http.post("/console", content=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "words", ["note 1 \x00\x1b[31m", "ack 1; rm -rf /", "\u202eack 1", "\ud83d half", "/ack@x 1", "ё" * 4000]
)
def test_odd_words_get_an_answer_and_break_nothing(house: WebHouse, words: str) -> None:
    headers = {**house.own_page(), "Content-Type": "application/json"}

    answer = house.http.post("/console", content=json.dumps({"words": words}).encode(), headers=headers)

    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json()["said"], str)


def test_with_people_listed_the_console_acts_for_nobody_it_does_not_know(tmp_path: Path) -> None:
    with WebHouse(tmp_path, people={("slack", "U1"): ANA}) as house:
        number = house.fire()

        answer = house.say(f"ack {number}")

        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "not_listed"
        assert "`people`" in answer.json()["error"]["message"]
        assert house.incident(number)["status"] == "open"


def test_with_people_listed_the_console_acts_for_the_one_called_local(tmp_path: Path) -> None:
    with WebHouse(tmp_path, people={("slack", "U1"): ANA, ("console", "local"): LOCAL}) as house:
        number = house.fire()

        answer = house.say(f"ack {number}")

        assert answer.json()["ok"] is True
        assert house.incident(number)["owner"] == "local"


def test_without_a_console_the_board_is_there_to_look_at(tmp_path: Path) -> None:
    with WebHouse(tmp_path, console=False) as house:
        page, typed = house.http.get("/"), house.say("incidents")

    assert 'data-console="off"' in page.text
    assert "<form" not in page.text
    assert typed.status_code == 404


@pytest.mark.parametrize(("host", "status"), [("vakhta.example.com", 401), ("www.vakhta.example.com", 400)])
@pytest.mark.parametrize("path", ["/", "/events", "/api/incidents"])
def test_who_comes_by_the_public_name_without_a_token_is_not_at_this_machine(
    abroad: WebHouse, path: str, host: str, status: int
) -> None:
    answer = abroad.http.get(path, headers={"Host": host})

    assert answer.status_code == status


def test_with_a_public_name_this_machine_still_looks_under_its_own(abroad: WebHouse) -> None:
    answers = [abroad.http.get("/api/incidents", headers={"Host": host}) for host in ("localhost", "127.0.0.1:8080")]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_port_that_is_taken_is_one_clear_line(house: WebHouse) -> None:
    second = Server(lambda scope, receive, send: None)  # type: ignore[arg-type]  # never called

    with pytest.raises(SystemExit, match=rf"^127\.0\.0\.1:{house.port} is in use\. Nothing was started\.") as ended:
        second.bind(f"127.0.0.1:{house.port}")

    assert "\n" not in str(ended.value)
    second.stop(timedelta(seconds=1))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours #rrggbb, as WCAG 2 defines it: 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
