"""The board on a phone and on a desk: what is worst, where it is, what to look at, and what waits for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bot.core.alert import Alert
from bot.core.message import Contact
from bot.notifications.card import CardSettings
from tests.dials import Dials, Turn
from tests.e2e.chromium import browse, why_not
from tests.e2e.looking import card, complaints, find, parts_beside_the_screen, press, resize, text, texts
from tests.web.web_house import WebHouse, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(bool(why_not()), reason=why_not())]

PHONE, DESK = (390, 844), (1280, 900)
WARNINGS, TARGETS = 120, 60


@dataclass(kw_only=True)
class Night:
    """Many incidents of all severities, the worst of them the oldest."""

    house: WebHouse
    dials: Dials
    disk: int
    long: int
    targets: int


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    called = CardSettings(on_call=lambda service, _: (Contact(id="ana", name="Ana"),) if service == "shop" else ())
    with WebHouse(tmp_path_factory.mktemp("night"), cards=called) as house:
        disk = house.fire("DiskFull", cluster="prod-eu", instance="10.0.3.7:9100", mountpoint="/var", service="shop")
        long = house.fire("x" * 70 + "NoBreakAnywhere", instance="y" * 120)
        house.take(*(target(number) for number in range(TARGETS)))
        targets = house.read(lambda seen: seen.incidents(limit=1))[0].id
        house.fire("JobFailed", severity="error", namespace="batch", job_name="nightly")
        for number in range(WARNINGS):
            house.fire(f"Restarts{number}", severity="warning", namespace="payments", pod=f"checkout-{number}")
        house.say(f"ack {disk}")
        dials = Dials()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(house.dispatcher._registry.actions, "turn", Turn(dials))
            yield Night(house=house, dials=dials, disk=disk, long=long, targets=targets)


def target(number: int) -> Alert:
    return Alert(
        source="alertmanager",
        group="targets",
        fingerprint=f"target-{number:02}",
        firing=True,
        labels={"alertname": "TargetDown", "severity": "critical", "namespace": "payments", "pod": f"api-{number:02}"},
        annotations={
            "summary": "Targets are unreachable.",
            "description": "Nobody can pay.\nLook at the pods first.",
            "runbook_url": "https://runbooks.example.com/down",
        },
        starts_at=datetime.now(UTC) - timedelta(hours=3, minutes=TARGETS - number),
        link="http://prometheus-k8s-0:9090/graph",
    )


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    with browse(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def board(request: pytest.FixtureRequest, night: Night, chromium: WebDriver) -> Iterator[WebDriver]:
    chromium.get("about:blank")
    complaints(chromium)
    resize(chromium, *request.param)
    open_list(night, chromium)
    yield chromium
    assert complaints(chromium) == []


def open_list(night: Night, board: WebDriver) -> None:
    board.get(night.house.url)
    wait_for(lambda: text(board, "#live") == "live" and text(board, card(night.disk)))


def test_the_worst_come_first_with_exact_counts_and_the_rest_is_one_press_away(night: Night, board: WebDriver) -> None:
    first = [element.get_attribute("data-id") for element in board.find_elements(By.CSS_SELECTOR, "#open article")]

    assert first[:3] == [str(night.disk), str(night.long), str(night.targets)]
    assert len(first) == 100
    summary = " ".join(text(board, "#summary").split())
    assert summary.startswith(f"3 critical, 1 error, {WARNINGS} warning")
    assert summary.endswith("1 acknowledged")
    assert [" ".join(one.split()) for one in texts(board, "#open h2")] == [
        "Critical 3 1 acknowledged",
        "Error 1",
        f"Warning {WARNINGS}",
    ]
    press(board, "#more")
    wait_for(lambda: len(board.find_elements(By.CSS_SELECTOR, "#open article")) == WARNINGS + 4)
    assert not find(board, "#more-open").is_displayed()


def test_each_says_how_bad_what_where_who_has_it_and_since_when_and_nothing_is_cut(
    night: Night, board: WebDriver
) -> None:
    disk, targets = text(board, card(night.disk)), text(board, card(night.targets))

    for said in ("CRITICAL", "local has it", "DiskFull prod-eu 10.0.3.7:9100 /var:", "firing for", "service shop"):
        assert said in disk
    assert "TargetDown payments/api-00: Targets are unreachable." in targets
    assert "nobody has it yet" in targets
    assert "firing for 4 h 0 min" in targets
    assert f"{TARGETS} firing" in targets
    assert parts_beside_the_screen(board, "#open .incident h3, #open .facts, #open .tags, #summary") == []


def test_an_incident_begins_with_what_to_know_and_to_open_and_its_story_comes_after(
    night: Night, board: WebDriver
) -> None:
    find(board, f"{card(night.targets)} h3 a").send_keys(Keys.ENTER)
    shown = wait_for(lambda: text(board, "#detail") if "Notifications" in text(board, "#detail") else "")

    order = ["TargetDown payments/api-00", "Nobody can pay.", "Runbook", "Acknowledge", "Alerts (60)", "Timeline"]
    places = [shown.index(one) for one in order]
    assert places == sorted(places)
    assert [one.get_attribute("href") for one in board.find_elements(By.CSS_SELECTOR, "#detail .links a")] == [
        "https://runbooks.example.com/down"
    ]
    assert texts(board, "#detail .alert-head strong") == [f"api-{number:02}" for number in range(8)]
    press(board, ".all-alerts")
    wait_for(lambda: len(texts(board, "#detail .alert-head strong")) == TARGETS)
    board.get(f"{night.house.url}/incidents/{night.disk}")
    assert "on call Ana" in wait_for(lambda: text(board, "#detail .whole"))


def test_what_is_opened_stays_open_while_the_page_changes(night: Night, board: WebDriver) -> None:
    board.get(f"{night.house.url}/incidents/{night.targets}")

    press(board, "#detail .alert:nth-of-type(2) summary")
    night.house.say(f"note {night.targets} seen by {board.execute_script('return innerWidth')}")

    wait_for(lambda: f"seen by {board.execute_script('return innerWidth')}" in text(board, "#detail .story"))
    assert board.execute_script("return document.querySelectorAll('#detail .alert')[1].open") is True


def test_plans_that_wait_are_there_after_a_reload_and_are_answered_there(night: Night, board: WebDriver) -> None:
    wanted = 6 if night.dials.values["prod/api"] != 6 else 7
    night.house.say(f"turn prod/api {wanted}", incident=night.targets)
    night.house.say("turn prod/web 9")

    open_list(night, board)
    wait_for(lambda: text(board, "#plans h2") == "2 plans wait")
    assert parts_beside_the_screen(board, "#plans .plan") == []
    board.get(f"{night.house.url}/incidents/{night.targets}")
    own = wait_for(lambda: text(board, "#detail #plans"))
    assert "1 plan waits" in own
    assert f"local asks: turn prod/api {wanted}" in own
    assert "Touches: one dial" in own
    press(board, "#plans [data-words^='yes ']")
    wait_for(lambda: night.dials.values["prod/api"] == wanted)
    wait_for(lambda: not text(board, "#plans"))
    press(board, "#detail .back")
    wait_for(lambda: text(board, "#list #plans"))
    if not board.find_elements(By.CSS_SELECTOR, "#plans .plan[open]"):
        press(board, "#plans summary")
    press(board, "#plans [data-words^='no ']")
    wait_for(lambda: not text(board, "#plans"))
    assert night.dials.values["prod/web"] == 1


def test_home_is_shown_whole_and_stays_until_it_is_closed(night: Night, board: WebDriver) -> None:
    find(board, "#words").send_keys("home", Keys.ENTER)
    wait_for(lambda: "Overview for" in text(board, "#lines .kept"))

    night.house.say(f"note {night.disk} meanwhile")
    wait_for(lambda: "meanwhile" in str(board.execute_script("return document.getElementById('lines').textContent")))

    said = text(board, "#lines .kept")
    assert "Your unresolved incidents: 1" in said
    assert "Nobody is on call, according to the settings." in said
    assert parts_beside_the_screen(board, "#lines .kept .said, #lines .kept .act") == []
    if board.execute_script("return innerWidth") < 1000:
        press(board, "#close-answer")
        assert "Overview for" not in text(board, "#log")
