"""Whether it stays fast: the rate with a million stored alerts against an empty store, and a page of the list.

The million comes in through the front door: payloads of 50, each a group and an open incident of its own.
"""

from __future__ import annotations

import time

from bench.client import flood
from bench.ground import Ground, to_bot
from bench.load import median, percentile, reserve_turns, spread
from bench.payload import Template
from bench.table import Line, Verdict, at_least, at_most
from bench.vakhta import Bot, Stored

_LIST = "/api/incidents?limit=50"


def measure(ground: Ground) -> list[Line]:
    wanted = 50_000 if ground.quick else 1_000_000
    template = to_bot(1, grouped=True)
    full: list[float] = []
    empty: list[float] = []
    with ground.bot() as grown:
        filled_in = _fill(ground, grown, wanted)
        stored = grown.stored()
        for _ in range(ground.rounds):
            with ground.bot() as fresh:
                _open_groups(fresh, template)
                _open_groups(grown, template)
                empty.append(ground.drive(fresh.port, template).per_s)
                full.append(ground.drive(grown.port, template).per_s)
        listed = _list(grown)
    return [_rate_line(full, empty, stored, wanted=wanted, seconds=filled_in), _list_line(listed, stored)]


def _rate_line(full: list[float], empty: list[float], stored: Stored, *, wanted: int, seconds: float) -> Line:
    times = median(full) / median(empty)
    return Line(
        what=f"rate with {stored.alerts:,} stored alerts against an empty store",
        least="0.75 x",
        aim="0.9 x",
        reached=f"{times:.2f} x: {spread(full)}/s against {spread(empty)}/s",
        verdict=at_least(times, 0.75, 0.9) if stored.alerts >= wanted else Verdict.SHORT,
        bound=f"filled in {seconds:.0f} s; {stored.incidents:,} incidents, {stored.deliveries:,} deliveries",
        numbers={"full": full, "empty": empty},
    )


def _list_line(listed: list[float], stored: Stored) -> Line:
    return Line(
        what=f"list page of 50 with {stored.incidents:,} open incidents",
        least="10 ms",
        reached=f"p50 {percentile(listed, 50):.1f}, p99 {percentile(listed, 99):.1f} ms",
        verdict=at_most(percentile(listed, 50), 10),
        numbers={"ms": listed},
    )


def _fill(ground: Ground, bot: Bot, wanted: int) -> float:
    """Seconds it took; gives up after 170, and the line then tells how far it came."""
    template = to_bot(50, grouped=False)
    begin = time.monotonic()
    while bot.stored().alerts < wanted and time.monotonic() - begin < 170:
        ground.drive(bot.port, template, seconds=1 if ground.quick else 5)
    return time.monotonic() - begin


def _open_groups(bot: Bot, template: Template) -> None:
    """Both must measure alerts of incidents that stand already; opening them costs more, and one has done it before."""
    first = reserve_turns()
    flood(bot.port, [template.fill(first + n) for n in range(template.groups)], connections=8)
    time.sleep(1)  # The pages of the new incidents have gone out.


def _list(bot: Bot) -> list[float]:
    """Milliseconds of each of 200 list pages, one after the other."""
    request = bot.api_request(_LIST)
    answered = flood(bot.port, [request] * 200, connections=1)
    assert all(answer.status == 200 for answer in answered), f"{_LIST} was not answered 200: {answered[0]}"
    return [answer.ms for answer in answered]
