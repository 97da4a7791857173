"""Requests that are refused for who sent them are on record, added up, and never in the sender's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.access.unauthenticated import UnauthenticatedRequests
from bot.core.errors import Rejected
from bot.lib.metrics import Metrics
from bot.store import audit_log
from bot.store.engine import Store, Unavailable
from tests.web.edges import Ears
from tests.web.web_house import WebHouse


@pytest.fixture
def slack() -> Ears:
    return Ears("slack")


@pytest.fixture
def house(tmp_path: Path, slack: Ears) -> Iterator[WebHouse]:
    with WebHouse(tmp_path, channels={"slack": slack}) as made:
        yield made


def on_record(store: Store) -> list[tuple[str, str, dict[str, Any]]]:
    with store.read() as seen:
        bodies = [json.loads(one.body) for one in audit_log.entries(seen.sql, audit_log.EntryFilter())]
    return [(body["code"], body["place"], body["more"]) for body in bodies]


def test_row_41_what_is_not_signed_as_it_should_be_is_on_record_once_for_each_reason(
    house: WebHouse, slack: Ears
) -> None:
    for code, status in (("bad_signature", 401), ("bad_signature", 401), ("wrong_team", 403), ("not_json", 400)):
        slack.next = Rejected("No.", code=code, status=status)
        house.http.post("/in/slack", content=b"{}", headers={"X-Slack-Signature": "v0=<!channel>"})

    house.strangers.record()

    assert on_record(house.store) == [
        ("VK104W", "slack", {"count": "2", "reason": "bad_signature"}),
        ("VK104W", "slack", {"count": "1", "reason": "wrong_team"}),
    ]


def test_a_wrong_token_of_the_api_is_on_record(house: WebHouse) -> None:
    house.http.get("/api/incidents", headers={"Authorization": "Bearer no"})

    house.strangers.record()
    house.strangers.record()

    assert on_record(house.store) == [("VK104W", "api", {"count": "1", "reason": "auth_invalid"})]


def test_what_cannot_be_written_is_kept_for_the_next_time(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(store_url)
    made = UnauthenticatedRequests(store, Metrics())
    made.count("alertmanager", "auth_invalid")
    with monkeypatch.context() as broken:
        broken.setattr(store, "begin", _down)
        made.record()
    made.count("alertmanager", "auth_invalid")

    made.record()

    assert on_record(store) == [("VK104W", "alertmanager", {"count": "2", "reason": "auth_invalid"})]
    store.close()


def _down(lane: str) -> None:
    raise Unavailable(lane)
