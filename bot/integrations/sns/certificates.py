"""A cache of certificates, each fetched once from where its owner publishes it.

The promise: callers that need the same certificate at the same time cost one request, and a failed fetch is tried again
by the next caller. The cache is small: an owner changes its certificate about once a year.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus

from bot.core.errors import Rejected
from bot.lib.crypto import BadKey, RsaCertificate, certificate_of

_MAX_CERTIFICATES = 32


class CertificateCache:
    """`fetch` returns the PEM file at an address, or raises `Rejected`; it needs a time limit of its own."""

    def __init__(self, fetch: Callable[[str], bytes]) -> None:
        self._fetch = fetch
        self._certificates: dict[str, Future[RsaCertificate]] = {}
        self._lock = threading.Lock()

    def get(self, address: str) -> RsaCertificate:
        """Raises `Rejected` (503): it could not be fetched, or the file is not a certificate."""
        with self._lock:
            promised = self._certificates.get(address)
            first = promised is None
            if promised is None:
                promised = self._certificates[address] = Future()
                self._evict_oldest()
        if first:
            self._fill(address, promised)
        return promised.result()

    def _fill(self, address: str, promised: Future[RsaCertificate]) -> None:
        """Fetch it; waiting callers get the certificate or the error."""
        try:
            promised.set_result(self._fetched(address))
        except BaseException as error:
            with self._lock:
                self._certificates.pop(address, None)
            promised.set_exception(error)
            raise

    def _fetched(self, address: str) -> RsaCertificate:
        try:
            return certificate_of(self._fetch(address))
        except (Rejected, BadKey) as error:
            message = f"The sender's certificate cannot be fetched now: {error} Nothing was stored. Send it again."
            raise Rejected(message, code="no_certificate", status=HTTPStatus.SERVICE_UNAVAILABLE) from None

    def _evict_oldest(self) -> None:
        while len(self._certificates) > _MAX_CERTIFICATES:
            del self._certificates[next(iter(self._certificates))]
