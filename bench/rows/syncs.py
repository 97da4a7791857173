"""How often the disk is waited for: WAL syncs per webhook at 1, 64 and 256 connections.

On SQLite the kernel's own calls are counted (strace with a seccomp filter: nothing else is slowed down). On PostgreSQL
its counter `pg_stat_wal.wal_sync` is read, which is told with up to a second's delay, so it is waited for.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench.client import flood
from bench.ground import Ground, to_bot
from bench.load import reserve_turns
from bench.table import Line, Verdict, at_most, worst
from bench.vakhta import Bot

_CONNECTIONS = (1, 64, 256)
#: Each webhook alone has one commit of its own; the tenth is for the deliveries that go out in the same time.
_LEAST = {1: 1.1, 64: 0.1, 256: 0.1}
_AIM = {1: 1.1, 64: 0.1, 256: 0.02}


def measure(ground: Ground) -> list[Line]:
    return [_on_sqlite(ground), _on_postgres(ground)]


def _on_sqlite(ground: Ground) -> Line:
    if shutil.which("strace") is None:
        said = "strace is not installed; `apt-get install strace` and run again"
        return Line(what="WAL syncs per webhook, SQLite", reached=said, verdict=Verdict.SKIPPED)
    file = ground.dir / "strace"
    with ground.bot("SQLite", strace=file) as bot:
        return _line(ground, bot, "SQLite, counted by strace", lambda: _traced(file))


def _on_postgres(ground: Ground) -> Line:
    with ground.bot("PostgreSQL") as bot:
        return _line(ground, bot, "PostgreSQL, pg_stat_wal", lambda: {"wal": _wal_syncs(ground, bot)})


def _line(ground: Ground, bot: Bot, how: str, counted: Callable[[], dict[str, int]]) -> Line:
    per: dict[int, float] = {}
    others: list[str] = []
    template = to_bot(1, grouped=True)
    ground.drive(bot.port, template, seconds=1)
    # Let the pager's burst for the new groups go out: its commits are not the webhooks'.
    time.sleep(1 if ground.quick else 2)
    for connections in _CONNECTIONS:
        before, held = counted(), bot.stored().alerts
        ground.drive(bot.port, template, seconds=1 if ground.quick else 3, connections=connections)
        time.sleep(0.3)  # What wrk left under way is committed as well, and counts on both sides.
        after, taken = counted(), max(1, bot.stored().alerts - held)
        per[connections] = (after["wal"] - before["wal"]) / taken
        others.append(f"{(after.get('other', 0) - before.get('other', 0)) / taken:.4f}")
    return Line(
        what=f"WAL syncs per webhook at 1, 64, 256 connections ({how})",
        least="1 (+0.1 for deliveries); 0.1",
        aim="0.02 at 256",
        reached="; ".join(f"{per[connections]:.3f} at {connections}" for connections in _CONNECTIONS),
        verdict=worst(*(at_most(round(per[n], 2), _LEAST[n], _AIM[n]) for n in _CONNECTIONS)),
        bound=f"requests that share a commit; other syncs (checkpoints) {', '.join(others)} per webhook"
        if "SQLite" in how
        else "requests that share a commit; deliveries' commits are in it",
        numbers={"per_webhook": per, "other_per_webhook": others},
    )


def _traced(file: Path) -> dict[str, int]:
    """Syncs so far, of the WAL and of anything else; with deliveries' commits, as they come."""
    calls = re.findall(r"(?:fsync|fdatasync|msync|sync_file_range)\(\d*(<[^>]*>)?", file.read_text(errors="replace"))
    wal = sum("-wal" in name for name in calls)
    return {"wal": wal, "other": len(calls) - wal}


def _wal_syncs(ground: Ground, bot: Bot) -> int:
    """A backend reports at the end of a transaction, at most once a second: so one more transaction, a second later."""
    time.sleep(1.1)
    flood(bot.port, [to_bot(1, grouped=False).fill(reserve_turns())], connections=1)
    time.sleep(0.2)
    return int(ground.postgres.ask("postgres", "SELECT wal_sync FROM pg_stat_wal")[0][0])
