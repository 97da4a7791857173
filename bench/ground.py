"""What all rows stand on: a directory, peers that are started once and shared, and short ways to say common things."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench import payload, process
from bench.client import flood
from bench.load import Rate, drive, reserve_turns
from bench.outside import Outside
from bench.payload import Template
from bench.peers import Postgres
from bench.vakhta import TOKEN, Bot

STORES = ("SQLite", "PostgreSQL")


@dataclass(kw_only=True)
class Share:
    """Where the CPU went while something ran, in cores."""

    of: dict[str, float] = field(default_factory=dict)
    machine: float = 0.0  #: all that ran on the machine, in cores

    @property
    def others(self) -> float:
        """What ran beside the measurement and has no business there."""
        return max(0.0, self.machine - sum(self.of.values()))

    def tell(self, first: str) -> str:
        """In words, with the one whose limit it most likely is."""
        cores = os.cpu_count() or 1
        parts = ", ".join(f"{name} {used:.2f}" for name, used in [*self.of.items(), ("others", self.others)])
        if self.of.get(first, 0) >= 0.85:
            why = f"{first}'s one core of Python"
        elif self.machine >= 0.9 * cores:
            why = f"all {cores} cores are full" + (" (with work that is not ours)" if self.others > 0.3 else "")
        else:
            why = "waiting (commits, hand-overs)"
        return f"{why}; of {cores} cores: {parts}"


class Ground:
    """One run of the bench. `close` ends everything that was started."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._stack = contextlib.ExitStack()
        self.dir = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vakhta-bench-")))
        self.dir.chmod(0o755)  # PostgreSQL runs as somebody else.
        self.notes: list[str] = []
        self._others: list[float] = []

    def close(self) -> None:
        self._stack.close()

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 3

    @property
    def seconds(self) -> float:
        """How long one run of the generator lasts."""
        return 1.0 if self.quick else 4.0

    @cached_property
    def postgres(self) -> Postgres:
        return self._stack.enter_context(Postgres(self.dir))

    @cached_property
    def outside(self) -> Outside:
        """Fakes of Slack and PagerDuty for rows that only want deliveries to be owed and made."""
        return self._stack.enter_context(Outside("slack", "pagerduty"))

    @contextlib.contextmanager
    def bot(
        self, store: str = "SQLite", *, outside: Outside | None = None, strace: Path | None = None
    ) -> Iterator[Bot]:
        """A fresh one with an empty store."""
        postgres = self.postgres if store == "PostgreSQL" else None
        with Bot(self.dir, outside or self.outside, postgres=postgres, strace=strace) as bot:
            yield bot

    def drive(self, port: int, template: Template, *, seconds: float = 0, connections: int = 64) -> Rate:
        return drive(port, template, seconds=seconds or self.seconds, connections=connections, into=self.dir)

    def warm(self, port: int, template: Template) -> None:
        """First calls load what is loaded lazily; nobody quotes those."""
        first = reserve_turns()
        count = 64 if template.alerts == 1 else 8
        flood(port, [template.fill(first + n) for n in range(count)], connections=4)

    def warm_bot(self, bot: Bot) -> None:
        """The same, with groups that are none of a storm's."""
        self.warm(bot.port, to_bot(1, grouped=False))

    def watch(self, pids: dict[str, int], work: Callable[[], Rate]) -> tuple[Rate, Share]:
        """Do it and see where the CPU goes meanwhile."""
        before = {name: process.cpu_s(pid) for name, pid in pids.items()}
        busy, begin = process.busy_s(), time.monotonic()
        rate = work()
        seconds = time.monotonic() - begin
        share = Share(machine=(process.busy_s() - busy) / seconds)
        share.of = {name: (process.cpu_s(pid) - before[name]) / seconds for name, pid in pids.items()}
        share.of["generator"] = rate.cpu_s / seconds
        self._others.append(share.others)
        return rate, share

    def note_noise(self) -> None:
        """Say so when the machine was not ours alone: then no number of this run may be quoted."""
        if self._others and max(self._others) > 0.25:
            mean = sum(self._others) / len(self._others)
            self.notes.append(
                f"THE MACHINE WAS NOT QUIET: other work took {mean:.2f} cores on average under load, "
                f"{max(self._others):.2f} at most. Quote nothing from this run."
            )

    def pids(self, bot: Bot, store: str) -> dict[str, int]:
        """Whose CPU a bot's work is."""
        return {"bot": bot.pid} | ({"PostgreSQL": self.postgres.pid} if store == "PostgreSQL" else {})


def to_bot(alerts: int, *, grouped: bool, cycle: int = 0) -> Template:
    """Webhooks for the bot. `grouped`: over 500 services; otherwise each is a group, and so an incident, of its own."""
    return _template("/alerts/alertmanager", alerts, grouped=grouped, cycle=cycle, bearer=TOKEN)


def to_alerta(alerts: int, *, cycle: int = 0) -> Template:
    return _template("/webhooks/prometheus", alerts, grouped=True, cycle=cycle)


def to_alertmanager(alerts: int, *, grouped: bool) -> Template:
    body = payload.api_alerts(alerts, group=payload.GROUP if grouped else payload.TURN)
    return Template(raw=payload.request("/api/v2/alerts", body), alerts=alerts, groups=500 if grouped else 1)


def _template(path: str, alerts: int, *, grouped: bool, cycle: int, bearer: str = "") -> Template:
    body = payload.webhook(alerts, group=payload.GROUP if grouped else payload.TURN)
    raw = payload.request(path, body, bearer=bearer)
    return Template(raw=raw, alerts=alerts, groups=500 if grouped else 1, cycle=cycle)
