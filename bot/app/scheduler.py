"""All that time does: leases that ran out, pages that are late, records that nobody needs any more.

Every deadline is in a row, so a tick that two replicas make at once, or that a restart skipped, does no harm. The trap:
rows hold the time of day, and a clock can be put back. When a tick is due is decided by monotonic time, and deadlines
that lie too far ahead are pulled back (store/clock_steps.py). APScheduler runs the ticks, and is imported only here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from bot.access import break_glass_rules, identity
from bot.actions import intent, upkeep
from bot.alerts.intake import IntakeResult
from bot.alerts.internal import clock_went_back
from bot.core.alert import AlertBatch
from bot.core.incident import Committed, OnCommit
from bot.core.message import Subscription
from bot.incidents.undelivered import report_undelivered
from bot.notifications import sender
from bot.store import account_links, account_messages, clock_steps, outbox
from bot.store.clock_steps import DeadlineLimits
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)

#: How long a page may be owed before people hear of it on the other channels.
LATE_PAGE = timedelta(seconds=45)
#: Chats repeat for minutes or keep updates for a day, a pager retries for two.
_SEEN_FOR = timedelta(hours=72)
_PACES_FOR = timedelta(minutes=10)
#: So long whoever asked for a linking code can still be told what became of it.
_CODES_FOR = timedelta(days=30)
#: How often rows are looked through for deadlines that lie too far ahead.
_LOOK_THROUGH_S = 15
_BOUNDS = DeadlineLimits(
    send_lease=sender.LEASE,
    run_lease=intent.LEASE,
    retry=sender.LONGEST_RETRY,
    check=upkeep.CHECK_EVERY,
    report=sender.LONGEST_RETRY,
    code=identity.CODE_LIFETIME,
    lock=identity.LOCKED_FOR,
    break_glass=break_glass_rules.BREAK_GLASS_LASTS,
)
#: A time that has come, whatever the clock says.
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Scheduler:
    """Ticks until it is stopped. `on_commit` hears of what a tick made owed."""

    def __init__(
        self,
        store: Store,
        *,
        subscriptions: Sequence[Subscription],
        on_commit: OnCommit,
        take: Callable[[AlertBatch, Callable[[IntakeResult | Exception], None]], None],
        late_copy: timedelta,
        ticks: Sequence[tuple[Callable[[], object], int]] = (),
    ) -> None:
        """`ticks`: what others want to be called for, and every how many seconds."""
        self._store = store
        self._take = take
        self._late_copy = late_copy
        self._monotonic_at: float | None = None
        self._mouths = subscriptions
        self._told = on_commit
        self._ticks = TickLoop(
            (
                (self.watch_clock, 1),
                (self.correct_deadlines, _LOOK_THROUGH_S),
                (self.release_leases, 1),
                (self.report_late_pages, 5),
                (self.accept_doubted_alerts, 15),
                (self.delete_old, 60),
                *ticks,
            )
        )

    def start(self) -> None:
        """Look for what was stored while the clock was ahead, and tick. A database that is silent is asked later."""
        try:
            self._compare_with_the_log()
        except Unavailable as trouble:
            logger.warning("the clock is not compared with the audit log", extra={"why": str(trouble)})
        self._ticks.start()

    def stop(self) -> None:
        self._ticks.stop()

    def _compare_with_the_log(self) -> None:
        with self._store.begin() as tx:
            ahead = clock_steps.written_ahead(tx)
            self._monotonic_at = tx.now.timestamp() - time.monotonic()
        self._put_right(ahead)

    def release_leases(self) -> None:
        """What a dead sender held is owed again."""
        with self._store.begin() as tx:
            owing = outbox.release_expired(tx)
        self._told(Committed(channels=frozenset(owing)))

    def report_late_pages(self) -> None:
        """A pager that does not answer is told on every other channel."""
        written = Committed()
        with self._store.begin() as tx:
            for incident_id, channel, reason in outbox.take_late_pages(tx, owed_before=tx.now - LATE_PAGE):
                message = f"THE PAGE for {channel} is late and is still tried: {reason or 'it waits for its turn'}"
                written |= report_undelivered(tx, incident_id, channel, message, self._mouths)
        self._told(written)

    def accept_doubted_alerts(self) -> None:
        """An alert that was heard firing after its end, and of which no second end was heard since, does fire.

        A late copy's sender says the end as well, at its next group_interval; one that had lost sight of the alert
        does not, and would not repeat the firing for hours. So such a firing is taken as if it were heard now.
        """
        with self._store.begin() as tx:
            alerts = tx.doubted_alerts(tx.now - 2 * self._late_copy)
        for alert in alerts:
            delivered = AlertBatch(source=alert.source, group=alert.group, alerts=(alert,))
            self._take(delivered, lambda taken: logger.info("a doubted alert is believed", extra={"taken": str(taken)}))

    def watch_clock(self) -> None:
        """When the database's clock has been put back, nothing may wait for the hour that comes twice."""
        asked = time.monotonic()
        with self._store.begin() as tx:
            read = time.monotonic()
            at = tx.now.timestamp() - read
        if read - asked > clock_steps.TOLERANCE.total_seconds():
            return  # What held this process up between the two readings would look like a step.
        before, self._monotonic_at = self._monotonic_at, at
        back = timedelta(seconds=0 if before is None else before - at)
        if back > clock_steps.TOLERANCE:
            self._put_right(back)

    def correct_deadlines(self) -> None:
        """What another process stored while its clock, or the database's, was ahead."""
        self._put_right(timedelta(0))

    def _put_right(self, back: timedelta) -> None:
        """Pull deadlines back, and tell of it. `back`: how far the clock went back, zero where that is not known."""
        with self._store.begin() as tx:
            found = clock_steps.correct_deadlines(tx, _BOUNDS, stepped=back > timedelta(0))
            now = tx.now
        if not found and not back:
            return
        logger.warning("the clock went back", extra={"by_s": round(back.total_seconds()), "pulled_back": dict(found)})
        self._told(Committed(channels=frozenset(mouth.name for mouth in self._mouths)))
        delivered = clock_went_back(now, back, found)
        self._take(delivered, lambda taken: logger.info("the clock's step is told", extra={"taken": str(taken)}))

    def delete_old(self) -> None:
        with self._store.begin() as tx:
            outbox.delete_old(tx, paces_before=tx.now - _PACES_FOR, seen_before=tx.now - _SEEN_FOR)
            account_links.delete_old(tx, codes_before=tx.now - _CODES_FOR)
            account_messages.delete_old(tx, before=tx.now - _CODES_FOR)


class TickLoop:
    """Calls each tick every so many seconds of monotonic time, one call of each at a time, on APScheduler's threads.

    Ticks that are due together are one job, because each job wakes three threads, and an idle bot does little else.
    One that hangs holds up those behind it until their next time: then they are in another job.
    """

    def __init__(self, ticks: Sequence[tuple[Callable[[], object], int]]) -> None:
        self._ticks = ticks
        self._stopping = threading.Event()
        # By default a job that is a second late is dropped.
        defaults = {"misfire_grace_time": None, "max_instances": 1}
        self._scheduler = BackgroundScheduler(job_defaults=defaults, timezone="UTC")
        self._pace = threading.Thread(target=self._keep_pace, name="ticks", daemon=True)
        self._going = [threading.Lock() for _ in ticks]  #: held while the tick at that place runs

    def start(self) -> None:
        self._scheduler.start()
        self._pace.start()

    def stop(self) -> None:
        """Begin no more ticks, and wait for those that go on."""
        self._stopping.set()
        if self._pace.is_alive():
            self._pace.join()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def _keep_pace(self) -> None:
        began = time.monotonic()
        due = [began + seconds for _, seconds in self._ticks]
        while not self._stopping.wait(max(0.0, min(due) - time.monotonic())):
            now = time.monotonic()
            places = [place for place, at in enumerate(due) if now >= at]
            for place in places:
                due[place] = now + self._ticks[place][1]
            waiting = [place for place in places if not self._going[place].locked()]
            if waiting:
                # A job without a trigger runs once. Its time lies in the past, so that no clock makes it wait.
                self._scheduler.add_job(self._run, args=(waiting,), next_run_time=_LONG_AGO)

    def _run(self, places: Sequence[int]) -> None:
        for place in places:
            going = self._going[place]
            if going.acquire(blocking=False):  # else another job, which did not wait behind one that hangs, is at it
                try:
                    _guarded(self._ticks[place][0])()
                finally:
                    going.release()


def _guarded(tick: Callable[[], object]) -> Callable[[], None]:
    """The edge of the path: a tick that fails is logged, and the next one comes."""

    def run() -> None:
        try:
            tick()
        except Unavailable as trouble:
            logger.warning("tick failed", extra={"tick": tick.__name__, "why": str(trouble)})
        except Exception:
            logger.exception("tick failed", extra={"tick": tick.__name__})

    return run
