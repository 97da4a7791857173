"""The protocols that a source of alerts implements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from bot.core.alert import AlertBatch


class Source(Protocol):
    """One kind of alert sender. `read` turns bytes into alerts or raises `Rejected`; apart from the time it is pure."""

    name: str

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: gives the time that replaces an impossible one in the payload."""

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch: ...


class SenderVerifier(Protocol):
    """Authenticates a sender that has no token, from the message itself."""

    def verify(self, body: bytes) -> None:
        """Check the message, and do what has to be done before it is read. Blocks: it may call other services.

        Raises:
            Rejected: with a status below 500 it is not genuine, and nothing of it is kept; otherwise it cannot be
                checked now, and the sender should try again.
        """
        ...
