"""Verifies a log: every entry against its hash and its columns, every root against its signature.

It is one pass in the order of positions, in memory that hardly grows: eight bytes are kept of each entry, to find
duplicate ids. In a long log, blocks without faults are taken from other processes (`parallel`). The tree is built from
the hashes that were sealed, so one altered body is one finding, and later entries are still judged by their own hash.
After a gap no root can be computed; there each entry is judged alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain

from bot.audit.verify.checkpoints import FoundAnchor, SignedRoots
from bot.audit.verify.duplicate_ids import DuplicateIds, key_of
from bot.audit.verify.entry_format import AT, CODE, NAMES, RUN, UID, Columns, columns_of
from bot.audit.verify.key_trust import KeyTrust, may_hand_over
from bot.audit.verify.log_reader import LogReader, Row
from bot.audit.verify.parallel import OUT_OF_ORDER, SEAL, SINGLE_PROCESS, LogBlock, WorkerPool, read_in_parallel
from bot.audit.verify.pruned_log import LogStart, pruned_part
from bot.audit.verify.report import LogFault, VerificationReport, time_of
from bot.audit.verify.signed_note import VerifierKey, Verify
from bot.audit.verify.unfinished_runs import (
    INTENT,
    OF_ITSELF,
    OF_RUNS,
    OUTCOMES,
    PRUNED,
    RESTORED,
    UnfinishedRuns,
    restored,
)

#: After these times, an unsealed entry, an entry without a checkpoint, an intent without an outcome is a fault.
SEALED_WITHIN = timedelta(seconds=60)
SIGNED_WITHIN = timedelta(minutes=3)
ENDED_WITHIN = timedelta(minutes=15)
_THREADS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def verify_log(
    log: LogReader,
    *,
    keys: Sequence[VerifierKey],
    verify: Verify,
    anchors: Sequence[FoundAnchor] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    pool: WorkerPool = SINGLE_PROCESS,
) -> VerificationReport:
    """Verify the whole log. Only `keys` are trusted; `anchors` were found outside of the database.

    Raises:
        UnreadableLog: it cannot be read to its end.
    """
    trusted = {key.id: key for key in keys}
    report = VerificationReport(name=log.name, believed=[key.text for key in trusted.values()], anchors=len(anchors))
    report.anchored = max((one.size for one in anchors), default=0)
    handovers = (row.note for row in log.checkpoints() if may_hand_over(row.note))
    trust = KeyTrust(list(trusted.values()), handovers, verify)
    report.handovers = [f"{one.old.text} to {one.new.text} at {one.size:,} entries" for one in trust.handovers]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="signatures") as aside:
        beginning = LogStart(log, trust)
        roots = SignedRoots(log, report, trust=trust, anchors=anchors, aside=aside, start=beginning.tree.size)
        made = _Pass(log, roots, beginning, report)
        made.go(pool)
        return made.report_at(now)


class _Pass:
    def __init__(self, log: LogReader, roots: SignedRoots, beginning: LogStart, report: VerificationReport) -> None:
        self._log = log
        self._roots = roots
        self._beginning = beginning
        self._report = report
        self._tree = beginning.tree.copy()
        self._next = self._tree.size  #: the next position
        self._whole = True  #: nothing was missing so far, so the tree is complete
        self._last = 0  #: when the entry before this one was written
        self._unsigned: int | None = None  #: when the first entry was written that no checkpoint covers
        self._runs = UnfinishedRuns()
        self._uids = DuplicateIds()

    def go(self, pool: WorkerPool) -> None:
        with ExitStack() as within:
            for part, block in read_in_parallel(self._log, pool, within):
                if block is not None:
                    self._take_whole(block)
                    continue
                for rows in self._log.sealed(part):
                    self._take(rows)
        self._reach()

    def report_at(self, now: Callable[[], datetime]) -> VerificationReport:
        self._roots.judge_rest(self._next)
        self._beginning.judge(self._roots.stated, self._roots.spelled(self._beginning.tree.root()), self._report)
        until = (now() - _EPOCH) // timedelta(microseconds=1)
        self._judge_unsealed(until)
        self._judge_unsigned(until)
        self._judge_unended(until)
        self._judge_repeated()
        for message in self._log.problem:
            self._report.add(LogFault.ALTERED, message)
        if not self._next:
            self._report.add(LogFault.FLAGGED, "the log is empty")
        self._report.sealed = self._next if self._whole else self._report.sealed
        self._report.root = self._tree_root()
        self._report.newest = time_of(self._last) if self._last else ""
        return self._report

    def _take(self, rows: Sequence[Row]) -> None:
        """Hot path, for ten million rows in a minute or two: the usual case is tested first, and only once."""
        add, note_uid, roots = self._tree.add, self._uids.add, self._roots
        for row in rows:
            if roots.next <= self._next:
                self._reach()
            pos, leaf, body = row[0], row[1], row[3]
            if pos != self._next:
                self._doubt_place(pos)
            self._next = pos + 1
            message = columns_of(body) if type(body) is bytes else None
            if (
                message is None
                or sha256(b"\x00" + body).digest() != leaf
                or (message != row[SEAL:] and len(row) > SEAL)
            ):
                message = self._doubt(row, message)
            if self._whole:
                add(leaf)
            if message is None:
                continue
            note_uid(key_of(message[UID]))
            if message[CODE] in OF_ITSELF:
                self._note_own(message[CODE], row)
            if message[CODE] in OF_RUNS:
                self._runs.note(message[CODE], message[RUN], (pos, message[AT]))
            at = message[AT]
            if self._unsigned is None or at < self._last - OUT_OF_ORDER:
                self._note_time(at, pos)
            self._last = at
        self._report.sealed += len(rows)

    def _take_whole(self, block: LogBlock) -> None:
        """The same as `_take` for the rows of a block, none of which has a fault in itself."""
        first, times, tree = block.first, block.times, self._tree
        if self._roots.next <= self._next:
            self._reach()
        if first != self._next:
            self._doubt_place(first)
        self._note_time(times[0], first)
        end = first + len(times)
        while self._roots.next < end:
            size = max(self._roots.next, first + 1)
            if self._roots.judge(tree.with_first_of(block.subtree, size - first) if self._whole else None, size):
                self._unsigned = times[size - first]
        if self._whole:
            tree.add_block(block.subtree)
        self._uids.add_all(block.uids)
        for pos, code, run, at in block.runs:
            self._runs.note(code, run, (pos, at))
        self._next, self._last = end, times[-1]
        self._report.sealed += len(times)

    def _note_time(self, at: int, pos: int) -> None:
        if self._unsigned is None:
            self._unsigned = at
        if at < self._last - OUT_OF_ORDER:
            self._report.add(
                LogFault.FLAGGED, f"the clock went back, from {time_of(self._last)} to {time_of(at)}", pos=pos
            )

    def _note_own(self, code: bytes, row: Row) -> None:
        if code == PRUNED and (part := pruned_part(row[3])) is not None:
            self._beginning.note(part)
        elif code == RESTORED and (copy := restored(row[0], row[3])) is not None:
            self._roots.restored(copy)

    def _reach(self) -> None:
        """Judge the checkpoints and anchors up to this size."""
        if self._roots.judge(self._tree if self._whole else None, self._next):
            self._unsigned = None

    def _doubt_place(self, pos: int) -> None:
        if pos > self._next:
            to = "" if pos == self._next + 1 else f" to {pos - 1}"
            self._report.add(LogFault.MISSING, f"there is no entry at {self._next}{to}", pos=self._next)
        else:
            self._report.add(LogFault.ALTERED, "this position is there twice, or out of order", pos=pos)
        self._whole = False

    def _doubt(self, row: Row, columns: Columns | None) -> Columns | None:
        """Report the faults of an entry; returns the columns of its body, if its bytes are as they were sealed."""
        pos, leaf, entry_id, body = row[:SEAL]
        if body is None:
            self._report.add(LogFault.MISSING, f"its entry (id {entry_id}) is missing, its seal is there", pos=pos)
            return None
        found = sha256(b"\x00" + body).digest() if type(body) is bytes else b""
        if found != leaf:
            self._report.add(
                LogFault.ALTERED,
                f"entry {entry_id} is not what was sealed",
                pos=pos,
                expected=_hex(leaf),
                found=_hex(found),
            )
            if not isinstance(leaf, bytes):
                self._whole = False
            return None
        if columns is None:
            self._report.add(LogFault.ALTERED, f"entry {entry_id} has not the format of an entry", pos=pos)
            return None
        self._report_columns(row, columns)
        return columns

    def _report_columns(self, row: Row, columns: Columns) -> None:
        for name, expected, found in zip(NAMES, columns, row[SEAL:], strict=True):
            if expected != found:
                self._report.add(
                    LogFault.ALTERED,
                    f"column {name} of entry {row[2]} does not match its body",
                    pos=row[0],
                    expected=_plain(expected),
                    found=_plain(found),
                )

    def _judge_unsealed(self, now: int) -> None:
        outcomes = []  # noted after all intents: ids need not be in the order of commits
        for row in chain.from_iterable(self._log.unsealed()):
            self._report.unsealed += 1
            message = self._unsealed_columns(row)
            if message is None:
                continue
            if message[CODE] == INTENT:
                self._runs.note(message[CODE], message[RUN], (None, message[AT]))
            elif message[CODE] in OUTCOMES:
                outcomes.append(message)
            if message[AT] < now - _micros(SEALED_WITHIN):
                self._report.add(LogFault.UNSEALED, f"entry {row[2]} of {time_of(message[AT])} is not sealed")
        for message in outcomes:
            self._runs.note(message[CODE], message[RUN], (None, message[AT]))

    def _unsealed_columns(self, row: Row) -> Columns | None:
        """The columns of the body of an unsealed entry; None where it has not the format of an entry."""
        message = columns_of(row[3]) if type(row[3]) is bytes else None
        if message is None:
            self._report.add(LogFault.ALTERED, f"entry {row[2]}, not sealed yet, has not the format of an entry")
            return None
        if message != row[SEAL:] and len(row) > SEAL:
            self._report_columns(row, message)
        self._uids.add(key_of(message[UID]))
        return message

    def _judge_unsigned(self, now: int) -> None:
        if self._report.counts[LogFault.UNSIGNED]:
            return  # the invalid checkpoint was reported already
        if self._unsigned is not None and self._unsigned < now - _micros(SIGNED_WITHIN):
            self._report.add(
                LogFault.UNSEALED,
                f"no checkpoint covers the entries from here on, the oldest of {time_of(self._unsigned)}",
                pos=self._report.signed,
            )

    def _judge_unended(self, now: int) -> None:
        for pos, message in self._runs.unfinished(now - _micros(ENDED_WITHIN)):
            self._report.add(LogFault.UNENDED, message, pos=pos)

    def _judge_repeated(self) -> None:
        repeated = self._uids.repeated()
        if not repeated:
            return
        seen: dict[bytes, int] = {}
        for rows in self._everything():
            for row in rows:
                message = columns_of(row[3]) if type(row[3]) is bytes else None
                if message is None or key_of(message[UID]) not in repeated:
                    continue
                if message[UID] in seen:
                    first = f"entry {seen[message[UID]]} has the uid of entry {row[2]}, {message[UID].decode()}"
                    self._report.add(LogFault.ALTERED, first, pos=row[0])
                seen.setdefault(message[UID], row[2])

    def _everything(self) -> Iterator[Sequence[Row]]:
        yield from self._log.sealed()
        yield from self._log.unsealed()

    def _tree_root(self) -> str:
        return self._roots.spelled(self._tree.root()) if self._whole else ""


def _micros(much: timedelta) -> int:
    return much // timedelta(microseconds=1)


def _hex(found: object) -> str:
    return found.hex() if isinstance(found, bytes) else str(found)


def _plain(value: object) -> str:
    """As one line of plain text: the value may come from an attacker."""
    return ascii(value.decode(errors="replace")) if isinstance(value, bytes) else str(value)
