"""The walk over a log: every entry against its hash and its columns, every root against its signature.

One pass in the order of positions, in memory that hardly grows: of each entry eight bytes are kept, to find an id that
is there twice. The tree is built of the hashes that were sealed, so one altered body is told as one, and what stands
behind it is still judged by its own. Behind a gap no root can be known; there each entry is judged alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain

from bot.inspection.evidence import Evidence, Row
from bot.inspection.form import AT, CODE, NAMES, RUN, UID, Columns, columns_of
from bot.inspection.marks import Anchor, Marks
from bot.inspection.note import Key, Verify
from bot.inspection.report import Fault, Report
from bot.inspection.tree import Tree

#: An entry that is not sealed by then, or no checkpoint over it, or no outcome of an intent: nobody is at work.
SEALED_WITHIN = timedelta(seconds=60)
SIGNED_WITHIN = timedelta(minutes=3)
ENDED_WITHIN = timedelta(minutes=15)
#: Entries are sealed in about the order they were written; further back than this it was the clock.
_OUT_OF_ORDER = timedelta(seconds=60) // timedelta(microseconds=1)

_INTENT = b"VK120I"
_OUTCOMES = (b"VK121I", b"VK122E", b"VK123E")
_OF_RUNS = frozenset((_INTENT, *_OUTCOMES))
#: Keys of ids are kept in so many heaps, so that looking for equal ones holds one heap at a time.
_HEAPS = 64
#: So many columns of a row are not an entry's.
_SEAL = 4
_THREADS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def inspect(
    evidence: Evidence,
    *,
    keys: Sequence[Key],
    verify: Verify,
    anchors: Sequence[Anchor] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """Walk all of it. `keys` are believed and no others; `anchors` are what was seen of it outside.

    Raises:
        Unreadable: it cannot be read to its end.
    """
    believed = {key.id: key for key in keys}
    report = Report(name=evidence.name, believed=[key.text for key in believed.values()], anchors=len(anchors))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="signatures") as aside:
        marks = Marks(evidence, report, keys=believed, verify=verify, anchors=anchors, aside=aside)
        return _Walk(evidence, marks, report).report_at(now)


class _Walk:
    def __init__(self, evidence: Evidence, marks: Marks, report: Report) -> None:
        self._evidence = evidence
        self._marks = marks
        self._report = report
        self._tree = Tree()
        self._next = 0  #: the position that has to come
        self._whole = True  #: nothing was missing so far, so the tree is the log's
        self._last = 0  #: when the entry before this one was written
        self._unsigned: int | None = None  #: when the first entry was that no checkpoint covers
        self._open: dict[bytes, tuple[int | None, int]] = {}  #: run -> (pos, at) of an intent without an outcome
        self._heaps = [array("q") for _ in range(_HEAPS)]

    def report_at(self, now: Callable[[], datetime]) -> Report:
        for rows in self._evidence.sealed():
            self._take(rows)
        self._reach()
        self._marks.judge_rest(self._next)
        until = (now() - _EPOCH) // timedelta(microseconds=1)
        self._judge_unsealed(until)
        self._judge_unsigned(until)
        self._judge_unended(until)
        self._judge_repeated()
        for said in self._evidence.amiss:
            self._report.add(Fault.ALTERED, said)
        if not self._next:
            self._report.add(Fault.FLAGGED, "the log is empty")
        self._report.sealed = self._next if self._whole else self._report.sealed
        self._report.root = self._tree_root()
        self._report.newest = _time(self._last) if self._last else ""
        return self._report

    def _take(self, rows: Sequence[Row]) -> None:
        """The hot place: ten million times in a minute or two, so what is usual is asked first, and only once."""
        add, heaps, marks = self._tree.add, self._heaps, self._marks
        for row in rows:
            if marks.next <= self._next:
                self._reach()
            pos, leaf, body = row[0], row[1], row[3]
            if pos != self._next:
                self._doubt_place(pos)
            self._next = pos + 1
            said = columns_of(body) if type(body) is bytes else None
            if said is None or sha256(b"\x00" + body).digest() != leaf or (said != row[_SEAL:] and len(row) > _SEAL):
                said = self._doubt(row, said)
            if self._whole:
                add(leaf)
            if said is None:
                continue
            uid = hash(said[UID])
            heaps[uid % _HEAPS].append(uid)
            if said[CODE] in _OF_RUNS:
                self._note_run(said, pos)
            at = said[AT]
            if self._unsigned is None or at < self._last - _OUT_OF_ORDER:
                self._note_time(at, pos)
            self._last = at
        self._report.sealed += len(rows)

    def _note_time(self, at: int, pos: int) -> None:
        if self._unsigned is None:
            self._unsigned = at
        if at < self._last - _OUT_OF_ORDER:
            self._report.add(Fault.FLAGGED, f"the clock went back, from {_time(self._last)} to {_time(at)}", pos=pos)

    def _note_run(self, said: Columns, pos: int | None) -> None:
        if said[CODE] == _INTENT:
            self._open.setdefault(said[RUN], (pos, said[AT]))
        else:
            self._open.pop(said[RUN], None)

    def _reach(self) -> None:
        """Judge what was signed or anchored of the log up to here."""
        if self._marks.judge(self._tree if self._whole else None, self._next):
            self._unsigned = None

    def _doubt_place(self, pos: int) -> None:
        if pos > self._next:
            to = "" if pos == self._next + 1 else f" to {pos - 1}"
            self._report.add(Fault.MISSING, f"nothing stands at {self._next}{to}", pos=self._next)
        else:
            self._report.add(Fault.ALTERED, "this position comes a second time, or out of order", pos=pos)
        self._whole = False

    def _doubt(self, row: Row, said: Columns | None) -> Columns | None:
        """Say what is wrong with an entry; returns what it says, where its own bytes are as they were sealed."""
        pos, leaf, entry_id, body = row[:_SEAL]
        if body is None:
            self._report.add(Fault.MISSING, f"its entry (id {entry_id}) is gone, its seal is there", pos=pos)
            return None
        found = sha256(b"\x00" + body).digest() if type(body) is bytes else b""
        if found != leaf:
            self._report.add(
                Fault.ALTERED,
                f"entry {entry_id} is not what was sealed",
                pos=pos,
                expected=_hex(leaf),
                found=_hex(found),
            )
            if not isinstance(leaf, bytes):
                self._whole = False
            return None
        if said is None:
            self._report.add(Fault.ALTERED, f"entry {entry_id} is not of the form of an entry", pos=pos)
            return None
        self._tell_columns(row, said)
        return said

    def _tell_columns(self, row: Row, said: Columns) -> None:
        for name, expected, found in zip(NAMES, said, row[_SEAL:], strict=True):
            if expected != found:
                self._report.add(
                    Fault.ALTERED,
                    f"column {name} of entry {row[2]} is not what its body says",
                    pos=row[0],
                    expected=_plain(expected),
                    found=_plain(found),
                )

    def _judge_unsealed(self, now: int) -> None:
        outcomes = []  # behind every intent: their ids need not be in the order of their commits
        for row in chain.from_iterable(self._evidence.unsealed()):
            self._report.unsealed += 1
            said = self._waits(row)
            if said is None:
                continue
            if said[CODE] == _INTENT:
                self._note_run(said, None)
            elif said[CODE] in _OUTCOMES:
                outcomes.append(said)
            if said[AT] < now - _micros(SEALED_WITHIN):
                self._report.add(Fault.UNSEALED, f"entry {row[2]} of {_time(said[AT])} has no place in the log")
        for said in outcomes:
            self._note_run(said, None)

    def _waits(self, row: Row) -> Columns | None:
        """What an entry says that is not sealed yet; None where it cannot be read."""
        said = columns_of(row[3]) if type(row[3]) is bytes else None
        if said is None:
            self._report.add(Fault.ALTERED, f"entry {row[2]}, not sealed yet, is not of the form of an entry")
            return None
        if said != row[_SEAL:] and len(row) > _SEAL:
            self._tell_columns(row, said)
        uid = hash(said[UID])
        self._heaps[uid % _HEAPS].append(uid)
        return said

    def _judge_unsigned(self, now: int) -> None:
        if self._report.counts[Fault.UNSIGNED]:
            return  # that a checkpoint is no good has been told
        if self._unsigned is not None and self._unsigned < now - _micros(SIGNED_WITHIN):
            self._report.add(
                Fault.UNSEALED,
                f"no checkpoint covers what stands from here on, the oldest of {_time(self._unsigned)}",
                pos=self._report.signed,
            )

    def _judge_unended(self, now: int) -> None:
        for run, (pos, at) in self._open.items():
            if at < now - _micros(ENDED_WITHIN):
                said = f"run {run.decode()} was to begin at {_time(at)}, and nothing tells how it ended"
                self._report.add(Fault.UNENDED, said, pos=pos)

    def _judge_repeated(self) -> None:
        repeated = set(_repeated(self._heaps))
        if not repeated:
            return
        seen: dict[bytes, int] = {}
        for rows in self._everything():
            for row in rows:
                said = columns_of(row[3]) if type(row[3]) is bytes else None
                if said is None or hash(said[UID]) not in repeated:
                    continue
                if said[UID] in seen:
                    first = f"entry {seen[said[UID]]} has the uid of entry {row[2]}, {said[UID].decode()}"
                    self._report.add(Fault.ALTERED, first, pos=row[0])
                seen.setdefault(said[UID], row[2])

    def _everything(self) -> Iterator[Sequence[Row]]:
        yield from self._evidence.sealed()
        yield from self._evidence.unsealed()

    def _tree_root(self) -> str:
        return self._marks.spelled(self._tree.root()) if self._whole else ""


def _repeated(heaps: Sequence[array[int]]) -> Iterator[int]:
    for heap in heaps:
        if len(set(heap)) == len(heap):
            continue
        seen: set[int] = set()
        for key in heap:
            if key in seen:
                yield key
            seen.add(key)


def _micros(much: timedelta) -> int:
    return much // timedelta(microseconds=1)


def _time(at: int) -> str:
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="seconds").replace("+00:00", "Z")


def _hex(found: object) -> str:
    return found.hex() if isinstance(found, bytes) else str(found)


def _plain(value: object) -> str:
    """As one line of plain text: it may have been put there by whoever altered it."""
    return ascii(value.decode(errors="replace")) if isinstance(value, bytes) else str(value)
