"""The signed roots of the audit log, the tree that they are computed from, and the anchors that were stored outside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.lib.merkle import MerkleRange
from bot.store.engine import Store
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

#: How many leaves are read at once while the tree is extended.
_BATCH = 5_000
_LAST = 2**62
_SELECT = "SELECT size, root, at, key_id, note, frontier FROM audit_checkpoint"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The signed root over the first leaves of the log."""

    tree: MerkleRange
    root: bytes
    at: datetime
    key_id: str
    note: str


def newest(sql: Sql) -> Checkpoint | None:
    """The checkpoint over the most leaves, as it is stored; nothing of it is verified.

    Raises:
        ValueError: the stored frontier does not fit the stored size.
    """
    return checkpoint_of_row(sql.row(f"{_SELECT} ORDER BY size DESC LIMIT 1"))


def last_of(sql: Sql, size: int) -> Checkpoint | None:
    """The last checkpoint over at most that many leaves; raises as `newest` does."""
    return checkpoint_of_row(sql.row(f"{_SELECT} WHERE size <= ? ORDER BY size DESC LIMIT 1", size))


def last_before(sql: Sql, at: datetime) -> Checkpoint | None:
    """The last checkpoint that was signed before then; raises as `newest` does."""
    return checkpoint_of_row(sql.row(f"{_SELECT} WHERE at < ? ORDER BY size DESC LIMIT 1", micros(at)))


def checkpoint_of_row(row: Row | None) -> Checkpoint | None:
    if row is None:
        return None
    size, root, at, key_id, note, frontier = row
    tree = MerkleRange.of(int(size), bytes(frontier))
    return Checkpoint(tree=tree, root=bytes(root), at=moment(at), key_id=str(key_id), note=str(note))


def has_handed_over(sql: Sql, verifier_key: str) -> bool:
    """Whether that key was handed over to another one."""
    return (
        sql.scalar("SELECT 1 FROM audit_checkpoint WHERE note LIKE ? LIMIT 1", f"%\nfrom {verifier_key}\n%") is not None
    )


def put(tx: Tx, one: Checkpoint) -> bool:
    """Store it. False: that size or a larger one was signed already. Call it in the lane of the seals."""
    if tx.sql.scalar("SELECT 1 FROM audit_checkpoint WHERE size >= ? LIMIT 1", one.tree.size):
        return False
    columns = ("size", "root", "at", "key_id", "note", "frontier")
    row = (one.tree.size, one.root, micros(one.at), one.key_id, one.note, one.tree.frontier())
    tx.sql.insert("audit_checkpoint", columns, [row])
    return True


def put_anchor(tx: Tx, size: int, sink: str, receipt: str) -> None:
    tx.sql.insert("audit_anchor", ("size", "sink", "at", "receipt"), [(size, sink, micros(tx.now), receipt)])


def extended_tree(store: Store, tree: MerkleRange, up_to: int = _LAST) -> MerkleRange:
    """The tree extended by the leaves that were sealed since; at most `up_to` leaves in all."""
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
