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

from bot.intake import Unstored
from bot.model import Delivered
from bot.ports import Rejected, Source
from bot.web.answers import CLOSE, RETRY, Answer, Taken, accepted, not_stored, refused, request_id_of
from bot.web.inflate import Stopped, check_kind, plain
from bot.web.inflow import Gone, Inflow
from bot.web.proofs import MOST, Proofs
from bot.web.turns import Crowded, Turns

logger = logging.getLogger(__name__)

PREFIX = "/alerts/"


class Take(Protocol):
    """Store a delivery. `done` is called in the loop's thread, once: after the commit, or with why there was none."""

    def __call__(self, delivered: Delivered, done: Callable[[Taken | Exception], None], /) -> object: ...


class Keep(Protocol):
    """Keep what could not be read and raise an incident of it, in one commit, and tell `done` after it."""

    def __call__(
        self, source: str, body: bytes, rejected: Rejected, done: Callable[[Taken | Exception], None], /
    ) -> object: ...


#: (source, code, request_id): a sender was turned away.
Alarm = Callable[[str, str, str], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    body: int = 16 * 2**20  #: bytes, as they come
    inflated: int = 16 * 2**20  #: bytes, after gzip
    inline: int = 128 * 2**10  #: bytes; a larger body is read beside the loop, which other senders are waiting for
    within: timedelta = timedelta(seconds=10)  #: for all of a body to arrive


def fingerprint(token: SecretStr) -> bytes:
    """What of a sender's token is held here: enough to know it again."""
    return hashlib.sha256(token.get_secret_value().encode()).digest()


class Intake:
    """`tokens` holds, by source, the `fingerprint` of each valid token; two are valid while one is being replaced.

    A source in `proofs` has none: its messages are checked instead, whatever their headers say.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        tokens: Mapping[str, Sequence[bytes]],
        *,
        take: Take,
        keep: Keep,
        alarm: Alarm,
        limits: Limits | None = None,
        proofs: Proofs | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._sources = {PREFIX + name: (name, source) for name, source in sources.items()}
        self._tokens = tuple((known, name) for name in sources for known in tokens.get(name, ()))
        self._take = take
        self._keep = keep
        self._alarm = alarm
        self._inflow = Inflow(most=self._limits.body, within=self._limits.within)
        self._proofs = proofs or Proofs({})
        self._unproven = Inflow(most=MOST, within=self._limits.within)
        self._turns = Turns(sources)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            answer = await self._answer(scope, headers, receive)
        except Gone:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.fields})
        await send({"type": "http.response.body", "body": answer.body})

    def ordinary(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Delivered | None:
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

    def store(self, delivered: Delivered, headers: Mapping[bytes, bytes], tell: Callable[[Answer], None]) -> None:
        """`tell` is called once, in the loop's thread: after the commit, or when there is none."""

        def done(taken: Taken | Exception) -> None:
            if isinstance(taken, Exception):
                request_id = request_id_of(headers)
                _log_loss(taken, "delivery not stored", delivered.source, request_id)
                tell(not_stored(request_id))
            else:
                tell(accepted(delivered, taken))

        try:
            self._take(delivered, done)
        except Exception as bug:  # noqa: BLE001 - the edge of the path; it is logged where it ends
            done(bug)

    def stop(self) -> None:
        """Check no more senders, and read no more large bodies."""
        self._proofs.stop()
        self._turns.stop()

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        place = self._sources.get(scope["path"])
        if place is None:
            nothing = Rejected("There is nothing at this address.", code="not_found", status=404)
            return refused(nothing, request_id_of(headers))
        if scope["method"] != "POST":
            wrong = Rejected("Alerts are sent with POST.", code="method_not_allowed", status=405)
            return refused(wrong, request_id_of(headers), (b"allow", b"POST"))
        name = place[0]
        proven = name in self._proofs
        stranger = None if proven else self._stranger(name, headers.get(b"authorization"))
        if stranger is not None:
            return self._turned_away(name, stranger, headers)
        try:
            body, whole = await (self._unproven if proven else self._inflow).read(receive)
        except TimeoutError:
            # Not 408: it may have arrived in time and waited for its turn here, and a 4xx is final for Alertmanager.
            within = f"{self._limits.within.total_seconds():g} s"
            said = f"The body was not read within {within}. Nothing was stored. Send it again."
            return refused(Rejected(said, code="too_slow", status=503), request_id_of(headers), RETRY, CLOSE)
        if proven:
            try:
                await self._proofs.admit(name, body, whole=whole)
            except Rejected as unproven:
                return self._turned_away(name, unproven, headers)
        return await self._taken(place[1], headers, body, receive, whole=whole)

    async def _taken(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> Answer:
        """What a known sender sent, stored or kept."""
        try:
            delivered = await self._read(source, headers, body, receive, whole=whole)
        except Rejected as unread:
            return await self._kept(source.name, headers, body, unread)
        except Crowded:
            request_id = request_id_of(headers)
            logger.warning("delivery not read, too many wait", extra={"source": source.name, "request_id": request_id})
            return not_stored(request_id)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.store(delivered, headers, _teller(waiting))
        return await waiting

    def _turned_away(self, name: str, why: Rejected, headers: Mapping[bytes, bytes]) -> Answer:
        """Nothing is kept of it. Where it is we who cannot tell, the sender has to send it again."""
        request_id = request_id_of(headers)
        if why.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._alarm(name, why.code, request_id)
        if why.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return refused(why, request_id)
        logger.warning("sender not checked", extra={"source": name, "code": why.code, "request_id": request_id})
        return refused(why, request_id, RETRY)

    def _stranger(self, name: str, authorization: bytes | None) -> Rejected | None:
        """Why this sender is turned away; None for one we know. Every token is compared, whichever fits."""
        scheme, _, token = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            said = "Send the receiver's bearer token (Authorization: Bearer ...). Nothing was stored."
            return Rejected(said, code="auth_required", status=401)
        given = hashlib.sha256(token.strip()).digest()
        owners = [owner for known, owner in self._tokens if compare_digest(known, given)]
        if name in owners:
            return None
        if owners:
            said = "This token belongs to another receiver. Nothing was stored. Send to that one's address."
            return Rejected(said, code="wrong_receiver", status=403)
        return Rejected("This token is not valid. Nothing was stored.", code="auth_invalid", status=401)

    async def _read(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, receive: Receive, *, whole: bool
    ) -> Delivered:
        if not whole:
            said = f"Limit {self._limits.body // 2**20} MiB. Nothing was stored as an alert. Set max_alerts."
            raise Rejected(said, code="too_large", status=413)
        coding = headers.get(b"content-encoding")
        if coding is None and len(body) <= self._limits.inline:
            return self._understood(source, headers, body)
        return await self._turns.read(source.name, receive, lambda left: self._understood(source, headers, body, left))

    def _understood(
        self, source: Source, headers: dict[bytes, bytes], body: bytes, left: Callable[[], bool] = lambda: False
    ) -> Delivered:
        """`left` is asked whether its sender waits no longer; then it raises `Stopped`."""
        if source.name not in self._proofs:
            body = plain(headers, body, self._limits.inflated, left)
        if left():
            raise Stopped
        try:
            return source.read(_Headers(headers), body)
        except Rejected:
            raise
        except Exception as error:
            # A bug of ours: kept and raised like what cannot be read, so that the page is not lost to endless retries.
            logger.exception("alerts not read", extra={"source": source.name})
            said = "The bot could not read this, by a fault of its own. Nothing was stored as an alert."
            raise Rejected(said, code="not_read", status=422) from error

    async def _kept(self, name: str, headers: dict[bytes, bytes], body: bytes, unread: Rejected) -> Answer:
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        tell = _teller(waiting)
        request_id = request_id_of(headers)

        def done(taken: Taken | Exception) -> None:
            if isinstance(taken, Exception):
                _log_loss(taken, "delivery not kept", name, request_id)
                tell(not_stored(request_id))
            else:
                about = {"source": name, "code": unread.code, "request_id": request_id}
                logger.warning("delivery kept unread", extra=about)
                tell(refused(unread, request_id))

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


def _log_loss(why: Exception, said: str, source: str, request_id: str) -> None:
    """Trouble of the database in one line, a fault of ours with its trace."""
    if isinstance(why, Unstored):
        logger.warning(said, extra={"source": source, "why": str(why), "request_id": request_id})
    else:
        logger.error(said, extra={"source": source, "request_id": request_id}, exc_info=why)


def _teller(waiting: asyncio.Future[Answer]) -> Callable[[Answer], None]:
    def tell(answer: Answer) -> None:
        if not waiting.done():  # the server has stopped waiting
            waiting.set_result(answer)

    return tell
