"""The checks of a restored copy of Redis: all keys are there, and each can be read."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from bot.core.backup import Check, CheckResult, Report, RestoreTask
from bot.core.backup_checks import run_check
from bot.core.errors import Rejected
from bot.integrations.redis.client import RedisClient, RedisLoading, as_text
from bot.integrations.redis.copies import RedisCopies

#: Keys whose values are read; of more, the first ones that SCAN gives.
_READ = 10_000
_PAGE = "500"
_LONG = timedelta(minutes=5)


class RedisVerification:
    """Of the copies of one store."""

    def __init__(self, copies: RedisCopies, live: RedisClient) -> None:
        self._copies = copies
        self._live = live

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        """As `core.backup.Restorer`."""
        server = self._copies.server_of(task.run)
        copy = server.client(_LONG)
        results: list[CheckResult] = []
        asked: tuple[tuple[str, Callable[[], Iterator[CheckResult]]], ...] = (
            ("keys", lambda: _keys(task, copy)),
            ("server", lambda: _stands_alone(copy)),
            ("values", lambda: self._values(task, report)),
        )
        for called, make in asked:
            report(f"checking {called}")
            try:
                results += list(make())
            except Rejected as refused:
                results.append(CheckResult(name=called, expected="an answer", got=refused.message, ok=False))
            except RedisLoading:
                results.append(CheckResult(name=called, expected="an answer", got="it still loads", ok=False))
        data_at = _moment(task)
        results += [
            run_check(
                check,
                lambda query: ask_read_only(copy, query),
                ask_live=lambda query: ask_read_only(self._live, query),
                data_at=data_at,
            )
            for check in checks
        ]
        return results

    def _values(self, task: RestoreTask, report: Report) -> Iterator[CheckResult]:
        """Every value is serialized once, which reads all of it."""
        server = self._copies.server_of(task.run)
        keyspace = server.client(_LONG).info("keyspace")
        read, bad = 0, 0
        for name in keyspace:
            copy = server.client(_LONG, int(name.removeprefix("db")))
            cursor = "0"
            while read < _READ:
                cursor_bytes, keys = copy.ask("SCAN", cursor, "COUNT", _PAGE)
                dumped = copy.pipeline([("DUMP", key) for key in keys])
                read += len(keys)
                bad += sum(1 for one in dumped if isinstance(one, Exception))
                report(f"{read} values read")
                cursor = as_text(cursor_bytes)
                if cursor == "0":
                    break
        yield CheckResult(name="values", expected="all can be read", got=f"{read} read, {bad} not", ok=not bad)


def ask_read_only(client: RedisClient, query: str) -> str:
    """One command, as in redis-cli, that the server itself marks as reading. Raises `Rejected`."""
    try:
        words = shlex.split(query)
    except ValueError:
        words = []
    if not words:
        raise Rejected("The check is no command of Redis. It was not asked.", code="bad_check")
    try:
        described = client.ask("COMMAND", "INFO", words[0])
        flags = {as_text(flag) for flag in described[0][2]} if described and described[0] else set()
        if "readonly" not in flags:
            message = f"{words[0]} is no command that only reads. It was not asked."
            raise Rejected(message, code="bad_check")
        return as_text(client.ask(*words))
    except RedisLoading:
        raise Rejected("The server still loads its data. It was not asked.", code="loading") from None


def _keys(task: RestoreTask, copy: RedisClient) -> Iterator[CheckResult]:
    loaded = copy.info("persistence")
    there = sum(_count(told) for told in copy.info("keyspace").values())
    expected = int(task.facts.get("keys", "0"))
    expired = int(loaded.get("rdb_last_load_keys_expired", "0"))
    wanted = f"{expected} less those that have expired ({expired} at loading)"
    volatile = sum(_count(told, "expires") for told in copy.info("keyspace").values())
    # Those with a time to live may have gone since it was loaded.
    ok = expected - expired - volatile <= there <= expected if volatile else there == expected - expired
    yield CheckResult(name="keys", expected=wanted, got=str(there), ok=ok)


def _stands_alone(copy: RedisClient) -> Iterator[CheckResult]:
    told = copy.info("replication")
    got = f"{told.get('role')}, {told.get('connected_slaves')} replicas, appendonly {copy.config('appendonly')}"
    yield CheckResult(
        name="server",
        expected="master, 0 replicas, appendonly no",
        got=got,
        ok=got == "master, 0 replicas, appendonly no",
    )


def _count(told: str, key: str = "keys") -> int:
    """Of a line of INFO keyspace: keys=3,expires=1,avg_ttl=0."""
    return int(dict(pair.split("=", 1) for pair in told.split(",") if "=" in pair).get(key, "0"))


def _moment(task: RestoreTask) -> datetime | None:
    with suppress(KeyError, ValueError):
        return datetime.fromisoformat(task.facts["data_at"])
    return None
