"""The C-speed generator: wrk with one thread, driven by `load.lua`; closed loop over keep-alive connections.

wrk counts an answer of 400 or more as refused; those are taken off the rate and told beside it.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.payload import Template

_SCRIPT = Path(__file__).with_name("load.lua")
#: Numbers never given to two runs of the generator: a million each, of ten digits.
_turns = count(0, 1_000_000)


class Unmeasurable(Exception):
    """The row cannot be measured here; the text says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one run of the generator saw."""

    per_s: float  #: requests answered below 400, per second
    answered: int  #: how many those were
    refused: int  #: answered 400 or more
    broken: int  #: connections refused, reset, timed out
    p50_ms: float
    p99_ms: float
    seconds: float
    cpu_s: float  #: of the generator itself


def reserve_turns() -> int:
    """The first of a million numbers that nobody else uses in this run."""
    return next(_turns)


def drive(port: int, template: Template, *, seconds: float, connections: int = 64, into: Path) -> Rate:
    """Send for that long. `into`: a directory for the template's file."""
    wrk = shutil.which("wrk")
    if wrk is None:
        said = "wrk is not installed; `apt-get install wrk` and run again"
        raise Unmeasurable(said)
    file = into / "template.http"
    file.write_bytes(template.raw)
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "20s", "-s", str(_SCRIPT)]
    turns = [str(template.groups), str(template.cycle), str(reserve_turns())]
    before = _children_cpu_s()
    ended = subprocess.run(
        [*command, f"http://127.0.0.1:{port}", "--", str(file), *turns],
        capture_output=True, text=True, timeout=seconds + 60, check=False,
    )  # fmt: skip
    told = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    if not told:
        raise Unmeasurable(f"wrk said: {(ended.stderr or ended.stdout).strip()[-300:]}")
    return _read(json.loads(told[0].removeprefix("RESULT ")), _children_cpu_s() - before)


def median(rates: Sequence[float]) -> float:
    return statistics.median(rates)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """`median (min-max)`, or the one value."""
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that was really seen."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _read(told: dict[str, int], cpu_s: float) -> Rate:
    seconds = told["us"] / 1e6
    answered = told["requests"] - told["refused"]
    return Rate(
        per_s=answered / seconds,
        answered=answered,
        refused=told["refused"],
        broken=told["broken"],
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
        seconds=seconds,
        cpu_s=cpu_s,
    )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
