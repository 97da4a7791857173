"""The two readers of Alertmanager's payload say the same, whatever is sent, and raise nothing but `Rejected`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.integrations.alertmanager.source import read_exactly, read_ordinary
from tests.alerts.alerts_of import NOW, alert, body, encoded, payload

#: What makes readers differ: quotes, escapes, surrogates, NUL, signs of secrets, lengths at the limits.
TELLING = ['"', "\\", '":', "\x00", "\ud800", "@", "AKIAIOSFODNN7EXAMPLE", "://u:p@h/", "a" * 1025, "é", "😀", "\x7f"]
TIMES = [
    "2026-11-23T14:00:00.532508999Z",
    "2026-11-23T14:00:00+05:30",
    "2026-11-23 14:00:00Z",
    "2026-W48-1T10:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-02:00",
    "2026-11-24T14:30:01Z",
    "2026-02-30T00:00:00Z",
]
URLS = ["http://p:9090/g?a=1&b=2", "https://p", "http://169.254.169.254/", "javascript:1", "http://h/\n"]

texts = st.text(max_size=8) | st.lists(st.sampled_from([*TELLING, "a"]), max_size=3).map("".join)
pairs = st.dictionaries(texts, texts, max_size=4) | st.just({f"l{number}": "x" for number in range(65)})
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
alert_changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["resolved", "pending"]),
        "labels": pairs,
        "annotations": pairs,
        "startsAt": st.sampled_from(TIMES),
        "endsAt": st.sampled_from(TIMES),
        "generatorURL": st.sampled_from(URLS) | texts,
        "fingerprint": texts | st.just("f" * 65),
    },
)
payload_changes = st.fixed_dictionaries(
    {},
    optional={
        "groupKey": texts,
        "groupLabels": pairs,
        "commonAnnotations": pairs,
        "truncatedAlerts": st.integers(-1, 2**32),
        "notification_reason": texts,
        "routeLabels": pairs,
    },
)
alerts = st.lists(alert_changes.map(lambda changes: alert(**changes)), min_size=1, max_size=3)
payloads = st.builds(lambda made, changes: payload(*made, **changes), alerts, payload_changes)
fields = st.sampled_from([*payload(), "notification_reason", "routeLabels", "x"])
alert_fields = st.sampled_from([*alert(), "x"])


def spelt(value: object, spelling: str) -> bytes:
    if spelling == "go":
        return encoded(value)
    if spelling == "python":
        return json.dumps(value).encode()
    return json.dumps(value, indent=1, separators=(",", " : ")).encode()


def outcome_of_both(sent: bytes) -> AlertBatch | Rejected:
    """The exact reader's answer, after the quick one was seen to agree."""
    quick = read_ordinary(sent, NOW)
    try:
        exact = read_exactly(sent, NOW)
    except Rejected as rejected:
        assert quick is None, "the quick reader took what the exact one refuses"
        return rejected
    assert quick is None or quick == exact
    return exact


@given(payloads, st.sampled_from(["go", "python", "wide"]))
def test_both_agree_on_likely_payloads_in_any_spelling(value: object, spelling: str) -> None:
    outcome = outcome_of_both(spelt(value, spelling))

    if isinstance(outcome, AlertBatch):
        # Whatever was sent, it can be stored: no NUL, no lone surrogate, nothing without end.
        for one in outcome.alerts:
            texts_of_it = [one.group, one.fingerprint, one.link, *one.labels, *one.labels.values(), *one.annotations]
            stored = "".join([*texts_of_it, *one.annotations.values()])
            assert "\x00" not in stored
            assert len(stored.encode()) < 64 * 4 * (1024 + 1024 + 4096)


@given(payloads, fields, anything, alert_fields, anything)
def test_both_agree_when_any_field_is_anything(
    value: dict[str, object], field: str, instead: object, alert_field: str, alert_instead: object
) -> None:
    some = {**alert(), alert_field: alert_instead}
    outcome_of_both(spelt({**value, "alerts": [alert(), some]}, "python"))
    outcome_of_both(spelt({**value, field: instead}, "python"))


@given(st.data())
def test_both_agree_on_bytes_cut_doubled_and_put_in(data: st.DataObject) -> None:
    sent = body(alert(annotations={"d": 'say "hi"'}))
    start = data.draw(st.integers(0, len(sent)))
    end = data.draw(st.integers(start, min(start + 60, len(sent))))
    put = data.draw(st.binary(max_size=4) | st.sampled_from([b"", b"\\u0022", b'"a":1,', b"[[", b'"labels":{},', b" "]))

    outcome_of_both(sent[:start] + put + sent[end:])
    outcome_of_both(sent[:end] + put + sent[start:])


@given(st.binary(max_size=64) | anything.map(lambda value: json.dumps(value).encode()))
def test_both_agree_on_anything_at_all(sent: bytes) -> None:
    outcome_of_both(sent)
