"""Reading Alertmanager's payload; the numbers are the rows of the bad-input table."""

from __future__ import annotations

import hashlib
import json

import pytest

from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.integrations import find_sources
from bot.integrations.alertmanager.source import AlertmanagerSource, read_exactly, read_ordinary
from bot.integrations.payload import MOST_PARTS, digest_of_pairs
from bot.notifications.alert_texts import name_of
from tests.alerts.alerts_of import NOW, alert, body, payload


def read(sent: bytes) -> AlertBatch:
    return AlertmanagerSource(lambda: NOW).read({}, sent)


UNREADABLE = {
    "9 an empty body": (b"", 400, "empty_body"),
    "9 only blanks": (b" \r\n", 400, "empty_body"),
    "10 cut off": (b"{", 400, "bad_json"),
    "10 two values": (body() + b"{}", 400, "bad_json"),
    "11 a list": (b"[]", 422, "not_an_object"),
    "11 a text": (b'"x"', 422, "not_an_object"),
    "11 null": (b"null", 422, "not_an_object"),
    "12 lists 100,000 deep": (b"[" * 100_000, 400, "too_deep"),
    "12 objects 100,000 deep": (b'{"a":' * 100_000, 400, "too_deep"),
    "12 65 deep in an unknown field": (body(extra=json.loads("[" * 64 + "]" * 64)), 400, "too_deep"),
    "13 5,000 digits": (body().replace(b'"truncatedAlerts":0', b'"truncatedAlerts":' + b"9" * 5000), 400, "bad_number"),
    "14 NaN": (body().replace(b'"truncatedAlerts":0', b'"truncatedAlerts":NaN'), 400, "bad_number"),
    "14 Infinity": (body().replace(b'"truncatedAlerts":0', b'"truncatedAlerts":-Infinity'), 400, "bad_number"),
    "14 1e400": (body().replace(b'"truncatedAlerts":0', b'"truncatedAlerts":1e400'), 400, "bad_number"),
    "15 UTF-16": (json.dumps(payload()).encode("utf-16"), 400, "bad_encoding"),
    "15 UTF-16 without a mark": (json.dumps(payload()).encode("utf-16-le"), 400, "bad_encoding"),
    "15 a byte order mark": (b"\xef\xbb\xbf" + body(), 400, "bad_encoding"),
    "15 a 0xFF byte": (body().replace(b"slow", b"\xffslow"), 400, "bad_encoding"),
    "15 a raw surrogate": (body().replace(b"slow", b"\xed\xa0\x80"), 400, "bad_encoding"),
    "16 status twice": (body().replace(b'"version"', b'"status":"resolved","version"'), 400, "duplicate_key"),
    "16 a label twice": (body().replace(b'"service":"api"', b'"service":"api","service":"db"'), 400, "duplicate_key"),
    "16 twice, with a blank": (body().replace(b'"version"', b'"alerts" :[],"version"'), 400, "duplicate_key"),
    "16 twice, hidden by escaped quotes": (
        body(groupKey="{ab}").replace(b"{ab}", b"\\u0022\\u0022").replace(b'"groupL', b'"groupLabels":{},"groupL'),
        400,
        "duplicate_key",
    ),
    "16 twice, spelt differently": (
        body().replace(b'"version"', b'"st\\u0061tus":"firing","version"'),
        400,
        "duplicate_key",
    ),
    "17 version 3": (body(version="3"), 422, "unsupported_version"),
    "17 no version": (body(version=None), 422, "unsupported_version"),
    "17 a number as version": (body(version=4), 422, "unsupported_version"),
    "19 alerts is an object": (body(alerts={"a": 1}), 422, "bad_alerts"),
    "19 no alerts": (body(alerts=None), 422, "bad_alerts"),
    "19 every alert malformed": (body(7, "x"), 422, "bad_alert"),
    "20 pending": (body(alert(status="pending")), 422, "bad_status"),
}


@pytest.mark.parametrize(("sent", "status", "code"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_refused_with_its_own_answer(sent: bytes, status: int, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(sent)

    assert (refused.value.status, refused.value.code) == (status, code)
    assert refused.value.message.endswith(".")


def test_row_10_bad_json_names_the_byte_offset() -> None:
    with pytest.raises(Rejected, match="at offset 11"):
        read('{"имя":"'.encode() + b"\n")


def test_more_alerts_than_any_sender_has_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.integrations.payload.MOST_ALERTS", 3)

    assert len(read(body(*[alert(status="firing", fingerprint=str(n), more=1) for n in range(3)])).alerts) == 3
    with pytest.raises(Rejected) as refused:
        read(body(*[alert()] * 3, {}))

    assert (refused.value.status, refused.value.code) == (413, "too_many")


@pytest.mark.parametrize("part", [b"{}", b"[]"])
def test_a_body_of_more_objects_than_alerts_have_is_not_even_parsed(
    monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("bot.integrations.payload.json.loads", parsed)
    with pytest.raises(Rejected) as refused:
        read_exactly(b'{"alerts":[' + b",".join([part] * MOST_PARTS) + b"]}", NOW)

    assert (refused.value.status, refused.value.code) == (413, "too_many")


def test_row_12_64_deep_is_still_read() -> None:
    assert read(body(extra=json.loads("[" * 63 + "]" * 63))).alerts


def test_row_18_no_alerts_is_no_error_and_is_flagged() -> None:
    delivered = read(body(alerts=[]))

    assert delivered.alerts == ()
    assert delivered.repairs == ("no_alerts",)


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (7, "alerts[3]"),
        (None, "alerts[3]"),
        (alert(labels=["a"]), "alerts[3].labels"),
        (alert(labels=None), "alerts[3].labels"),
        (alert(labels={"a": 1}), "alerts[3].labels"),
        (alert(status="pending"), "alerts[3].status"),
        (alert(status=None), "alerts[3].status"),
    ],
)
def test_row_19_one_malformed_alert_of_50_does_not_cost_the_others(bad: object, path: str) -> None:
    fifty = [alert(fingerprint=f"{number:016x}") for number in range(50)]

    delivered = read(body(*fifty[:3], bad, *fifty[4:]))

    assert len(delivered.alerts) == 49
    assert [at for at, _ in delivered.rejected] == [path]


def test_row_20_the_refusal_names_the_path_and_repeats_nothing_that_was_sent() -> None:
    with pytest.raises(Rejected, match=r"^alerts\[0\]\.status: ") as refused:
        read(body(alert(status="pending")))

    assert "pending" not in refused.value.message


def test_row_21_the_alerts_own_status_wins_over_its_groups() -> None:
    (one,) = read(body(alert(status="firing"), status="resolved")).alerts

    assert one.firing


def test_row_22_a_missing_fingerprint_is_the_sha256_of_the_sorted_labels() -> None:
    labels = {"alertname": "A", "service": "api"}
    turned = dict(reversed(labels.items()))

    (first,) = read(body(alert(fingerprint=None, labels=labels))).alerts
    (second,) = read(body(alert(fingerprint="", labels=turned))).alerts

    said = json.dumps(labels, separators=(",", ":"))
    assert first.fingerprint == second.fingerprint == hashlib.sha256(said.encode()).hexdigest()
    assert digest_of_pairs({**labels, "service": "db"}) != first.fingerprint


def test_a_fingerprint_over_64_characters_is_hashed() -> None:
    delivered = read(body(alert(fingerprint="f" * 65)))

    assert delivered.alerts[0].fingerprint == hashlib.sha256(b"f" * 65).hexdigest()
    assert delivered.repairs == ("fingerprint_hashed",)


def test_row_23_an_alert_without_a_name_has_a_title() -> None:
    assert name_of(read(body(alert(labels={}))).alerts[0].labels) == "(no alertname)"


def test_unknown_fields_are_accepted() -> None:
    known = read(body())

    told = read(body(alert(extra={"deep": [1]}), orgId=1))

    assert told.alerts == known.alerts


def test_the_body_is_handed_on_as_it_came() -> None:
    assert read(body()).body == body()


@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("newer", [{}, {"notification_reason": "firing", "routeLabels": {"team": "core"}}])
def test_what_alertmanager_sends_on_an_ordinary_day_takes_the_quick_path(count: int, newer: dict[str, object]) -> None:
    alerts = [
        alert(
            fingerprint=f"{number:016x}",
            annotations={"summary": 'Job "api" is <slow> & mail ops@example.org', "description": "a\nb: \u00e9"},
        )
        for number in range(count)
    ]
    sent = body(*alerts, **newer)

    quick = read_ordinary(sent, NOW)

    assert quick is not None
    assert quick == read_exactly(sent, NOW)


def test_a_source_is_found_by_being_there_and_shared_ground_is_none() -> None:
    found = find_sources()

    assert found["alertmanager"] is AlertmanagerSource
    assert "payload" not in found
