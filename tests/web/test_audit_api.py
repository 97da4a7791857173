"""GET /api/audit: the recorded entries, decoded from their bytes, for those who have access."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bot.core.audit import AuditEntry, Code
from bot.lib.merkle import leaf_of
from bot.store import audit_log
from bot.store.audit_log import EntryFilter
from bot.store.audit_seals import Sealer
from tests.web.web_house import TOKEN, WebHouse

BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    with WebHouse(tmp_path_factory.mktemp("audit"), api_token=TOKEN) as house:
        _record(house, Code.INTENT, incident=42)
        _record(house, Code.DONE, incident=42)
        _record(house, Code.DENIED, incident=7)
        Sealer(house.store).seal()
        _record(house, Code.ANSWERED, incident=None)
        yield house


def _record(house: WebHouse, code: Code, *, incident: int | None) -> None:
    with house.store.begin() as tx:
        audit_log.append(
            tx, [AuditEntry(code=code, by="ana", message="«so»\n", incident_id=incident, details={"k": "v"})]
        )


def _events(house: WebHouse, query: str = "") -> list[str]:
    return [one["event"] for one in _asked(house, query)["entries"]]


def _asked(house: WebHouse, query: str = "") -> dict[str, Any]:
    answer = house.http.get(f"/api/audit{query}", headers=BEARER)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_an_entry_is_shown_as_its_bytes_say_it_with_its_place_and_leaf(house: WebHouse) -> None:
    with house.store.read() as seen:
        stored = audit_log.entries(seen.sql, EntryFilter())[0]

    shown = _asked(house)["entries"][-1]

    assert shown == {**json.loads(stored.body), "id": 1, "pos": 0, "leaf": leaf_of(stored.body).hex()}
    assert shown["said"] == "«so»\\n"


def test_the_newest_is_first_and_has_no_place_before_it_is_sealed(house: WebHouse) -> None:
    shown = _asked(house)["entries"]

    assert [one["event"] for one in shown] == ["answered", "denied", "done", "intent"]
    assert (shown[0]["pos"], shown[0]["leaf"]) == (None, None)


def test_the_log_can_be_asked_for_incident_code_and_time(house: WebHouse) -> None:
    at = _asked(house)["entries"][1]["at"]

    assert _events(house, "?incident=42") == ["done", "intent"]
    assert _events(house, "?code=VK101W") == ["denied"]
    assert _events(house, "?incident=42&code=VK101W") == []
    assert _events(house, f"?until={at}") == ["done", "intent"]
    assert "denied" in _events(house, f"?since={at}")
    assert _events(house, "?since=2999-01-01T00:00:00Z") == []


def test_pages_of_the_log_join_without_a_gap(house: WebHouse) -> None:
    first = _asked(house, "?limit=3")
    second = _asked(house, f"?limit=3&before={first['next']}")

    assert [one["id"] for one in first["entries"] + second["entries"]] == [4, 3, 2, 1]
    assert second["next"] is None


@pytest.mark.parametrize(
    "query", ["?incident=0", "?code=DONE", "?limit=201", "?before=-1", "?since=yesterday", "?since=2026-01-01T00:00:00"]
)
def test_what_cannot_be_asked_is_refused(house: WebHouse, query: str) -> None:
    answer = house.http.get(f"/api/audit{query}", headers=BEARER)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_valid")


def test_only_the_bearer_of_the_token_may_look_and_the_boards_own_page(house: WebHouse) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    wrong = forwarded | {"Authorization": "Bearer wrong"}
    right = forwarded | {"Authorization": f"Bearer {TOKEN}"}

    assert house.http.get("/api/audit").status_code == 401
    assert house.http.get("/api/audit", headers=house.page()).status_code == 200
    assert house.http.get("/api/audit", headers=forwarded).status_code == 401
    assert house.http.get("/api/audit", headers=forwarded | house.page()).status_code == 401
    assert house.http.get("/api/audit", headers=wrong).status_code == 401
    assert house.http.get("/api/audit", headers=right).status_code == 200


def test_a_store_that_is_down_is_no_empty_log(house: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise TimeoutError

    monkeypatch.setattr(house.store, "read", down)

    assert house.http.get("/api/audit", headers=BEARER).status_code == 503
