"""The first minute of a storm against strict fakes with the platforms' limits: is every place used, and rightly?

The optimum is computed from when each critical webhook was answered and from the limits alone: a house that knew
everything could not tell the last critical incident sooner. A channel is judged by its own messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.client import flood
from bench.ground import Ground
from bench.outside import Outside, Receipt, page_key
from bench.payload import group_key
from bench.rows.page import critical
from bench.rows.storm import GROUPS, requests
from bench.table import Line, Verdict, at_least, worst
from bot.store import outbox


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What a platform lets through: at most `count` in any `per_s`, for every pair.

    `kept`: how many of them the bot reserves for the next critical incident, and leaves unused for other messages.
    """

    windows: tuple[tuple[int, float], ...]
    kept: int = 0

    def soonest(self, ready: list[float]) -> list[float]:
        """When each of these, in order, could leave at the soonest."""
        left: list[float] = []
        for at in sorted(ready):
            first = at
            for count, per_s in self.windows:
                if len(left) >= count:
                    first = max(first, left[-count] + per_s)
            left.append(first)
        return left

    def places(self, seconds: float) -> int:
        """How many fit into that time when there is always something to send."""
        return sum(at < seconds for at in self.soonest([0.0] * 1000))

    def usable(self, seconds: float, critical: int) -> int:
        """The same, without the reserve that so many critical incidents do not use up."""
        places = self.places(seconds)
        return max(places - self.kept, min(places, critical))


_QUOTAS = {
    "slack": Quota(windows=((1, 1.0),)),
    "telegram": Quota(windows=((1, 1.0), (20, 60.0)), kept=outbox.reserved(20)),
    "pagerduty": Quota(windows=((120, 60.0),)),
}
#: Requests that use a place and put something before people's eyes.
_TELLS = {
    "slack": lambda path: path.endswith(("chat.postMessage", "chat.update")),
    "telegram": lambda path: path.endswith(("sendMessage", "editMessageText")),
    "pagerduty": lambda path: path.endswith("/v2/enqueue"),
}


@dataclass(kw_only=True)
class Told:
    """How one channel did."""

    name: str
    sent: int
    places: int
    refused: int  #: answers 429
    last: float | None  #: seconds until the last critical incident was told; None: not in time
    optimum: float

    @property
    def used(self) -> float:
        return self.sent / self.places

    @property
    def near(self) -> float:
        """The optimum as a part of what it took: 1 is perfect."""
        return self.optimum / self.last if self.last else 0.0


def measure(ground: Ground) -> list[Line]:
    seconds, urgent = (20.0, 10) if ground.quick else (60.0, 40)
    with Outside(*_QUOTAS, limits=True) as world, ground.bot(outside=world) as bot:
        sending = requests()
        chosen = [round((n + 0.5) * GROUPS / urgent) for n in range(urgent)]
        for group in chosen:
            sending[group] = critical(group)
        begin = time.monotonic()
        answered = flood(bot.port, sending, connections=64)
        ready = [answer.ended - begin for answer in answered if answer.index in chosen]
        latest = max(_QUOTAS[name].soonest(ready)[-1] for name in _QUOTAS)
        time.sleep(max(0.0, begin + max(seconds, latest * 1.06 + 1) - time.monotonic()))
        told = [
            _told(name, world.received(name), begin=begin, seconds=seconds, ready=ready, chosen=chosen)
            for name in _QUOTAS
        ]
        faults = world.faults()
    lost = sum(answer.status != 200 for answer in answered)
    return [_line(told, [*faults, *([f"{lost} webhooks not answered 200"] if lost else [])], seconds, urgent)]


def _told(
    name: str, received: list[Receipt], *, begin: float, seconds: float, ready: list[float], chosen: list[int]
) -> Told:
    tells: Callable[[str], bool] = _TELLS[name]
    mine = [receipt for receipt in received if tells(receipt.path)]
    went = [receipt for receipt in mine if receipt.status < 300]
    firsts: dict[str, float] = {}
    for receipt in went:
        firsts.setdefault(receipt.mark, receipt.at - begin)
    marks = [page_key(group_key(f"{n:04d}")) if name == "pagerduty" else f"PaymentsDown{n:04d}" for n in chosen]
    return Told(
        name=name,
        sent=sum(begin <= receipt.at < begin + seconds for receipt in went),
        places=min(GROUPS, _QUOTAS[name].usable(seconds, len(chosen))),
        refused=sum(receipt.status == 429 for receipt in received),
        last=max(firsts[mark] for mark in marks) if all(mark in firsts for mark in marks) else None,
        optimum=_QUOTAS[name].soonest(ready)[-1],
    )


def _line(told: list[Told], faults: list[str], seconds: float, urgent: int) -> Line:
    refused = sum(one.refused for one in told)
    by = "".join(f", {one.refused} of {one.name}" for one in told if one.refused)
    parts = [
        f"{one.name} {one.sent}/{one.places} places, last critical "
        + ("NOT TOLD" if one.last is None else f"{one.last:.1f} s (optimum {one.optimum:.1f} = {one.near:.0%})")
        for one in told
    ]
    verdict = worst(*(at_least(min(one.used, one.near), 0.95, 0.99) for one in told))
    return Line(
        what=f"first {seconds:.0f} s of a storm at strict limits, {urgent} of 500 groups critical",
        least="95 %, no 429, 95 %",
        aim="99 %",
        reached="; ".join([*parts, f"{refused} answers 429{by}", *faults[:2]]),
        verdict=Verdict.FAILED if faults else Verdict.SHORT if refused else verdict,
        bound="the platforms' quotas and our margin under them; Telegram's places without the reserve for criticals",
        numbers={"told": told, "faults": faults},
    )
