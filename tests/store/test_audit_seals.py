"""Entries get their positions: all of them, each once, without a gap, and at once where an action waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.core.audit import AuditEntry, Code
from bot.lib.merkle import MerkleRange, leaf_of
from bot.store import audit_checkpoints, audit_log, audit_seals
from bot.store.audit_log import EntryFilter, RecordedEntry
from bot.store.audit_seals import Sealed, Sealer
from bot.store.engine import Store, Unavailable
from tests.house import Clock
from tests.postgres import Postgres


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    made = Store(store_url, now=clock)
    yield made
    made.close()


@pytest.fixture
def shared(postgres: Postgres, postgres_template: str) -> Iterator[Store]:
    """On PostgreSQL, where ids become visible out of order and another replica may have the lock."""
    made = Store(postgres.url("seals", like=postgres_template))
    yield made
    made.close()


def record(store: Store, count: int = 1, code: Code = Code.ANSWERED) -> tuple[str, ...]:
    with store.begin() as tx:
        return audit_log.append(
            tx, [AuditEntry(code=code, by="ana", message=f"Entry {number}.") for number in range(count)]
        )


def entries(store: Store) -> list[RecordedEntry]:
    with store.read() as seen:
        return audit_log.entries(seen.sql, EntryFilter(), limit=10_000)


def test_what_waits_is_sealed_in_order_and_told_after_its_commit(store: Store) -> None:
    told: list[Sealed] = []
    record(store, 501)
    record(store, 1, Code.DENIED)

    left = Sealer(store, on_sealed=told.append).seal()

    found = entries(store)
    assert left == 0
    assert [one.pos for one in found] == list(range(502))
    assert [one.leaf for one in found] == [leaf_of(one.body) for one in found]
    assert [(one.first, one.count) for one in told] == [(0, 500), (500, 2)]
    assert told[1].codes == ("VK100I", "VK101W")


def test_what_an_action_waits_for_is_sealed_before_what_was_there_first(store: Store) -> None:
    record(store, 3)
    wanted = record(store, 2, Code.INTENT)

    Sealer(store).seal_now(wanted)

    assert [one.pos for one in entries(store)] == [None, None, None, 0, 1]


def test_sealing_at_once_what_is_sealed_already_does_nothing(store: Store) -> None:
    sealing = Sealer(store)
    uids = record(store, 2)
    sealing.seal()

    sealing.seal_now(uids)

    assert [one.pos for one in entries(store)] == [0, 1]


def test_an_entry_that_is_not_there_cannot_be_sealed(store: Store) -> None:
    with pytest.raises(Unavailable, match="1 of 2 entries are not in the audit log"):
        Sealer(store).seal_now([*record(store), "0199-none"])


@pytest.mark.postgres
def test_an_entry_that_comes_late_with_a_lower_id_is_sealed_as_well(shared: Store) -> None:
    sealing = Sealer(shared)
    with shared.begin("slow") as tx:
        audit_log.append(tx, [AuditEntry(code=Code.ANSWERED, by="ana", message="I began first.")])
        record(shared)
        sealing.seal()

    sealing.seal()

    assert [(one.id, one.pos) for one in entries(shared)] == [(1, 1), (2, 0)]


def test_what_a_process_left_far_behind_is_found_by_the_next_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_seals, "_BEHIND", 1)
    monkeypatch.setattr(audit_seals, "_STRIDE", 4)
    record(store, 9)
    Sealer(store).seal_now(record(store))
    newcomer = Sealer(store)

    for _ in range(3):
        newcomer.seal()

    assert sorted(one.pos for one in entries(store) if one.pos is not None) == list(range(10))


def test_below_what_is_settled_is_not_looked_any_more_but_for_the_sweep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_seals, "_SETTLED_S", 0.0)
    sealing = Sealer(store)
    record(store, 5)
    for _ in range(3):
        sealing.seal()

    record(store, 1)
    sealing.seal()

    assert sealing._floor == 5
    assert [one.pos for one in entries(store)] == list(range(6))


@pytest.mark.postgres
def test_who_finds_the_turn_taken_leaves_the_rest_to_whoever_has_it(shared: Store) -> None:
    record(shared, 2)

    with shared.begin(audit_seals.LANE):
        assert Sealer(shared).seal() == 2

    assert [one.pos for one in entries(shared)] == [None, None]
    assert Sealer(shared).seal() == 0


def test_a_clock_that_went_back_is_an_entry_and_one_alone(store: Store, clock: Clock) -> None:
    sealing = Sealer(store)
    record(store)
    clock.pass_by(hours=-1)
    record(store, 2)

    sealing.seal()
    sealing.seal()

    told = [one for one in entries(store) if b'"VK005W"' in one.body]
    assert len(told) == 1
    assert b"went back by 3600.000 s" in told[0].body


def test_a_clock_that_trembles_is_none(store: Store, clock: Clock) -> None:
    record(store)
    clock.at -= timedelta(milliseconds=900)
    record(store)

    Sealer(store).seal()

    assert all(b"VK005W" not in one.body for one in entries(store))


def test_the_tree_grows_in_steps_to_the_same_root(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_checkpoints, "_BATCH", 3)
    sealing = Sealer(store)
    record(store, 7)
    sealing.seal()
    first = audit_checkpoints.extended_tree(store, MerkleRange())
    record(store, 4)
    sealing.seal()

    second = audit_checkpoints.extended_tree(store, first)

    assert (first.size, second.size) == (7, 11)
    assert second == MerkleRange().extended(leaf_of(one.body) for one in entries(store))


def test_a_gap_in_the_positions_is_no_tree(store: Store) -> None:
    record(store, 2)
    with store.begin(audit_seals.LANE) as tx:
        tx.sql.insert("audit_seal", ("pos", "entry_id", "leaf"), [(0, 1, b"a"), (2, 2, b"b")])

    with pytest.raises(ValueError, match="gap"):
        audit_checkpoints.extended_tree(store, MerkleRange())
