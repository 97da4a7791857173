"""A clock that a test moves, and an engine's pauses that move it; and endpoints that are on this machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Begins now, as moto stamps what it makes with the real time."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.at

    def pause(self, much: timedelta) -> None:
        self.at += much


def at_loopback(body: bytes) -> bytes:
    """What describe answered, with every endpoint on this machine, where a PostgreSQL of the tests is."""
    return re.sub(rb"<Address>[^<]*</Address>", b"<Address>127.0.0.1</Address>", body)
