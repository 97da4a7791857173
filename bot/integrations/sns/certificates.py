"""Certificates fetched from where their owner publishes them, each once.

The promise: as many as ask for one at the same time cost one request, and what could not be had is asked for again by
the next. What is held is little: an owner changes its certificate about once a year.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.lib.crypto import BadKey, RsaCertificate, certificate_of

_MOST = 32


class CertificateCache:
    """`fetch` returns the PEM file at an address, or raises `Rejected`; it must give up by itself."""

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._held: dict[str, Future[RsaCertificate]] = {}
        self._lock = threading.Lock()

    def get(self, address: str) -> RsaCertificate:
        """Raises `Rejected` (503): it could not be had, or what is there is none."""
        with self._lock:
            promised = self._held.get(address)
            first = promised is None
            if promised is None:
                promised = self._held[address] = Future()
                self._forget_oldest()
        if first:
            self._keep(address, promised)
        return promised.result()

    def _keep(self, address: str, promised: Future[RsaCertificate]) -> None:
        """Whatever happens, those who wait hear of it."""
        try:
            promised.set_result(self._fetched(address))
        except BaseException as trouble:
            with self._lock:
                self._held.pop(address, None)
            promised.set_exception(trouble)
            raise

    def _fetched(self, address: str) -> RsaCertificate:
        try:
            return certificate_of(self._fetch(address))
        except (Rejected, BadKey) as trouble:
            message = f"The sender's certificate cannot be had now: {trouble} Nothing was stored. Send it again."
            raise Rejected(message, code="no_certificate", status=HTTPStatus.SERVICE_UNAVAILABLE) from None

    def _forget_oldest(self) -> None:
        while len(self._held) > _MOST:
            del self._held[next(iter(self._held))]
