"""The order of turns, on a real loop."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from bot.web.fair_share import FairShare


def test_a_few_go_on_in_each_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
    async def go() -> tuple[list[int], list[int]]:
        turns, went, by_turn, loop = FairShare(), list[int](), list[int](), asyncio.get_running_loop()
        for number in range(40):
            turns.wait(lambda number=number: went.append(number), loop)  # type: ignore[misc]
        while len(went) < 40:
            await asyncio.sleep(0)
            by_turn.append(len(went))
        return went, by_turn

    went, by_turn = asyncio.run(go())

    assert went == list(range(40))
    assert max(after - before for before, after in pairwise(by_turn)) <= 4


def test_who_breaks_does_not_keep_the_others_waiting() -> None:
    async def go() -> list[str]:
        told: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: told.append(str(about["exception"])))
        turns = FairShare()
        turns.wait(lambda: list[None]().pop(), loop)
        turns.wait(lambda: told.append("went"), loop)
        while "went" not in told:
            await asyncio.sleep(0)
        return told

    assert asyncio.run(go()) == ["pop from empty list", "went"]


def test_they_rest_for_three_times_as_long_as_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("bot.web.fair_share.monotonic", lambda: now[0])

    async def go() -> list[float]:
        turns, rests, loop = FairShare(), list[float](), asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda after_s, *_: rests.append(after_s))
        turns.wait(lambda: now.append(now.pop() + 0.5), loop)
        while not rests:
            await asyncio.sleep(0)
        return rests

    assert asyncio.run(go()) == [1.5]
