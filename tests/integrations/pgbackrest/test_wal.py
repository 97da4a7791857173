"""Names of WAL segments are counted over logs, timelines and sizes, and what is missing is found."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.integrations.pgbackrest.wal import WalArchive, archive_of, history_of

_AT = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
_SUM = "a" * 40
_HISTORY = "1\t0/3A12F80\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore 2026-11-30\n"


def _archive(names: Iterable[str], histories: dict[int, str] | None = None, size: int | None = None) -> WalArchive:
    files = {f"{name[:16]}/{name}-{_SUM}.gz": _AT + timedelta(minutes=place) for place, name in enumerate(names)}
    return archive_of(files, histories or {}, segment_size=size)


def _names(first: int, last: int, *, timeline: int = 1) -> list[str]:
    return [WalArchive().name(timeline, number) for number in range(first, last + 1)]


def test_a_complete_archive_has_no_gap_over_the_end_of_a_log() -> None:
    archive = _archive(_names(0xF0, 0x110))

    assert archive.gaps("0000000100000000000000F0") == ()
    assert archive.newest == (1, 0x110)
    assert archive.name(*archive.newest) == "000000010000000100000010"


def test_each_missing_segment_is_named_with_the_moment_until_which_all_is_there() -> None:
    names = _names(2, 9)
    archive = _archive(name for name in names if name not in (names[2], names[3], names[6]))

    first, second = archive.gaps(names[0])

    assert (first.first, first.segments, first.since) == (names[2], 2, _AT + timedelta(minutes=1))
    assert (second.first, second.segments) == (names[6], 1)
    assert archive.gaps(names[4], names[5]) == ()
    assert archive.gaps(names[7]) == ()


@given(st.sets(st.integers(1, 40)), st.integers(0x0, 0x1F0))
def test_as_many_are_missing_as_were_taken_away(taken: set[int], first: int) -> None:
    names = _names(first, first + 42)

    archive = _archive((name for place, name in enumerate(names) if place not in taken), size=16 * 2**20)

    assert sum(gap.segments for gap in archive.gaps(names[0])) == len(taken)


def test_timelines_are_followed_by_their_history() -> None:
    """Timeline 1 to the segment of 0/3A12F80, 2 from that one on to 0/5000000, then 3."""
    names = [*_names(1, 2), *_names(3, 4, timeline=2), *_names(5, 7, timeline=3)]
    abandoned = _names(3, 3)  # timeline 1 wrote on after the failover; nothing needs it

    archive = _archive([*names, *abandoned], {2: _HISTORY.splitlines()[0], 3: _HISTORY})

    assert archive.gaps(names[0]) == ()
    assert archive.is_on_path(names[1])
    assert not archive.is_on_path(abandoned[0])
    without = _archive([name for name in names if name != names[2]], {3: _HISTORY})
    [gap] = without.gaps(names[0])
    assert gap.first == names[2]


def test_a_segment_that_is_archived_twice_and_differently_cannot_be_replayed() -> None:
    names = _names(1, 4)
    files = {f"{name}-{_SUM}.gz": _AT for name in names} | {f"{names[1]}-{'b' * 40}.gz": _AT}

    [gap] = archive_of(files, {}).gaps(names[0])

    assert gap.first == names[1]


def test_what_is_no_segment_is_not_counted() -> None:
    name = _names(2, 2)[0]
    files = dict.fromkeys(
        [f"{name}.00000028.backup", f"{name}.partial-{_SUM}.gz", "00000002.history", "archive.info"], _AT
    )

    assert archive_of(files, {}).newest is None


@pytest.mark.parametrize("size", [1 << 20, 1 << 26, 1 << 30])
def test_the_size_of_segments_is_inferred_where_the_live_server_cannot_be_asked(size: int) -> None:
    real = WalArchive(size=size)
    per_log = (1 << 32) // size
    names = [real.name(1, number) for number in range(per_log - 3, 2 * per_log + 2)]

    archive = _archive(names)

    assert archive.size == size
    assert archive.gaps(names[0]) == ()


def test_a_history_file_is_read_as_postgresql_writes_it() -> None:
    assert [(one.timeline, one.lsn) for one in history_of(_HISTORY)] == [(1, 0x3A12F80), (2, 0x5000000)]
    assert history_of("") == ()


def test_an_empty_archive_misses_what_a_backup_needs() -> None:
    [gap] = _archive([]).gaps(_names(2, 2)[0], _names(3, 3)[0]) or [None]

    assert gap is None, "there is no path without a timeline, and so the backup is refused for that"
    assert not _archive([]).is_on_path(_names(2, 2)[0])
