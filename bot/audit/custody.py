"""Administration of the audit log by a person: key handover, restore of a copy, pruning of the oldest part.

Each of them is an entry of the log that is sealed and signed at once. An entry alone does not excuse a gap, because the
bot signs every entry that is in the database. So a restore and a pruning are also stated in a line of the checkpoint,
which is written only here, with the key.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.audit.signer import Signer, check_trusted, must_follow, sign_checkpoint, sign_handover
from bot.core.audit import AuditEntry, Code
from bot.core.errors import Rejected
from bot.core.incident import CLI
from bot.lib.merkle import MerkleRange
from bot.store import audit_checkpoints, audit_log, audit_pruning, audit_seals
from bot.store.audit_checkpoints import Checkpoint
from bot.store.audit_log import EntryFilter
from bot.store.audit_seals import Sealer
from bot.store.engine import Store
from bot.store.sql import Sql

#: Another process may sign at the same time; so often we try again.
_TRIES = 10
#: The person at the bot's own machine.
_BY = "local"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prunable:
    """The part that can be pruned: the entries from position `first` on and below `size`."""

    first: int
    size: int
    root: bytes  #: over the first `size`


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedFile:
    """The file that keeps a pruned part."""

    file: str
    sha256: str  #: in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreGap:
    """The entries that a restored copy lacks: of the `size` entries that were anchored, all but the first `kept`."""

    kept: int
    size: int
    root: bytes


def rotate(store: Store, old: Signer, new: Signer) -> Checkpoint:
    """Sign the checkpoint in which `old` hands over to `new`: both sign it, and from there on only `new` is trusted.

    Raises:
        Rejected: `old` may not hand over, or not to `new`.
        Unavailable: the database failed.
    """
    with store.read(long=True) as seen:
        last = audit_checkpoints.newest(seen.sql)
        used = audit_checkpoints.has_handed_over(seen.sql, new.verifier_key)
    _may_hand_over(last, old, new, used=used)
    message = f"From here on checkpoints are signed by {new.verifier_key}, and no longer by {old.verifier_key}."
    _sealed(
        store,
        AuditEntry(code=Code.KEY_CHANGED, by=_BY, message=message, channel=CLI, details={"key": new.verifier_key}),
    )
    return _signed(store, old, partial(sign_handover, old, new))


def record_restore(store: Store, signer: Signer, anchors: Sequence[tuple[int, bytes]], reason: str) -> RestoreGap:
    """Record that a copy was restored. `anchors`: sizes and roots that were found outside of the database.

    Raises:
        Rejected: by these anchors nothing is lost.
        Unavailable: the database failed.
    """
    with store.read(long=True) as seen:
        before = [_kept_and_lost(one.body) for one in audit_log.entries(seen.sql, EntryFilter(code=Code.RESTORED))]
    lost = _lost(store, anchors, [one for one in before if one is not None])
    if lost is None:
        raise Rejected("Nothing was written: all anchors agree with the log, or the loss is recorded already.")
    epoch = len(before) + 1
    more = {"epoch": str(epoch), "kept": str(lost.kept), "lost": str(lost.size), "root": b64encode(lost.root).decode()}
    entry = AuditEntry(code=Code.RESTORED, by=_BY, message=reason, channel=CLI, details=more)
    _record_and_sign(store, signer, entry, f"restored {lost.kept} {lost.size}")
    return lost


def prune_point(store: Store, older_than: timedelta) -> Prunable:
    """The part that can be pruned: up to the last checkpoint that covers only entries older than that.

    Raises:
        Rejected: nothing can be pruned.
        Unavailable: the database cannot be read.
    """
    with store.begin(audit_seals.LANE, long=True) as tx:  # for the database's clock, by which ages are measured
        if not audit_pruning.may_prune(store, tx.sql):
            raise Rejected(
                "Nothing was pruned: the database role of the bot may not call audit_prune. As the owner of the tables"
                " run: GRANT EXECUTE ON FUNCTION audit_prune(bigint, text) TO <the bot's role>;"
            )
        found, first = (
            audit_pruning.last_checkpoint_before(tx.sql, tx.now - older_than),
            audit_pruning.first_position(tx.sql),
        )
        while found is not None and (needed := _still_needed(tx.sql, found.tree.size)) is not None:
            found = audit_pruning.last_checkpoint_within(tx.sql, needed)
    if found is None:
        raise Rejected(
            f"Nothing was pruned: no checkpoint covers only entries older than {older_than.days} days"
            " (audit.keep_days)."
        )
    return Prunable(first=first, size=found.tree.size, root=found.root)


def prune(store: Store, signer: Signer, part: Prunable, kept: PrunedFile) -> None:
    """Record that this part is pruned, and which file keeps it; then delete it.

    Raises:
        Rejected: the record could not be signed; nothing was deleted.
        Unavailable: the database failed; the log begins at a checkpoint, and pruning again continues.
    """
    root = b64encode(part.root).decode()
    more = {"size": str(part.size), "root": root, "file": kept.file, "sha256": kept.sha256}
    message = f"The first {part.size} entries are deleted here and kept in {kept.file}."
    entry = AuditEntry(code=Code.PRUNED, by=_BY, message=message, channel=CLI, details=more)
    audit_pruning.remove(store, part.size, _record_and_sign(store, signer, entry, f"pruned {part.size}"))


def _still_needed(sql: Sql, size: int) -> int | None:
    """The position of a restore entry among the first `size` that excuses an anchor of that size or a larger one.

    None where there is none.
    """
    for one in audit_pruning.restores_before(sql, size):
        gap = _kept_and_lost(one.body)
        if gap is not None and gap[1] >= size:
            return one.pos
    return None


def _kept_and_lost(body: bytes) -> tuple[int, int] | None:
    """(kept, lost) of an earlier restore entry; None where the entry does not have both."""
    more = json.loads(body)["more"]
    try:
        return int(more["kept"]), int(more["lost"])
    except (KeyError, ValueError):
        return None


def _lost(store: Store, anchors: Sequence[tuple[int, bytes]], before: Sequence[tuple[int, int]]) -> RestoreGap | None:
    with store.read(long=True) as seen:
        base = audit_pruning.pruned_checkpoint(seen.sql)
    tree = base.tree if base is not None else MerkleRange()
    agreed, differs = [tree.size], []
    for size, root in sorted(one for one in set(anchors) if one[0] >= tree.size):
        tree = audit_checkpoints.extended_tree(store, tree, up_to=size)
        if (tree.size, tree.root()) == (size, root):
            agreed.append(size)
        elif not any(kept < size <= lost for kept, lost in before):
            differs.append((size, root))
    if not differs:
        return None
    kept = max(size for size in agreed if size < differs[0][0])
    return RestoreGap(kept=kept, size=differs[-1][0], root=differs[-1][1])


def _may_hand_over(last: Checkpoint | None, old: Signer, new: Signer, *, used: bool) -> None:
    if last is None:
        raise Rejected("No key was handed over: nothing has been signed yet. Set audit.key and start the bot.")
    if old.key_id == new.key_id:
        raise Rejected("No key was handed over: audit.previous_key and audit.key are the same. Set a new audit.key.")
    if last.key_id == new.key_id:
        raise Rejected(f"No key was handed over: the log is signed by {new.key_id} already. Nothing is left to do.")
    if used:
        raise Rejected(f"No key was handed over: {new.key_id} was itself handed over before. Make another key.")
    if last.key_id != old.key_id:
        raise Rejected(
            f"No key was handed over: the last checkpoint is signed by {last.key_id}, and audit.previous_key is"
            f" {old.key_id}. Set audit.previous_key to the key that signs now."
        )


def _sealed(store: Store, entry: AuditEntry) -> None:
    with store.begin(audit_seals.LANE, long=True) as tx:
        uids = audit_log.append(tx, [entry])
    Sealer(store).seal_now(uids)


def _record_and_sign(store: Store, signer: Signer, entry: AuditEntry, line: str) -> str:
    """Write the entry, its seal, and a checkpoint over it that states `line`, in one commit; returns its uid."""
    with store.begin(audit_seals.LANE, long=True) as tx:  # until it ends nobody else seals or signs
        tree = _current_tree(store, signer)
        (uid,) = audit_log.append(tx, [entry])
        waiting = audit_seals.unsealed_entries(tx.sql, [uid])
        sealed = audit_seals.seal(tx, waiting)
        if sealed.first != tree.size:
            raise Rejected(f"Nothing was signed: {sealed.first} entries are sealed, and {tree.size} could be read.")
        if not audit_checkpoints.put(
            tx, sign_checkpoint(signer, tree.extended(one.leaf for one in waiting), tx.now, line)
        ):
            raise Rejected(
                "Nothing was signed: a checkpoint covers more entries than there are. See vakhta audit verify."
            )
    return uid


def _signed(store: Store, signer: Signer, make: Callable[[MerkleRange, datetime], Checkpoint]) -> Checkpoint:
    """A checkpoint over all sealed entries. `signer`: has the key that signed the log so far."""
    for _ in range(_TRIES):
        tree = _current_tree(store, signer)
        with store.begin(audit_seals.LANE, long=True) as tx:
            made = make(tree, tx.now)
            if audit_checkpoints.put(tx, made):
                return made
    raise Rejected("Nothing was signed: another process signs all the time. Stop the bot and try again.")


def _current_tree(store: Store, signer: Signer) -> MerkleRange:
    with store.read(long=True) as seen:
        last = audit_checkpoints.newest(seen.sql)
        left = last is not None and audit_checkpoints.has_handed_over(seen.sql, signer.verifier_key)
        base = audit_pruning.pruned_checkpoint(seen.sql)
    try:
        if last is not None and last.key_id != signer.key_id:
            must_follow(signer, last, handed_over=left)
        return audit_checkpoints.extended_tree(store, check_trusted(signer, last, base))
    except ValueError as reason:
        raise Rejected(f"Nothing was signed: {reason}. See vakhta audit verify.") from None
