"""Senders that carry no token, known by what they send: checked on threads of their own.

To check one may take a request to somebody else. Neither the loop nor the threads that read large bodies wait for that,
and strangers cannot fill more than these.
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
MOST = 2 * 2**20  #: bytes of a body: SNS carries 256 KiB, and JSON may write a byte of it as six


class SenderVerification:
    """`proofs` by source. Threads are made when they are first needed."""

    def __init__(self, proofs: Mapping[str, SenderVerifier]) -> None:
        self._proofs = proofs
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="proof")
        self._waiting = 0

    def __contains__(self, name: str) -> bool:
        """Whether that source is known by its messages, and not by a token."""
        return name in self._proofs

    async def verify(self, name: str, body: bytes, *, whole: bool) -> None:
        """As `Proof.verify`. A body that is not whole, and one too many at once, are refused unseen."""
        if not whole:
            message = f"Limit {MOST // 2**20} MiB. Nothing was stored."
            raise Rejected(message, code="too_large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._waiting >= _MOST_WAITING:
            message = f"{_MOST_WAITING} messages are being checked already. Nothing was stored. Send it again."
            raise Rejected(message, code="busy", status=HTTPStatus.SERVICE_UNAVAILABLE)
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._proofs[name].verify, body)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Take no more; what hangs is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)
