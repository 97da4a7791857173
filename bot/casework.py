"""What people may do to incidents inside of one transaction: a wish, granted or refused, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot import incidents, story
from bot.model import Ask, Event, Incident, Severity, What
from bot.owing import Mouth
from bot.ports import Rejected
from bot.store.reading import Reading
from bot.store.tx import Tx
from bot.story import Written
from bot.wishes import Acked, Assigned, Noted, Paged, Raised, Reopened, Resolved, Weighed, Wish

#: How far a platform's clock and ours may lie apart.
_CLOCKS_DIFFER = timedelta(seconds=30)
_TITLE = 200


class Casework:
    """The part of `ports.Desk` that is about incidents. `written`: what the transaction holds of it."""

    def __init__(self, tx: Tx, mouths: Sequence[Mouth]) -> None:
        self._tx = tx
        self._mouths = mouths
        self.written = Written()

    def incident(self, incident_id: int) -> Incident:
        found = self._tx.incident(incident_id)
        if found is None:
            raise Rejected(f"Incident {incident_id} does not exist. Nothing was done.", code="no_incident", status=404)
        return found

    def unresolved(self, limit: int) -> Sequence[Incident]:
        return self._tx.unresolved(limit)

    def acknowledge(self, incident: Incident, ask: Ask) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Acked(by=ask.by.id, name=ask.by.called, via=ask.place, human=ask.by.human))

    def resolve(self, incident: Incident, ask: Ask) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Resolved(by=ask.by.id, name=ask.by.called, via=ask.place))

    def note(self, incident: Incident, ask: Ask, text: str) -> Incident:
        return self._change(incident, Noted(by=ask.by.id, name=ask.by.called, via=ask.place, text=text))

    def reopen(self, incident: Incident, ask: Ask, because: str) -> Incident:
        self._check_age(incident, ask)
        group = (incident.source, incident.key)
        newest = self._tx.look([], [group]).newest[group]
        if newest.id != incident.id:
            raise Rejected(
                f"Incident {newest.id} is of the same alerts and newer. Nothing was done. Look at that one.",
                code="newer_incident",
                status=409,
            )
        return self._change(incident, Reopened(by=ask.by.id, name=ask.by.called, via=ask.place, because=because))

    def assign(self, incident: Incident, ask: Ask, person: str) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Assigned(by=ask.by.id, name=ask.by.called, via=ask.place, to=person))

    def weigh(self, incident: Incident, ask: Ask, severity: Severity) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Weighed(by=ask.by.id, name=ask.by.called, via=ask.place, severity=severity))

    def page(self, ask: Ask, text: str, *, service: str | None = None, about: Incident | None = None) -> Incident:
        title = " ".join(text.split())[:_TITLE] + (f" (about #{about.id})" if about else "")
        wish = Raised(by=ask.by.id, name=ask.by.called, via=ask.place, title=title, service=service)
        change = incidents.raised(self._tx.reserve("incident"), wish, now=self._tx.now)
        self.written |= story.write(self._tx, [change], self._mouths)
        page = change.incident
        if about is not None:
            self._change(about, Paged(by=ask.by.id, name=ask.by.called, via=ask.place, text=text, page=page.id))
        return page

    def firing(self, incident: Incident, limit: int) -> Sequence[str]:
        found = Reading(self._tx.sql).alerts(incident.id, limit)
        return [one.labels.get("alertname") or "(no alertname)" for one in found if one.firing]

    def notes(self, incident: Incident, limit: int) -> Sequence[Event]:
        told = [event for _, event in Reading(self._tx.sql).events(incident.id)]
        return [event for event in told if event.what is What.NOTED][-limit:]

    def _check_age(self, incident: Incident, ask: Ask) -> None:
        """A platform may deliver an act hours late; one that was meant for an earlier opening is not for this one."""
        began = self._tx.began(incident.id)
        if ask.said_at is not None and began is not None and ask.said_at < began - _CLOCKS_DIFFER:
            raise Rejected(
                f"That was said {ask.said_at:%H:%M} UTC, before incident {incident.id} opened again {began:%H:%M} UTC."
                " Nothing was done. Say it again if it still holds.",
                code="said_before",
                status=409,
            )

    def _change(self, incident: Incident, wish: Wish) -> Incident:
        change = incidents.change(incident, wish, now=self._tx.now)
        self.written |= story.write(self._tx, [change], self._mouths)
        return change.incident
