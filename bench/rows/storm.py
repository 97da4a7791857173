"""The storm: 10,000 alerts of 500 services as 500 webhooks, from the first byte to the last 200, and what is stored."""

from __future__ import annotations

import time
from collections import Counter

from bench import payload
from bench.client import flood
from bench.ground import STORES, Ground, to_bot
from bench.load import reserve_turns, spread
from bench.payload import Template
from bench.process import rss_mib
from bench.prototype import prototype
from bench.table import Line, Verdict, at_most
from bench.vakhta import TOKEN, Bot

GROUPS = 500
EACH = 20


def measure(ground: Ground) -> list[Line]:
    return [_line(ground, store) for store in STORES]


def requests() -> list[bytes]:
    """The storm's webhooks: one a group, all warnings."""
    body = payload.webhook(EACH, group=payload.GROUP)
    raw = payload.request("/alerts/alertmanager", body, bearer=TOKEN)
    template = Template(raw=raw, alerts=EACH, groups=GROUPS)
    first = reserve_turns()
    return [template.fill(first + n) for n in range(GROUPS)]


def _line(ground: Ground, store: str) -> Line:
    took, faults, memory = [], [], []
    for _ in range(ground.rounds):
        with ground.bot(store) as bot:
            ground.warm_bot(bot)
            seconds, fault = _storm(bot)
            took.append(seconds)
            faults += fault
            memory.append(rss_mib(bot.pid))
    with prototype(ground, store) as bare:
        ground.warm(bare.port, to_bot(1, grouped=False))
        bare_s = _flooded(bare.port)
    middle = sorted(took)[len(took) // 2]
    return Line(
        what=f"storm: 10,000 alerts in 500 groups, {store}",
        least="1.0 s",
        aim="0.4 s",
        reached="; ".join(
            [f"{spread(took, 2)} s, all stored in 500 incidents" if not faults else spread(took, 2), *faults]
        ),
        verdict=Verdict.FAILED if faults else at_most(middle, 1.0, 0.4),
        bare=f"{bare_s:.2f} s; the bot {middle / bare_s:.1f} x",
        bound=f"{GROUPS * EACH / middle:,.0f} alerts/s; one client on 64 connections",
        numbers={"seconds": took, "rss_mib": memory, "bare_s": bare_s},
    )


def _flooded(port: int) -> float:
    """Seconds until the storm is answered."""
    begin = time.monotonic()
    return max(answer.ended for answer in flood(port, requests(), connections=64)) - begin


def _storm(bot: Bot) -> tuple[float, list[str]]:
    """Seconds, and what went wrong."""
    sending = requests()
    before = bot.stored()
    begin = time.monotonic()
    answered = flood(bot.port, sending, connections=64)
    seconds = max(answer.ended for answer in answered) - begin
    stored = bot.stored()
    faults = []
    statuses = Counter(answer.status for answer in answered)
    if statuses != {200: GROUPS}:
        faults.append(f"answers: {dict(statuses)}")
    if stored.alerts - before.alerts != GROUPS * EACH or stored.incidents - before.incidents != GROUPS:
        gained = f"{stored.alerts - before.alerts} alerts and {stored.incidents - before.incidents} incidents"
        faults.append(f"stored: {gained}")
    return seconds, faults
