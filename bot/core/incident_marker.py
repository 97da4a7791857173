"""An incident's marker: letters beside its number that a restore from backup cannot repeat. Pure.

After a restore, numbers are given out again; the moment at which an incident was opened does not come again. So the
marker is computed from what an incident has from its first moment on, and nothing has to be stored for it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Self

#: Characters of a marker. With verb and number it has to fit into the 64 bytes of a Telegram button.
MARK_LENGTH = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarkedIncidentNumber(int):
    """An incident's number with its marker: it means the incident with that marker, or none."""

    mark: str

    def __new__(cls, number: int, mark: str) -> Self:
        made = super().__new__(cls, number)
        made.mark = mark
        return made


def mark_of(number: int, opened_at: datetime, source: str, key: str) -> str:
    """The marker of the incident with this number, source and group."""
    identity = f"{number} {micros_of(opened_at)} {source} {key}"
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:MARK_LENGTH]


def micros_of(at: datetime) -> int:
    """Whole microseconds since 1970, as they are stored."""
    return (at - _EPOCH) // timedelta(microseconds=1)
