"""Looks at every store of backups every few minutes, and raises and ends the bot's own alerts about what it finds.

The promise: no store waits for another one. Each look has a thread of its own and a time limit; at most one look of a
store goes on at a time, so an engine that hangs costs one thread. What is not known is never ok: a store that cannot be
read keeps its alerts, and gets one of its own.

What fires is read from the database and not remembered, so that an alert ends after a restart as well, when the store
is gone from the settings, and once, however many replicas there are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from bot.alerts import internal
from bot.alerts.answer_deadline import Done, IntakeResult
from bot.alerts.internal import BackupTrouble
from bot.backups import describe, judging, looking
from bot.backups.judging import Fault, StoreFinding, StoreReport
from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.backup import Backups, BackupStore, StoreLook
from bot.lib.text import spell_briefly
from bot.store.engine import Unavailable

EVERY_S = 30  #: Seconds between two ticks.
#: A look that takes longer has failed; its thread goes on until the engine's own limits end it.
_LOOK_LIMIT_S = 180.0
#: A store that cannot be read may have no new backup for so long before it alarms; at least its RPO.
_UNREADABLE_FOR = timedelta(hours=1)
#: A trouble that a person has resolved and that goes on is raised again after this.
_AGAIN = timedelta(hours=4)

logger = logging.getLogger(__name__)

Trouble = tuple[str, str]  #: (the alert's name, store)
Observe = Callable[[StoreReport, datetime], None]
#: Starts that function on a thread of its own, with that name.
Start = Callable[[Callable[[], None], str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlarmKind:
    """How the bot tells of a fault. `pages`: it wakes somebody."""

    name: str
    severity: Severity
    pages: bool


#: The faults that open an incident. All others are shown by `backups`.
ALARMS: Mapping[Fault, AlarmKind] = {
    Fault.NOTHING_USABLE: AlarmKind(name="BackupTooOld", severity=Severity.CRITICAL, pages=True),
    Fault.WAL_GAP: AlarmKind(name="BackupLogGap", severity=Severity.CRITICAL, pages=True),
    Fault.UNREADABLE: AlarmKind(name="BackupUnknown", severity=Severity.ERROR, pages=True),
    Fault.LATE: AlarmKind(name="BackupLate", severity=Severity.WARNING, pages=False),
    Fault.NEVER_DRILLED: AlarmKind(name="BackupNotDrilled", severity=Severity.WARNING, pages=False),
    Fault.DRILL_OVERDUE: AlarmKind(name="BackupNotDrilled", severity=Severity.WARNING, pages=False),
}
#: These are found without reading the store.
_ALWAYS_KNOWN = frozenset({ALARMS[Fault.UNREADABLE].name, ALARMS[Fault.NEVER_DRILLED].name})
#: Why an alert ends whose store was removed.
GONE = "its store is not in the settings any more"


def start_thread(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class Freshness:
    """Call `tick` periodically.

    Args:
        take: `Intake.take`.
        firing: the alerts of these groups that fire, as the database has them.
        observe: called with each report, for the metrics.
    """

    def __init__(
        self,
        backups: Backups,
        *,
        now: Callable[[], datetime],
        look_every: timedelta,
        take: Callable[[AlertBatch, Done], None],
        firing: Callable[[], Sequence[Alert]],
        observe: Observe,
        start: Start = start_thread,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._backups = backups
        self._now = now
        self._look_every = look_every
        self._take = take
        self._firing = firing
        self._observe = observe
        self._start = start
        self._clock = clock
        self._lock = threading.Lock()
        self._looking: dict[str, float] = {}  #: the stores that are looked at, since when by `clock`
        self._given_up: set[str] = set()  #: those of them that were recorded as failed
        self._stores: dict[str, BackupStore] = {}  #: those that this process has looked at
        self._raised: dict[Trouble, datetime] = {}
        self._ended: dict[Trouble, datetime] = {}

    def tick(self) -> None:
        """Begin the looks that are due, and judge what is known. Calls no engine itself."""
        for name in self._backups.stores:
            self._look_if_due(name)
        now = self._now()
        reports = [self._report(name, now) for name in self._backups.stores if name in self._stores]
        self._tell(reports, now)

    def _look_if_due(self, name: str) -> None:
        with self._lock:
            began = self._looking.get(name)
        if began is not None:
            self._give_up_if_late(name, began)
            return
        last = self._backups.records.get_look(name)
        if (
            name in self._stores
            and last is not None
            and last.looked_at <= self._now() < last.looked_at + self._look_every
        ):
            return
        with self._lock:
            self._looking[name] = self._clock()
        self._start(lambda: self._look(name, last), f"look-{name}")

    def _look(self, name: str, last: StoreLook | None) -> None:
        """One look, on a thread of its own. Whatever ends it, the look has failed and is stored as such."""
        found = None
        try:
            store = self._backups.stores[name]
            found = looking.look_at(store, last, self._now)
            self._stores[name] = store
        finally:
            if found is None:
                found = looking.failed(
                    name, "its engine failed in a way that nobody expected; see the log", last, self._now()
                )
            with suppress(Unavailable):  # the next look is stored, or the store is unknown after an hour
                self._backups.records.put_look(found)
            with self._lock:
                self._looking.pop(name, None)
                self._given_up.discard(name)

    def _give_up_if_late(self, name: str, began: float) -> None:
        if self._clock() - began < _LOOK_LIMIT_S or name in self._given_up:
            return
        with self._lock:
            self._given_up.add(name)
        logger.warning("a look at a store of backups does not end", extra={"store": name})
        problem = f"it did not answer within {spell_briefly(timedelta(seconds=_LOOK_LIMIT_S))}"
        last = self._backups.records.get_look(name)
        self._backups.records.put_look(looking.failed(name, problem, last, self._now()))

    def _report(self, name: str, now: datetime) -> StoreReport:
        records = self._backups.records
        drills = records.list_drills(name, judging.DRILLS_JUDGED)
        report = judging.judge(self._stores[name], records.get_look(name), drills, now)
        self._observe(report, now)
        return report

    def _tell(self, reports: Sequence[StoreReport], now: datetime) -> None:
        """Raise what is new or says something new, and end what is over."""
        firing = {(one.labels.get("alertname", ""), one.labels.get("store", "")): one for one in self._firing()}
        wanted = {(one.name, one.store): (one, since) for report in reports for one, since in _troubles(report, now)}
        for trouble, (told, since) in wanted.items():
            self._raise(trouble, told, since, firing.get(trouble), now)
        known = {report.store: report.known for report in reports}
        for name, store in [one for one in self._raised if one not in wanted and known.get(one[1])]:
            del self._raised[name, store]  # over, although a person had resolved it before
        for (name, store), alert in firing.items():
            if (name, store) in wanted:
                continue
            if store not in self._backups.stores:
                self._end(alert, now, because=GONE)
            elif store in known and (known[store] or name in _ALWAYS_KNOWN):
                self._end(alert, now)

    def _raise(
        self, trouble: Trouble, told: BackupTrouble, since: datetime | None, firing: Alert | None, now: datetime
    ) -> None:
        if firing is None:
            before = self._raised.get(trouble)
            if before is not None and abs(now - before) < _AGAIN:
                return  # a person has resolved it, or it is about to be stored
            ended = self._ended.pop(trouble, None)
            begins = now if since is None or since > now or (ended is not None and since <= ended) else since
            batch = internal.backup_trouble(told, begins)
        else:
            batch = internal.backup_trouble(told, firing.starts_at)
            if batch.alerts[0].annotations == firing.annotations:
                self._raised[trouble] = now
                return
        self._raised[trouble] = now
        self._take(batch, self._unless_stored(trouble))

    def _unless_stored(self, trouble: Trouble) -> Done:
        def done(taken: IntakeResult | Exception) -> None:
            if isinstance(taken, Exception):
                self._raised.pop(trouble, None)  # the next tick tries again

        return done

    def _end(self, alert: Alert, now: datetime, *, because: str = "") -> None:
        trouble = (alert.labels.get("alertname", ""), alert.labels.get("store", ""))
        self._raised.pop(trouble, None)
        self._ended[trouble] = now
        self._take(internal.ended(alert, now, because), _ignore)


def _ignore(taken: IntakeResult | Exception) -> None:
    """While it is not stored, the alert fires on, and the next tick ends it again."""


def _troubles(report: StoreReport, now: datetime) -> Iterator[tuple[BackupTrouble, datetime | None]]:
    """What a report alarms about, and since when. Of two faults with the same alert the first counts."""
    names: set[str] = set()
    for one in report.findings:
        kind = ALARMS.get(one.fault)
        if kind is None or kind.name in names or not _lasts(one, report, now):
            continue
        names.add(kind.name)
        told = BackupTrouble(
            name=kind.name,
            store=report.store,
            service=report.service,
            severity=kind.severity,
            pages=kind.pages,
            text=one.text,
            todo=f"{describe.todo_of(one.fault, report.store)} `backups {report.store}` shows all that is known.",
        )
        yield told, one.since


def _lasts(one: StoreFinding, report: StoreReport, now: datetime) -> bool:
    """Whether it is time to alarm: a store may fail to answer for a while; what was read before is no news."""
    if one.fault is not Fault.UNREADABLE:
        return report.known or ALARMS[one.fault].name in _ALWAYS_KNOWN
    return one.since is not None and now - one.since > max(report.rpo, _UNREADABLE_FOR)
