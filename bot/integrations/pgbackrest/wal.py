"""Whether the archived WAL is complete: names of segments, timelines, and what is missing between two of them.

The trap: a missing segment is not an error of anybody. `info` names the oldest and the newest one alone, and PostgreSQL
ends its recovery at the gap as if it were the end of the archive. So every name is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_ARCHIVED = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_BRANCH = re.compile(r"\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)")

#: Bytes that the middle part of a segment's name counts.
_PER_LOG = 1 << 32
_LARGEST_SIZE = 1 << 30
_USUAL_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Where a timeline left another one, by a line of its history file."""

    timeline: int  #: the one that was left
    lsn: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """The segments that one timeline gives to a path. `last` None: as far as there are any."""

    timeline: int
    first: int
    last: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Segments that are missing, one after the other."""

    segments: int
    first: str  #: the name of the first missing one
    number: int  #: its number, which counts on over all timelines
    since: datetime | None  #: when the one before it was archived: what was committed until then can be reached


@dataclass(frozen=True, kw_only=True)
class WalArchive:
    """What is archived, of one cluster. `size`: bytes of a segment."""

    times: Mapping[tuple[int, int], datetime | None] = field(default_factory=dict)  #: (timeline, number) -> archived
    double: frozenset[tuple[int, int]] = frozenset()  #: archived twice, and differently; it cannot be replayed
    histories: Mapping[int, Sequence[Branch]] = field(default_factory=dict)
    size: int = _USUAL_SIZE

    @cached_property
    def timeline(self) -> int | None:
        """The newest timeline that has segments or a history."""
        return max([one for one, _ in self.times] + list(self.histories), default=None)

    @cached_property
    def newest(self) -> tuple[int, int] | None:
        """The last segment of the newest timeline that has any."""
        return max(self.times, default=None)

    @cached_property
    def path(self) -> tuple[Stretch, ...]:
        """The timelines to the newest one, the oldest first, each with its part."""
        newest = self.timeline
        if newest is None:
            return ()
        first, path = 0, []
        for branch in self.histories.get(newest, ()):
            switched = branch.lsn // self.size
            path.append(Stretch(timeline=branch.timeline, first=first, last=switched - 1))
            first = switched
        return (*path, Stretch(timeline=newest, first=first, last=None))

    def is_on_path(self, segment: str) -> bool:
        """Whether the newest timeline has that segment in its history."""
        timeline, number = self.place(segment)
        return any(
            one.timeline == timeline and one.first <= number and (one.last is None or number <= one.last)
            for one in self.path
        )

    def gaps(self, start: str, stop: str = "") -> tuple[Gap, ...]:
        """What is missing from `start` to `stop` (included; "": the newest one), by the path to the newest timeline."""
        _, begin = self.place(start)
        newest = self.newest
        end = self.place(stop)[1] if stop else (newest[1] if newest else begin)
        gaps: list[Gap] = []
        before: datetime | None = None
        count, first = 0, (0, 0)
        for place in self._wanted(begin, end):
            if place not in self.times or place in self.double:
                first = first if count else place
                count += 1
                continue
            if count:
                gaps.append(self._gap(count, first, before))
            count, before = 0, self.times[place]
        if count:
            gaps.append(self._gap(count, first, before))
        return tuple(gaps)

    def bytes_from(self, start: str) -> int:
        """How much WAL there is from that segment to the newest one."""
        newest = self.newest
        return max(0, newest[1] - self.place(start)[1] + 1) * self.size if newest else 0

    def place(self, segment: str) -> tuple[int, int]:
        """The timeline of a segment and its number, which counts on over all timelines.

        Raises:
            ValueError: it is no name of a segment.
        """
        parts = _SEGMENT.fullmatch(segment)
        if parts is None:
            raise ValueError(f"not a WAL segment: {segment!r}")
        timeline, log, number = (int(part, 16) for part in parts.groups())
        return timeline, log * (_PER_LOG // self.size) + number

    def name(self, timeline: int, number: int) -> str:
        log, part = divmod(number, _PER_LOG // self.size)
        return f"{timeline:08X}{log:08X}{part:08X}"

    def _gap(self, count: int, first: tuple[int, int], before: datetime | None) -> Gap:
        return Gap(segments=count, first=self.name(*first), number=first[1], since=before)

    def _wanted(self, begin: int, end: int) -> Iterable[tuple[int, int]]:
        for stretch in self.path:
            last = end if stretch.last is None else min(end, stretch.last)
            yield from ((stretch.timeline, number) for number in range(max(begin, stretch.first), last + 1))


def archive_of(
    files: Mapping[str, datetime | None], histories: Mapping[int, str], *, segment_size: int | None = None
) -> WalArchive:
    """`files`: path -> when it was stored. `histories`: timeline -> the text of its history file. `segment_size`: of
    the live server; None when it cannot be asked, and then it is inferred from the names.
    """
    names: list[tuple[str, datetime | None]] = []
    for path, at in files.items():
        archived = _ARCHIVED.fullmatch(path.rpartition("/")[2])
        if archived:
            names.append((archived[1], at))
    known = WalArchive(size=segment_size or _inferred_size(name for name, _ in names))
    times: dict[tuple[int, int], datetime | None] = {}
    double = set()
    for name, at in names:
        place = known.place(name)
        if place in times:
            double.add(place)
        times[place] = at
    branches = {timeline: history_of(text) for timeline, text in histories.items()}
    return WalArchive(times=times, double=frozenset(double), histories=branches, size=known.size)


def history_files(files: Iterable[str]) -> Mapping[int, str]:
    """Timeline -> the path of its history file."""
    found = {path: _HISTORY.fullmatch(path.rpartition("/")[2]) for path in files}
    return {int(name[1], 16): path for path, name in found.items() if name}


def history_of(text: str) -> tuple[Branch, ...]:
    """The lines of a history file: the timeline that was left, where, why. An empty line or a comment is none."""
    lines = (_BRANCH.match(line) for line in text.splitlines())
    return tuple(
        Branch(timeline=int(one[1]), lsn=(int(one[2], 16) << 32) + int(one[3], 16)) for one in lines if one is not None
    )


def _inferred_size(names: Iterable[str]) -> int:
    """By the greatest last part, where segments of more than one log are there: it is one less than the count of
    segments in a log. Within one log the size does not matter.
    """
    greatest: dict[str, int] = {}
    for name in names:
        log = name[8:16]
        greatest[log] = max(greatest.get(log, 0), int(name[16:], 16))
    most = max(greatest.values(), default=0)
    if len(greatest) <= 1 and most < _PER_LOG // _USUAL_SIZE:
        return _USUAL_SIZE
    return _PER_LOG // max(_PER_LOG // _LARGEST_SIZE, 1 << most.bit_length())
