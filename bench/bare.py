"""The bare prototype: what this machine's Python, disk and sockets take, with nothing of a bot around it.

`python -m bench.bare PORT STORE [EVENTS_URL ROUTING_KEY]` answers every POST after its JSON was read and a commit
holds its body and a row for each of its alerts. All that was read in one turn of the loop shares a commit, in the
loop's own thread: no thread is handed anything. With EVENTS_URL it then sends one page for each webhook.

No incident, no event, no delivery, no token, no duplicate, no limit: whoever does more cannot be faster.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_TABLES = ("CREATE TABLE webhook (body {bytes} NOT NULL)", "CREATE TABLE alert (fingerprint text NOT NULL)")

#: Stores bodies and fingerprints in one transaction.
Commit = Callable[[Sequence[bytes], Sequence[str]], None]


def on_sqlite(path: str) -> Commit:
    """With the bot's own settings: a log, synced at each commit."""
    line = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        line.execute(f"PRAGMA {pragma}")
    for table in _TABLES:
        line.execute(table.format(bytes="blob"))

    def commit(bodies: Sequence[bytes], alerts: Sequence[str]) -> None:
        line.execute("BEGIN IMMEDIATE")
        line.executemany("INSERT INTO webhook VALUES (?)", [(body,) for body in bodies])
        line.executemany("INSERT INTO alert VALUES (?)", [(alert,) for alert in alerts])
        line.execute("COMMIT")

    return commit


def on_postgres(url: str) -> Commit:
    """In one round trip."""
    import psycopg  # noqa: PLC0415 - the prototype on SQLite is measured without it

    line = psycopg.connect(url, autocommit=True)
    for table in _TABLES:
        line.execute(table.format(bytes="bytea").encode())

    def commit(bodies: Sequence[bytes], alerts: Sequence[str]) -> None:
        with line.pipeline(), line.transaction():
            line.execute("INSERT INTO webhook SELECT unnest(%s::bytea[])", (list(bodies),))
            line.execute("INSERT INTO alert SELECT unnest(%s::text[])", (list(alerts),))

    return commit


class Pager:
    """Sends one page at a time on one connection."""

    def __init__(self, url: str, routing_key: str) -> None:
        at = urlsplit(url)
        self._line = http.client.HTTPConnection(at.hostname or "", at.port)
        self._path = f"{at.path.rstrip('/')}/v2/enqueue"
        self._routing_key = routing_key

    def send(self, group_key: str) -> None:
        event = {
            "routing_key": self._routing_key,
            "event_action": "trigger",
            "dedup_key": hashlib.sha256(group_key.encode()).hexdigest(),
            "payload": {"summary": group_key[:1024], "source": "bare", "severity": "critical"},
        }
        body = json.dumps(event).encode()
        self._line.request("POST", self._path, body, {"Content-Type": "application/json"})
        self._line.getresponse().read()


class Store:
    """Commits what was read in this turn of the loop, then answers."""

    def __init__(self, commit: Commit, pager: Pager | None) -> None:
        self._commit = commit
        self._pager = pager
        self._waiting: list[tuple[bytes, asyncio.WriteTransport]] = []

    def take(self, body: bytes, sender: asyncio.WriteTransport) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._store)
        self._waiting.append((body, sender))

    def _store(self) -> None:
        waiting, self._waiting = self._waiting, []
        read: list[dict[str, Any]] = [json.loads(body) for body, _ in waiting]
        self._commit([body for body, _ in waiting], [one["fingerprint"] for told in read for one in told["alerts"]])
        for _, sender in waiting:
            sender.write(_OK)
        if self._pager is not None:
            for told in read:
                self._pager.send(told["groupKey"])


class Bare(asyncio.Protocol):
    """One connection: reads Content-Length and the body. What is no POST is answered at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            at = self._buffer.find(b"Content-Length: ", 0, end)
            length = int(self._buffer[at + 16 : self._buffer.find(b"\r", at)]) if at > 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            if self._buffer.startswith(b"POST"):
                self._store.take(body, self._transport)
            else:
                self._transport.write(_OK)
            del self._buffer[: end + 4 + length]


async def serve(port: int, store: Store) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Bare(store), "127.0.0.1", port)
    await server.serve_forever()


def main(port: str, kept: str, *pages: str) -> None:
    commit = on_postgres(kept) if kept.startswith("postgresql") else on_sqlite(kept)
    uvloop.run(serve(int(port), Store(commit, Pager(*pages) if pages else None)))


if __name__ == "__main__":
    main(*sys.argv[1:])
