"""What a sender of alerts is answered; the same words on whichever way the request came in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol

import msgspec

from bot.model import Delivered
from bot.ports import Rejected
from bot.web.errors import error_body

Field = tuple[bytes, bytes]

#: An ASGI app hears "close", and so do those who came by the short way, in the form that HTTP has for it.
CLOSE: Field = (b"connection", b"close")
RETRY: Field = (b"retry-after", b"5")
_JSON: Field = (b"content-type", b"application/json")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")


class Taken(Protocol):
    """What the intake did with a delivery, told after its commit."""

    @property
    def accepted(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def incidents(self) -> tuple[int, ...]: ...


class Answer(NamedTuple):
    """Status, header fields with content-length among them, and the body."""

    status: int
    fields: tuple[Field, ...]
    body: bytes


def accepted(delivered: Delivered, taken: Taken) -> Answer:
    """All of it is stored; 202 where something in it had to be mended or left out."""
    told: dict[str, object] = {
        "accepted": taken.accepted,
        "status": taken.code,
        "incidents": taken.incidents,
        "flags": delivered.flags,
    }
    if delivered.rejected:
        told["rejected"] = [{"path": path, "message": said} for path, said in delivered.rejected]
    mended = delivered.rejected or delivered.kept_for or "time_replaced" in delivered.flags
    return _spoken(202 if mended else 200, msgspec.json.encode(told))


def not_stored(request_id: str) -> Answer:
    """The sender has to send it again."""
    said = "This was not stored. Send it again."
    return refused(Rejected(said, code="not_stored", status=503), request_id, RETRY)


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The X-Request-Id of a request's headers, if it is one; else a new one. It is in the refusal and in the log."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def refused(why: Rejected, request_id: str, *more: Field) -> Answer:
    """The one shape of every refusal."""
    if why.status == HTTPStatus.UNAUTHORIZED:
        more += ((b"www-authenticate", b"Bearer"),)
    return _spoken(why.status, error_body(why.code, why.said, request_id), *more)


def _spoken(status: int, body: bytes, *more: Field) -> Answer:
    return Answer(status, (_JSON, (b"content-length", b"%d" % len(body)), *more), body)
