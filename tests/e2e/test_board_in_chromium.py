"""The board in a real browser: what an on-call person sees and presses, without a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.e2e.chromium import browse, why_not
from tests.paths.web_house import WebHouse, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]

HOSTILE = "</p><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{7*7}}\u202egnp"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("board")) as house:
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


def complaints(board: WebDriver) -> list[str]:
    """What the browser found wrong since it was last asked, a breach of the content policy for one."""
    told = board.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves this one without types
    return [one["message"] for one in told if one["level"] == "SEVERE"]


def text(board: WebDriver, selector: str) -> str:
    """What can be read there now, "" when it is not there; asked in one step, because the page moves."""
    script = "return document.querySelector(arguments[0])?.innerText ?? ''"
    return str(board.execute_script(script, selector))


def find(board: WebDriver, selector: str) -> WebElement:
    return wait_for(lambda: board.find_elements(By.CSS_SELECTOR, selector))[0]


def card(number: int) -> str:
    return f"article[data-id='{number}']"


def test_an_incident_appears_without_a_reload(house: WebHouse, board: WebDriver) -> None:
    board.execute_script("window.sameDocument = true")

    number = house.fire("DiskFull", instance="db-9")

    shown = wait_for(lambda: text(board, card(number)))
    assert "CRITICAL" in shown
    assert "DiskFull" in shown
    assert "1 firing" in shown
    assert "needs someone" in shown
    assert wait_for(lambda: f"#{number}" in text(board, "#log"))
    assert board.title.endswith("Vakhta")
    assert board.title.startswith("(")
    assert board.execute_script("return window.sameDocument") is True


def test_acknowledge_and_resolve_are_one_press_each_and_the_state_is_shown(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Pressed")

    find(board, f"{card(number)} [data-words^='ack {number}-']").click()
    wait_for(lambda: "acknowledged by local" in text(board, card(number)))
    acked = house.incident(number)
    find(board, f"{card(number)} [data-words^='resolve {number}-']").click()
    wait_for(lambda: board.find_elements(By.CSS_SELECTOR, f"#resolved {card(number)}"))

    assert (acked["status"], acked["owner"]) == ("acknowledged", "local")
    assert house.incident(number)["status"] == "resolved"
    assert board.find_elements(By.CSS_SELECTOR, f"#open {card(number)}") == []


def test_what_somebody_else_does_is_seen_here(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Elsewhere")
    wait_for(lambda: text(board, card(number)))

    house.say(f"ack {number}")

    assert wait_for(lambda: "acknowledged by local" in text(board, card(number)))


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
    name = house.console.say("scale prod/api 6: 2 of 6 are ready", "log")
    wait_for(lambda: "2 of 6 are ready" in text(board, "#log"))

    house.console.say("scale prod/api 6: <b>5</b> of 6 are ready", "log", instead_of=name)

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
    assert wait_for(lambda: "acknowledged by local" in text(board, card(number)))


def test_an_incident_has_an_address_with_its_story_alerts_and_who_was_told(house: WebHouse, board: WebDriver) -> None:
    number = house.fire("Addressed", instance="db-3", link="http://prometheus.internal:9090/graph")

    board.get(f"{house.url}/incidents/{number}")
    shown = wait_for(lambda: text(board, "#detail") if "Who was told" in text(board, "#detail") else "")

    assert "Addressed: Addressed on db-3" in shown
    assert "db-3" in text(board, "#detail .labels")
    assert "slack" in text(board, "#detail table")
    assert "owed" in text(board, "#detail table")
    link = find(board, "#detail .alert-head a")
    assert link.get_attribute("href") == "http://prometheus.internal:9090/graph"
    assert link.get_attribute("rel") == "noopener noreferrer"
    runbook = find(board, "#detail .alert p a")
    assert runbook.get_attribute("href") == "https://runbooks.internal/Addressed"
    house.say(f"note {number} seen at its address")
    assert wait_for(lambda: "seen at its address" in text(board, "#detail .story"))


@pytest.mark.parametrize(
    "link",
    ["javascript:document.title='owned'", "file:///etc/passwd", "http://169.254.169.254/latest/", "data:text/html,x"],
)
def test_a_link_that_could_harm_is_not_a_link(house: WebHouse, board: WebDriver, link: str) -> None:
    number = house.fire(f"Linked{abs(hash(link)) % 1000}", link=link)

    board.get(f"{house.url}/incidents/{number}")
    wait_for(lambda: "firing" in text(board, "#detail .alert"))

    assert board.find_elements(By.CSS_SELECTOR, "#detail .alert-head a") == []


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


@pytest.mark.parametrize("path", ["/", "/incidents/1", "/api/docs"])
@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_narrow_screen(house: WebHouse, board: WebDriver, width: int, path: str) -> None:
    house.fire("x" * 64 + "NoBreakAnywhere", instance="y" * 200)
    size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    board.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    board.get(f"{house.url}{path}")
    wait_for(lambda: text(board, "h1"))
    widest = board.execute_script("return document.documentElement.scrollWidth")
    full = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    board.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", full)

    assert widest <= width


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
        wait_for(lambda: "AfterTheLoss" in text(chromium, "#open"), within_s=15)
        wait_for(lambda: text(chromium, "#live") == "live", within_s=15)
        wait_for(lambda: text(chromium, "#trouble") == "")

    assert "What you see is from" in said or "connection is lost" in said
    assert state == "connection lost"
    assert "BeforeTheLoss" in text(chromium, "#open")


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
        assert text(chromium, "#trouble") == ""
