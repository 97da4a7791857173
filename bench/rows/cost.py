"""What a webhook costs: CPU of the bot's process tree per 1,000 one-alert webhooks, and its memory after a storm."""

from __future__ import annotations

from bench.client import flood
from bench.ground import STORES, Ground, to_bot
from bench.process import cpu_s, rss_mib
from bench.prototype import prototype
from bench.rows.storm import requests
from bench.table import Line, Verdict, at_most, worst


def measure(ground: Ground) -> list[Line]:
    return [_line(ground, store) for store in STORES]


def _line(ground: Ground, store: str) -> Line:
    template = to_bot(1, grouped=True)
    with ground.bot(store) as bot:
        flood(bot.port, requests(), connections=64)
        memory = rss_mib(bot.pid)
        before = {name: cpu_s(pid) for name, pid in ground.pids(bot, store).items()}
        rate = ground.drive(bot.port, template)
        used = {name: cpu_s(pid) - before[name] for name, pid in ground.pids(bot, store).items()}
        afterwards = rss_mib(bot.pid)
    per = {name: seconds * 1000 / max(1, rate.answered) for name, seconds in used.items()}
    bare_per, bare_mib = _bare(ground, store)
    failed = rate.refused + rate.broken
    also = f" (+ PostgreSQL {per['PostgreSQL']:.3f} s)" if "PostgreSQL" in per else ""
    return Line(
        what=f"CPU per 1,000 one-alert webhooks; RSS after the storm, {store}",
        least="0.3 s; 160 MB",
        aim="0.15 s; 110 MB",
        reached=f"{per['bot']:.3f} s{also}; {memory:.0f} MiB" + (f"; {failed} errors" if failed else ""),
        verdict=Verdict.FAILED
        if failed
        else worst(at_most(sum(per.values()), 0.3, 0.15), at_most(memory * 1.048576, 160, 110)),
        bare=f"{bare_per['bare']:.3f} s"
        + (f" (+ PostgreSQL {bare_per['PostgreSQL']:.3f} s)" if "PostgreSQL" in bare_per else "")
        + f"; {bare_mib:.0f} MiB",
        bound=f"{per['bot'] * 1000:.0f} us of the bot a webhook; {afterwards:.0f} MiB after {rate.answered:,} more",
        numbers={"cpu_s_per_1000": per, "rss_mib": memory, "rss_mib_after_load": afterwards, "bare": bare_per},
    )


def _bare(ground: Ground, store: str) -> tuple[dict[str, float], float]:
    """CPU seconds of the prototype and its PostgreSQL per 1,000 webhooks, and its memory."""
    with prototype(ground, store) as bare:
        flood(bare.port, requests(), connections=64)
        pids = {"bare": bare.pid} | ({"PostgreSQL": ground.postgres.pid} if store == "PostgreSQL" else {})
        before = {name: cpu_s(pid) for name, pid in pids.items()}
        rate = ground.drive(bare.port, to_bot(1, grouped=True))
        used = {name: cpu_s(pid) - before[name] for name, pid in pids.items()}
        return {name: seconds * 1000 / max(1, rate.answered) for name, seconds in used.items()}, rss_mib(bare.pid)
