"""What a person does to the audit log by hand, each of it an entry of the log that is sealed and signed at once.

A key is handed over; a copy that was restored is owned up to; the oldest part is pruned. What excuses a gap is a line
of the checkpoint too: any entry gets signed that is in the database, such a line only here, by whoever has the key.
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

#: Somebody else may sign while we are about to; so often we try again.
_TRIES = 10
#: Whoever sits at the bot's own machine.
_BY = "local"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prunable:
    """The oldest entries that are here: those from position `first` on that belong to the first `size`."""

    first: int
    size: int
    root: bytes  #: over the first `size`


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedFile:
    """Where a part is kept that was pruned."""

    file: str
    sha256: str  #: in hex


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreGap:
    """What a copy that was put back does not hold: of `size` entries that were seen outside, all but `kept`."""

    kept: int
    size: int
    root: bytes


def rotate(store: Store, old: Signer, new: Signer) -> Checkpoint:
    """The checkpoint with which `old` hands over to `new`: both sign it, and from there on only `new` is believed.

    Raises:
        Rejected: it is not for `old` to hand over, or not to `new`.
        Unavailable: the database does not take it.
    """
    with store.read(long=True) as seen:
        last = audit_checkpoints.newest(seen.sql)
        used = audit_checkpoints.has_handed_over(seen.sql, new.verifier_key)
    _may_hand_over(last, old, new, used=used)
    message = f"Checkpoints are signed by {new.verifier_key} from here on, no more by {old.verifier_key}."
    _sealed(
        store,
        AuditEntry(code=Code.KEY_CHANGED, by=_BY, message=message, channel=CLI, details={"key": new.verifier_key}),
    )
    return _signed(store, old, partial(sign_handover, old, new))


def record_restore(store: Store, signer: Signer, anchors: Sequence[tuple[int, bytes]], reason: str) -> RestoreGap:
    """Write down that a copy was restored. `anchors`: sizes and roots that were seen outside of the database.

    Raises:
        Rejected: nothing is lost, as far as these tell.
        Unavailable: the database does not take it.
    """
    with store.read(long=True) as seen:
        before = [_told(one.body) for one in audit_log.entries(seen.sql, EntryFilter(code=Code.RESTORED))]
    lost = _lost(store, anchors, [one for one in before if one is not None])
    if lost is None:
        raise Rejected("Nothing was written: all that was seen outside agrees with the log, or is owned up to already.")
    epoch = len(before) + 1
    more = {"epoch": str(epoch), "kept": str(lost.kept), "lost": str(lost.size), "root": b64encode(lost.root).decode()}
    entry = AuditEntry(code=Code.RESTORED, by=_BY, message=reason, channel=CLI, details=more)
    _stated(store, signer, entry, f"restored {lost.kept} {lost.size}")
    return lost


def prune_point(store: Store, older_than: timedelta) -> Prunable:
    """What can be pruned: up to the last checkpoint over nothing younger.

    Raises:
        Rejected: nothing.
        Unavailable: the database cannot be read.
    """
    with store.begin(audit_seals.LANE, long=True) as tx:  # for its clock, by which the database judges what is young
        if not audit_pruning.may_prune(store, tx.sql):
            raise Rejected(
                "Nothing was pruned: the database's role may not call audit_prune. Let its owner say"
                " `GRANT EXECUTE ON FUNCTION audit_prune(bigint, text)` to it."
            )
        found, first = (
            audit_pruning.last_checkpoint_before(tx.sql, tx.now - older_than),
            audit_pruning.first_position(tx.sql),
        )
        while found is not None and (needed := _still_needed(tx.sql, found.tree.size)) is not None:
            found = audit_pruning.last_checkpoint_within(tx.sql, needed)
    if found is None:
        raise Rejected(
            f"Nothing was pruned: of what is older than {older_than.days} days (audit.keep_days) no checkpoint is left."
        )
    return Prunable(first=first, size=found.tree.size, root=found.root)


def prune(store: Store, signer: Signer, part: Prunable, kept: PrunedFile) -> None:
    """Write down that this part is pruned, and where it is kept; then take it out.

    Raises:
        Rejected: it could not be signed; nothing was taken out.
        Unavailable: the database does not take it; what is left begins at a checkpoint, and pruning again goes on.
    """
    root = b64encode(part.root).decode()
    more = {"size": str(part.size), "root": root, "file": kept.file, "sha256": kept.sha256}
    message = f"The first {part.size} entries are taken out and kept in {kept.file}."
    entry = AuditEntry(code=Code.PRUNED, by=_BY, message=message, channel=CLI, details=more)
    audit_pruning.remove(store, part.size, _stated(store, signer, entry, f"pruned {part.size}"))


def _still_needed(sql: Sql, size: int) -> int | None:
    """The place of an entry among the first `size` that excuses an anchor over as many or more; None where none is."""
    for one in audit_pruning.restores_before(sql, size):
        told = _told(one.body)
        if told is not None and told[1] >= size:
            return one.pos
    return None


def _told(body: bytes) -> tuple[int, int] | None:
    """(kept, lost) of an entry that was written before; None where it says neither."""
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
        raise Rejected("No key was handed over: nothing has been signed yet, so set audit.key and start the bot.")
    if old.key_id == new.key_id:
        raise Rejected("No key was handed over: audit.previous_key and audit.key are the same. Set audit.key anew.")
    if last.key_id == new.key_id:
        raise Rejected(f"No key was handed over: the log is signed by {new.key_id} already. Nothing is left to do.")
    if used:
        raise Rejected(f"No key was handed over: {new.key_id} has been handed over before, so make another one.")
    if last.key_id != old.key_id:
        raise Rejected(
            f"No key was handed over: the last checkpoint is signed by {last.key_id}, and audit.previous_key is"
            f" {old.key_id}. Name the key that signs now."
        )


def _sealed(store: Store, entry: AuditEntry) -> None:
    with store.begin(audit_seals.LANE, long=True) as tx:
        uids = audit_log.append(tx, [entry])
    Sealer(store).seal_now(uids)


def _stated(store: Store, signer: Signer, entry: AuditEntry, line: str) -> str:
    """The entry, its seal, and the checkpoint over it that says `line`, in one commit; returns the entry's uid."""
    with store.begin(audit_seals.LANE, long=True) as tx:  # until it ends nobody else seals or signs
        tree = _grown(store, signer)
        (uid,) = audit_log.append(tx, [entry])
        waiting = audit_seals.unsealed_entries(tx.sql, [uid])
        sealed = audit_seals.seal(tx, waiting)
        if sealed.first != tree.size:
            raise Rejected(f"Nothing was signed: {sealed.first} entries are sealed, and {tree.size} could be read.")
        if not audit_checkpoints.put(
            tx, sign_checkpoint(signer, tree.extended(one.leaf for one in waiting), tx.now, line)
        ):
            raise Rejected("Nothing was signed: more is signed than there is. `vakhta audit verify` tells more.")
    return uid


def _signed(store: Store, signer: Signer, make: Callable[[MerkleRange, datetime], Checkpoint]) -> Checkpoint:
    """A checkpoint over all that is sealed. `signer`: whose log it was so far."""
    for _ in range(_TRIES):
        tree = _grown(store, signer)
        with store.begin(audit_seals.LANE, long=True) as tx:
            made = make(tree, tx.now)
            if audit_checkpoints.put(tx, made):
                return made
    raise Rejected("Nothing was signed: somebody else signs all the time. Stop the bot and try again.")


def _grown(store: Store, signer: Signer) -> MerkleRange:
    with store.read(long=True) as seen:
        last = audit_checkpoints.newest(seen.sql)
        left = last is not None and audit_checkpoints.has_handed_over(seen.sql, signer.verifier_key)
        base = audit_pruning.pruned_checkpoint(seen.sql)
    try:
        if last is not None and last.key_id != signer.key_id:
            must_follow(signer, last, handed_over=left)
        return audit_checkpoints.extended_tree(store, check_trusted(signer, last, base))
    except ValueError as why:
        raise Rejected(f"Nothing was signed: {why}. `vakhta audit verify` tells more.") from None
