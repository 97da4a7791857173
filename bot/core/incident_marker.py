"""An incident's mark: what a restore from a backup cannot repeat. Pure.

Numbers are given anew once a backup was restored; the moment at which an incident was opened never comes again. So the
mark is made of what an incident is from its first moment on, and nothing has to be stored for it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Self

#: Characters of a mark. With its verb and number it has to fit into the 64 bytes of a button of Telegram's.
MARK_LENGTH = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarkedIncidentNumber(int):
    """An incident's number with the mark of the incident that is meant; it is that one or none."""

    mark: str

    def __new__(cls, number: int, mark: str) -> Self:
        made = super().__new__(cls, number)
        made.mark = mark
        return made


def mark_of(number: int, opened_at: datetime, source: str, key: str) -> str:
    told = f"{number} {micros_of(opened_at)} {source} {key}"
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:MARK_LENGTH]


def micros_of(at: datetime) -> int:
    """Whole microseconds since 1970, as they are stored."""
    return (at - _EPOCH) // timedelta(microseconds=1)
