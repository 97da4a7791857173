"""How long a restore takes, from the drills of its store: the median and the 95th percentile, by the size. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from bot.core.backup import Drill, DrillResult
from bot.lib.text import spell_duration

#: A drill that found damage was restored all the same.
_COUNTED = (DrillResult.PASSED, DrillResult.DAMAGED)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreEstimate:
    """`drills`: how many it rests on; `sized`: by bytes, not by the times alone."""

    median: timedelta
    p95: timedelta
    drills: int
    sized: bool

    def describe(self) -> str:
        times = f"{_spell(self.median)}, and {_spell(self.p95)} in the worst 5 %"
        one = "the last drill" if self.drills == 1 else f"the last {self.drills} drills"
        return f"about {times}, by {one}{' and its size' if self.sized else ''}"


def estimate(drills: Sequence[Drill], size_bytes: int | None) -> RestoreEstimate | None:
    """None: no drill has restored anything yet."""
    took = [(one.rto, one.size_bytes) for one in drills if one.result in _COUNTED and one.rto is not None]
    if not took:
        return None
    rates = [rto.total_seconds() / size for rto, size in took if size]
    if size_bytes and len(rates) == len(took):
        seconds = sorted(rate * size_bytes for rate in rates)
    else:
        seconds = sorted(rto.total_seconds() for rto, _ in took)
        rates = []
    return RestoreEstimate(
        median=timedelta(seconds=_percentile(seconds, 50)),
        p95=timedelta(seconds=_percentile(seconds, 95)),
        drills=len(took),
        sized=bool(rates),
    )


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that is no less than that many percent of them (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def _spell(long: timedelta) -> str:
    """Whole minutes from one minute on."""
    return spell_duration(long if long < _MINUTE else long // _MINUTE * _MINUTE)
