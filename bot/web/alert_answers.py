"""Builds the answers to senders of alerts. They are the same on the fast path and on the slow path."""

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

#: Ends the connection after the answer. The server reads it from an ASGI app's answer; the fast path sends it as it is.
CLOSE: Field = (b"connection", b"close")
RETRY: Field = (b"retry-after", b"5")
_JSON: Field = (b"content-type", b"application/json")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")


class IntakeReceipt(Protocol):
    """What the intake did with a batch of alerts, reported after its commit."""

    @property
    def accepted(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def incidents(self) -> tuple[int, ...]: ...


class AlertAnswer(NamedTuple):
    """Status, header fields including content-length, and the body."""

    status: int
    fields: tuple[Field, ...]
    body: bytes


def accepted_answer(batch: AlertBatch, receipt: IntakeReceipt) -> AlertAnswer:
    """All of it is stored. 202 if something in it was corrected or left out, else 200."""
    body: dict[str, object] = {
        "accepted": receipt.accepted,
        "status": receipt.code,
        "incidents": receipt.incidents,
        "flags": batch.repairs,
    }
    if batch.rejected:
        body["rejected"] = [{"path": path, "message": message} for path, message in batch.rejected]
    changed = batch.rejected or batch.keep_reason or "time_replaced" in batch.repairs
    return _json_answer(202 if changed else 200, msgspec.json.encode(body))


def not_stored_answer(request_id: str) -> AlertAnswer:
    """503: the sender has to send it again."""
    message = "This was not stored. Send it again."
    return refused_answer(Rejected(message, code="not_stored", status=503), request_id, RETRY)


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The request's X-Request-Id if it is valid, else a new id. The refusal and the log show it."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def refused_answer(refusal: Rejected, request_id: str, *more: Field) -> AlertAnswer:
    """A refusal, in the one JSON shape of all errors."""
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        more += ((b"www-authenticate", b"Bearer"),)
    return _json_answer(refusal.status, error_body(refusal.code, refusal.message, request_id), *more)


def _json_answer(status: int, body: bytes, *more: Field) -> AlertAnswer:
    return AlertAnswer(status, (_JSON, (b"content-length", b"%d" % len(body)), *more), body)
