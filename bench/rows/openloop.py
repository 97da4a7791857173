"""How long a sender waits at a fixed rate, counted from when each webhook was due, so that a stall is seen in full."""

from __future__ import annotations

from dataclasses import dataclass

from bench.client import pace
from bench.ground import STORES, Ground, to_bot
from bench.load import percentile, reserve_turns
from bench.prototype import prototype
from bench.table import Line, Verdict, at_most, worst

_RATES = (100, 1000, 3000)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Latencies at one rate, milliseconds."""

    per_s: int
    p50: float
    p99: float
    worst: float
    late: float  #: p99 of how late the generator itself sent
    refused: int
    unsent: int  #: of those that were due; it could not keep up


def measure(ground: Ground) -> list[Line]:
    lines = []
    for store in STORES:
        with prototype(ground, store) as bare:
            ground.warm(bare.port, to_bot(1, grouped=False))
            bares = [_pace(bare.port, per_s, seconds=2) for per_s in _RATES]
        with ground.bot(store) as bot:
            ground.warm_bot(bot)
            seen = [_pace(bot.port, per_s, seconds=2 if ground.quick else 10) for per_s in _RATES]
        lines += [_line(one, bare, store) for one, bare in zip(seen, bares, strict=True)]
    return lines


def _pace(port: int, per_s: int, *, seconds: int) -> Seen:
    template = to_bot(1, grouped=True)
    first = reserve_turns()
    count = per_s * seconds
    due = (template.fill(first + n) for n in range(count))
    answered = pace(port, due, per_s=per_s, until_s=2.0 * seconds)
    took = [answer.ms for answer in answered]
    return Seen(
        per_s=per_s,
        p50=percentile(took, 50),
        p99=percentile(took, 99),
        worst=max(took),
        late=percentile([(answer.sent - answer.due) * 1000 for answer in answered], 99),
        refused=sum(answer.status != 200 for answer in answered),
        unsent=count - len(answered),
    )


def _line(seen: Seen, bare: Seen, store: str) -> Line:
    fast = seen.per_s > 1000
    verdict = worst(at_most(seen.p50, 3, 3), at_most(seen.p99, 10, 10))
    if fast:
        verdict = Verdict.AIM if seen.p99 <= 5 else Verdict.SHORT
    return Line(
        what=f"answer at {seen.per_s:,}/s open loop, {store}",
        least="" if fast else "3 ms, 10 ms",
        aim="p99 5 ms" if fast else "",
        reached=f"p50 {seen.p50:.2f}, p99 {seen.p99:.2f}, max {seen.worst:.1f} ms"
        + (f", {seen.refused} not answered 200" if seen.refused else "")
        + (f", {seen.unsent:,} could not even be sent" if seen.unsent else ""),
        verdict=Verdict.FAILED if seen.refused else verdict,
        bare=f"p50 {bare.p50:.2f}, p99 {bare.p99:.2f} ms" + (f", {bare.unsent:,} unsent" if bare.unsent else ""),
        bound=f"sent p99 {seen.late:.2f} ms after due (the generator late, or all 128 connections waiting)",
        numbers={"seen": seen, "bare": bare},
    )
