"""HTTP/1.1 as uvicorn and httptools read it, with what they leave out: a limit to the size of a request's head,
one to the time it may take, and RFC 9112's rule that there is exactly one well-formed Host.

Without the limits one connection could fill the memory, or hold a socket for ever.
"""

from __future__ import annotations

import re
import secrets
from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot.web.errors import error_body

_MOST_HEAD = 32 * 1024
_HEAD_WITHIN_S = 10.0
_TOO_LARGE = "The head of a request holds at most 32 KiB. Nothing was done."
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


class Wire(HttpToolsProtocol):
    """One connection."""

    _head_open = True  #: the head of the next request is not complete
    _head_bytes = 0  #: how much of an incomplete head has come
    _head_due: TimerHandle | None = None
    _why = "This is not a valid HTTP request. Nothing was done."

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._head_due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._head_open or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MOST_HEAD:
            self._refuse_head()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_WITHIN_S, self._give_up)

    def on_message_begin(self) -> None:
        self._head_open = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_open = False
        self._head_arrived()
        # A name raised here reaches nobody: the parser turns it into an error of its own, answered below.
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MOST_HEAD:
            self._why = _TOO_LARGE
            raise ValueError(self._why)
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
            self._why = "Send one Host header with a name and, if need be, a port. Nothing was done."
            raise ValueError(self._why)
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced by ours
        body = error_body("bad_request", self._why, secrets.token_hex(8))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _refuse_head(self) -> None:
        self._why = _TOO_LARGE
        self.send_400_response("")

    def _head_arrived(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        if self._head_open:
            self.transport.close()
