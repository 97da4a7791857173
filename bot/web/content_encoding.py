"""Decodes a body by its Content-Type and Content-Encoding: JSON only, gzip in linear time and within a limit.

The trap: zlib returns what follows a gzip member as a copy, so a body of very many members would be copied once per
member, in quadratic time. So the body is read in slices, and the number of members is limited.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from bot.core.errors import Rejected

_SLICE = 64 * 1024
#: Senders write one member; programs that compress in parallel or by blocks write one per 64 KiB or more.
_MOST_MEMBERS = 1024
_GZIP = 31  #: zlib's `wbits` for the largest window with gzip header and checksum


_JSON = b"application/json"


class SenderLeft(Exception):
    """The sender has hung up."""


def decoded_body(headers: Mapping[bytes, bytes], body: bytes, most: int, stopped: Callable[[], bool]) -> bytes:
    """The body, decompressed with `inflate` if the headers name gzip. Raises `Rejected` if it is not JSON."""
    check_kind(headers)
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding in (b"gzip", b"x-gzip"):
        return inflate(body, most, stopped)
    if coding != b"identity":
        raise Rejected(
            "Content-Encoding must be gzip or absent. Nothing was stored as an alert.",
            code="unsupported_encoding",
            status=415,
        )
    return body


def check_kind(headers: Mapping[bytes, bytes]) -> None:
    """Raises `Rejected` if the headers name another type than JSON."""
    declared = headers.get(b"content-type", _JSON)
    if declared == _JSON:
        return
    kind = declared.partition(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        message = (
            "Content-Type must be application/json. Nothing was stored as an alert."
            " With curl, add -H 'Content-Type: application/json'."
        )
        raise Rejected(message, code="unsupported_type", status=415)


def inflate(body: bytes, most: int, stopped: Callable[[], bool] = lambda: False) -> bytes:
    """The decompressed body, of at most `most` bytes. `stopped` is called before each slice.

    Raises:
        Rejected: it is not complete gzip data, too large, or has too many members.
        SenderLeft: `stopped` returned true.
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
                member = _new_member(members)
            try:
                whole += member.decompress(piece, most + 1 - len(whole))
            except zlib.error:
                raise _not_gzip() from None
            if len(whole) > most:
                limit = f"The limit after decompression is {most // 2**20} MiB."
                message = f"{limit} Nothing was stored as an alert. Set max_alerts."
                raise Rejected(message, code="too_large", status=413)
            piece = member.unused_data
            if member.eof:
                member = None
    if member is not None:
        raise _not_gzip()
    return bytes(whole)


def _new_member(count: int) -> zlib._Decompress:
    if count > _MOST_MEMBERS:
        message = (
            f"The limit is {_MOST_MEMBERS} gzip members. Nothing was stored as an alert. Compress the body as one."
        )
        raise Rejected(message, code="bad_encoding")
    return zlib.decompressobj(wbits=_GZIP)


def _not_gzip() -> Rejected:
    message = "Content-Encoding is gzip, and the body is not complete gzip. Nothing was stored as an alert."
    return Rejected(message, code="bad_encoding")
