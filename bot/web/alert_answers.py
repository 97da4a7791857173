"""What a sender of alerts is answered; the same words on whichever way the request came in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple, Protocol

import msgspec

from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.web.errors import error_body

Field = tuple[bytes, bytes]

#: An ASGI app hears "close", and so do those who came by the short way, in the form that HTTP has for it.
CLOSE: Field = (b"connection", b"close")
RETRY: Field = (b"retry-after", b"5")
_JSON: Field = (b"content-type", b"application/json")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")


class IntakeReceipt(Protocol):
    """What the intake did with a delivery, told after its commit."""

    @property
    def accepted(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def incidents(self) -> tuple[int, ...]: ...


class AlertAnswer(NamedTuple):
    """Status, header fields with content-length among them, and the body."""

    status: int
    fields: tuple[Field, ...]
    body: bytes


def accepted_answer(batch: AlertBatch, receipt: IntakeReceipt) -> AlertAnswer:
    """All of it is stored; 202 where something in it had to be mended or left out."""
    told: dict[str, object] = {
        "accepted": receipt.accepted,
        "status": receipt.code,
        "incidents": receipt.incidents,
        "flags": batch.repairs,
    }
    if batch.rejected:
        told["rejected"] = [{"path": path, "message": message} for path, message in batch.rejected]
    mended = batch.rejected or batch.keep_reason or "time_replaced" in batch.repairs
    return _spoken(202 if mended else 200, msgspec.json.encode(told))


def not_stored_answer(request_id: str) -> AlertAnswer:
    """The sender has to send it again."""
    message = "This was not stored. Send it again."
    return refused_answer(Rejected(message, code="not_stored", status=503), request_id, RETRY)


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The X-Request-Id of a request's headers, if it is one; else a new one. It is in the refusal and in the log."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def refused_answer(refusal: Rejected, request_id: str, *more: Field) -> AlertAnswer:
    """The one shape of every refusal."""
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        more += ((b"www-authenticate", b"Bearer"),)
    return _spoken(refusal.status, error_body(refusal.code, refusal.message, request_id), *more)


def _spoken(status: int, body: bytes, *more: Field) -> AlertAnswer:
    return AlertAnswer(status, (_JSON, (b"content-length", b"%d" % len(body)), *more), body)
