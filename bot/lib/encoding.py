"""Canonical JSON, timestamps and ids, as the audit log stores and hashes them.

The same value must give the same bytes for ever: hashes of entries that are years old are recomputed with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

#: From here on, readers of JSON disagree about a number's value.
_EXACT = 2**53


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


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
    """A UUID of version 7 (RFC 9562): the milliseconds of `at`, and `chance`, 10 random bytes."""
    stamp = (at - _EPOCH) // timedelta(milliseconds=1)
    bits = int.from_bytes(chance, "big")
    number = stamp << 80 | 7 << 76 | (bits >> 62 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
