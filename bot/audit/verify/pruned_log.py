"""Verifies the beginning of a log whose oldest part was pruned.

The frontier of a checkpoint is all that the tree needs of the entries before it, and the checkpoint signs their root.
The trap: that the log begins at a signed checkpoint is not enough, because an attacker who deletes the beginning can do
so at a checkpoint as well. So a later entry must record the pruning, and so must the text of a later checkpoint, which
only `vakhta audit prune` signs.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import chain

from bot.audit.verify.entry_format import columns_of
from bot.audit.verify.key_trust import KeyTrust
from bot.audit.verify.log_reader import CheckpointRow, LogReader, Row
from bot.audit.verify.merkle import MerkleTree, leaf_of
from bot.audit.verify.report import LogFault, VerificationReport
from bot.audit.verify.signed_note import MalformedNote, read
from bot.audit.verify.unfinished_runs import number_in


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedPart:
    """An entry that records: the first `size` entries, with that root, were pruned and are kept in a file."""

    size: int
    root: str  #: base64
    message: str

    @property
    def line(self) -> str:
        """The line by which a checkpoint states it."""
        return f"pruned {self.size}"


class LogStart:
    """Where a log begins. `tree` is over the pruned part; it is empty where nothing was pruned, or no checkpoint of a
    trusted key is over it.
    """

    def __init__(self, log: LogReader, trust: KeyTrust) -> None:
        self._start = log.start()
        self.tree = _signed_tree(log.checkpoints(), self._start, trust) if self._start > 0 else MerkleTree()
        self._recorded: list[PrunedPart] = []

    def note(self, one: PrunedPart) -> None:
        """Note a pruning entry. It counts if a checkpoint states the same."""
        self._recorded.append(one)

    def judge(self, stated: Container[str], root: str, report: VerificationReport) -> None:
        """`stated`: the lines of valid checkpoints; `root`: of `tree`, in base64."""
        if not self.tree.size:
            return  # entries that are missing at the beginning were reported by the pass over the log
        for one in self._recorded:
            if one.line in stated and (one.size > self._start or (one.size, one.root) == (self._start, root)):
                report.pruned = self._start
                report.add(LogFault.FLAGGED, f"the first {self._start} entries are not here: {one.message}")
                return
        message = f"the entries at 0 to {self._start - 1} are missing, and no signed entry says that they were pruned"
        report.add(LogFault.MISSING, message, pos=0)


def pruned_part(body: bytes) -> PrunedPart | None:
    """None where it has no size. `body` has the format of an entry."""
    entry = json.loads(body)
    size = number_in(entry["more"].get("size"))
    if size is None:
        return None
    kept = f"kept in {entry['more'].get('file', '')!a}, sha256 {entry['more'].get('sha256', '')!a}"
    message = f"pruned by {entry['by']!a} at {entry['at']}, {kept}"
    return PrunedPart(size=size, root=str(entry["more"].get("root")), message=message)


def root_behind(tree: MerkleTree, rows: Iterable[Iterable[Row]]) -> tuple[int, bytes]:
    """The size and the root of that tree extended by these rows, each leaf computed from the row's own body.

    It ends before a row that is not an entry at the next position.
    """
    grown = tree.copy()
    for pos, _, _, body in chain.from_iterable(rows):
        if pos != grown.size or columns_of(body or b"") is None:
            break
        grown.add(leaf_of(body))
    return grown.size, grown.root()


def _signed_tree(checkpoints: Iterable[CheckpointRow], size: int, trust: KeyTrust) -> MerkleTree:
    row = next((one for one in checkpoints if one.size >= size), None)
    if row is None or row.size != size:
        return MerkleTree()
    try:
        note = read(row.note)
    except MalformedNote:
        return MerkleTree()
    tree = MerkleTree.of(size, row.frontier)
    if tree is None or (note.size, note.root) != (size, tree.root()) or trust.signer(note) is None:
        return MerkleTree()
    return tree
