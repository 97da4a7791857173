"""One incident in full: what people read of it is made by the rules of the cards, on the server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.alert import Alert
from bot.core.message import Contact
from bot.notifications.card import CardSettings
from tests.web.web_house import WebHouse

ON_CALL = CardSettings(
    names={"local": "Night desk"},
    on_call=lambda service, _channel: (Contact(id="ana", name="Ana"),) if service == "shop" else (),
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("full"), cards=ON_CALL) as house:
        yield house


def crashes(pod: str, *, hours: int, **notes: str) -> Alert:
    return Alert(
        source="alertmanager",
        group="crashes",
        fingerprint=pod,
        firing=True,
        labels={
            "alertname": "KubePodCrashLooping",
            "severity": "critical",
            "namespace": "payments",
            "pod": pod,
            "service": "shop",
        },
        annotations={
            "summary": "Pod is crash looping.",
            "description": f"{pod} restarts.\nLook at its log.",
            "runbook_url": "https://runbooks.example.com/crash",
            "dashboard_url": "http://grafana/d/1",
            **notes,
        },
        starts_at=datetime.now(UTC) - timedelta(hours=hours),
        link="https://prometheus.example.com/graph?g0.expr=up",
    )


def test_it_says_what_is_wrong_what_to_look_at_and_who_is_called(house: WebHouse) -> None:
    house.take(crashes("api-1", hours=3), crashes("api-2", hours=1, value="7"))
    number = house.http.get("/api/incidents?limit=1").json()["incidents"][0]["id"]

    shown = house.incident(number)

    assert shown["description"] == "api-1 restarts.\nLook at its log."
    assert shown["key_labels"] == {"namespace": "payments", "service": "shop"}
    assert shown["on_call"] == ["Ana"]
    assert shown["holder"] == "nobody has it yet"
    assert [(one["told"], one["value"]) for one in shown["alerts"]] == [("api-1", ""), ("api-2", "7")]
    house.say(f"ack {number}")
    assert house.incident(number)["holder"] == "Night desk has it"


def test_only_links_that_a_reader_can_open_are_there_each_named_for_what_it_opens(house: WebHouse) -> None:
    house.take(crashes("api-1", hours=3))
    number = house.http.get("/api/incidents?limit=1").json()["incidents"][0]["id"]

    shown = house.incident(number)

    assert shown["links"] == {
        "Runbook": "https://runbooks.example.com/crash",
        "Query": "https://prometheus.example.com/graph?g0.expr=up",
    }
    assert shown["alerts"][0]["links"] == shown["links"]


def test_an_incident_without_alerts_says_so_by_empty_fields(house: WebHouse) -> None:
    house.say("page shop the till is broken")
    number = house.http.get("/api/incidents?limit=1").json()["incidents"][0]["id"]

    shown = house.incident(number)

    assert (shown["alerts"], shown["description"], shown["links"], shown["since"]) == ([], "", {}, None)
