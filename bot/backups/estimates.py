"""Estimates how long a restore takes, from the drills that have measured it. Pure.

The trap: a restore takes as long as there is to read, so a drill of last year's size says little. So the rate of the
drills is taken, where sizes are known, and what the estimate rests on is always told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from statistics import median

from bot.core.backup import Drill, DrillResult
from bot.lib.text import spell_duration, spell_moment

_DRILLS = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How long a restore probably takes. `basis`: a clause; `takes` None: nothing is known."""

    takes: timedelta | None
    at_most: timedelta | None  #: what 95 of 100 drills were under
    basis: str


def estimate(drills: Sequence[Drill], size_bytes: int | None) -> Estimate:
    """For a restore of that size. `drills`: the newest first."""
    passed = [one for one in drills if one.result is DrillResult.PASSED and one.rto][:_DRILLS]
    if not passed:
        return Estimate(takes=None, at_most=None, basis="an unknown time: no drill has measured it")
    measured = [one for one in passed if one.size_bytes]
    last = spell_moment(passed[0].began_at)
    if size_bytes and measured:
        times = sorted(_seconds(one) * size_bytes / (one.size_bytes or 1) for one in measured)
        basis = f"by the rate of {_drills(len(measured))}, the last {last}"
    else:
        times = sorted(map(_seconds, passed))
        basis = f"as {_drills(len(passed))} did, the last {last}; its size is not known"
    return Estimate(
        takes=timedelta(seconds=round(median(times))),
        at_most=timedelta(seconds=round(times[ceil(0.95 * len(times)) - 1])),
        basis=basis,
    )


def spell_estimate(found: Estimate) -> str:
    """The estimate as a clause, after "it takes"."""
    if found.takes is None or found.at_most is None:
        return found.basis
    upper = f", at most {spell_duration(found.at_most)}" if found.at_most > found.takes else ""
    return f"about {spell_duration(found.takes)}{upper} ({found.basis})"


def _seconds(drill: Drill) -> float:
    return drill.rto.total_seconds() if drill.rto else 0.0


def _drills(number: int) -> str:
    return f"{number} drills that passed" if number > 1 else "one drill that passed"
