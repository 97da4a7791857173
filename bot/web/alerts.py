"""`POST /alerts/<source>`: who sends, what it sent, and an answer only after the commit. A raw ASGI app, no framework.

A 2xx means that it is stored. What a known sender sent and cannot be read is kept and raised as an incident before it
is refused, because Alertmanager does not send again after a 4xx; in trouble of ours the answer is 503, and it does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from http import HTTPStatus
from typing import Protocol

from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from bot.alerts.intake import NotStored
from bot.core.alert import AlertBatch
from bot.core.errors import Rejected
from bot.core.source import Source
from bot.web.alert_answers import (
    CLOSE,
    RETRY,
    AlertAnswer,
    IntakeReceipt,
    accepted_answer,
    not_stored_answer,
    refused_answer,
    request_id_of,
)
from bot.web.content_encoding import SenderLeft, check_kind, decoded_body
from bot.web.large_bodies import LargeBodies, TooManyBodies
from bot.web.request_body import BodyReader, SenderGone
from bot.web.sender_verification import MOST, SenderVerification

logger = logging.getLogger(__name__)

PREFIX = "/alerts/"


class Submit(Protocol):
    """Store a delivery. `done` is called in the loop's thread, once: after the commit, or with why there was none."""

    def __call__(self, batch: AlertBatch, done: Callable[[IntakeReceipt | Exception], None], /) -> object: ...


class Quarantine(Protocol):
    """Keep what could not be read and raise an incident of it, in one commit, and tell `done` after it."""

    def __call__(
        self, source: str, body: bytes, rejected: Rejected, done: Callable[[IntakeReceipt | Exception], None], /
    ) -> object: ...


#: (source, code, request_id): a sender was turned away.
OnRefused = Callable[[str, str, str], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyLimits:
    body: int = 16 * 2**20  #: bytes, as they come
    inflated: int = 16 * 2**20  #: bytes, after gzip
    inline: int = 128 * 2**10  #: bytes; a larger body is read beside the loop, which other senders are waiting for
    deadline: timedelta = timedelta(seconds=10)  #: for all of a body to arrive


def token_digest(token: SecretStr) -> bytes:
    """What of a sender's token is held here: enough to know it again."""
    return hashlib.sha256(token.get_secret_value().encode()).digest()


class AlertsEndpoint:
    """`tokens` holds, by source, the `token_digest` of each valid token; two are valid while one is being replaced.

    A source in `verifiers` has none: its messages are checked instead, whatever their headers say.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        tokens: Mapping[str, Sequence[bytes]],
        *,
        submit: Submit,
        quarantine: Quarantine,
        on_refused: OnRefused,
        limits: BodyLimits | None = None,
        verifiers: SenderVerification | None = None,
    ) -> None:
        self._limits = limits or BodyLimits()
        self._sources = {PREFIX + name: (name, source) for name, source in sources.items()}
        self._tokens = tuple((known, name) for name in sources for known in tokens.get(name, ()))
        self._take = submit
        self._keep = quarantine
        self._alarm = on_refused
        self._inflow = BodyReader(limit=self._limits.body, deadline=self._limits.deadline)
        self._proofs = verifiers or SenderVerification({})
        self._unproven = BodyReader(limit=MOST, deadline=self._limits.deadline)
        self._turns = LargeBodies(sources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            answer = await self._answer(scope, headers, receive)
        except SenderGone:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.fields})
        await send({"type": "http.response.body", "body": answer.body})

    def read_ordinary(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> AlertBatch | None:
        """The delivery, where its sender is known and nothing is to be said against it.

        None: there is, and calling the app tells what; nothing has been done.
        """
        place = self._sources.get(path)
        if place is None or len(body) > min(self._limits.inline, self._limits.body):
            return None
        name, source = place
        if self._stranger(name, headers.get(b"authorization")) is not None:
            return None
        try:
            check_kind(headers)
            return source.read(_Headers(headers), body)
        except Exception:  # noqa: BLE001 - the app reads it once more, and tells or logs what is wrong
            return None

    def store(self, batch: AlertBatch, headers: Mapping[bytes, bytes], send: Callable[[AlertAnswer], None]) -> None:
        """`send` is called once, in the loop's thread: after the commit, or when there is none."""

        def done(taken: IntakeReceipt | Exception) -> None:
            if isinstance(taken, Exception):
                request_id = request_id_of(headers)
                _log_loss(taken, "delivery not stored", batch.source, request_id)
                send(not_stored_answer(request_id))
            else:
                send(accepted_answer(batch, taken))

        try:
            self._take(batch, done)
        except Exception as bug:  # noqa: BLE001 - the edge of the path; it is logged where it ends
            done(bug)

    def stop(self) -> None:
        """Check no more senders, and read no more large bodies."""
        self._proofs.stop()
        self._turns.stop()

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> AlertAnswer:
        place = self._sources.get(scope["path"])
        if place is None:
            nothing = Rejected("There is nothing at this address.", code="not_found", status=404)
            return refused_answer(nothing, request_id_of(headers))
        if scope["method"] != "POST":
            wrong = Rejected("Alerts are sent with POST.", code="method_not_allowed", status=405)
            return refused_answer(wrong, request_id_of(headers), (b"allow", b"POST"))
        name = place[0]
        proven = name in self._proofs
        stranger = None if proven else self._stranger(name, headers.get(b"authorization"))
        if stranger is not None:
            return self._turned_away(name, stranger, headers)
        try:
            body, whole = await (self._unproven if proven else self._inflow).read(receive)
        except TimeoutError:
            # Not 408: it may have arrived in time and waited for its turn here, and a 4xx is final for Alertmanager.
            within = f"{self._limits.deadline.total_seconds():g} s"
            message = f"The body was not read within {within}. Nothing was stored. Send it again."
            return refused_answer(Rejected(message, code="too_slow", status=503), request_id_of(headers), RETRY, CLOSE)
        if proven:
            try:
                await self._proofs.verify(name, body, whole=whole)
            except Rejected as unproven:
                return self._turned_away(name, unproven, headers)
        return await self._taken(place[1], headers, body, receive, whole=whole)

    async def _taken(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> AlertAnswer:
        """What a known sender sent, stored or kept."""
        try:
            delivered = await self._read(source, headers, body, receive, whole=whole)
        except Rejected as unread:
            return await self._kept(source.name, headers, body, unread)
        except TooManyBodies:
            request_id = request_id_of(headers)
            logger.warning("delivery not read, too many wait", extra={"source": source.name, "request_id": request_id})
            return not_stored_answer(request_id)
        waiting: asyncio.Future[AlertAnswer] = asyncio.get_running_loop().create_future()
        self.store(delivered, headers, _teller(waiting))
        return await waiting

    def _turned_away(self, name: str, why: Rejected, headers: Mapping[bytes, bytes]) -> AlertAnswer:
        """Nothing is kept of it. Where it is we who cannot tell, the sender has to send it again."""
        request_id = request_id_of(headers)
        if why.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._alarm(name, why.code, request_id)
        if why.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return refused_answer(why, request_id)
        logger.warning("sender not checked", extra={"source": name, "code": why.code, "request_id": request_id})
        return refused_answer(why, request_id, RETRY)

    def _stranger(self, name: str, authorization: bytes | None) -> Rejected | None:
        """Why this sender is turned away; None for one we know. Every token is compared, whichever fits."""
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            message = "Send the receiver's bearer token (Authorization: Bearer ...). Nothing was stored."
            return Rejected(message, code="auth_required", status=401)
        given = hashlib.sha256(token.strip()).digest()
        owners = [owner for known, owner in self._tokens if compare_digest(known, given)]
        if name in owners:
            return None
        if owners:
            message = "This token belongs to another receiver. Nothing was stored. Send to that one's address."
            return Rejected(message, code="wrong_receiver", status=403)
        return Rejected("This token is not valid. Nothing was stored.", code="auth_invalid", status=401)

    async def _read(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> AlertBatch:
        if not whole:
            message = f"Limit {self._limits.body // 2**20} MiB. Nothing was stored as an alert. Set max_alerts."
            raise Rejected(message, code="too_large", status=413)
        coding = headers.get(b"content-encoding")
        if coding is None and len(body) <= self._limits.inline:
            return self._understood(source, headers, body)
        return await self._turns.read(source.name, receive, lambda left: self._understood(source, headers, body, left))

    def _understood(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, left: Callable[[], bool] = lambda: False
    ) -> AlertBatch:
        """`left` is asked whether its sender waits no longer; then it raises `SenderLeft`."""
        if source.name not in self._proofs:
            body = decoded_body(headers, body, self._limits.inflated, left)
        if left():
            raise SenderLeft
        try:
            return source.read(_Headers(headers), body)
        except Rejected:
            raise
        except Exception as error:
            # A bug of ours: kept and raised like what cannot be read, so that the page is not lost to endless retries.
            logger.exception("alerts not read", extra={"source": source.name})
            message = "The bot could not read this, by a fault of its own. Nothing was stored as an alert."
            raise Rejected(message, code="not_read", status=422) from error

    async def _kept(self, name: str, headers: dict[bytes, bytes], body: bytes, unread: Rejected) -> AlertAnswer:
        waiting: asyncio.Future[AlertAnswer] = asyncio.get_running_loop().create_future()
        tell = _teller(waiting)
        request_id = request_id_of(headers)

        def done(taken: IntakeReceipt | Exception) -> None:
            if isinstance(taken, Exception):
                _log_loss(taken, "delivery not kept", name, request_id)
                tell(not_stored_answer(request_id))
            else:
                about = {"source": name, "code": unread.code, "request_id": request_id}
                logger.warning("delivery kept unread", extra=about)
                tell(refused_answer(unread, request_id))

        try:
            self._keep(name, body, unread, done)
        except Exception as bug:  # noqa: BLE001 - the edge of the path; it is logged where it ends
            done(bug)
        return await waiting


class _Headers(Mapping[str, str]):
    """The request's headers by lower-case name, decoded only when a source asks."""

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _log_loss(why: Exception, message: str, source: str, request_id: str) -> None:
    """Trouble of the database in one line, a fault of ours with its trace."""
    if isinstance(why, NotStored):
        logger.warning(message, extra={"source": source, "why": str(why), "request_id": request_id})
    else:
        logger.error(message, extra={"source": source, "request_id": request_id}, exc_info=why)


def _teller(waiting: asyncio.Future[AlertAnswer]) -> Callable[[AlertAnswer], None]:
    def tell(answer: AlertAnswer) -> None:
        if not waiting.done():  # the server has stopped waiting
            waiting.set_result(answer)

    return tell
