"""Reading a request's body with a limit and a deadline, both kept before anything is held in memory."""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect

from bot.core.errors import Rejected

_WITHIN_S = 10.0


async def read_body(request: Request, *, limit: int) -> bytes:
    """At most `limit` bytes. Raises `Rejected`: 413 too large, 408 too slow, 400 cut off."""
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
        raise Rejected("The body did not arrive within 10 s.", code="too_slow", status=408) from None
    except ClientDisconnect:
        raise Rejected("The body was cut off.", code="cut_off", status=400) from None
    return bytes(held)


def _declared(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_large(most: int) -> Rejected:
    return Rejected(f"The limit is {most // 1024} KiB. Nothing was done.", code="too_large", status=413)
