"""Compressed bodies: complete, in members, made to take long, and of senders that have left."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Iterator

import pytest

from bot.core.errors import Rejected
from bot.web import content_encoding as module
from bot.web.content_encoding import SenderLeft, inflate

MOST = 16 * 2**20
EMPTY = gzip.compress(b"")


@pytest.mark.parametrize("sizes", [[0], [1], [65536], [65537], [200_000, 0, 1, 0, 300_000], [7] * 1024])
def test_what_was_compressed_comes_out_however_it_was_divided(sizes: list[int]) -> None:
    noise = random.Random(5)
    parts = [noise.randbytes(size) for size in sizes]

    assert inflate(b"".join(map(gzip.compress, parts)), MOST) == b"".join(parts)


@pytest.mark.parametrize("cut", [1, 8, 9, 10, 65536, 65537, 100_000])
def test_what_is_cut_off_anywhere_is_refused(cut: int) -> None:
    whole = gzip.compress(random.Random(6).randbytes(200_000))

    for sent in (whole[:-cut], whole + whole[:-cut]):
        with pytest.raises(Rejected, match="not complete gzip"):
            inflate(sent, MOST)


@pytest.mark.parametrize("members", [1025, 100_000, 700_000])
def test_a_body_of_very_many_members_costs_no_more_than_its_length(
    members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = list[int]()
    monkeypatch.setattr(module, "zlib", _Counted(handed))

    with pytest.raises(Rejected, match="limit is 1024 gzip members") as refused:
        inflate(EMPTY * members, MOST)

    assert refused.value.code == "bad_encoding"
    # Each member hands back what follows it: of its slice, and not of the whole body.
    assert len(handed) == 1024
    assert sum(handed) <= 1024 * 64 * 1024


def test_nobody_is_waited_for_who_has_left() -> None:
    asked: Iterator[int] = iter(range(1000))
    sent = gzip.compress(random.Random(7).randbytes(2**20))

    with pytest.raises(SenderLeft):
        inflate(sent, MOST, lambda: next(asked) == 3)

    assert next(asked) == 4


class _Counted:
    """zlib, noting how many bytes each member handed back."""

    error = zlib.error

    def __init__(self, handed: list[int]) -> None:
        self._handed = handed

    def decompressobj(self, wbits: int) -> _Member:
        return _Member(zlib.decompressobj(wbits=wbits), self._handed)


class _Member:
    def __init__(self, member: zlib._Decompress, handed: list[int]) -> None:
        self._member, self._handed = member, handed

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, piece: bytes, most: int) -> bytes:
        found = self._member.decompress(piece, most)
        if self._member.eof:
            self._handed.append(len(self._member.unused_data))
        return found
