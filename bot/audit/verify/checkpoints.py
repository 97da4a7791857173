"""Verifies known roots: checkpoints, which a key signed, and anchors, which were found outside of the database.

Each of them states the root over so many entries, and is judged when the pass over the log has reached that size.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge

from bot.audit.verify.key_trust import KeyTrust
from bot.audit.verify.log_reader import AnchorRow, CheckpointRow, LogReader
from bot.audit.verify.merkle import MerkleTree
from bot.audit.verify.report import LogFault, VerificationReport
from bot.audit.verify.signed_note import MalformedNote, SignedNote, VerifierKey, read
from bot.audit.verify.unfinished_runs import RestoreEntry

_NEVER = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundAnchor:
    """A root that was found outside. `note` is its signed checkpoint, None where only size and root were there."""

    size: int
    root: bytes
    where: str
    note: SignedNote | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Signed:
    """A checkpoint whose signature is checked on another thread; that takes as long as ten entries."""

    row: CheckpointRow
    opened: Future[tuple[SignedNote | MalformedNote, VerifierKey | None]]

    @property
    def size(self) -> int:
        return self.row.size


@dataclass(frozen=True, kw_only=True, slots=True)
class _Doubted:
    """An anchor that does not agree. Whether a recorded restore explains it is known only after the last entry."""

    anchor: FoundAnchor
    tree: MerkleTree  #: at the anchor's size
    proved: int


_Mark = _Signed | AnchorRow | FoundAnchor

#: How many checkpoints are read ahead of the pass.
_AHEAD = 64


class SignedRoots:
    """All checkpoints and anchors, ordered by size. `next` is the size of the next one to be judged."""

    def __init__(
        self,
        log: LogReader,
        report: VerificationReport,
        *,
        trust: KeyTrust,
        anchors: Sequence[FoundAnchor],
        aside: Executor,
        start: int = 0,
    ) -> None:
        self._report = report
        self._trust = trust
        self._aside = aside
        outside = sorted(anchors, key=_size)
        #: Of one size the checkpoint comes first: the rows of anchors are compared with it.
        self._waiting: Iterator[_Mark] = merge(self._ahead(log.checkpoints()), log.anchored(), outside, key=_size)
        self._mark: _Mark | None = None
        self.next = 0
        self._origin = ""
        self._proved = 0  #: the largest size whose root agreed
        self._wrong_roots = 0
        self._unproved = 0  #: roots that could not be computed, after a gap
        self._start = start  #: smaller sizes are in the pruned part, whose roots cannot be computed
        self._before = 0  #: anchors of the pruned part
        self.stated: set[str] = set()  #: the further lines of valid checkpoints
        self._restored: list[RestoreEntry] = []
        self._doubted: list[_Doubted] = []
        self._row = -1  #: the size of the last row of a checkpoint
        self._advance()

    def judge(self, tree: MerkleTree | None, reached: int) -> bool:
        """Judge all of a size up to `reached`; `tree` is None after a gap.

        Returns whether a valid checkpoint has exactly the size `reached`.
        """
        covered = False
        while self._mark is not None and self._mark.size <= reached:
            mark = self._mark
            self._advance()
            there = tree if mark.size >= self._start else None
            match mark:
                case _Signed():
                    covered |= self._judge_checkpoint(mark, there) and mark.size == reached
                case FoundAnchor():
                    self._judge_anchor(mark, there)
                case AnchorRow():
                    self._judge_anchored(mark)
        return covered

    def restored(self, one: RestoreEntry) -> None:
        """Note a restore entry. It counts if a checkpoint states the same."""
        self._restored.append(one)

    def judge_rest(self, size: int) -> None:
        """Judge all that are larger than the log, and the anchors that were left for the end."""
        self._judge_doubted()
        while self._mark is not None:
            mark = self._mark
            self._advance()
            match mark:
                case _Signed():
                    if self._judge_checkpoint(mark, None):
                        self._report.add(
                            LogFault.MISSING, f"a checkpoint covers {mark.size} entries, the log has {size}", pos=size
                        )
                case FoundAnchor():
                    self._judge_signature(mark)
                    if self._is_recorded_loss(mark):
                        continue
                    message = f"{mark.where} has an anchor of {mark.size} entries, the log has {size}"
                    self._report.add(LogFault.TRUNCATED, message, pos=size)
                case AnchorRow():
                    message = f"an anchor of {mark.size} entries was stored in {mark.sink!a}, the log has {size}"
                    self._report.add(LogFault.TRUNCATED, message, pos=size)
        if self._unproved:
            self._report.add(LogFault.FLAGGED, f"{self._unproved} roots are after the gap and could not be recomputed")
        if self._before:
            message = "anchors are of the pruned part: verify them against the file that keeps it"
            self._report.add(LogFault.FLAGGED, f"{self._before} {message}")

    def _judge_doubted(self) -> None:
        for one in self._doubted:
            if not self._is_recorded_loss(one.anchor):
                where = f"the anchor {one.anchor.where} of {one.anchor.size} entries"
                self._report_root(one.anchor.root, one.tree, where, one.proved)
        for restored in self._restored:
            self._report.add(LogFault.FLAGGED, restored.text(), pos=restored.pos)

    def spelled(self, root: bytes) -> str:
        """A root in base64, as in notes."""
        return b64encode(root).decode()

    def _advance(self) -> None:
        self._mark = next(self._waiting, None)
        self.next = _NEVER if self._mark is None else self._mark.size

    def _ahead(self, rows: Iterable[CheckpointRow]) -> Iterator[_Signed]:
        waiting: deque[_Signed] = deque()
        for row in rows:
            waiting.append(_Signed(row=row, opened=self._aside.submit(self._open, row.note)))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _open(self, raw: bytes) -> tuple[SignedNote | MalformedNote, VerifierKey | None]:
        try:
            note = read(raw)
        except MalformedNote as why:
            return why, None
        return note, self._trust.signer(note)

    def _judge_checkpoint(self, mark: _Signed, tree: MerkleTree | None) -> bool:
        """Whether its signature is valid, and its root as well where it can be computed."""
        row = mark.row
        self._report.checkpoints += 1
        self._row = row.size
        where = f"the checkpoint over {row.size} entries"
        note, key = mark.opened.result()
        if isinstance(note, MalformedNote):
            self._report.add(LogFault.UNSIGNED, f"{where} is no signed note: {note}")
            return False
        if not self._believes(note, key, where) or key is None or not self._agrees(row, note, key, where):
            return False
        if tree is None:
            self._unproved += row.size >= self._start
            return True
        if not self._recomputed(note.root, tree, f"{where}, signed") or not self._frontier(row, tree, where):
            return False
        self.stated.update(note.extensions[1:])  # the first is the time
        return True

    def _agrees(self, row: CheckpointRow, note: SignedNote, key: VerifierKey, where: str) -> bool:
        """Whether the columns repeat what was signed."""
        columns: tuple[tuple[str, object, object], ...] = (
            ("size", note.size, row.size),
            ("root", self.spelled(note.root), self.spelled(row.root)),
            ("at", note.at, _time(row.at)),
            ("key_id", key.id, row.key_id),
        )
        wrong = [one for one in columns if one[1] != one[2]]
        for name, expected, found in wrong:
            message = f"column {name} of {where} is not what was signed"
            self._report.add(LogFault.ALTERED, message, expected=str(expected), found=ascii(found))
        if not wrong:
            self._report.signed, self._report.signed_at = note.size, note.at
        return not wrong

    def _frontier(self, row: CheckpointRow, tree: MerkleTree, where: str) -> bool:
        if row.frontier == tree.frontier():
            return True
        message = f"column frontier of {where} is not that of the log"
        self._report.add(LogFault.ALTERED, message, expected=tree.frontier().hex(), found=row.frontier.hex())
        return False

    def _judge_anchor(self, anchor: FoundAnchor, tree: MerkleTree | None) -> None:
        if not self._judge_signature(anchor):
            return
        if anchor.size < self._start:
            self._before += 1
        elif tree is None:
            self._unproved += 1
        elif anchor.root == tree.root():
            self._proved = tree.size
        else:
            self._doubted.append(_Doubted(anchor=anchor, tree=tree.copy(), proved=self._proved))

    def _is_recorded_loss(self, anchor: FoundAnchor) -> bool:
        """Whether an entry, and a checkpoint as well, states that the entries of this anchor are lost by a restore."""
        return any(one.kept < anchor.size <= one.lost and one.line in self.stated for one in self._restored)

    def _judge_signature(self, anchor: FoundAnchor) -> bool:
        note = anchor.note
        if note is None:
            return True
        if (note.size, note.root) != (anchor.size, anchor.root):
            self._report.add(LogFault.UNSIGNED, f"{anchor.where} does not match the signed note in it")
            return False
        return self._believes(note, self._trust.signer(note), anchor.where)

    def _judge_anchored(self, row: AnchorRow) -> None:
        """A row only refers to an anchor; but a checkpoint is signed before it is anchored, so it must be there."""
        if row.size != self._row:
            message = f"an anchor of {row.size} entries was stored in {row.sink!a}, and that checkpoint is missing"
            self._report.add(LogFault.MISSING, message)

    def _believes(self, note: SignedNote, key: VerifierKey | None, where: str) -> bool:
        if key is None:
            self._report.add(LogFault.UNSIGNED, f"the signature below {where} {self._trust.why_not(note)}")
            return False
        self._origin = self._origin or note.origin
        if note.origin != self._origin:
            message = f"{where} is of another log"
            self._report.add(LogFault.ALTERED, message, expected=ascii(self._origin), found=ascii(note.origin))
            return False
        return True

    def _recomputed(self, root: bytes, tree: MerkleTree, where: str) -> bool:
        if root == tree.root():
            self._proved = tree.size
            return True
        self._report_root(root, tree, where, self._proved)
        return False

    def _report_root(self, root: bytes, tree: MerkleTree, where: str, proved: int) -> None:
        self._wrong_roots += 1
        if self._wrong_roots > 1:
            return  # every later one is wrong as well
        message = f"{where}, is not the root of these entries; the first difference is between here and {tree.size}"
        self._report.add(
            LogFault.ALTERED, message, pos=proved, expected=self.spelled(root), found=self.spelled(tree.root())
        )


def _size(mark: _Mark) -> int:
    return mark.size


def _time(at: int) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        return str(at)
