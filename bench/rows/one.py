"""One-alert webhooks and payloads of 50, durable with incident, events and deliveries, against Alertmanager's memory.

Alternated: each round runs Alertmanager and the bot on each store, every one fresh, with the same generator.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.ground import STORES, Ground, Share, to_alertmanager, to_bot
from bench.load import Rate, Unmeasurable, median, spread
from bench.payload import Template
from bench.peers import alertmanager
from bench.table import Line, Verdict, at_least
from bench.vakhta import Bot


@dataclass(kw_only=True)
class Runs:
    """All rounds of one system under one load."""

    rates: list[Rate] = field(default_factory=list)
    share: Share = field(default_factory=Share)
    faults: list[str] = field(default_factory=list)

    @property
    def per_s(self) -> list[float]:
        return [rate.per_s for rate in self.rates]

    @property
    def errors(self) -> int:
        return sum(rate.refused + rate.broken for rate in self.rates)


def measure(ground: Ground) -> list[Line]:
    lines = []
    for grouped, shape in ((False, "each its own group"), (True, "500 groups")):
        lines += compare(ground, alerts=1, grouped=grouped, what=f"one-alert webhooks/s, {shape}", least=0.3, aim=0.5)
    return lines


def compare(ground: Ground, *, alerts: int, grouped: bool, what: str, least: float, aim: float) -> list[Line]:
    """One line a store, as a ratio to Alertmanager's alerts/s."""
    mine, theirs = to_bot(alerts, grouped=grouped), to_alertmanager(alerts, grouped=grouped)
    runs: dict[str, Runs] = {}
    for _ in range(ground.rounds):
        with _unless_absent(runs), alertmanager(ground.dir) as (port, process):
            ground.warm(port, theirs)
            keep(runs, "Alertmanager", *ground.watch({"Alertmanager": process.pid}, lambda: ground.drive(port, theirs)))
        for store in STORES:
            with _unless_absent(runs), ground.bot(store) as bot:
                load_bot(ground, bot, store, mine, runs)
    return [_line(runs, store, alerts=alerts, what=f"{what}, {store}", least=least, aim=aim) for store in STORES]


def load_bot(ground: Ground, bot: Bot, store: str, template: Template, runs: dict[str, Runs]) -> None:
    """One round of the bot; what its store gained must be at least what was answered."""
    ground.warm(bot.port, template)
    before = bot.stored().alerts
    run = keep(runs, store, *ground.watch(ground.pids(bot, store), lambda: ground.drive(bot.port, template)))
    gained = bot.stored().alerts - before
    answered = run.rates[-1].answered * template.alerts
    if not template.cycle and gained < answered:
        run.faults.append(f"LOST: {answered} alerts answered, {gained} stored")


def ratio(runs: dict[str, Runs], mine: str, theirs: str) -> float:
    return median(runs[mine].per_s) / median(runs[theirs].per_s)


@contextlib.contextmanager
def _unless_absent(runs: dict[str, Runs]) -> Iterator[None]:
    """A system that cannot run here is left out; what needs it says why."""
    try:
        yield
    except Unmeasurable as why:
        runs.setdefault("absent", Runs()).faults.append(str(why))


def keep(runs: dict[str, Runs], name: str, rate: Rate, share: Share) -> Runs:
    run = runs.setdefault(name, Runs())
    run.rates.append(rate)
    run.share = share
    return run


def _line(runs: dict[str, Runs], store: str, *, alerts: int, what: str, least: float, aim: float) -> Line:
    absent = " / ".join(sorted(set(runs["absent"].faults))) if "absent" in runs else ""
    line = Line(what=what, least=f"{least:g} x AM", aim=f"{aim:g} x", reached=absent, verdict=Verdict.SKIPPED)
    if store not in runs:
        return line
    run = runs[store]
    line.numbers = dict(runs.items())
    line.bound = run.share.tell("bot")
    told = spread([rate * alerts for rate in run.per_s])
    if run.errors or run.faults:
        line.reached = f"{told}/s with {run.errors} errors {'; '.join(run.faults)}"
        line.verdict = Verdict.FAILED
        return line
    latency = f"p50 {run.rates[-1].p50_ms:.1f} p99 {run.rates[-1].p99_ms:.1f} ms"
    if "Alertmanager" not in runs:
        line.reached = f"{told}/s, {latency}; {absent}"
        return line
    times = ratio(runs, store, "Alertmanager")
    peer = spread([rate * alerts for rate in runs["Alertmanager"].per_s])
    line.reached = f"{times:.2f} x: {told}/s against {peer}/s; {latency}"
    line.verdict = at_least(times, least, aim)
    line.numbers["ratio"] = times
    return line
