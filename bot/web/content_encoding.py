"""A body as what its sender says that it is: JSON, and gzip undone in time linear in what came, within a limit.

The trap: what follows a member of gzip is handed back as a copy, so that a body of very many members, each followed by
all the others, would be copied as often as it has members. So it is read in slices, and members are counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from bot.core.errors import Rejected

_SLICE = 64 * 1024
#: Senders write one; programs that compress in parallel or by blocks, one for each 64 KiB or more.
_MOST_MEMBERS = 1024
_GZIP = 31  #: zlib's word for it: the largest window, with gzip's own head and sum


_JSON = b"application/json"


class SenderLeft(Exception):
    """Nobody waits for it any more."""


def decoded_body(headers: Mapping[bytes, bytes], body: bytes, most: int, stopped: Callable[[], bool]) -> bytes:
    """As `inflate`, where the headers say that it is JSON in gzip; the body itself where they say that it is JSON."""
    check_kind(headers)
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding in (b"gzip", b"x-gzip"):
        return inflate(body, most, stopped)
    if coding != b"identity":
        raise Rejected("Content-Encoding: want gzip or none.", code="unsupported_encoding", status=415)
    return body


def check_kind(headers: Mapping[bytes, bytes]) -> None:
    """Raises `Rejected` where they name another kind than JSON."""
    declared = headers.get(b"content-type", _JSON)
    if declared == _JSON:
        return
    kind = declared.partition(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        message = (
            "Content-Type: want application/json. Nothing was stored as an alert."
            " Send -H 'Content-Type: application/json'."
        )
        raise Rejected(message, code="unsupported_type", status=415)


def inflate(body: bytes, most: int, stopped: Callable[[], bool] = lambda: False) -> bytes:
    """What was compressed, of at most `most` bytes. `stopped` is asked before each slice.

    Raises:
        Rejected: it is not whole gzip, or is too large, or of too many members.
        Stopped: `stopped` said so.
    """
    whole = bytearray()
    member = None
    members = 0
    view = memoryview(body)
    for start in range(0, len(body), _SLICE):
        if stopped():
            raise SenderLeft
        piece: memoryview | bytes = view[start : start + _SLICE]
        while piece:
            if member is None:
                members += 1
                member = _begun(members)
            try:
                whole += member.decompress(piece, most + 1 - len(whole))
            except zlib.error:
                raise _not_gzip() from None
            if len(whole) > most:
                message = (
                    f"Inflated, the limit is {most // 2**20} MiB too. Nothing was stored as an alert. Set max_alerts."
                )
                raise Rejected(message, code="too_large", status=413)
            piece = member.unused_data
            if member.eof:
                member = None
    if member is not None:
        raise _not_gzip()
    return bytes(whole)


def _begun(count: int) -> zlib._Decompress:
    if count > _MOST_MEMBERS:
        message = f"The body has more than {_MOST_MEMBERS} members of gzip. Nothing was stored as an alert. Write one."
        raise Rejected(message, code="bad_encoding")
    return zlib.decompressobj(wbits=_GZIP)


def _not_gzip() -> Rejected:
    message = "The body is not whole gzip, as Content-Encoding says. Nothing was stored as an alert."
    return Rejected(message, code="bad_encoding")
