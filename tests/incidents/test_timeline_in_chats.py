"""The live timeline as the board receives it: over HTTP, from the real store."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.web.web_house import WebHouse, wait_for

pytestmark = pytest.mark.waits


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("board")) as house:
        yield house


@contextmanager
def story(house: WebHouse, last: str | None = None) -> Iterator[Iterator[tuple[str, str]]]:
    """The live timeline as (id, data) of each event; named ones as (name, data)."""
    headers = house.page() if last is None else {"Last-Event-ID": last, **house.page()}
    with httpx.stream("GET", f"{house.url}/events", headers=headers, timeout=60, trust_env=False) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield told(answer.iter_lines())


def told(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields.get("event") or fields["id"], fields["data"]
            fields = {}


def test_the_live_story_tells_each_committed_event_once_and_in_order(house: WebHouse) -> None:
    with story(house) as events:
        number = house.fire("Live")
        house.say(f"ack {number}")
        house.say(f"resolve {number}")

        heard = [json.loads(data) for _, data in until_resolved(events, number)]

    ours = [event["what"] for event in heard if event["incident_id"] == number]
    assert ours == ["incident.opened", "incident.acked", "incident.resolved"]
    assert len({event["id"] for event in heard}) == len(heard)
    assert next(event for event in heard if event["what"] == "incident.acked")["by"] == "local"


def test_a_client_that_was_away_goes_on_where_it_left_off(house: WebHouse) -> None:
    number = house.fire("Away")
    with story(house) as events:
        house.say(f"note {number} seen")
        last = next(place for place, data in events if json.loads(data)["said"].endswith("seen"))
    house.say(f"note {number} missed")
    house.say(f"resolve {number}")

    with story(house, last) as events:
        heard = list(until_resolved(events, number))

    assert [json.loads(data)["what"] for _, data in heard] == ["incident.noted", "incident.resolved"]
    assert min(int(place) for place, _ in heard) > int(last)


@pytest.mark.parametrize("last", ["999999", "0", "x", "-1", "9" * 400])
def test_a_place_that_is_not_kept_means_read_everything_again_or_begin_anew(house: WebHouse, last: str) -> None:
    house.fire("Known")

    with story(house, last) as events:
        name, _ = next(events)

    assert name == "reread" if last.isdigit() else name.isdigit()


def test_what_another_process_wrote_is_told_without_a_bell(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    number = house.fire("Silent")
    with story(house) as events:
        next(events)
        monkeypatch.setattr(house.bell, "notify", lambda: None)
        house.say(f"resolve {number}")

        heard = list(until_resolved(events, number))

    assert json.loads(heard[-1][1])["what"] == "incident.resolved"


def test_too_many_open_boards_are_turned_away_and_room_comes_back(house: WebHouse) -> None:
    key = house.page()["X-Vakhta-Page"].encode()
    lines = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(64)]
    for line in lines:
        line.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vakhta-Page: " + key + b"\r\n\r\n")
        heard = b""
        while b"retry:" not in heard:
            heard += line.recv(4096)

    refused = house.http.get("/events", headers=house.page())
    for line in lines:
        line.close()

    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "busy"
    wait_for(lambda: has_room(house))


def test_a_stop_lets_open_boards_go_at_once(tmp_path: Path) -> None:
    with WebHouse(tmp_path) as house, story(house) as events:
        house.fire()
        next(events)

        house.stop()

        assert not house.alive
        assert list(events) == []


def until_resolved(events: Iterator[tuple[str, str]], number: int) -> Iterator[tuple[str, str]]:
    for place, data in events:
        yield place, data
        event = json.loads(data)
        if event.get("incident_id") == number and event["what"] == "incident.resolved":
            return


def has_room(house: WebHouse) -> bool:
    with httpx.stream("GET", f"{house.url}/events", headers=house.page(), trust_env=False) as answer:
        return answer.status_code == 200
