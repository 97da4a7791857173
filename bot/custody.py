"""What a person does to the audit log by hand, each of it an entry of the log: a key is handed over.

The bot may be running meanwhile, as many processes of it as there are.
"""

from __future__ import annotations

from bot.acts import AuditEntry, Code
from bot.ports import Rejected
from bot.signer import Signer, handed_over, trusted
from bot.store import checkpoints, ledger, seals
from bot.store.checkpoints import Checkpoint
from bot.store.engine import Store
from bot.store.seals import Seals

#: Somebody else may sign while we are about to; so often we try again.
_TRIES = 10


def rotate(store: Store, old: Signer, new: Signer) -> Checkpoint:
    """The checkpoint with which `old` hands over to `new`: both sign it, and from there on only `new` is believed.

    Raises:
        Rejected: it is not for `old` to hand over, or not to `new`.
        Unavailable: the database does not take it.
    """
    with store.read() as seen:
        last = checkpoints.newest(seen.sql)
        used = checkpoints.left(seen.sql, new.verifier_key)
    _may_hand_over(last, old, new, used=used)
    said = f"Checkpoints are signed by {new.verifier_key} from here on, no more by {old.verifier_key}."
    _sealed(store, AuditEntry(code=Code.KEY_CHANGED, by="bot", said=said, more={"key": new.verifier_key}))
    for _ in range(_TRIES):
        made = _put(store, old, new)
        if made is not None:
            return made
    raise Rejected("No key was handed over: somebody else signs all the time. Stop the bot and try again.")


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


def _put(store: Store, old: Signer, new: Signer) -> Checkpoint | None:
    """None where somebody has signed that much or more meanwhile."""
    with store.read() as seen:
        last = checkpoints.newest(seen.sql)
    try:
        tree = checkpoints.grown(store, trusted(old, last))
    except ValueError as why:
        raise Rejected(f"No key was handed over: {why}. `vakhta audit verify` tells more.") from None
    if last is not None and tree.size == last.tree.size and tree.root() != last.root:
        raise Rejected("No key was handed over: the log is not what was signed. `vakhta audit verify` tells more.")
    with store.begin(seals.LANE) as tx:
        made = handed_over(old, new, tree, tx.now)
        return made if checkpoints.put(tx, made) else None


def _sealed(store: Store, entry: AuditEntry) -> None:
    with store.begin(seals.LANE) as tx:
        uids = ledger.record(tx, [entry])
    Seals(store).seal_now(uids)
