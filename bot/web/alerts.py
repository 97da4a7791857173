"""`POST /alerts/<source>`: authenticates the sender, parses the body, answers after the commit. A raw ASGI app.

A 2xx means that the alerts are stored. If a known sender sends something unreadable, it is quarantined and raised as an
incident before the 4xx, because Alertmanager does not repeat a request after a 4xx. If the bot is at fault, the answer
is 503, and Alertmanager repeats the request.
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
    """Store a batch. `done` is called once, in the loop's thread: after the commit, or with the error."""

    def __call__(self, batch: AlertBatch, done: Callable[[IntakeReceipt | Exception], None], /) -> object: ...


class Quarantine(Protocol):
    """Keep an unreadable body and raise an incident about it, in one commit. `done` is called as by `Submit`."""

    def __call__(
        self, source: str, body: bytes, rejected: Rejected, done: Callable[[IntakeReceipt | Exception], None], /
    ) -> object: ...


#: (source, code, request_id, address): a sender was refused. Called in the loop's thread.
OnRefused = Callable[[str, str, str, str], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyLimits:
    body: int = 16 * 2**20  #: bytes, as received
    inflated: int = 16 * 2**20  #: bytes, decompressed
    inline: int = 128 * 2**10  #: bytes; a larger body is parsed outside of the loop, which serves other senders
    deadline: timedelta = timedelta(seconds=10)  #: for the whole body to arrive


def token_digest(token: SecretStr) -> bytes:
    """The hash of a sender's token; only the hash is held here."""
    return hashlib.sha256(token.get_secret_value().encode()).digest()


class AlertsEndpoint:
    """`tokens`: by source, the `token_digest` of each valid token; two while one is being replaced.

    A source in `verifiers` has no tokens: its messages are verified instead, whatever their headers contain.
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
        self._submit = submit
        self._quarantine = quarantine
        self._on_refused = on_refused
        self._bodies = BodyReader(limit=self._limits.body, deadline=self._limits.deadline)
        self._verifiers = verifiers or SenderVerification({})
        self._unverified_bodies = BodyReader(limit=MOST, deadline=self._limits.deadline)
        self._large_bodies = LargeBodies(sources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            answer = await self._answer(scope, headers, receive)
        except SenderGone:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.fields})
        await send({"type": "http.response.body", "body": answer.body})

    def read_ordinary(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> AlertBatch | None:
        """The parsed batch of an ordinary request from a known sender.

        None: the request needs the app, which finds out what is wrong. Nothing has been done.
        """
        place = self._sources.get(path)
        if place is None or len(body) > min(self._limits.inline, self._limits.body):
            return None
        name, source = place
        if self._token_fault(name, headers.get(b"authorization")) is not None:
            return None
        try:
            check_kind(headers)
            return source.read(_Headers(headers), body)
        except Exception:  # noqa: BLE001 - the app parses it again, and answers or logs what is wrong
            return None

    def store(self, batch: AlertBatch, headers: Mapping[bytes, bytes], send: Callable[[AlertAnswer], None]) -> None:
        """`send` is called once, in the loop's thread: after the commit, or when storing failed."""

        def done(taken: IntakeReceipt | Exception) -> None:
            if isinstance(taken, Exception):
                request_id = request_id_of(headers)
                _log_loss(taken, "delivery not stored", batch.source, request_id)
                send(not_stored_answer(request_id))
            else:
                send(accepted_answer(batch, taken))

        try:
            self._submit(batch, done)
        except Exception as bug:  # noqa: BLE001 - the edge of the path; `done` logs it
            done(bug)

    def stop(self) -> None:
        """Verify no more senders, and parse no more large bodies."""
        self._verifiers.stop()
        self._large_bodies.stop()

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> AlertAnswer:
        place = self._sources.get(scope["path"])
        if place is None:
            nothing = Rejected("There is nothing at this address.", code="not_found", status=404)
            return refused_answer(nothing, request_id_of(headers))
        if scope["method"] != "POST":
            wrong = Rejected("Send alerts with POST.", code="method_not_allowed", status=405)
            return refused_answer(wrong, request_id_of(headers), (b"allow", b"POST"))
        name = place[0]
        has_verifier = name in self._verifiers
        fault = None if has_verifier else self._token_fault(name, headers.get(b"authorization"))
        if fault is not None:
            return self._refuse_sender(name, fault, headers, scope)
        try:
            body, whole = await (self._unverified_bodies if has_verifier else self._bodies).read(receive)
        except TimeoutError:
            # Not 408: the delay may be ours, and Alertmanager does not repeat a request after a 4xx.
            within = f"{self._limits.deadline.total_seconds():g} s"
            message = f"The body was not read within {within}. Nothing was stored. Send it again."
            return refused_answer(Rejected(message, code="too_slow", status=503), request_id_of(headers), RETRY, CLOSE)
        if has_verifier:
            try:
                await self._verifiers.verify(name, body, whole=whole)
            except Rejected as refusal:
                return self._refuse_sender(name, refusal, headers, scope)
        return await self._store_or_quarantine(place[1], headers, body, receive, whole=whole)

    async def _store_or_quarantine(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> AlertAnswer:
        """Stores what a known sender sent, or quarantines it if it is unreadable."""
        try:
            batch = await self._read(source, headers, body, receive, whole=whole)
        except Rejected as unread:
            return await self._keep_unread(source.name, headers, body, unread)
        except TooManyBodies:
            request_id = request_id_of(headers)
            logger.warning("delivery not read, too many wait", extra={"source": source.name, "request_id": request_id})
            return not_stored_answer(request_id)
        waiting: asyncio.Future[AlertAnswer] = asyncio.get_running_loop().create_future()
        self.store(batch, headers, _sets(waiting))
        return await waiting

    def _refuse_sender(self, name: str, refusal: Rejected, headers: Mapping[bytes, bytes], scope: Scope) -> AlertAnswer:
        """Keeps nothing of the request. If the sender could not be verified now (5xx), it has to send it again."""
        request_id = request_id_of(headers)
        if refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._on_refused(name, refusal.code, request_id, (scope.get("client") or ("",))[0])
        if refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return refused_answer(refusal, request_id)
        logger.warning("sender not checked", extra={"source": name, "code": refusal.code, "request_id": request_id})
        return refused_answer(refusal, request_id, RETRY)

    def _token_fault(self, name: str, authorization: bytes | None) -> Rejected | None:
        """Why this sender is refused; None: the token is valid. Compares every token, so timing reveals nothing."""
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            message = "Send the receiver's bearer token (Authorization: Bearer ...). Nothing was stored."
            return Rejected(message, code="auth_required", status=401)
        given = hashlib.sha256(token.strip()).digest()
        owners = [owner for known, owner in self._tokens if compare_digest(known, given)]
        if name in owners:
            return None
        if owners:
            message = "This token belongs to another receiver. Nothing was stored. Send to that receiver's address."
            return Rejected(message, code="wrong_receiver", status=403)
        return Rejected("This token is not valid. Nothing was stored.", code="auth_invalid", status=401)

    async def _read(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> AlertBatch:
        if not whole:
            limit = f"The limit of the body is {self._limits.body // 2**20} MiB."
            message = f"{limit} Nothing was stored as an alert. Set max_alerts."
            raise Rejected(message, code="too_large", status=413)
        coding = headers.get(b"content-encoding")
        if coding is None and len(body) <= self._limits.inline:
            return self._parse(source, headers, body)
        return await self._large_bodies.read(
            source.name, receive, lambda left: self._parse(source, headers, body, left)
        )

    def _parse(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, left: Callable[[], bool] = lambda: False
    ) -> AlertBatch:
        """`left` returns whether the sender has hung up. Raises `SenderLeft` then."""
        if source.name not in self._verifiers:
            body = decoded_body(headers, body, self._limits.inflated, left)
        if left():
            raise SenderLeft
        try:
            return source.read(_Headers(headers), body)
        except Rejected:
            raise
        except Exception as error:
            # A bug here: quarantined like an unreadable body, so that the page is not lost to endless retries.
            logger.exception("alerts not read", extra={"source": source.name})
            message = (
                "The bot could not read this because of a bug; its log has the details. Nothing was stored as an alert."
            )
            raise Rejected(message, code="not_read", status=422) from error

    async def _keep_unread(self, name: str, headers: dict[bytes, bytes], body: bytes, unread: Rejected) -> AlertAnswer:
        waiting: asyncio.Future[AlertAnswer] = asyncio.get_running_loop().create_future()
        answer = _sets(waiting)
        request_id = request_id_of(headers)

        def done(taken: IntakeReceipt | Exception) -> None:
            if isinstance(taken, Exception):
                _log_loss(taken, "delivery not kept", name, request_id)
                answer(not_stored_answer(request_id))
            else:
                about = {"source": name, "code": unread.code, "request_id": request_id}
                logger.warning("delivery kept unread", extra=about)
                answer(refused_answer(unread, request_id))

        try:
            self._quarantine(name, body, unread, done)
        except Exception as bug:  # noqa: BLE001 - the edge of the path; `done` logs it
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


def _log_loss(error: Exception, message: str, source: str, request_id: str) -> None:
    """Logs a database error in one line, and a bug with its traceback."""
    if isinstance(error, NotStored):
        logger.warning(message, extra={"source": source, "why": str(error), "request_id": request_id})
    else:
        logger.error(message, extra={"source": source, "request_id": request_id}, exc_info=error)


def _sets(waiting: asyncio.Future[AlertAnswer]) -> Callable[[AlertAnswer], None]:
    def put(answer: AlertAnswer) -> None:
        if not waiting.done():  # else the server has stopped waiting
            waiting.set_result(answer)

    return put
