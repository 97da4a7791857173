"""Encodes an audit entry as the bytes that are stored and hashed: one line, one JSON object, canonical by RFC 8785.

Every text in it is untrusted, so it is made safe here, once: without secrets, without characters that move a cursor or
reverse a line, without characters that a database refuses, and at most 4 KiB long. Stored bytes are never encoded again
from their values, so a later version of this file changes no entry that is there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.core.audit import AuditEntry
from bot.lib.encoding import _EXACT, Json, canonical_json, rfc3339
from bot.lib.redact import redact

VERSION = 1
#: How many bytes of UTF-8 one text may have, and how many texts there may be under `more`.
MOST_TEXT = 4096
MOST_MORE = 64
_CUT = "…"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedEntry:
    """One entry, safe to store. `body` has the bytes that are hashed; the other fields repeat values for searches."""

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
    """The entry as it is stored. `scrub` removes secrets from a text.

    An incident number that is too large for a database is left out: no incident has it, and `said` has the typed text.
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


def _safe(text: str, scrub: Callable[[str], str]) -> str:
    # Secrets are searched in the text as a reader sees it: a zero-width character must not hide one.
    seen = text if text.isprintable() else "".join(char for char in text if unicodedata.category(char) != "Cf")
    clean = scrub(seen)
    return _shortened(_on_one_line(text if clean == seen else clean))


def _on_one_line(text: str) -> str:
    """Control characters, direction marks and line separators as Python escapes; U+FFFD for what cannot be stored."""
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
