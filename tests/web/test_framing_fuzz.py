"""For any bytes in any pieces: the bot acts on the same requests that h11 finds in them, and loses none.

`make test-slow` reads a million streams; VAKHTA_FUZZ_SEED=N gives others.
"""

from __future__ import annotations

import logging
import os
import random

import pytest

from tests.web.framing_cases import Listener, cut, stream, told_by_h11

_SEED = os.environ.get("VAKHTA_FUZZ_SEED", "0")
_SHARDS = 8


@pytest.mark.parametrize("short", [True, False])
def test_both_ways_read_what_h11_reads(*, short: bool) -> None:
    agree(f"few {_SEED}", 6000, short=short)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(_SHARDS))
def test_both_ways_read_what_h11_reads_in_a_million_streams(shard: int) -> None:
    agree(f"many {_SEED} {shard}", 1_000_000 // _SHARDS, short=shard % 4 > 0)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "uvicorn.error")  # each refusal is a line


def agree(seed: str, many: int, *, short: bool) -> None:
    chance = random.Random(seed)
    listener = Listener(short=short)
    taken = refused = 0
    for number in range(many):
        text = stream(chance)
        pieces = cut(text, chance)
        told, plain = told_by_h11(text)

        heard = listener.read(pieces, chance)

        assert heard == told[:plain], f"{seed!r}, number {number}: {pieces!r}"
        taken += len(heard)
        refused += plain < len(told)
    assert taken > many / 3, "many streams hold something that is taken"
    assert refused > many / 50, "and some hold what h11 alone would have taken"
    assert (listener.by_short_way > many / 20) is short
