"""An audit entry as bytes: canonical, one line, without secrets; against RFC 8785's and RFC 9562's own examples."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.audit import AuditEntry, Code
from bot.lib.encoding import Json, canonical_json, rfc3339, uuid7
from bot.store import audit_entry
from bot.store.audit_entry import MOST_MORE, MOST_TEXT

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEYS = {
    "v", "uid", "at", "code", "event", "by", "said", "run", "verb", "target", "place", "account", "once", "incident",
    "more",
}  # fmt: skip

_NASTY = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp"]),
        st.sampled_from("\x00\n\r\x1b\u202e\u2066\u200b\u2028\ud800\udc00"),
    )
)


def body(entry: AuditEntry) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(audit_entry.encode_entry(entry, uid="u", at=NOON).body)
    return told


def test_an_entry_has_all_its_keys_and_is_sorted_and_without_spaces() -> None:
    entry = AuditEntry(code=Code.INTENT, by="ana", message="Silence it.", run="r1", verb="silence", target="api")

    line = audit_entry.encode_entry(entry, uid="0199", at=NOON)

    assert line.body == (
        b'{"account":"","at":"2026-11-23T12:00:00.000000Z","by":"ana","code":"VK120I","event":"intent",'
        b'"incident":null,"more":{},"once":"","place":"","run":"r1","said":"Silence it.","target":"api","uid":"0199",'
        b'"v":1,"verb":"silence"}'
    )
    assert set(json.loads(line.body)) == KEYS


def test_texts_are_escaped_as_in_the_example_of_rfc_8785() -> None:
    assert (
        canonical_json("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/") == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()
    )


def test_names_are_sorted_as_in_the_example_of_rfc_8785() -> None:
    given_names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    told = canonical_json(dict.fromkeys(given_names, None)).decode()

    assert list(json.loads(told)) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_literals_and_nested_values_are_as_in_the_example_of_rfc_8785() -> None:
    assert (
        canonical_json({"literals": [None, True, False], "a": {"b": -1}})
        == b'{"a":{"b":-1},"literals":[null,true,false]}'
    )


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800", ["\udfff"]])
def test_what_is_not_the_same_everywhere_has_no_canonical_form(value: Json) -> None:
    with pytest.raises(ValueError, match=r"surrogates|not the same number"):
        canonical_json(value)


def test_times_are_utc_with_microseconds() -> None:
    assert rfc3339(NOON) == "2026-11-23T12:00:00.000000Z"
    assert rfc3339(NOON.astimezone(timezone(timedelta(hours=5), "far"))) == "2026-11-23T12:00:00.000000Z"


def test_a_uuid_is_that_of_the_example_of_rfc_9562() -> None:
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    chance = 0xCC3 << 62 | 0x18C4DC0C0C07398F

    assert uuid7(at, chance.to_bytes(10, "big")) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(text=_NASTY)
def test_whatever_is_said_an_entry_is_one_line_that_every_database_takes(text: str) -> None:
    entry = AuditEntry(
        code=Code.ANSWERED, by=text, message=text, run=text, verb=text, target=text, channel=text, account=text,
        idempotency_key=text,
        details={text: text},
    )  # fmt: skip

    line = audit_entry.encode_entry(entry, uid="u", at=NOON)

    told = line.body.decode()
    assert told.splitlines() == [told]
    values = [*json.loads(told)["more"], *json.loads(told)["more"].values(), json.loads(told)["said"], line.run]
    assert {unicodedata.category(char) for value in values for char in value} <= _SHOWN
    assert canonical_json(json.loads(told)) == line.body


#: What is left: letters, marks, numbers, signs and spaces, the unassigned, and the private.
_SHOWN = {
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
    "Sc", "Sk", "So", "Zs", "Cn", "Co",
}  # fmt: skip


def test_a_control_or_a_turn_of_direction_is_shown_and_not_obeyed() -> None:
    told = body(AuditEntry(code=Code.DENIED, by="x", message="a\nVK121I \x1b[2K\u202egpj.\u2028b\x00c\ud800d\te"))

    assert told["said"] == "a\\nVK121I \\x1b[2K\\u202egpj.\\u2028b\ufffdc\ufffdd\\te"


def test_a_secret_is_left_out_also_where_a_character_without_a_width_breaks_it() -> None:
    token = "ghp_" + "a1B2" * 9
    hidden = token[:10] + "\u200b" + token[10:]

    told = body(AuditEntry(code=Code.ANSWERED, by="x", message=f"use {hidden} and {token}", details={token: hidden}))

    assert told["said"] == "use [redacted] and [redacted]"
    assert told["more"] == {"[redacted]": "[redacted]"}


def test_a_text_is_cut_at_4_kib_and_says_so() -> None:
    told = body(AuditEntry(code=Code.ANSWERED, by="x", message="я" * 5000, details={str(n): "" for n in range(100)}))

    assert len(told["said"].encode()) in (MOST_TEXT, MOST_TEXT - 1)
    assert told["said"].endswith("я…")
    assert len(told["more"]) == MOST_MORE


def test_a_number_that_no_incident_has_is_left_out() -> None:
    assert body(AuditEntry(code=Code.REJECTED, by="x", message="", incident_id=10**30))["incident"] is None
    assert body(AuditEntry(code=Code.REJECTED, by="x", message="", incident_id=42))["incident"] == 42
