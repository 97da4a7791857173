"""One kind of periodic work on every store of backups, each store on a thread of its own.

The promise: a store whose engine does not answer holds up no other one, and costs one thread for each kind of work. It
is told: an alert says since when what that work would find is unknown. It ends when a call of that work has ended, in
whichever process; a call is alarmed about once, so that two replicas do not raise and end it in turns.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from bot.alerts import internal
from bot.app.scheduler import on_own_thread
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import BackupStore
from bot.lib.text import spell_moment

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkKind:
    """What is done, and what nobody knows while it is not. `limit`: a call that takes longer hangs."""

    thread: str
    alert: str  #: the alert's name, one of `internal.HANGING_WORK`
    unknown: str  #: "whether copies of drills are left behind"
    limit: timedelta


@dataclass(kw_only=True)
class _Turn:
    """The call for one store that goes on."""

    began: float
    began_at: datetime
    told: bool = False


@dataclass(kw_only=True)
class StoreWork:
    """Call `tick` periodically; it asks no engine itself."""

    kind: WorkKind
    work: Callable[[BackupStore], object]
    stores: Mapping[str, BackupStore]
    now: Callable[[], datetime]
    take: Callable[[AlertBatch], object]
    firing: Callable[[str], Sequence[Alert]]  #: the bot's own alerts whose group begins so
    clock: Callable[[], float] = monotonic
    _turns: dict[str, _Turn] = field(default_factory=dict)
    _known: dict[str, BackupStore] = field(default_factory=dict)  #: those whose engine was made
    _ticks: dict[str, Callable[[], None]] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._ticks = {
            name: on_own_thread(f"{self.kind.thread}-{name}", [partial(self._look_after, name)]) for name in self.stores
        }

    def tick(self) -> None:
        for name, begin in self._ticks.items():
            with self._lock:
                turn = self._turns.get(name)
            if turn is None:
                begin()
            elif not turn.told and self.clock() - turn.began >= self.kind.limit.total_seconds():
                turn.told = True
                self._tell(name, turn)

    def _look_after(self, name: str) -> None:
        """On the thread of that store, where its engine is made, too."""
        with self._lock:
            self._turns[name] = _Turn(began=self.clock(), began_at=self.now())
        try:
            store = self._known[name] = self.stores[name]
            self.work(store)
        finally:
            with self._lock:
                del self._turns[name]
        self._end(name)

    def _tell(self, name: str, turn: _Turn) -> None:
        said = f"The {self.kind.thread} call of {spell_moment(turn.began_at)} has not ended"
        logger.warning("work on a store of backups hangs", extra={"store": name, "work": self.kind.thread})
        store = self._known.get(name)
        if store is not None:  # else its engine is still being made, which the look at it tells
            message = f"{said}; {self.kind.unknown} is unknown since."
            self.take(internal.drill_trouble(store, self.kind.alert, message, self.now()))

    def _end(self, name: str) -> None:
        for alert in self.firing(internal.drill_group(name)):
            if alert.labels.get("store") == name and alert.labels["alertname"] == self.kind.alert:
                self.take(internal.ended(alert, self.now()))
