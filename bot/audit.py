"""An audit entry as the bytes that are stored and hashed: one JSON object, canonical by RFC 8785, on one line.

Every text in it came from somebody, so it is made safe here, once: secrets out, no character that moves a cursor or
turns a line around, nothing that a database refuses, and no more than 4 KiB. What is stored is never written anew from
its values, so a later version of this file changes no entry that is there.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from bot.acts import AuditEntry
from bot.redact import redact

VERSION = 1
#: Bytes of UTF-8 that one text of an entry may have; and how many texts of its own it may have under `more`.
MOST_TEXT = 4096
MOST_MORE = 64
#: Where a number is no longer the same in every reader of JSON.
_EXACT = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CUT = "…"

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedEntry:
    """One entry, safe to store. `body` is what is hashed; the rest are its values, to search by."""

    uid: str
    at: datetime
    code: str
    run: str
    incident_id: int | None
    by: str
    verb: str
    target: str
    place: str
    body: bytes


def encode_entry(entry: AuditEntry, *, uid: str, at: datetime, scrub: Callable[[str], str] = redact) -> EncodedEntry:
    """The entry as it is stored. `scrub` takes secrets out of a text.

    A number of an incident that no database could hold is left out: no incident has it, and `said` tells the words.
    """
    safe = partial(_safe, scrub=scrub)
    incident = entry.incident_id if entry.incident_id is not None and abs(entry.incident_id) < _EXACT else None
    texts = {
        "by": safe(entry.by),
        "said": safe(entry.message),
        "run": safe(entry.run),
        "verb": safe(entry.verb),
        "target": safe(entry.target),
        "place": safe(entry.channel),
        "account": safe(entry.account),
    }
    body: dict[str, Json] = {
        **texts,
        "v": VERSION,
        "uid": uid,
        "at": rfc3339(at),
        "code": str(entry.code),
        "event": entry.code.name.lower(),
        "once": safe(entry.idempotency_key),
        "incident": incident,
        "more": {safe(name): safe(value) for name, value in list(entry.details.items())[:MOST_MORE]},
    }
    return EncodedEntry(
        uid=uid,
        at=at,
        code=str(entry.code),
        run=texts["run"],
        incident_id=incident,
        **{name: texts[name] for name in ("by", "verb", "target", "place")},
        body=canonical_json(body),
    )


def canonical_json(value: Json) -> bytes:
    """RFC 8785, for values without fractions.

    Raises:
        ValueError: a number that is not exact everywhere, or a text that is not Unicode (half of a surrogate pair).
    """
    return _json(value).encode("utf-8")


def _json(value: Json) -> str:
    if isinstance(value, str | bool) or value is None:
        return json.dumps(value, ensure_ascii=False)  # its escapes are those of RFC 8785, section 3.2.2.2
    if isinstance(value, int):
        if abs(value) >= _EXACT:
            raise ValueError(f"{value} is not the same number in every reader of JSON")
        return str(value)
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{_json(name)}:{_json(value[name])}" for name in names) + "}"
    return "[" + ",".join(map(_json, value)) + "]"


def rfc3339(at: datetime) -> str:
    """In UTC, always with microseconds: 2026-11-23T12:00:00.000000Z."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def uuid7(at: datetime, chance: bytes) -> str:
    """A UUID of version 7 (RFC 9562): its milliseconds are those of `at`, the rest is of 10 random bytes."""
    stamp = (at - _EPOCH) // timedelta(milliseconds=1)
    bits = int.from_bytes(chance, "big")
    number = stamp << 80 | 7 << 76 | (bits >> 62 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _safe(text: str, scrub: Callable[[str], str]) -> str:
    # A secret is looked for as a reader would see it: a character without a width in its midst must not hide it.
    seen = text if text.isprintable() else "".join(char for char in text if unicodedata.category(char) != "Cf")
    clean = scrub(seen)
    return _shortened(_on_one_line(text if clean == seen else clean))


def _on_one_line(text: str) -> str:
    """Controls, marks of direction and separators of lines as Python spells them; U+FFFD for what cannot be stored."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char == "\x00":
        return "\N{REPLACEMENT CHARACTER}"
    match unicodedata.category(char):
        case "Cs":
            return "\N{REPLACEMENT CHARACTER}"
        case "Cc" | "Cf" | "Zl" | "Zp":
            return char.encode("unicode_escape").decode()
        case _:
            return char


def _shortened(text: str) -> str:
    raw = text.encode()
    if len(raw) <= MOST_TEXT:
        return text
    return raw[: MOST_TEXT - len(_CUT.encode())].decode(errors="ignore") + _CUT
