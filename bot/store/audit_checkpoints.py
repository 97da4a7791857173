"""The signed roots of the audit log, the tree they are taken of, and where outside they were put."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.lib.merkle import MerkleRange
from bot.store.engine import Store
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

#: Leaves read at once while the tree catches up.
_BATCH = 5_000
_LAST = 2**62
_SELECT = "SELECT size, root, at, key_id, note, frontier FROM audit_checkpoint"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The root over the first leaves, signed."""

    tree: MerkleRange
    root: bytes
    at: datetime
    key_id: str
    note: str


def newest(sql: Sql) -> Checkpoint | None:
    """The one over the most leaves, as it is stored; nothing of it is checked.

    Raises:
        ValueError: what is stored there is no tree.
    """
    return checkpoint_of_row(sql.row(f"{_SELECT} ORDER BY size DESC LIMIT 1"))


def last_of(sql: Sql, size: int) -> Checkpoint | None:
    """The last one over no more than that many leaves; raises as `newest` does."""
    return checkpoint_of_row(sql.row(f"{_SELECT} WHERE size <= ? ORDER BY size DESC LIMIT 1", size))


def last_before(sql: Sql, at: datetime) -> Checkpoint | None:
    """The last one that was signed before then; raises as `newest` does."""
    return checkpoint_of_row(sql.row(f"{_SELECT} WHERE at < ? ORDER BY size DESC LIMIT 1", micros(at)))


def checkpoint_of_row(row: Row | None) -> Checkpoint | None:
    if row is None:
        return None
    size, root, at, key_id, note, frontier = row
    tree = MerkleRange.of(int(size), bytes(frontier))
    return Checkpoint(tree=tree, root=bytes(root), at=moment(at), key_id=str(key_id), note=str(note))


def has_handed_over(sql: Sql, verifier_key: str) -> bool:
    """Whether that key has handed over to another."""
    return (
        sql.scalar("SELECT 1 FROM audit_checkpoint WHERE note LIKE ? LIMIT 1", f"%\nfrom {verifier_key}\n%") is not None
    )


def put(tx: Tx, one: Checkpoint) -> bool:
    """Store it, unless somebody has signed that size or a larger one already. In the lane of the seals."""
    if tx.sql.scalar("SELECT 1 FROM audit_checkpoint WHERE size >= ? LIMIT 1", one.tree.size):
        return False
    columns = ("size", "root", "at", "key_id", "note", "frontier")
    row = (one.tree.size, one.root, micros(one.at), one.key_id, one.note, one.tree.frontier())
    tx.sql.insert("audit_checkpoint", columns, [row])
    return True


def put_anchor(tx: Tx, size: int, sink: str, receipt: str) -> None:
    tx.sql.insert("audit_anchor", ("size", "sink", "at", "receipt"), [(size, sink, micros(tx.now), receipt)])


def extended_tree(store: Store, tree: MerkleRange, up_to: int = _LAST) -> MerkleRange:
    """That tree with the leaves that were sealed since, at most so many in all."""
    for leaves in _leaves(store, tree.size, up_to):
        tree = tree.extended(leaves)
    return tree


def _leaves(store: Store, start: int, end: int) -> Iterator[list[bytes]]:
    while start < end:
        with store.read() as seen:
            rows = seen.sql.rows(
                "SELECT pos, leaf FROM audit_seal WHERE pos >= ? AND pos < ? ORDER BY pos LIMIT ?", start, end, _BATCH
            )
        if [row[0] for row in rows] != list(range(start, start + len(rows))):
            raise ValueError(f"the audit log has a gap in its positions after {start - 1}")
        if not rows:
            return
        yield [bytes(row[1]) for row in rows]
        start += len(rows)
