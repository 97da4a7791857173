"""A log whose oldest part was taken out: what it begins with, and the entry that has to say so.

A checkpoint's frontier is all that the tree needs of what is before it, and the checkpoint signs its root. That a key
vouches for the place is not enough: whoever deletes the beginning finds such a place too. So an entry behind it must
say that the part was to go, and so must a later checkpoint in its own text, which the bot by itself never signs.
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
    """An entry that says: the first `size` entries, of that root, are taken out and kept in a file of that hash."""

    size: int
    root: str  #: base64
    message: str

    @property
    def line(self) -> str:
        """How the checkpoint says it."""
        return f"pruned {self.size}"


class LogStart:
    """Where a log begins. `tree` is over what was before it; empty of a whole log, or where nobody vouches for one."""

    def __init__(self, log: LogReader, trust: KeyTrust) -> None:
        self._start = log.start()
        self.tree = _vouched(log.checkpoints(), self._start, trust) if self._start > 0 else MerkleTree()
        self._said: list[PrunedPart] = []

    def note(self, one: PrunedPart) -> None:
        """It counts where a checkpoint says the same."""
        self._said.append(one)

    def judge(self, stated: Container[str], root: str, report: VerificationReport) -> None:
        """`stated`: lines of good checkpoints; `root`: of `tree`, as entries spell it."""
        if not self.tree.size:
            return  # that nothing stands before the first entry, if so it is, was told where it was missed
        for one in self._said:
            if one.line in stated and (one.size > self._start or (one.size, one.root) == (self._start, root)):
                report.pruned = self._start
                report.add(LogFault.FLAGGED, f"the first {self._start} entries are not here: {one.message}")
                return
        message = f"nothing stands at 0 to {self._start - 1}, and no signed entry says that it was pruned"
        report.add(LogFault.MISSING, message, pos=0)


def pruned_part(body: bytes) -> PrunedPart | None:
    """None where it does not say how much. `body` is of the form of an entry."""
    told = json.loads(body)
    size = number_in(told["more"].get("size"))
    if size is None:
        return None
    kept = f"kept in {told['more'].get('file', '')!a}, sha256 {told['more'].get('sha256', '')!a}"
    message = f"pruned by {told['by']!a} at {told['at']}, {kept}"
    return PrunedPart(size=size, root=str(told["more"].get("root")), message=message)


def root_behind(tree: MerkleTree, rows: Iterable[Iterable[Row]]) -> tuple[int, bytes]:
    """How many leaves there are, and their root, once these rows are behind that tree: each by its own body.

    A row that is not an entry of the next position ends it.
    """
    grown = tree.copy()
    for pos, _, _, body in chain.from_iterable(rows):
        if pos != grown.size or columns_of(body or b"") is None:
            break
        grown.add(leaf_of(body))
    return grown.size, grown.root()


def _vouched(checkpoints: Iterable[CheckpointRow], size: int, trust: KeyTrust) -> MerkleTree:
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
