"""The board in a real browser: what an on-call person sees and presses, without a reload."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.dials import Dials, Turn
from tests.e2e.chromium import browse, why_not
from tests.e2e.looking import card, complaints, find, text, widest
from tests.web.web_house import TOKEN, WebHouse, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]

HOSTILE = "</p><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{7*7}}\u202egnp"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """With a token for the API: the board has to work without anybody typing one."""
    with WebHouse(tmp_path_factory.mktemp("board"), api_token=TOKEN) as house:
        yield house


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browse(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def board(house: WebHouse, chromium: WebDriver) -> Iterator[WebDriver]:
    """The board, open and live; whatever the browser complained of by the end fails the test."""
    chromium.get("about:blank")
    complaints(chromium)
    chromium.get(house.url)
    wait_for(lambda: text(chromium, "#live") == "live")
    yield chromium
    assert complaints(chromium) == []


def test_an_incident_appears_without_a_reload(house: WebHouse, board: WebDriver) -> None:
    board.execute_script("window.sameDocument = true")

    number = house.fire("DiskFull", instance="db-9")

    shown = wait_for(lambda: text(board, card(number)))
    assert "CRITICAL" in shown
    assert "DiskFull" in shown
    assert "1 firing" in shown
    assert "nobody has it yet" in shown
    assert wait_for(lambda: f"#{number}" in text(board, "#log"))
    assert board.title.endswith("Vakhta")
    assert board.title.startswith("(")
    assert board.execute_script("return window.sameDocument") is True


def test_acknowledge_is_one_press_and_resolve_asks_once_while_alerts_fire(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Pressed")

    find(board, f"{card(number)} [data-words^='ack {number}-']").click()
    wait_for(lambda: "local has it" in text(board, card(number)))
    acked = house.incident(number)
    resolve = find(board, f"{card(number)} [data-words^='resolve {number}-']")
    resolve.click()
    asked = (resolve.text, resolve.get_attribute("aria-label") or "", house.incident(number)["status"])
    resolve.click()
    wait_for(lambda: board.find_elements(By.CSS_SELECTOR, f"#resolved {card(number)}"))

    assert (acked["status"], acked["owner"]) == ("acknowledged", "local")
    assert asked[0] == "1 alert still fires. Resolve?"
    assert asked[1].startswith("1 alert still fires. Resolve?: incident")
    assert asked[2] == "acknowledged"
    assert house.incident(number)["status"] == "resolved"
    assert board.find_elements(By.CSS_SELECTOR, f"#open {card(number)}") == []


def test_what_was_done_is_shown_with_its_word_its_reason_and_what_comes_next(
    house: WebHouse, board: WebDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, dials = house.fire("ActedOn"), Dials(unwell="Pod api-1: ImagePullBackOff.")
    monkeypatch.setitem(house.dispatcher._registry.actions, "turn", Turn(dials))
    shown = house.say("turn prod/api 6", incident=number).json()["said"]

    house.say(f"yes {re.findall(r'`yes ([0-9a-f]+)`', shown)[-1]}")
    board.get(f"{house.url}/incidents/{number}")

    said = wait_for(lambda: text(board, ".story .mark") and text(board, ".story li"))
    assert "done but not well: turn prod/api 6" in said
    assert "Pod api-1: ImagePullBackOff. Repair prod/api, or undo the run: undo " in said
    (code,) = board.find_elements(By.CSS_SELECTOR, ".story .why code")
    assert code.text.startswith("undo ")


def test_what_somebody_else_does_is_seen_here(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Elsewhere")
    wait_for(lambda: text(board, card(number)))

    house.say(f"ack {number}")

    assert wait_for(lambda: "local has it" in text(board, card(number)))


def test_a_card_that_changes_where_it_stands_first_is_drawn_without_trouble(
    tmp_path: Path, chromium: WebDriver
) -> None:
    with WebHouse(tmp_path) as house:
        number = house.fire("First")
        chromium.get(house.url)
        wait_for(lambda: text(chromium, card(number)))
        # Trouble is told for as long as it takes to read again, so it is looked for from inside.
        chromium.execute_script(
            "window.troubles = []; const told = document.getElementById('trouble');"
            "new MutationObserver(() => window.troubles.push(told.innerText)).observe(told, {childList: true})"
        )

        house.say(f"severity {number} warning")
        wait_for(lambda: "WARNING" in text(chromium, card(number)))
        house.say(f"ack {number}")
        wait_for(lambda: "local has it" in text(chromium, card(number)))

        assert [said for said in chromium.execute_script("return window.troubles") if said] == []


def test_words_are_typed_answered_and_remembered(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Spoken")
    line = find(board, "#words")

    line.send_keys(f"note {number} looking at it", Keys.ENTER)
    wait_for(lambda: "local: looking at it" in text(board, "#log"))
    line.send_keys("dance", Keys.ENTER)
    wait_for(lambda: text(board, "#log li[data-kind='refused']"))
    line.send_keys(Keys.ARROW_UP, Keys.ARROW_UP)

    assert line.get_attribute("value") == f"note {number} looking at it"


def test_a_line_that_belongs_to_no_incident_is_in_the_log_and_changes_where_it_stands(
    house: WebHouse, board: WebDriver
) -> None:
    name = house.console.post("scale prod/api 6: 2 of 6 are ready", "log")
    wait_for(lambda: "2 of 6 are ready" in text(board, "#log"))

    house.console.post("scale prod/api 6: <b>5</b> of 6 are ready", "log", instead_of=name)

    wait_for(lambda: "<b>5</b> of 6 are ready" in text(board, "#log"))
    assert "2 of 6 are ready" not in text(board, "#log")


def test_the_keyboard_is_enough(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Keyed")
    find(board, f"{card(number)} h3 a").send_keys(Keys.ENTER)
    wait_for(lambda: "Keyed" in text(board, "#detail h1"))

    body = find(board, "body")
    body.send_keys("/")
    board.switch_to.active_element.send_keys("ack", Keys.ENTER)
    wait_for(lambda: house.incident(number)["status"] == "acknowledged")
    board.switch_to.active_element.send_keys(Keys.ESCAPE)
    find(board, "body").send_keys(Keys.ESCAPE)

    wait_for(lambda: board.current_url == f"{house.url}/")
    assert wait_for(lambda: "local has it" in text(board, card(number)))


def test_an_incident_has_an_address_with_its_story_alerts_and_who_was_told(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Addressed", instance="db-3", link="http://prometheus.internal:9090/graph")

    board.get(f"{house.url}/incidents/{number}")
    shown = wait_for(lambda: text(board, "#detail") if "Notifications" in text(board, "#detail") else "")

    assert "Addressed db-3: Addressed on db-3" in shown
    assert "db-3" in text(board, "#detail .labels")
    assert "slack" in text(board, "#detail table")
    assert "waiting" in text(board, "#detail table")
    runbook, query = board.find_elements(By.CSS_SELECTOR, "#detail .links a")
    assert (query.text, query.get_attribute("href")) == (
        "Query prometheus.internal:9090",
        "http://prometheus.internal:9090/graph",
    )
    assert query.get_attribute("rel") == "noopener noreferrer"
    assert (runbook.text, runbook.get_attribute("href")) == (
        "Runbook runbooks.internal",
        "https://runbooks.internal/Addressed",
    )
    house.say(f"note {number} seen at its address")
    assert wait_for(lambda: "seen at its address" in text(board, "#detail .story"))


@pytest.mark.parametrize(
    "link",
    [
        "javascript:document.title='owned'",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/",
        "data:text/html,x",
        "http://prometheus-k8s-0:9090/graph",
    ],
)
def test_a_link_that_could_harm_is_not_a_link(house: WebHouse, board: WebDriver, link: str) -> None:
    number = house.fire(f"Linked{abs(hash(link)) % 1000}", link=link)

    board.get(f"{house.url}/incidents/{number}")
    wait_for(lambda: "firing" in text(board, "#detail .alert"))

    shown = [one.get_attribute("href") for one in board.find_elements(By.CSS_SELECTOR, "#detail a[target]")]
    assert shown != []
    assert [one for one in shown if "runbooks.internal" not in str(one)] == []


def test_what_an_alert_says_is_text_and_never_markup(house: WebHouse, board: WebDriver) -> None:
    number = house.fire(HOSTILE, instance=HOSTILE)

    house.say(f"note {number} {HOSTILE}")
    wait_for(lambda: "{{7*7}}" in text(board, card(number)))
    board.get(f"{house.url}/incidents/{number}")
    wait_for(lambda: "{{7*7}}" in text(board, "#detail .story li:last-child"))

    assert "owned" not in board.title
    assert board.find_elements(By.CSS_SELECTOR, "main script, main img, aside script, aside img") == []
    assert "</p><script>" in text(board, "#detail h1")
    assert "\u202e" not in str(board.execute_script("return document.body.textContent"))


def test_marks_piled_over_a_letter_do_not_paint_over_the_page(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Zalgo" + "\u0301" * 200 + "\u200d\u0302" * 200, instance="i" + "\u0316" * 200)
    house.say(f"note {number} tall" + "\u0301" * 400)

    wait_for(lambda: "Zalgo" in text(board, card(number)))
    board.get(f"{house.url}/incidents/{number}")
    shown = wait_for(lambda: text(board, "#detail") if "tall" in text(board, "#detail .story") else "")
    clipped = [
        board.execute_script("return getComputedStyle(document.querySelector(arguments[0])).overflowY", row)
        for row in ("#detail .incident", "#detail .story li", "#detail .alert", "#detail .labels li", "#log li")
    ]

    assert re.findall(r"[\u0300-\u036f\u200d]{7,}|[\u0300-\u036f]{4,}", shown) == []
    assert set(clipped) == {"clip"}


def test_the_languages_that_carry_marks_are_left_as_they_are(house: WebHouse, board: WebDriver) -> None:
    said = "مُحَمَّدٌ ที่นี่ हिन्दी Tiếng Việt 👩‍👩‍👧 1️⃣"
    number = house.fire("Marked")

    house.say(f"note {number} {said}")

    assert wait_for(lambda: said in text(board, "#log"))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_the_apis_description_fits_a_narrow_screen(tmp_path: Path, chromium: WebDriver, width: int) -> None:
    with WebHouse(tmp_path) as house:
        chromium.get(house.url)
        find(chromium, "footer a[href='/api/docs']").click()
        wait_for(lambda: text(chromium, "h1") == "The API")

        assert widest(chromium, width) <= width


@pytest.mark.parametrize("path", ["/", "/incidents/1"])
@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_narrow_screen(house: WebHouse, board: WebDriver, width: int, path: str) -> None:
    house.fire("x" * 64 + "NoBreakAnywhere", instance="y" * 200)
    board.get(f"{house.url}{path}")
    wait_for(lambda: text(board, "h1"))

    assert widest(board, width) <= width


def test_a_lost_connection_is_said_and_found_again(tmp_path: Path, chromium: WebDriver) -> None:
    (tmp_path / "one").mkdir()
    with WebHouse(tmp_path / "one") as house:
        house.fire("BeforeTheLoss")
        chromium.get(house.url)
        wait_for(lambda: text(chromium, "#live") == "live" and "BeforeTheLoss" in text(chromium, "#open"))
        port = house.port

    said = wait_for(lambda: text(chromium, "#trouble"))
    state = wait_for(lambda: text(chromium, "#live") if text(chromium, "#live") == "connection lost" else "")
    with WebHouse(tmp_path / "one", port=port) as again:
        again.fire("AfterTheLoss")
        wait_for(lambda: "AfterTheLoss" in text(chromium, "#open"), within_s=60)
        wait_for(lambda: text(chromium, "#live") == "live", within_s=60)
        wait_for(lambda: text(chromium, "#trouble") == "")

    assert "The data shown is from" in said or "connection is lost" in said
    assert state == "connection lost"
    assert "BeforeTheLoss" in text(chromium, "#open")


def test_the_plain_address_is_all_that_is_needed_also_after_the_bot_was_restarted(
    tmp_path: Path, chromium: WebDriver
) -> None:
    with WebHouse(tmp_path, api_token=TOKEN) as house:
        number = house.fire("BeforeTheRestart")
        chromium.get(house.url)
        chromium.execute_script("window.sameDocument = true")
        find(chromium, "#words").send_keys(f"note {number} typed before", Keys.ENTER)
        wait_for(lambda: "local: typed before" in text(chromium, "#log"))
        port, before = house.port, house.page()
    wait_for(lambda: text(chromium, "#live") == "connection lost")

    with WebHouse(tmp_path, api_token=TOKEN, port=port) as again:
        find(chromium, "#words").send_keys(f"note {number} typed after", Keys.ENTER)
        wait_for(lambda: "local: typed after" in text(chromium, "#log"))
        wait_for(lambda: text(chromium, "#live") == "live" and text(chromium, "#trouble") == "")
        said = [event["said"] for event in again.incident(number)["events"]]

        assert again.page() != before
    assert said.count("local: typed after") == 1
    assert chromium.execute_script("return window.sameDocument") is True


def test_a_page_that_is_older_than_the_bot_asks_to_be_reloaded_and_works_until_then(
    house: WebHouse, chromium: WebDriver
) -> None:
    number = house.fire("Updated")
    chromium.get(house.url)
    wait_for(lambda: text(chromium, "#live") == "live")
    chromium.execute_script(
        "Object.assign(document.querySelector('meta[name=vakhta-page]'), {content: 'of an older start'})"
        ".dataset.version = '0.0.1'"
    )

    find(chromium, "#words").send_keys(f"note {number} still here", Keys.ENTER)

    wait_for(lambda: "local: still here" in text(chromium, "#log"))
    assert wait_for(lambda: text(chromium, "#trouble")).startswith("The bot has been updated")


def test_another_sites_page_in_the_same_browser_gets_nothing_and_does_nothing(
    house: WebHouse, chromium: WebDriver
) -> None:
    number = house.fire("Untouched")
    attempts = f"""
      const [address, key, done] = [arguments[0], arguments[1], arguments[arguments.length - 1]];
      const act = JSON.stringify({{words: "ack {number}"}});
      const bearing = {{"Content-Type": "application/json", "X-Vakhta-Page": key}};
      const tries = [
        fetch(address + "/"),
        fetch(address + "/events"),
        fetch(address + "/api/incidents", {{headers: bearing}}),
        fetch(address + "/console", {{method: "POST", headers: bearing, body: act}}),
        fetch(address + "/console", {{method: "POST", body: act, credentials: "include"}}),
        fetch(address + "/console", {{method: "POST", mode: "no-cors", body: act, headers: bearing}}),
      ];
      Promise.allSettled(tries).then((all) => done(all.map((one) => one.status)));
    """
    with another_site() as elsewhere:
        chromium.get(elsewhere)
        told = chromium.execute_async_script(attempts, house.url, house.page()["X-Vakhta-Page"])

    assert told == ["rejected"] * 6
    assert house.incident(number)["status"] == "open"


@contextmanager
def another_site() -> Iterator[str]:
    """The address of a page on another port of this machine, which browsers count as the same site."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        running = threading.Thread(target=server.serve_forever, daemon=True)
        running.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        running.join()


class Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the library's name


def test_a_reading_that_failed_is_made_again_though_the_connection_stands(tmp_path: Path, chromium: WebDriver) -> None:
    with WebHouse(tmp_path) as house:
        chromium.get(house.url)
        wait_for(lambda: text(chromium, "#live") == "live")
        chromium.execute_cdp_cmd("Network.enable", {})
        chromium.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/api/incidents*"]})
        house.fire("WhileNothingCouldBeRead")
        said = wait_for(lambda: text(chromium, "#trouble"))

        chromium.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        wait_for(lambda: "WhileNothingCouldBeRead" in text(chromium, "#open"))

        assert said.startswith("The bot does not answer.")
        assert text(chromium, "#live") == "live"
        wait_for(lambda: text(chromium, "#trouble") == "")
