"""Many write, several seal at once, and any of them may die at any moment: no entry is missed, none sealed twice."""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.lib.merkle import MerkleRange, leaf_of
from bot.store import audit_checkpoints, audit_log
from bot.store.audit_log import EntryFilter, RecordedEntry
from bot.store.audit_seals import Sealer
from bot.store.engine import Store
from tests.crash.born import born
from tests.postgres import Postgres
from tests.running import Program, until

pytestmark = [pytest.mark.crash, pytest.mark.postgres]

_KILLS = 8


def test_sixteen_writers_and_three_rival_sealers_that_are_killed_leave_a_log_without_a_gap(
    postgres: Postgres, postgres_template: str, tmp_path: Path
) -> None:
    url = postgres.url("rivals", like=postgres_template)
    store = Store(url)
    with ExitStack() as stack:
        sealers = [stack.enter_context(_scribe(tmp_path / f"seal{n}", url, "seal")) for n in range(3)]
        writers = [stack.enter_context(_scribe(tmp_path / f"write{n}", url, "write", "60")) for n in range(4)]
        for one in (*sealers, *writers):
            one.begin()
        until(lambda: all("ready" in one.said() for one in (*sealers, *writers)), "all are at work")
        for kill in range(_KILLS):
            _kill_one_of(sealers if kill % 4 else writers)
            _wait_for_more(store, writers)
        until(lambda: not _alive(writers), "all has been written")
    with_many_hands = _sealed(store)

    assert Sealer(store).seal() == 0

    found = _entries(store)
    places = [one.pos for one in found if one.pos is not None]
    assert with_many_hands > 300
    assert sorted(places) == list(range(len(found)))
    assert [one.leaf for one in found] == [leaf_of(one.body) for one in found]
    in_order = [leaf_of(one.body) for one in sorted(found, key=lambda one: one.pos or 0)]
    assert audit_checkpoints.extended_tree(store, MerkleRange()) == MerkleRange().extended(in_order)
    store.close()


def _scribe(log: Path, url: str, *what: str) -> Program:
    command = [sys.executable, "-m", "tests.crash.scribes", url, *what]
    return Program(command, log=log, ready=lambda: True, by=born)


def _kill_one_of(programs: list[Program]) -> None:
    """And another takes its place."""
    victim = random.choice(programs)
    victim.kill()
    victim.begin()


def _wait_for_more(store: Store, writers: list[Program]) -> None:
    before = _sealed(store)
    until(lambda: _sealed(store) > before or not _alive(writers), "sealing goes on")


def _alive(programs: list[Program]) -> bool:
    return any(one.alive() for one in programs)


def _sealed(store: Store) -> int:
    with store.read() as seen:
        return int(seen.sql.scalar("SELECT count(*) FROM audit_seal"))


def _entries(store: Store) -> list[RecordedEntry]:
    with store.read() as seen:
        return audit_log.entries(seen.sql, EntryFilter(), limit=100_000)
