"""What a source of alerts must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from bot.core.alert import AlertBatch


class Source(Protocol):
    """One kind of alert sender. `read` is pure but for the time: bytes in, alerts out, or `Rejected`."""

    name: str

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: asked for the time that takes the place of one that cannot be right."""

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch: ...


class SenderVerifier(Protocol):
    """How a sender without a token is known: the message itself shows it."""

    def verify(self, body: bytes) -> None:
        """Check it, and do what has to be done before it is read. Blocks: others may have to be asked.

        Raises:
            Rejected: below 500, it is not genuine and nothing is kept of it; else nobody can say now, try again.
        """
        ...
