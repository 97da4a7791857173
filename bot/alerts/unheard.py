"""Alerts whose group has ended, and whose own end never came: they are asked about, and ended or kept with the reason.

Alertmanager leaves out of a notification what is silenced or inhibited. So when A, B and C fire, B is silenced, and A
and C end, the group says "resolved" and nothing about B, whether B fires on or not. Without this its incident stays
open for ever.

With the address of Alertmanager's API it is asked. What it still has is kept, with the reason on the card. What it does
not have in two answers a minute apart has ended: a single one may come from an Alertmanager that has just started and
knows no alert yet. Without an address, or without an answer, the group's word counts after `unheard_after`. If the
alert does fire, it is heard at the end of its silence, and reopens the incident.

The trap: no call to Alertmanager is made inside a transaction, so the incident may have changed when its answer is
there. `since` shows that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from msgspec.structs import replace

from bot.alerts.classification import AlertRules, named
from bot.alerts.ingest import ingest
from bot.core.alert import Alert, AlertBatch
from bot.core.alert_states import AlertStates
from bot.core.errors import Rejected
from bot.core.incident import Committed, Incident, OnCommit, Status
from bot.core.message import Subscription
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import KeepUnheard
from bot.lib.text import spell_list, spell_moment
from bot.store.engine import Store
from bot.store.transaction import Tx

EVERY_S = 15  #: Seconds between two ticks.
_ASK_AGAIN_S = 60.0
_MOST = 50  #: incidents of one tick
_NAMED = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found when an incident was last looked at."""

    since: datetime
    at: float
    absent: frozenset[str]  #: fingerprints that the source did not have


class UnheardAlerts:
    """`states`: None where no API is known. `clock`: monotonic seconds. Call `tick` periodically."""

    def __init__(
        self,
        store: Store,
        *,
        rules: AlertRules,
        subscriptions: Sequence[Subscription],
        on_commit: OnCommit,
        after: timedelta,
        states: AlertStates | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._rules = rules
        self._subscriptions = subscriptions
        self._on_commit = on_commit
        self._after = after
        self._states = states
        self._clock = clock
        self._looks: dict[int, _Look] = {}

    def tick(self) -> None:
        """Look at every incident with alerts that are not heard of."""
        now = self._store.now()
        with self._store.read() as reading:
            found = [(one, reading.firing_alerts(one.id)) for one in reading.unheard_incidents(_MOST)]
        self._looks = {one.id: self._looks[one.id] for one, _ in found if one.id in self._looks}
        for incident, alerts in found:
            self._look(incident, alerts, now)

    def _look(self, incident: Incident, alerts: Sequence[Alert], now: datetime) -> None:
        unheard = incident.course.unheard
        assert unheard is not None, "such incidents were asked for"
        overdue = now - unheard.since >= self._after
        why = f"not heard of since {spell_moment(unheard.since)}, when {incident.source} said that the group had ended"
        if self._states is None:
            if overdue:
                self._end(incident, alerts, why)
            return
        before = self._looks.get(incident.id)
        if before is not None and before.since != unheard.since:
            before = None
        if before is not None and self._clock() - before.at < _ASK_AGAIN_S:
            return
        try:
            known = self._states.states(alerts)
        except Rejected as trouble:
            logger.warning("unheard alerts could not be asked for", extra={"why": trouble.message})
            self._looks[incident.id] = _Look(unheard.since, self._clock(), frozenset())
            if overdue:
                self._end(incident, alerts, f"{why}, and {incident.source} could not be asked")
            return
        absent = frozenset(one.fingerprint for one in alerts if one.fingerprint not in known)
        gone = absent & before.absent if before else frozenset()
        self._looks[incident.id] = _Look(unheard.since, self._clock(), absent)
        if gone:
            self._end(incident, [one for one in alerts if one.fingerprint in gone], f"no longer in {incident.source}")
        elif known:
            self._keep(incident, self._reasons([one for one in alerts if one.fingerprint in known], known))

    def _end(self, incident: Incident, alerts: Sequence[Alert], why: str) -> None:
        with self._store.begin() as tx:
            if not _still_unheard(tx, incident):
                return
            batch = AlertBatch(
                source=incident.source,
                group=incident.key,
                alerts=tuple(replace(one, firing=False, ends_at=None) for one in alerts),
                because=f"{self._spelled(alerts)}: {why}.",
            )
            _, written = ingest(tx, batch, self._rules, self._subscriptions)
        self._on_commit(written)

    def _keep(self, incident: Incident, why: str) -> None:
        with self._store.begin() as tx:
            current = _still_unheard(tx, incident)
            if current is None:
                return
            change = lifecycle.change(current, KeepUnheard(source=current.source, why=why), now=tx.now)
            written = timeline.write(tx, [change], self._subscriptions)
        self._on_commit(written or Committed())

    def _reasons(self, alerts: Iterable[Alert], known: Mapping[str, str]) -> str:
        said = dict.fromkeys(f"{named(one, self._rules.place_order)} {known[one.fingerprint]}" for one in alerts)
        return _first(said)

    def _spelled(self, alerts: Iterable[Alert]) -> str:
        return _first(dict.fromkeys(named(one, self._rules.place_order) for one in alerts))


def _first(texts: Iterable[str]) -> str:
    listed = list(texts)
    more = len(listed) - _NAMED
    return spell_list([*listed[:_NAMED], *([f"{more} more"] if more > 0 else [])], "and")


def _still_unheard(tx: Tx, incident: Incident) -> Incident | None:
    """The incident as it is now; None when something was heard of it meanwhile."""
    current = tx.incident(incident.id)
    if current is None or current.status is Status.RESOLVED or current.course.unheard is None:
        return None
    before = incident.course.unheard
    return current if before is not None and current.course.unheard.since == before.since else None
