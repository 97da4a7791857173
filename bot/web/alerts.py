"""`POST /alerts/<source>`: who sends, what it sent, and an answer only after the commit. A raw ASGI app, no framework.

A 2xx means that it is stored. What a known sender sent and cannot be read is kept and raised as an incident before it
is refused, because Alertmanager does not send again after a 4xx; in trouble of ours the answer is 503, and it does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from http import HTTPStatus
from typing import Protocol, TypeVar

import msgspec
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from bot.intake import Unstored
from bot.model import Delivered
from bot.ports import Rejected, Source
from bot.web.errors import error_body
from bot.web.inflow import Gone, Inflow, inflate

logger = logging.getLogger(__name__)

_PREFIX = "/alerts/"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_Answer = tuple[Message, Message]
_Outcome = TypeVar("_Outcome")
_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")


class Taken(Protocol):
    """What the intake did with a delivery, told after its commit."""

    @property
    def accepted(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def incidents(self) -> tuple[int, ...]: ...


class Take(Protocol):
    """Store a delivery. `done` is called in the loop's thread, once: after the commit, or with why there was none."""

    def __call__(self, delivered: Delivered, done: Callable[[Taken | Exception], None], /) -> object: ...


class Keep(Protocol):
    """Keep what could not be read and raise an incident of it, in one commit, and tell `done` after it."""

    def __call__(
        self, source: str, body: bytes, rejected: Rejected, done: Callable[[Taken | Exception], None], /
    ) -> object: ...


#: (source, code): a sender was turned away.
Alarm = Callable[[str, str], object]


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
    """`tokens` holds, by source, the `fingerprint` of each valid token; two are valid while one is being replaced."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        tokens: Mapping[str, Sequence[bytes]],
        *,
        take: Take,
        keep: Keep,
        alarm: Alarm,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._sources = {_PREFIX + name: (name, source) for name, source in sources.items()}
        self._tokens = tuple((known, name) for name in sources for known in tokens.get(name, ()))
        self._take = take
        self._keep = keep
        self._alarm = alarm
        self._inflow = Inflow(most=self._limits.body, within=self._limits.within)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            start, body = await self._answer(scope, headers, receive)
        except Gone:
            return
        await send(start)
        await send(body)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> _Answer:
        place = self._sources.get(scope["path"])
        if place is None:
            return _refusal(Rejected("There is nothing at this address.", code="not_found", status=404), headers)
        if scope["method"] != "POST":
            refused = Rejected("Alerts are sent with POST.", code="method_not_allowed", status=405)
            return _refusal(refused, headers, (b"allow", b"POST"))
        name, source = place
        stranger = self._stranger(name, headers.get(b"authorization"))
        if stranger is not None:
            self._alarm(name, stranger.code)
            return _refusal(stranger, headers)
        try:
            body, whole = await self._inflow.read(receive)
        except TimeoutError:
            said = f"The body did not arrive within {self._limits.within.total_seconds():g} s. Nothing was stored."
            return _refusal(Rejected(said, code="too_slow", status=408), headers, _CLOSE)
        try:
            delivered = await self._read(source, headers, body, whole=whole)
        except Rejected as unread:
            return await self._kept(name, headers, body, unread)
        return await self._taken(delivered, headers)

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

    async def _read(self, source: Source, headers: dict[bytes, bytes], body: bytes, *, whole: bool) -> Delivered:
        if not whole:
            said = f"Limit {self._limits.body // 2**20} MiB. Nothing was stored as an alert. Set max_alerts."
            raise Rejected(said, code="too_large", status=413)
        coding = headers.get(b"content-encoding")
        if coding is None and len(body) <= self._limits.inline:
            return self._understood(source, headers, body)
        return await asyncio.to_thread(self._understood, source, headers, body)

    def _understood(self, source: Source, headers: dict[bytes, bytes], body: bytes) -> Delivered:
        _check_kind(headers.get(b"content-type", b"application/json"))
        coding = headers.get(b"content-encoding", b"identity").strip().lower()
        if coding in (b"gzip", b"x-gzip"):
            body = inflate(body, self._limits.inflated)
        elif coding != b"identity":
            raise Rejected("Content-Encoding: want gzip or none.", code="unsupported_encoding", status=415)
        try:
            return source.read(_Headers(headers), body)
        except Rejected:
            raise
        except Exception as error:
            # A bug of ours: kept and raised like what cannot be read, so that the page is not lost to endless retries.
            logger.exception("alerts not read", extra={"source": source.name})
            said = "The bot could not read this, by a fault of its own. Nothing was stored as an alert."
            raise Rejected(said, code="not_read", status=422) from error

    async def _kept(self, name: str, headers: dict[bytes, bytes], body: bytes, unread: Rejected) -> _Answer:
        waiting: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        try:
            self._keep(name, body, unread, _teller(waiting))
            await waiting
        except Unstored as down:
            logger.warning("delivery not kept", extra={"source": name, "why": str(down)})
            return _not_stored(headers)
        except Exception:
            logger.exception("delivery not kept", extra={"source": name})
            return _not_stored(headers)
        logger.warning("delivery kept unread", extra={"source": name, "code": unread.code})
        return _refusal(unread, headers)

    async def _taken(self, delivered: Delivered, headers: dict[bytes, bytes]) -> _Answer:
        waiting: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        try:
            self._take(delivered, _teller(waiting))
            taken = await waiting
        except Unstored as down:
            logger.warning("delivery not stored", extra={"source": delivered.source, "why": str(down)})
            return _not_stored(headers)
        except Exception:
            logger.exception("delivery not stored", extra={"source": delivered.source})
            return _not_stored(headers)
        return _accepted(delivered, taken)


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


def _check_kind(declared: bytes) -> None:
    if declared == b"application/json":
        return
    kind = declared.partition(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        said = (
            "Content-Type: want application/json. Nothing was stored as an alert."
            " Send -H 'Content-Type: application/json'."
        )
        raise Rejected(said, code="unsupported_type", status=415)


def _teller(waiting: asyncio.Future[_Outcome]) -> Callable[[_Outcome | Exception], None]:
    def tell(outcome: _Outcome | Exception) -> None:
        if waiting.done():  # the server has stopped waiting
            return
        if isinstance(outcome, Exception):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    return tell


def _accepted(delivered: Delivered, taken: Taken) -> _Answer:
    answer: dict[str, object] = {
        "accepted": taken.accepted,
        "status": taken.code,
        "incidents": taken.incidents,
        "flags": delivered.flags,
    }
    if delivered.rejected:
        answer["rejected"] = [{"path": path, "message": said} for path, said in delivered.rejected]
    mended = delivered.rejected or "time_replaced" in delivered.flags
    return _spoken(202 if mended else 200, msgspec.json.encode(answer))


def _not_stored(headers: Mapping[bytes, bytes]) -> _Answer:
    said = "This was not stored. Send it again."
    return _refusal(Rejected(said, code="not_stored", status=503), headers, (b"retry-after", b"5"))


def _refusal(refused: Rejected, headers: Mapping[bytes, bytes], *more: tuple[bytes, bytes]) -> _Answer:
    given = headers.get(b"x-request-id", b"")
    request_id = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        more += ((b"www-authenticate", b"Bearer"),)
    return _spoken(refused.status, error_body(refused.code, refused.said, request_id), *more)


def _spoken(status: int, body: bytes, *more: tuple[bytes, bytes]) -> _Answer:
    headers = [_JSON, (b"content-length", b"%d" % len(body)), *more]
    return (
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    )
