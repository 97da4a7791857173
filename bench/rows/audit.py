"""How long it takes to verify the audit log: a million entries, generated straight into SQLite, and ten times that.

An entry is as an action's is, about 450 bytes, with a checkpoint after every fifty: at one a minute, a busy day. It is
`vakhta audit verify` as it ships, with processes of its own; what is told is its whole time, and the most memory that
one process of it had.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

from bench.ground import Ground
from bench.load import Unmeasurable
from bench.table import Line, at_most
from bot.audit import signed_note
from bot.core.audit import AuditEntry, Code
from bot.lib import crypto
from bot.lib.encoding import uuid7
from bot.lib.merkle import MerkleRange, leaf_of
from bot.store import audit_entry, migrating
from bot.store.engine import Store

_SEED = bytes(range(32))
_ORIGIN = "vakhta"
_EACH = 50
_ALL = 10_000_000
_WITHIN_S = 120

#: entry, seal, and the checkpoint over it and all before it, if there is one.
_Made = tuple[tuple[object, ...], tuple[object, ...], tuple[object, ...] | None]


def measure(ground: Ground) -> list[Line]:
    count = 100_000 if ground.quick else 1_000_000
    path = ground.dir / "audit.db"
    _fill(path, 0)
    start, _ = _verified(path, ground.dir / "audit.yaml", 0)  # to load the program is not done once for each entry
    _fill(path, count)
    seconds, memory = _verified(path, ground.dir / "audit.yaml", count)
    bare = _hashed(path) / len(os.sched_getaffinity(0)) * _ALL / count
    path.unlink()
    whole = start + (seconds - start) * _ALL / count
    return [
        Line(
            what=f"audit verify, 10 M entries (from {count:,})",
            least=f"{_WITHIN_S} s",
            reached=f"{whole:.0f} s: {count / (seconds - start):,.0f} entries/s; {memory / 1024:.0f} MiB a process",
            verdict=at_most(whole, _WITHIN_S),
            bare=f"{bare:.0f} s: rows read, JSON read, hashed, on all cores",
            bound="all cores: SQLite's rows, a hash and an expression for each entry; signatures in one process",
            numbers={"entries": count, "seconds": seconds, "start_s": start, "memory_kib": memory},
        )
    ]


def _fill(path: Path, count: int) -> None:
    store = Store(f"sqlite:///{path}")
    migrating.migrate(store)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    rows = _rows(count)
    while batch := list(islice(rows, 5_000)):
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO audit_entry VALUES ({', '.join('?' * 11)})", [one[0] for one in batch])
        connection.executemany("INSERT INTO audit_seal VALUES (?, ?, ?)", [one[1] for one in batch])
        signed = [one[2] for one in batch if one[2]]
        connection.executemany("INSERT INTO audit_checkpoint VALUES (?, ?, ?, ?, ?, ?)", signed)
        connection.execute("COMMIT")
    connection.close()


def _rows(count: int) -> Iterator[_Made]:
    tree, at = MerkleRange(), datetime(2026, 1, 1, tzinfo=UTC)
    for pos in range(count):
        at += timedelta(seconds=1)
        entry = AuditEntry(
            code=Code.PLANNED,
            by="ana",
            message="Would silence 3 alerts of prod/api for 2 h, until 14:00.",
            run=f"run-{pos}",
            verb="silence",
            target="prod/api",
            channel="slack",
            account="U012ABCDEF",
            idempotency_key=f"Ev{pos:010d}",
            incident_id=pos % 500,
            details={"plan": "sha256:" + "ab" * 32, "rule": "silence prod/*"},
        )
        line = audit_entry.encode_entry(entry, uid=uuid7(at, os.urandom(10)), at=at, scrub=str)
        leaf = leaf_of(line.body)
        tree = tree.extended([leaf])
        micros = round(at.timestamp()) * 1_000_000
        values = (
            pos + 1, line.uid, micros, line.code, line.run, line.incident_id, line.by, line.verb, line.target,
            line.place, line.body,
        )  # fmt: skip
        signed = _checkpoint(tree, at, micros) if tree.size % _EACH == 0 else None
        yield values, (pos, pos + 1, leaf), signed


def _checkpoint(tree: MerkleRange, at: datetime, micros: int) -> tuple[object, ...]:
    public = crypto.public_key(_SEED)
    text = signed_note.checkpoint(_ORIGIN, tree.size, tree.root(), at)
    signed = signed_note.sign_note(text, _ORIGIN, public, crypto.sign(_SEED, text.encode()))
    return tree.size, tree.root(), micros, signed_note.key_id(_ORIGIN, public), signed, tree.frontier()


def _hashed(path: Path) -> float:
    """Seconds of one core to read each entry, its JSON too, and to hash it."""
    begin = time.process_time()
    with closing(sqlite3.connect(path)) as connection:
        for (body,) in connection.execute("SELECT body FROM audit_entry ORDER BY id"):
            json.loads(body)
            sha256(body).digest()
    return time.process_time() - begin


def _verified(path: Path, config: Path, count: int) -> tuple[float, int]:
    """Seconds, and the most memory in KiB; of the command, from its start to its end."""
    config.write_text(
        f"store: {{url: 'sqlite:///{path}'}}\naudit: {{key: '{b64encode(_SEED).decode()}', origin: {_ORIGIN}}}\n"
    )
    command = [sys.executable, "-m", "bot", "audit", "verify", "--json", "--config", str(config)]
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode or json.loads(out)["sealed"] != count:
        raise Unmeasurable(f"the log was not found whole (exit code {process.returncode}): {out.decode()[:500]}")
    return seconds, used.ru_maxrss
