"""Waits for something that an engine has begun, and tells how it goes: phase, bytes, percent, time left, stalls.

The promise: it ends by its deadline, which is the first that its run had, whatever process waits; and it posts at most
one report in ten seconds. It begins nothing by itself: a process that takes a run over only looks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.backups.beside import Beside
from bot.backups.polling import Polling
from bot.core.action import Tools
from bot.core.backup import CopyState, CopyStatus, Report
from bot.core.errors import OutcomeUnknown, Rejected
from bot.lib.text import scale_bytes, spell_duration

#: Seconds between two reports: a chat allows few edits of one message.
REPORT_EVERY_S = 10.0
#: Without a byte for this long, the report says so.
_STALLED_AFTER = timedelta(minutes=3)
#: How long something that was asked for may be invisible before it counts as never begun.
_INVISIBLE = timedelta(minutes=2)
#: How much the newest rate counts: about the last ten looks make up the average.
_WEIGHT = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Waited:
    """How a wait ended. `late`: why it ended before the thing did; "" when it did not."""

    status: CopyStatus
    late: str = ""


@dataclass
class Reporter:
    """`tools.report_progress`, at most once in ten seconds, for all steps of one run together."""

    tools: Tools
    _last: float | None = None

    def __call__(self, message: str) -> None:
        now = self.tools.elapsed()
        if self._last is None or now - self._last >= REPORT_EVERY_S:
            self._last = now
            self.tools.report_progress(message)


@dataclass
class Pace:
    """How fast the bytes come: an exponentially weighted average, and when the last one came."""

    _rate: float | None = None  #: bytes a second
    _bytes: int | None = None
    _at: float = 0.0
    _moved: float | None = field(default=None)

    def describe(self, status: CopyStatus, now: float) -> str:
        """ "copying, 3.1 GB of 10 GB (31 %), about 12 min left". `now`: seconds by a clock that is never set."""
        self._learn(status, now)
        parts = [status.phase or status.message or "running"]
        if status.bytes_done is not None:
            parts.append(self._spell_bytes(status))
        still = timedelta(seconds=now - (self._moved if self._moved is not None else now))
        if status.bytes_done is not None and still >= _STALLED_AFTER:
            parts.append(f"no bytes for {_coarsely(still)}")
        elif left := self._left(status):
            parts.append(f"about {_coarsely(left)} left")
        if status.phase and status.message:
            parts.append(status.message.rstrip("."))
        return ", ".join(parts)

    def _learn(self, status: CopyStatus, now: float) -> None:
        done = status.bytes_done
        if self._moved is None or done is None or self._bytes is None or done > self._bytes:
            if done is not None and self._bytes is not None and now > self._at and done > self._bytes:
                rate = (done - self._bytes) / (now - self._at)
                self._rate = rate if self._rate is None else _WEIGHT * rate + (1 - _WEIGHT) * self._rate
            self._moved = now
        if done is not None and (self._bytes is None or done != self._bytes):
            self._bytes, self._at = done, now

    def _left(self, status: CopyStatus) -> timedelta | None:
        if not self._rate or status.bytes_done is None or not status.bytes_total:
            return None
        return timedelta(seconds=max(0, status.bytes_total - status.bytes_done) / self._rate)

    @staticmethod
    def _spell_bytes(status: CopyStatus) -> str:
        done = status.bytes_done or 0
        if not status.bytes_total:
            return spell_bytes(done)
        percent = min(100, 100 * done // status.bytes_total)
        return f"{spell_bytes(done)} of {spell_bytes(status.bytes_total)} ({percent} %)"


def spell_bytes(count: int) -> str:
    """ "3.1 GB", in powers of 1000."""
    size, unit = scale_bytes(count)
    return f"{size:.0f} {unit}" if unit == "B" or size >= 10 * 10 else f"{size:.1f} {unit}"


def wait_for(
    look: Callable[[], CopyStatus],
    tools: Tools,
    report: Report,
    *,
    at_most: timedelta,
    begin: Callable[[], None] | None = None,
    asked_at: datetime | None = None,
) -> Waited:
    """Begin it, if that is given, and look until it has ended.

    `begin` may block until it has ended: it is called on a thread of its own. A call whose outcome is unknown is left
    to the looks. `asked_at`: when a process before has called it; what is not seen long after that, is not there.

    Raises:
        Conflict, Rejected: `begin` did; nothing was done.
    """
    until = tools.deadline(tools.now() + at_most)
    begun = None if begin is None else Beside(begin, "begin")
    if until is None:
        last = _looked(look)
        return Waited(status=last, late="the bot was restarted again and again while it waited")
    ends = tools.elapsed() + min(until - tools.now(), at_most).total_seconds()
    ago = max(tools.now() - asked_at, timedelta(0)) if asked_at is not None else timedelta(0)
    unseen_since = tools.elapsed() - ago.total_seconds()
    return _watch(look, tools, report, ends=ends, begun=begun, at_most=at_most, unseen_since=unseen_since)


def _watch(
    look: Callable[[], CopyStatus],
    tools: Tools,
    report: Report,
    *,
    ends: float,
    begun: Beside[None] | None,
    at_most: timedelta,
    unseen_since: float,
) -> Waited:
    pace, polling = Pace(), Polling(tools)
    while True:
        going = begun is not None and not _has_ended(begun, polling.next_pause())
        status = _looked(look)
        now = tools.elapsed()
        if status.state in (CopyState.RESTORED, CopyState.FAILED) and not going:
            return Waited(status=status)
        if status.state is not CopyState.ABSENT or status.message or going:
            unseen_since = now  # It exists, or nobody knows.
        elif now - unseen_since > _INVISIBLE.total_seconds():
            return Waited(status=status)
        if now > ends:
            return Waited(status=status, late=f"it has not ended within {spell_duration(at_most)}")
        report(_described(status, pace, now))
        if not going:
            polling.pause()


def _has_ended(begun: Beside[None], within: timedelta) -> bool:
    """Raises what `begin` raised, but an unknown outcome: that is found out by looking."""
    if not begun.ended(within):
        return False
    with suppress(OutcomeUnknown, TimeoutError):
        begun.result()
    return True


def _looked(look: Callable[[], CopyStatus]) -> CopyStatus:
    """A look that fails says so, and nothing about the thing."""
    try:
        return look()
    except Rejected as refused:
        reason = refused.message.removesuffix(" Nothing was done.").rstrip(".")
        return CopyStatus(state=CopyState.ABSENT, message=f"it cannot be read now: {reason}")


def _described(status: CopyStatus, pace: Pace, now: float) -> str:
    if status.state is CopyState.WAITING:
        return status.message or "waiting for its system to begin"
    if status.state is CopyState.ABSENT:
        return status.message or "not seen yet"
    return pace.describe(replace(status, message=status.message), now)


def _coarsely(long: timedelta) -> str:
    """To the minute from three minutes on, else to ten seconds: nobody reads an estimate more closely."""
    step = timedelta(minutes=1) if long >= timedelta(minutes=3) else timedelta(seconds=10)
    return spell_duration(max(step, (long + step / 2) // step * step))
