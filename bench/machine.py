"""Which machine this was, and what it can do at best: no ratio means anything without both."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.ground import Ground, to_alertmanager, to_bot
from bench.load import Unmeasurable
from bench.peers import newest_postgres
from bench.process import Process, answers, free_port

_ROOT = Path(__file__).parent.parent


def describe() -> dict[str, object]:
    """Processor, system, versions and the commit."""
    changed = _first_line(["git", "-C", str(_ROOT), "status", "--porcelain"])
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory": _memory(),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _version("postgres"),
        "alertmanager": _version("prometheus-alertmanager"),
        "wrk": _first_line(["wrk", "-v"]).split(" [")[0],
        "commit": _first_line(["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]) + ("+" if changed else ""),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def limits(ground: Ground) -> dict[str, float]:
    """The disk and the generator at their best, now. Keys carry their units."""
    singles, single = _syncs(ground.dir / "syncs", records=1)
    batched, _ = _syncs(ground.dir / "syncs", records=64)
    ceilings = _generator_ceilings(ground)
    return {
        "fdatasync_per_s": singles,
        "fdatasync_ms": single * 1000,
        "records_per_s_64_a_sync": batched * 64,
        **ceilings,
    }


def check_generator(ground: Ground) -> str:
    """Let a server that reads everything say what the generator really sends."""
    found = []
    for template in (to_bot(1, grouped=False), to_bot(50, grouped=True), to_alertmanager(1, grouped=False)):
        with responder(ground, "check") as port:
            rate = ground.drive(port, template, seconds=1)
            seen = _seen(port)
        if seen["unreadable"] or seen["distinct"] != seen["alerts"] or rate.refused or rate.broken:
            return f"THE GENERATOR IS WRONG, no number counts: {seen}, {rate}"
        size = seen["bytes"] / max(1, seen["bodies"])
        found.append(f"{seen['bodies']:,} bodies of {size:,.0f} B with {seen['alerts']:,} alerts")
    return "generator checked by a server that reads all: " + "; ".join(found) + "; every one JSON, all distinct"


@contextlib.contextmanager
def responder(ground: Ground, *how: str) -> Iterator[int]:
    """The cheapest server there is; gives its port."""
    port = free_port()
    process = Process(
        [sys.executable, "-m", "bench.responder", str(port), *how], log=ground.dir / "responder", cwd=_ROOT
    )
    try:
        process.wait_for(lambda: answers(f"http://127.0.0.1:{port}/seen"), "the responder")
        yield port
    finally:
        process.stop(within_s=2)


def _generator_ceilings(ground: Ground) -> dict[str, float]:
    told = {}
    with responder(ground) as port:
        for alerts, name in ((1, "generator_requests_per_s"), (50, "generator_requests_of_50_per_s")):
            template = to_bot(alerts, grouped=True)
            told[name] = max(ground.drive(port, template, seconds=1).per_s for _ in range(ground.rounds))
    return told


def _syncs(file: Path, *, records: int) -> tuple[float, float]:
    """Append that many records of a webhook's size and sync, for half a second: syncs/s and the median in seconds."""
    block = os.urandom(1470) * records
    took = []
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            begin = time.monotonic()
            os.write(handle, block)
            os.fdatasync(handle)
            took.append(time.monotonic() - begin)
    finally:
        os.close(handle)
        file.unlink()
    return len(took) / sum(took), sorted(took)[len(took) // 2]


def _seen(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/seen", timeout=10) as answer:
        told: dict[str, int] = json.loads(answer.read())
        return told


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"


def _version(program: str) -> str:
    if program == "postgres":
        try:
            path = str(newest_postgres() / program)
        except Unmeasurable:
            return "absent"
    else:
        path = shutil.which(program) or ""
    found = re.search(r"\d+\.\d+(\.\d+)?", _first_line([path, "--version"])) if path else None
    return found[0] if found else "absent"


def _first_line(command: list[str]) -> str:
    """What it says first, on either stream; "" when it cannot be run."""
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return ""
    return (said.stdout or said.stderr).strip().partition("\n")[0]
