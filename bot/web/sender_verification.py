"""Verifies senders without a token by their messages, on threads of its own.

A verification may need a request to another system. Neither the loop nor the threads for large bodies wait for it, and
unknown senders can occupy only these threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.core.source import SenderVerifier

_THREADS = 4
_MOST_WAITING = 64
MOST = 2 * 2**20  #: bytes of a body: SNS allows 256 KiB, and JSON may encode a byte as six


class SenderVerification:
    """`verifiers`: by source. Threads are started when first needed."""

    def __init__(self, verifiers: Mapping[str, SenderVerifier]) -> None:
        self._verifiers = verifiers
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="proof")
        self._waiting = 0

    def __contains__(self, name: str) -> bool:
        """Whether that source is authenticated by its messages, not by a token."""
        return name in self._verifiers

    async def verify(self, name: str, body: bytes, *, whole: bool) -> None:
        """As `SenderVerifier.verify`. Refuses a body that is not whole, and too many at once, without a check."""
        if not whole:
            message = f"The limit of the body is {MOST // 2**20} MiB. Nothing was stored."
            raise Rejected(message, code="too_large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._waiting >= _MOST_WAITING:
            message = f"{_MOST_WAITING} messages are being checked already. Nothing was stored. Send it again."
            raise Rejected(message, code="busy", status=HTTPStatus.SERVICE_UNAVAILABLE)
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._verifiers[name].verify, body)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Accept no more; a check that hangs is abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)
