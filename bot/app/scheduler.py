"""Runs periodic work: release leases, report late pages, try refusing channels, correct clock steps, delete old rows.

Every deadline is stored in a row, so a tick that runs on two replicas at once, or that a restart skips, does no harm.
The trap: rows hold wall-clock time, and a clock can be set back. So ticks are timed by the monotonic clock, and
deadlines that lie too far ahead are corrected (store/clock_steps.py). Only this file imports APScheduler.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from bot.access import break_glass_rules, identity
from bot.actions import intent, upkeep
from bot.alerts.episodes import DOUBT
from bot.alerts.intake import IntakeResult
from bot.alerts.internal import clock_went_back
from bot.core.alert import Alert, AlertBatch
from bot.core.incident import Committed, OnCommit
from bot.core.message import MessageKind, Subscription
from bot.incidents.due import look_at_due_incidents
from bot.incidents.undelivered import report_undelivered
from bot.notifications import revival, sender
from bot.store import account_links, account_messages, clock_steps, outbox
from bot.store.clock_steps import DeadlineLimits
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)

#: How long a page may wait in the outbox before it is reported on the other channels.
LATE_PAGE = timedelta(seconds=45)
#: Platforms repeat requests: chats for minutes, or for a day after an outage; a pager for two days.
_SEEN_FOR = timedelta(hours=72)
_PACES_FOR = timedelta(minutes=10)
#: How long the requester of a linking code can still be notified of its use.
_CODES_FOR = timedelta(days=30)
#: Seconds between two searches for deadlines that lie too far ahead.
_CORRECT_EVERY_S = 15
#: An incident is decided about again no later than this, unless the settings have a longer time for it.
_LOOK_AHEAD = timedelta(hours=1)
#: Seconds between two searches for channels that are to be tried again; when each is, is in its row.
_TRY_EVERY_S = 10
_BOUNDS = DeadlineLimits(
    send_lease=sender.LEASE,
    run_lease=intent.LEASE,
    retry=sender.LONGEST_RETRY,
    check=upkeep.CHECK_EVERY,
    report=sender.LONGEST_RETRY,
    code=identity.CODE_LIFETIME,
    lock=identity.LOCKED_FOR,
    break_glass=break_glass_rules.BREAK_GLASS_LASTS,
    look=_LOOK_AHEAD,
)
#: Seconds within which the scheduler takes a job that it was given.
_TAKEN_WITHIN_S, _TAKEN_POLL_S = 1.0, 0.005
#: In the past by any clock.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Scheduler:
    """Ticks until it is stopped. `on_commit` is called with what a tick committed, messages to send among it."""

    def __init__(
        self,
        store: Store,
        *,
        subscriptions: Sequence[Subscription],
        on_commit: OnCommit,
        take: Callable[[AlertBatch, Callable[[IntakeResult | Exception], None]], None],
        late_copy: timedelta,
        quiet: timedelta,
        ticks: Sequence[tuple[Callable[[], object], int]] = (),
    ) -> None:
        """`ticks`: further functions to call, each with its interval in seconds.

        `quiet`: after how long without a firing an incident that flaps is over.
        """
        self._store = store
        self._take = take
        self._quiet = quiet
        self._bounds = replace(_BOUNDS, look=max(_LOOK_AHEAD, late_copy + DOUBT, quiet))
        self._monotonic_at: float | None = None
        self._subscriptions = subscriptions
        self._on_commit = on_commit
        self._ticks = TickLoop(
            (
                (self.watch_clock, 1),
                (self.correct_deadlines, _CORRECT_EVERY_S),
                (self.release_leases, 1),
                (self.report_late_pages, 5),
                (self.try_refusing_channels, _TRY_EVERY_S),
                (self.accept_doubted_alerts, 15),
                (self.look_at_due_incidents, 5),
                (self.delete_old, 60),
                *ticks,
            )
        )

    def start(self) -> None:
        """Correct what was stored while the clock was ahead, and start the ticks. A later tick repeats it."""
        try:
            self._compare_with_audit_log()
        except Unavailable as trouble:
            logger.warning("the clock is not compared with the audit log", extra={"why": str(trouble)})
        self._ticks.start()

    def stop(self) -> None:
        self._ticks.stop()

    def _compare_with_audit_log(self) -> None:
        with self._store.begin() as tx:
            ahead = clock_steps.written_ahead(tx)
            self._monotonic_at = tx.now.timestamp() - time.monotonic()
        self._correct(ahead)

    def release_leases(self) -> None:
        """Messages that a dead sender had claimed become free to send again."""
        with self._store.begin() as tx:
            channels = outbox.release_expired(tx)
        self._on_commit(Committed(channels=frozenset(channels)))

    def report_late_pages(self) -> None:
        """A page that a pager has not taken in time is reported on every other channel."""
        committed = Committed()
        with self._store.begin() as tx:
            for incident_id, channel, reason in outbox.take_late_pages(tx, owed_before=tx.now - LATE_PAGE):
                message = f"THE PAGE for {channel} is late and is still tried: {reason or 'it waits for its turn'}"
                committed |= report_undelivered(tx, incident_id, channel, message, self._subscriptions)
        self._on_commit(committed)

    def try_refusing_channels(self) -> None:
        """A channel that refuses every message is tried again, and what it refused is sent when it takes it."""
        pagers = [one.name for one in self._subscriptions if MessageKind.PAGE in one.kinds]
        with self._store.begin() as tx:
            channels = revival.try_refusing_channels(tx, pagers)
        self._on_commit(Committed(channels=frozenset(channels)))

    def accept_doubted_alerts(self) -> None:
        """Accept an alert that was received firing after its end, if no second end has followed: it does fire.

        A sender that had lost track of the alert would not repeat the firing for hours. So such a firing is processed
        as if received now. If it was a late copy after all, its sender sends the end as well, at its next
        group_interval, and nobody has been paged until then (docs/decisions/0053).
        """
        with self._store.begin() as tx:
            alerts = tx.doubted_alerts(tx.now - DOUBT)
        groups: dict[tuple[str, str], list[Alert]] = {}
        for alert in alerts:
            groups.setdefault((alert.source, alert.group), []).append(alert)
        for (source, group), doubted in groups.items():  # together, so that a group is one line of its incident
            batch = AlertBatch(source=source, group=group, alerts=tuple(doubted))
            self._take(batch, lambda taken: logger.info("doubted alerts are believed", extra={"taken": str(taken)}))

    def look_at_due_incidents(self) -> None:
        """Page again for what fired again at once and still does, and end what flapped and has been quiet."""
        with self._store.begin() as tx:
            written = look_at_due_incidents(tx, self._quiet, self._subscriptions)
        self._on_commit(written)

    def watch_clock(self) -> None:
        """If the database's clock was set back, correct deadlines, so that nothing waits for the old time to come."""
        asked = time.monotonic()
        with self._store.begin() as tx:
            read = time.monotonic()
            at = tx.now.timestamp() - read
        if read - asked > clock_steps.TOLERANCE.total_seconds():
            return  # This process was held up between the two readings, which would look like a step of the clock.
        before, self._monotonic_at = self._monotonic_at, at
        back = timedelta(seconds=0 if before is None else before - at)
        if back > clock_steps.TOLERANCE:
            self._correct(back)

    def correct_deadlines(self) -> None:
        """Correct what another process stored while its clock, or the database's, was ahead."""
        self._correct(timedelta(0))

    def _correct(self, back: timedelta) -> None:
        """Bring deadlines back to their limits, and report it. `back`: how far the clock went back; zero if unknown."""
        with self._store.begin() as tx:
            found = clock_steps.correct_deadlines(tx, self._bounds, stepped=back > timedelta(0))
            now = tx.now
        if not found and not back:
            return
        logger.warning("the clock went back", extra={"by_s": round(back.total_seconds()), "pulled_back": dict(found)})
        self._on_commit(Committed(channels=frozenset(one.name for one in self._subscriptions)))
        batch = clock_went_back(now, back, found)
        self._take(batch, lambda taken: logger.info("the clock's step is told", extra={"taken": str(taken)}))

    def delete_old(self) -> None:
        with self._store.begin() as tx:
            outbox.delete_old(tx, paces_before=tx.now - _PACES_FOR, seen_before=tx.now - _SEEN_FOR)
            account_links.delete_old(tx, codes_before=tx.now - _CODES_FOR)
            account_messages.delete_old(tx, before=tx.now - _CODES_FOR)


class TickLoop:
    """Calls each tick at its interval of monotonic time, one call of each at a time, on APScheduler's threads.

    Ticks that are due together share a job, because each job wakes three threads, most of the work of an idle bot.
    A tick that hangs delays those behind it in its job until they are due again, in another job.
    """

    def __init__(self, ticks: Sequence[tuple[Callable[[], object], int]]) -> None:
        self._ticks = ticks
        self._stopping = threading.Event()
        # By default, APScheduler drops a job that is a second late.
        defaults = {"misfire_grace_time": None, "max_instances": 1}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
        self._pace = threading.Thread(target=self._keep_pace, name="ticks", daemon=True)
        self._running = [threading.Lock() for _ in ticks]  #: each is held while the tick at that place runs

    def start(self) -> None:
        self._scheduler.start()
        self._pace.start()

    def stop(self) -> None:
        """Start no more ticks, and wait for those that run."""
        self._stopping.set()
        if self._pace.is_alive():
            self._pace.join()
        if self._scheduler.running:
            # A job that is being taken while the scheduler is shut down is missed by it, which ends its thread with an
            # error. Jobs are taken at once, so there is nearly never one left.
            ends = time.monotonic() + _TAKEN_WITHIN_S
            while self._scheduler.get_jobs() and time.monotonic() < ends:
                time.sleep(_TAKEN_POLL_S)
            self._scheduler.shutdown(wait=True)

    def _keep_pace(self) -> None:
        began = time.monotonic()
        due = [began + seconds for _, seconds in self._ticks]
        while not self._stopping.wait(max(0.0, min(due) - time.monotonic())):
            now = time.monotonic()
            places = [place for place, at in enumerate(due) if now >= at]
            for place in places:
                due[place] = now + self._ticks[place][1]
            waiting = [place for place in places if not self._running[place].locked()]
            if waiting:
                # A job without a trigger runs once. Its time lies in the past, so that it never waits for a wall clock.
                self._scheduler.add_job(self._run, args=(waiting,), next_run_time=_LONG_AGO)

    def _run(self, places: Sequence[int]) -> None:
        for place in places:
            running = self._running[place]
            if running.acquire(blocking=False):  # else another job, not delayed by a tick that hangs, runs it
                try:
                    _guarded(self._ticks[place][0])()
                finally:
                    running.release()


def on_own_thread(name: str, works: Sequence[Callable[[], object]]) -> Callable[[], None]:
    """A tick that makes these calls one after the other on a thread of its own, and returns at once.

    For what asks outside systems: a call that hangs delays the others of its thread alone. While they go on, the tick
    does nothing. One that fails is logged, and does not keep the next from its turn.
    """
    running = threading.Lock()

    def act() -> None:
        try:
            for work in works:
                _guarded(work)()
        finally:
            running.release()

    def tick() -> None:
        if works and running.acquire(blocking=False):
            threading.Thread(target=act, name=name, daemon=True).start()

    return tick


def _guarded(tick: Callable[[], object]) -> Callable[[], None]:
    """A tick that fails is logged, and is called again at its next time."""

    def run() -> None:
        try:
            tick()
        except Unavailable as trouble:
            logger.warning("tick failed", extra={"tick": _name_of(tick), "why": str(trouble)})
        except Exception:
            logger.exception("tick failed", extra={"tick": _name_of(tick)})

    return run


def _name_of(tick: Callable[[], object]) -> str:
    """Of a partial, the name of what it calls."""
    called = getattr(tick, "func", tick)
    return str(getattr(called, "__qualname__", called))
