"""The bot against Alerta, which also answers after its commit: the one peer whose promise is comparable.

Alerta runs on PostgreSQL with C collation, its best case (its statements scan the whole table in other collations).
"""

from __future__ import annotations

from bench.ground import STORES, Ground, to_alerta, to_bot
from bench.load import spread
from bench.peers import alerta
from bench.rows.one import Runs, keep, load_bot, ratio
from bench.table import Line, Verdict, at_least

#: what, alerts a payload, length of the cycle, at least, aim
_LOADS = (
    ("one-alert webhooks", 1, 0, 30, 50),
    ("alerts in payloads of 50", 50, 0, 50, 90),
    ("repeats of the same 100", 1, 100, 50, 90),
)


def measure(ground: Ground) -> list[Line]:
    runs: dict[str, dict[str, Runs]] = {load[0]: {} for load in _LOADS}
    for _ in range(ground.rounds):
        _round(ground, runs)
    return [
        _line(runs[what], store, alerts=alerts, what=f"{what}, {store}", least=least, aim=aim)
        for what, alerts, _, least, aim in _LOADS
        for store in STORES
    ]


def _round(ground: Ground, runs: dict[str, dict[str, Runs]]) -> None:
    """Each system in turn, fresh, under each load."""
    with alerta(ground.dir, ground.postgres, install=not ground.quick) as (port, process):
        pids = {"Alerta": process.pid, "PostgreSQL": ground.postgres.pid}
        for what, alerts, cycle, _, _ in _LOADS:
            theirs = to_alerta(alerts, cycle=cycle)
            ground.warm(port, theirs)
            keep(runs[what], "Alerta", *ground.watch(pids, lambda: ground.drive(port, theirs)))  # noqa: B023
    for store in STORES:
        with ground.bot(store) as bot:
            for what, alerts, cycle, _, _ in _LOADS:
                load_bot(ground, bot, store, to_bot(alerts, grouped=True, cycle=cycle), runs[what])


def _line(runs: dict[str, Runs], store: str, *, alerts: int, what: str, least: float, aim: float) -> Line:
    run = runs[store]
    times = ratio(runs, store, "Alerta")
    cpu = _cpu_per_request(runs["Alerta"]) / _cpu_per_request(run)
    told, peer = (spread([rate * alerts for rate in runs[name].per_s]) for name in (store, "Alerta"))
    faults = [*run.faults, *(f"{name}: {runs[name].errors} errors" for name in (store, "Alerta") if runs[name].errors)]
    return Line(
        what=f"{what} against Alerta",
        least=f"{least:g} x Alerta",
        aim=f"{aim:g} x",
        reached=f"{times:.0f} x: {told}/s against {peer}/s; {cpu:.0f} x less CPU {'; '.join(faults)}".strip(),
        verdict=Verdict.FAILED if run.faults or run.errors else at_least(times, least, aim),
        bound=run.share.tell("bot"),
        numbers={**runs, "ratio": times, "cpu_ratio": cpu},
    )


def _cpu_per_request(run: Runs) -> float:
    """Of the system and its PostgreSQL, not of the generator, in core seconds; of the last round."""
    cores = sum(used for name, used in run.share.of.items() if name != "generator")
    return cores / run.rates[-1].per_s
