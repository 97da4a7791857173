"""Signs the audit log's checkpoints, and decides which earlier checkpoints a key may continue.

A key hands over to the next one in a note that both sign. A key to which no trusted key has handed over signs nothing:
its signature could never be withdrawn, and the log would fail verification for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.audit import signed_note
from bot.lib.merkle import MerkleRange
from bot.store.audit_checkpoints import Checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A key, without its secret."""

    name: str  #: the log's origin, and the key's name
    public: bytes
    sign: Callable[[bytes], bytes]
    believed: Mapping[str, bytes]  #: key id -> public key, of all keys that are trusted
    signed_by: Callable[[bytes, bytes, bytes], bool]  #: (public key, text, signature)

    @property
    def key_id(self) -> str:
        return signed_note.key_id(self.name, self.public)

    @property
    def verifier_key(self) -> str:
        return signed_note.verifier_key(self.name, self.public)


def sign_checkpoint(signer: Signer, tree: MerkleRange, at: datetime, stating: str = "") -> Checkpoint:
    """The root of that tree, signed by this key. `stating`: a further line that it signs."""
    root = tree.root()
    plain = signed_note.checkpoint(signer.name, tree.size, root, at)
    text = signed_note.with_line(plain, stating) if stating else plain
    signed = signed_note.sign_note(text, signer.name, signer.public, signer.sign(text.encode()))
    return Checkpoint(tree=tree, root=root, at=at, key_id=signer.key_id, note=signed)


def sign_handover(old: Signer, new: Signer, tree: MerkleRange, at: datetime) -> Checkpoint:
    """The root of that tree, signed by both keys, the new one first. From there on the new key signs alone."""
    root = tree.root()
    plain = signed_note.checkpoint(new.name, tree.size, root, at)
    text = signed_note.handover(plain, old.verifier_key, new.verifier_key)
    once = signed_note.sign_note(text, new.name, new.public, new.sign(text.encode()))
    both = signed_note.add_signature(once, old.name, old.public, old.sign(text.encode()))
    return Checkpoint(tree=tree, root=root, at=at, key_id=new.key_id, note=both)


def check_trusted(signer: Signer, last: Checkpoint | None, base: Checkpoint | None) -> MerkleRange:
    """The tree to continue from: that of the last checkpoint, if a trusted key has signed it.

    Else that of `base`, the checkpoint over the pruned part; an empty tree for a log that was never pruned.

    Raises:
        ValueError: no trusted key has signed either, so the root of the pruned part cannot be known.
    """
    if last is None or _believed(signer, last):
        return last.tree if last is not None else MerkleRange()
    if base is not None and not _believed(signer, base):
        raise ValueError(
            f"the first {base.tree.size} entries were pruned, and the checkpoint over them is signed by {base.key_id},"
            " which is not trusted: name its verifier key in audit.public_keys"
        )
    logger.warning("no trusted key has signed the last checkpoint; the tree is built again from all leaves")
    return MerkleRange() if base is None else base.tree


def _believed(signer: Signer, one: Checkpoint) -> bool:
    try:
        text, signatures = signed_note.open_note(one.note)
    except ValueError:
        return False
    known = [(signer.believed.get(f"{by.name}+{by.hash.hex()}"), by.raw) for by in signatures]
    message = signed_note.checkpoint(signer.name, one.tree.size, one.tree.root(), one.at)
    return text.startswith(message) and any(
        public and signer.signed_by(public, text.encode(), raw) for public, raw in known
    )


def must_follow(signer: Signer, last: Checkpoint, *, handed_over: bool) -> None:
    """Check that this key may sign after another one. `handed_over`: this key itself was handed over to another.

    Raises:
        ValueError: it may not; the text says what to do.
    """
    if handed_over:
        raise ValueError(f"this key, {signer.key_id}, was handed over; set audit.key to its successor")
    if last.key_id not in signer.believed:
        raise ValueError(
            f"the last checkpoint is signed by {last.key_id}, and the key here is {signer.key_id}: set"
            " audit.previous_key to the old key and run vakhta audit rotate, or set audit.key back to it; if the old"
            " key is lost, name its verifier key in audit.public_keys"
        )
