"""Checks the format of an entry's bytes, and computes the values that the columns must have.

The bytes are RFC 8785 JSON with fixed keys, so one regular expression describes them completely; parsing them, and
encoding them again to see whether they are canonical, would take five times as long. Matching takes linear time: no
part of the expression backtracks.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

#: (at, code, run, incident_id, by, verb, target, place, uid); texts are UTF-8, times microseconds since 1970.
Columns = tuple[int, bytes, bytes, int | None, bytes, bytes, bytes, bytes, bytes]

NAMES = ("at", "code", "run", "incident_id", "by", "verb", "target", "place", "uid")
AT: Final = 0
CODE: Final = 1
RUN: Final = 2
UID: Final = 8

#: A text without escapes, and one with escapes. Before the first is matched, each character that has to be escaped is
#: replaced by a quote, so that a body with such a character does not match.
_PLAIN = rb'[^"]*+'
_TEXT = rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))[^"\\\x00-\x1f]*+)*+'
_QUOTED = bytes(0x22 if code < 0x20 or code == 0x5C else code for code in range(256))  # noqa: PLR2004 (ASCII)


def _form(text: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb'\{"account":"%(t)b","at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d\.\d{6}Z)","by":"(%(t)b)","code":"(%(t)b)",'
        rb'"event":"%(t)b","incident":(null|0|-?[1-9]\d{0,15}),"more":(\{(?:"%(t)b":"%(t)b"(?:,"%(t)b":"%(t)b")*+)?\}),'
        rb'"once":"%(t)b","place":"(%(t)b)","run":"(%(t)b)","said":"%(t)b","target":"(%(t)b)","uid":"(%(t)b)",'
        rb'"v":1,"verb":"(%(t)b)"\}' % {b"t": text}
    )


_USUAL, _ESCAPED = _form(_PLAIN), _form(_TEXT)
_KEY = re.compile(rb'"(%b)":"%b"' % (_TEXT, _TEXT))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def columns_of(body: bytes) -> Columns | None:
    """The values that the columns must have for that body; None where it has not the format of an entry."""
    match = _USUAL.fullmatch(body.translate(_QUOTED))
    escaped = match is None
    match = match or _ESCAPED.fullmatch(body)
    if match is None:
        return None
    at, by, code, incident, more, place, run, target, uid, verb = match.groups()
    try:
        micros = _minute(at[:16]) + int(at[17:19] + at[20:26])
        if not body.isascii():
            body.decode()
    except ValueError:  # a 13th month, or bytes that are not UTF-8
        return None
    if more != b"{}" and not _ordered(more, escaped=escaped):
        return None
    number = None if incident == b"null" else int(incident)
    columns = (micros, code, run, number, by, verb, target, place, uid)
    return _unescaped(columns) if escaped else columns


@lru_cache(maxsize=4096)
def _minute(text: bytes) -> int:
    """The start of that minute, in microseconds since 1970. Raises ValueError where there is no such minute."""
    return int((datetime.fromisoformat(f"{text.decode()}Z") - _EPOCH) // timedelta(microseconds=1))


def _ordered(more: bytes, *, escaped: bool) -> bool:
    """Whether its keys are unique and in the order of their UTF-16 code units, as RFC 8785 wants."""
    # Split by quotes, the parts are, again and again: key, colon, value, comma.
    keys: list[bytes] = _KEY.findall(more) if escaped else more[2:].split(b'"')[::4]
    if escaped or not more.isascii():
        keys = [_text(key).decode().encode("utf-16-be") for key in keys]
    return keys == sorted(set(keys))


def _unescaped(columns: Columns) -> Columns:
    at, code, run, number, *texts = columns
    by, verb, target, place, uid = map(_text, texts)
    return at, _text(code), _text(run), number, by, verb, target, place, uid


def _text(escaped: bytes) -> bytes:
    text: str = json.loads(b'"' + escaped + b'"')
    return text.encode()
