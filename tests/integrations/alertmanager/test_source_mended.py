"""What Alertmanager sent is made safe to store, and flagged; the numbers are the rows of the bad-input table."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bot.core.alert import AlertBatch
from bot.integrations.alertmanager.source import AlertmanagerSource
from tests.alerts.alerts_of import NOW, alert, body


def read(sent: bytes) -> AlertBatch:
    return AlertmanagerSource(lambda: NOW).read({}, sent)


@pytest.mark.parametrize("status", ["firing", "resolved"])
@pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", None])
def test_row_24_year_1_is_an_open_end(status: str, end: str | None) -> None:
    delivered = read(body(alert(status=status, endsAt=end)))

    assert delivered.alerts[0].ends_at is None
    assert delivered.repairs == ()


def test_a_resolved_alert_has_its_end() -> None:
    (one,) = read(body(alert(status="resolved", endsAt="2026-11-23T16:10:00+02:00"))).alerts

    assert (one.firing, one.ends_at) == (False, datetime(2026, 11, 23, 14, 10, tzinfo=UTC))


def test_an_end_that_cannot_be_right_is_as_good_as_none() -> None:
    delivered = read(body(alert(status="resolved", endsAt="soon")))

    assert delivered.alerts[0].ends_at is None
    assert delivered.repairs == ("end_dropped",)


def test_nanoseconds_are_cut_off_and_not_rounded() -> None:
    assert read(body()).alerts[0].starts_at == datetime(2026, 11, 23, 14, 0, 0, 532508, tzinfo=UTC)


@pytest.mark.parametrize(
    "start",
    [
        "yesterday",
        "99999-01-01T00:00:00Z",
        "2026-11-24T14:30:01Z",
        "9999-12-31T23:59:59-02:00",
        "0001-01-01T00:00:00Z",
        "2026-11-23T14:00:00",
        "2026-11-23",
        "",
        1763900000,
        None,
    ],
)
def test_row_25_a_start_that_cannot_be_right_is_the_receipt_and_flagged(start: object) -> None:
    delivered = read(body(alert(startsAt=start)))

    assert (delivered.alerts[0].starts_at, delivered.alerts[0].undated) == (NOW, True)
    assert delivered.repairs == ("time_replaced",)


@pytest.mark.parametrize(("row", "escape"), [(26, b"\\u0000"), (27, b"\\ud800"), (27, b"\\udfffx")])
def test_rows_26_27_what_a_database_refuses_is_replaced(row: int, escape: bytes) -> None:
    delivered = read(body().replace(b'"service":"api"', b'"service":"a' + escape + b'pi"'))

    label = delivered.alerts[0].labels["service"]
    assert label.startswith("a\ufffd")
    assert label.encode().isascii() is False
    assert delivered.repairs == ("text_mended",)


def test_rows_26_27_what_identifies_is_mended_too() -> None:
    delivered = read(body(alert(fingerprint="f\x00"), groupKey="g\x00\ud800").replace(b"\xed\xa0\x80", b"\\ud800"))

    assert (delivered.group, delivered.alerts[0].fingerprint) == ("g\ufffd\ufffd", "f\ufffd")
    assert delivered.repairs == ("text_mended",)


def test_row_26_a_nul_in_the_groups_key_alone_is_seen() -> None:
    assert read(body(groupKey="g\x00")).group == "g\ufffd"


def test_row_27_a_pair_of_surrogates_is_one_character() -> None:
    delivered = read(body().replace(b'"service":"api"', b'"service":"\\ud83d\\ude00"'))

    assert delivered.alerts[0].labels["service"] == "😀"
    assert delivered.repairs == ()


def test_row_28_of_10_000_labels_64_are_kept_and_the_ones_that_matter_first() -> None:
    labels = {f"a{number:05d}": "x" for number in range(10_000)} | {"severity": "critical", "alertname": "Z"}

    delivered = read(body(alert(labels=labels)))

    (one,) = delivered.alerts
    assert len(one.labels) == 64
    assert (one.labels["alertname"], one.labels["severity"]) == ("Z", "critical")
    assert delivered.repairs == ("labels_cut",)


def test_row_28_a_megabyte_of_label_is_cut_with_a_hash_of_all_of_it() -> None:
    long = "x" * 2**20

    delivered = read(body(alert(labels={"alertname": long}, annotations={"d": long})))

    (one,) = delivered.alerts
    mark = hashlib.sha256(long.encode()).hexdigest()[:16]
    assert (len(one.labels["alertname"]), len(one.annotations["d"])) == (1024, 4096)
    assert one.labels["alertname"].endswith(f"sha256 {mark}]")
    assert delivered.repairs == ("labels_cut", "notes_cut")


@pytest.mark.parametrize("name", ["пример.метка", "🔥", "\u202egnp.exe"])
def test_row_29_label_names_of_any_script_are_kept(name: str) -> None:
    delivered = read(body(alert(labels={name: name})))

    assert delivered.alerts[0].labels == {name: name}
    assert delivered.repairs == ()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (30, "<!channel> <@U1> <https://evil|ok>"),
        (31, "</b><script>alert(1)</script>"),
        (31, "{{ 7*7 }}"),
        (31, "'; DROP TABLE incident; --"),
        (31, 'say "hi": \\ \n\t'),
    ],
)
def test_rows_30_31_hostile_text_stays_text(row: int, text: str) -> None:
    assert read(body(alert(annotations={"summary": text}))).alerts[0].annotations["summary"] == text


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghijkl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "postgres://app:hunter2@db/prod",
    ],
)
@pytest.mark.parametrize("field", ["annotations", "labels"])
def test_row_32_a_secret_is_stored_redacted(secret: str, field: str) -> None:
    delivered = read(body(alert(**{field: {"text": f"key {secret} leaked"}})))

    assert delivered.repairs == ("redacted",)
    assert secret not in repr(replace(delivered, body=b""))
    assert "leaked" in repr(delivered.alerts)


def test_row_32_a_secret_that_is_spelt_with_escapes_is_found_too() -> None:
    delivered = read(body(alert(annotations={"text": "@@"})).replace(b"@@", b"\\u0041KIAIOSFODNN7EXAMPLE"))

    assert delivered.alerts[0].annotations == {"text": "[redacted]"}


def test_row_32_a_secret_in_the_groups_key_is_hashed_with_it() -> None:
    key = '{}:{token="AKIAIOSFODNN7EXAMPLE"}'

    delivered = read(body(groupKey=key))

    assert delivered.group == hashlib.sha256(key.encode()).hexdigest()
    assert delivered.repairs == ("group_hashed",)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://metadata.google.internal./",
        "http://a\\@b/",
        "http://host/a b",
        "http://host/\x1b[2J",
        "//host/",
        "http://",
    ],
)
def test_row_33_what_is_no_link_for_a_person_is_kept_as_text(url: str) -> None:
    delivered = read(body(alert(generatorURL=url)))

    (one,) = delivered.alerts
    assert one.link == ""
    assert one.annotations["generatorURL"] == url
    assert delivered.repairs == ("link_dropped",)


@pytest.mark.parametrize(
    "url", ["http://p:9090", "https://p.example/graph?a=1", "http://[2001:db8::1]:9090/", "http://10.0.0.1/"]
)
def test_a_link_to_http_is_kept(url: str) -> None:
    assert read(body(alert(generatorURL=url))).alerts[0].link == url


@pytest.mark.parametrize(("sent", "kept"), [(900, 900), (-1, 0), ("many", 0), (10**20, 2**31 - 1), (1.5, 0), (True, 0)])
def test_row_34_what_was_left_out_is_counted(sent: object, kept: int) -> None:
    assert read(body(truncatedAlerts=sent)).truncated == kept


def test_row_37_a_missing_group_key_is_derived_from_the_groups_labels_in_any_order() -> None:
    labels = {"b": 'q"', "a": "1"}

    first = read(body(groupKey=None, groupLabels=labels))
    second = read(body(groupKey=None, groupLabels=dict(reversed(labels.items()))))

    assert first.group == second.group == '{}:{a="1", b="q\\""}'
    assert first.repairs == ("group_derived",)


def test_row_37_a_group_key_of_a_megabyte_is_hashed() -> None:
    delivered = read(body(groupKey="k" * 2**20))

    assert delivered.group == delivered.alerts[0].group == hashlib.sha256(b"k" * 2**20).hexdigest()
    assert delivered.repairs == ("group_hashed",)


def test_row_39_an_unknown_severity_is_kept_as_it_was_said() -> None:
    assert read(body(alert(labels={"severity": "SEV0!!"}))).alerts[0].labels["severity"] == "SEV0!!"


def test_an_annotation_that_is_no_text_does_not_cost_the_alert() -> None:
    delivered = read(body(alert(annotations={"n": 3, "s": "x"})))

    assert delivered.alerts[0].annotations == {"n": "3", "s": "x"}
    assert delivered.repairs == ("notes_mended",)
