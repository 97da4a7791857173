"""The bare prototype under the same loads: beside an absolute target, it tells a slow machine from a slow bot."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.ground import Ground
from bench.outside import Outside
from bench.process import Process, answers, free_port

_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Running:
    """One prototype that answers."""

    port: int
    pid: int
    ready_s: float  #: from the start of its process to its first answer


@contextlib.contextmanager
def prototype(ground: Ground, store: str = "SQLite", *, outside: Outside | None = None) -> Iterator[Running]:
    """With an empty store of its own. `outside`: it pages PagerDuty's fake there, once for each webhook."""
    home = Path(tempfile.mkdtemp(prefix="bare-", dir=ground.dir))
    database = ground.postgres.new_database() if store == "PostgreSQL" else ""
    kept = ground.postgres.url(database) if database else str(home / "bare.db")
    pages = []
    if outside is not None:
        pagerduty = outside.channels["pagerduty"]
        pages = [pagerduty["events_url"], pagerduty["routing_key"]]
    port = free_port()
    begin = time.monotonic()
    process = Process([sys.executable, "-m", "bench.bare", str(port), kept, *pages], log=home / "log", cwd=_ROOT)
    try:
        process.wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), "the bare prototype", every_s=0.005)
        yield Running(port=port, pid=process.pid, ready_s=time.monotonic() - begin)
    finally:
        process.stop(within_s=2)
        if database:
            ground.postgres.drop(database)
        shutil.rmtree(home, ignore_errors=True)
