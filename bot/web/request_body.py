"""Reads a request body within a size limit and a time limit.

`BodyReader` is for the alerts endpoint, where every microsecond counts. It checks deadlines by one sweep over all
bodies under way, not by a timer each (a timer costs a fifth of the whole request), so a late body is noticed up to an
eighth of its time limit late. `read_body` is for all other endpoints.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from bot.core.errors import Rejected

_WITHIN_S = 10.0  #: for `read_body`
_SWEEPS = 8  #: in the time limit of a body
_HEAD = 64 * 1024  #: bytes kept of a body that is too large, to show what it was
#: How much is read and dropped, as a multiple of the limit: a sender whose writes fail does not read the answer.
_DRAINED = 4


class SenderGone(Exception):
    """The sender hung up, so nobody reads an answer."""


class BodyReader:
    """Reads bodies of at most `limit` bytes, each within `deadline`."""

    def __init__(self, *, limit: int, deadline: timedelta) -> None:
        self._most = limit
        self._within_s = deadline.total_seconds()
        self._due: dict[asyncio.Task[object], float] = {}
        self._sweeping = False

    async def read(self, receive: Receive) -> tuple[bytes, bool]:
        """The body and True; or the beginning of a too large body and False.

        Raises:
            TimeoutError: it did not arrive in time.
            SenderGone: the sender hung up.
        """
        task = self._begin()
        held = bytearray()
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                body: bytes = message.get("body", b"")
                return (body, True) if len(body) <= self._most else (body[:_HEAD], False)
            held += _piece(message)
            return await self._read_on(receive, held)
        except asyncio.CancelledError:
            if task in self._due:  # cancelled by the stopping server, not by the sweep
                raise
            task.uncancel()
            if len(held) > self._most:
                return bytes(held[:_HEAD]), False
            raise TimeoutError from None
        finally:
            self._due.pop(task, None)

    def _begin(self) -> asyncio.Task[object]:
        task = asyncio.current_task()
        assert task is not None, "an ASGI app runs in a task"
        loop = asyncio.get_running_loop()
        self._due[task] = loop.time() + self._within_s
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._within_s / _SWEEPS, self._sweep, loop)
        return task

    async def _read_on(self, receive: Receive, held: bytearray) -> tuple[bytes, bool]:
        arrived = len(held)
        more = True
        while more and arrived <= self._most * _DRAINED:
            message = await receive()
            piece = _piece(message)
            more = message.get("more_body", False)
            arrived += len(piece)
            if len(held) <= self._most:
                held += piece
        if arrived > self._most:
            return bytes(held[:_HEAD]), False
        return bytes(held), True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, due in self._due.items() if due <= now]:
            del self._due[task]
            task.cancel()
        self._sweeping = bool(self._due)
        if self._sweeping:
            loop.call_later(self._within_s / _SWEEPS, self._sweep, loop)


def _piece(message: object) -> bytes:
    assert isinstance(message, dict), "ASGI messages are dicts"
    if message["type"] == "http.disconnect":
        raise SenderGone
    piece: bytes = message.get("body", b"")
    return piece


async def read_body(request: Request, *, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises `Rejected`: 413 too large, 408 too slow, 400 cut off."""
    if _declared(request) > limit:
        raise _too_large(limit)
    held = bytearray()
    try:
        async with asyncio.timeout(_WITHIN_S):
            async for piece in request.stream():
                held += piece
                if len(held) > limit:
                    raise _too_large(limit)
    except TimeoutError:
        raise Rejected(
            "The body did not arrive within 10 s. Nothing was done. Send it again.", code="too_slow", status=408
        ) from None
    except ClientDisconnect:
        raise Rejected(
            "The connection ended before the whole body arrived. Nothing was done.", code="cut_off", status=400
        ) from None
    return bytes(held)


def _declared(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_large(most: int) -> Rejected:
    return Rejected(f"The limit of the body is {most // 1024} KiB. Nothing was done.", code="too_large", status=413)
