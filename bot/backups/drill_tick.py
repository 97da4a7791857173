"""The scheduler's part of drills: begins those that are due, notes those that were missed, tells how they ended.

The promise: in an opening of its windows a store is drilled once, by one of the replicas: a run holds the drill of its
store, and asks the rows again once it does. A result is posted at least once: one that a channel has not taken, or
whose process died while it was posted, comes again. An alarm is an incident of the bot's own, raised from the rows
alone, so that a restart neither forgets nor repeats it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bot.alerts import internal
from bot.backups import sentinel
from bot.backups.drill import write_sentinel
from bot.backups.drill_report import DRILL_ALARMS, describe, drill_alarm
from bot.backups.drill_schedule import due, missed_drill
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import BackupRecords, BackupStore, Drill, SentinelEngine
from bot.core.channel import Messenger
from bot.core.errors import Rejected, Undelivered
from bot.core.request import Reply

logger = logging.getLogger(__name__)

EVERY_S = 60  #: Seconds between two ticks.
#: A drill that could not begin is asked for again after this, while its window is open.
_AGAIN_AFTER = timedelta(minutes=10)
#: A result that no channel has taken, or whose process died while it was posted, is posted again after this.
_POST_AGAIN_AFTER = timedelta(minutes=10)
#: So long after its end a result is news.
_POSTED_WITHIN = timedelta(days=1)
#: Rows that are read of a store: more than a chart shows.
_ROWS = 40


class DrillRecords(BackupRecords, Protocol):
    """The rows, with the claim of a post."""

    def claim_telling(self, drill: Drill, at: datetime) -> bool: ...
    def note_told(self, run: str, channels: Sequence[str], at: datetime | None) -> None: ...


@dataclass(kw_only=True)
class DrillTick:
    """`look_after` is called for each store, one call of a store at a time."""

    records: DrillRecords
    now: Callable[[], datetime]
    begin: Callable[[str, str], Reply]  #: `Dispatcher.run_scheduled`: the command, and why
    take: Callable[[AlertBatch], object]
    firing: Callable[[str], Sequence[Alert]]  #: the bot's own alerts whose group begins so
    messengers: Mapping[str, Messenger]
    observe: Callable[[Drill], object] = lambda _: None  #: called once for each drill that has ended
    _since: datetime | None = None
    _asked: dict[str, datetime] = field(default_factory=dict)
    _refused: dict[str, str] = field(default_factory=dict)  #: store -> why its drill could not begin

    def look_after(self, store: BackupStore) -> None:
        self._since = self._since or self.now()
        self._schedule(store, self._since)
        drills = self.records.list_drills(store.name, _ROWS)
        self._tell(store, drills)
        self._alarm(store, drills)

    def keep_sentinel(self, store: BackupStore) -> None:
        """Write a token where it is time for one."""
        if not store.drill.every or not store.drill.sentinel or not isinstance(store.engine, SentinelEngine):
            return
        now = self.now()
        # One that is dated ahead would never be old enough, nor young enough.
        newest = max((at for at in self.records.sentinels(store.name).values() if at <= now), default=None)
        if newest is not None and now - newest < sentinel.interval(store):
            return
        try:
            write_sentinel(store, self.records, sentinel.token_of(store.name, now), self.now)
        except Rejected as trouble:
            logger.warning("a sentinel is not written", extra={"store": store.name, "why": trouble.message})

    def _schedule(self, store: BackupStore, since: datetime) -> None:
        now = self.now()
        wanted = due(store.name, store.drill, self.records.list_drills(store.name, _ROWS), since=since, now=now)
        if wanted.missed is not None:
            reason = self._refused.pop(store.name, "No drill began in its window; the bot was down, or held up.")
            self.records.put_drill(missed_drill(store, wanted.missed, reason))
        asked = self._asked.get(store.name)
        if wanted.begin and (asked is None or abs(now - asked) >= _AGAIN_AFTER):
            self._asked[store.name] = now
            reply = self.begin(f"drill {store.name}", "its time has come")
            if not reply.ok:
                self._refused[store.name] = reply.text

    def _tell(self, store: BackupStore, drills: Sequence[Drill]) -> None:
        for drill in reversed(drills):
            if drill.finished_at is None or drill.told_at is not None:
                continue
            now = self.now()
            if drill.telling_at is not None and abs(now - drill.telling_at) < _POST_AGAIN_AFTER:
                continue
            if self.records.claim_telling(drill, now):
                if drill.telling_at is None:
                    self.observe(drill)
                earlier = [one for one in drills if one.began_at <= drill.began_at]
                taken = self._post(store, describe(drill, earlier, store), [*drill.told_in])
                over = len(taken) == len(self.messengers) or abs(now - drill.finished_at) >= _POSTED_WITHIN
                self.records.note_told(drill.run, taken, now if over else None)

    def _post(self, store: BackupStore, text: str, taken: list[str]) -> list[str]:
        """Post it in the channels that have not taken it; returns those that have."""
        for name, messenger in self.messengers.items():
            if name in taken:
                continue
            try:
                messenger.post(text, None)
            except Undelivered as trouble:
                logger.warning(
                    "the result of a drill is not posted",
                    extra={"store": store.name, "channel": name, "why": trouble.message},
                )
            else:
                taken.append(name)
        return [name for name in taken if name in self.messengers]

    def _alarm(self, store: BackupStore, drills: Sequence[Drill]) -> None:
        """Raise what is wrong, and end what is not wrong any more."""
        now, wrong = self.now(), drill_alarm(drills, store.drill, self.now())
        fires = {
            one.labels["alertname"]: one
            for one in self.firing(internal.drill_group(store.name))
            if one.labels.get("store") == store.name and one.labels["alertname"] in DRILL_ALARMS
        }
        for name, alert in fires.items():
            if wrong is None or wrong.name != name:
                self.take(internal.ended(alert, now))
        if wrong is not None and wrong.name not in fires:
            self.take(internal.drill_trouble(store, wrong.name, wrong.message, now, critical=wrong.critical))
