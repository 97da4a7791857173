"""`context.incidents`: a person's operations on incidents, in the request's one transaction.

Each call applies a transition (`lifecycle.change` may refuse it), and stores the change with its events and outbox
messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypedDict

from bot.core.alert import Severity
from bot.core.errors import Rejected
from bot.core.incident import Committed, EventType, Incident, Status
from bot.core.message import MessageKind, SentAgain, Subscription
from bot.core.request import Request
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import (
    Acknowledge,
    ActionReported,
    AddNote,
    Assign,
    OpenIncident,
    PageSomeone,
    Reopen,
    Resolve,
    SetSeverity,
    Transition,
    Unacknowledge,
)
from bot.notifications import revival
from bot.store import dead_messages, incident_lists, outbox
from bot.store.transaction import Tx

#: The largest difference between a platform's clock and ours.
_CLOCK_SKEW = timedelta(seconds=30)
_TITLE, _ABOUT = 200, 100


class _By(TypedDict):
    """The fields that every transition by a person has."""

    by: str
    name: str
    via: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the service takes from the settings."""

    #: The places of alerts with these labels, which an acknowledgement covers.
    places_of: Callable[[Iterable[Mapping[str, str]]], tuple[str, ...]] = lambda _: ()
    names: Mapping[str, str] = field(default_factory=dict)  #: person's id -> name, for the timeline


NOTHING_KNOWN = Known()


class IncidentService:
    """Implements `command.IncidentOperations` for one request."""

    def __init__(
        self,
        tx: Tx,
        request: Request,
        subscriptions: Sequence[Subscription],
        add_written: Callable[[Committed], None],
        known: Known = NOTHING_KNOWN,
    ) -> None:
        """`add_written`: called with what each change has written, to act on it after the commit."""
        self._names = known.names
        self._places_of = known.places_of
        self._tx = tx
        self._request = request
        self._by: _By = {"by": request.by.id, "name": request.by.display_name, "via": request.channel}
        self._subscriptions = subscriptions
        self._add_written = add_written
        #: Whether it tells of something that has happened in a pager already, with its effects there.
        self._in_pager = any(one.name == request.channel and MessageKind.PAGE in one.kinds for one in subscriptions)

    def get(self, incident_id: int) -> Incident:
        found = self._tx.incident(incident_id)
        if found is None:
            raise Rejected(f"Incident {incident_id} does not exist. Nothing was done.", code="no_incident", status=404)
        return found

    def list_unresolved(self, limit: int) -> Sequence[Incident]:
        """The most severe first: cut at `limit`, a list of the newest could hide an older critical one."""
        return incident_lists.by_severity(self._tx.sql, limit)

    def acknowledge(self, incident: Incident) -> Incident:
        """An acknowledgement of an older page counts if a person made it; the current page is acknowledged as well."""
        self._check_age(incident)
        older, human = self._is_about_older_page(incident), self._request.by.human
        if older and not human:
            raise _about_older_page(incident)
        by: _By = {**self._by, "via": ""} if older else self._by
        places, owner = self._places(incident), self._owner_name(incident)
        return self._change(incident, Acknowledge(**by, human=human, places=places, owner_name=owner))

    def unacknowledge(self, incident: Incident, reason: str) -> Incident:
        self._check_age(incident)
        if self._in_pager and self._was_taken_since(incident):
            return self.add_note(incident, reason) if reason else incident
        # An acknowledgement that is still on its way there would silence what the pager pages now.
        silenced = self._in_pager and outbox.is_unsent(self._tx, self._request.channel, incident.page_key)
        owner, again = self._owner_name(incident), silenced or not self._in_pager
        return self._change(incident, Unacknowledge(**self._by, because=reason, page_again=again, owner_name=owner))

    def resolve(self, incident: Incident) -> Incident:
        self._check_age(incident)
        if self._is_about_older_page(incident):
            raise _about_older_page(incident)
        if self._in_pager and not self._request.by.human:
            self._check_echo(incident)
        return self._change(incident, Resolve(**self._by, human=self._request.by.human, in_pager=self._in_pager))

    def add_note(self, incident: Incident, text: str) -> Incident:
        return self._change(incident, AddNote(**self._by, text=text))

    def reopen(self, incident: Incident, reason: str) -> Incident:
        self._check_age(incident)
        group = (incident.source, incident.key)
        newest = self._tx.find_alerts([], [group]).newest[group]
        if newest.id != incident.id:
            raise Rejected(
                f"Incident {newest.id} is newer and of the same alerts. Nothing was done. Use that one.",
                code="newer_incident",
                status=409,
            )
        return self._change(incident, Reopen(**self._by, because=reason))

    def assign(self, incident: Incident, person: str, reason: str) -> Incident:
        self._check_age(incident)
        if self._in_pager and self._was_taken_since(incident):
            return self.add_note(incident, reason) if reason else incident
        places = self._places(incident)
        given = Assign(
            **self._by,
            to=person,
            to_name=self._names.get(person, ""),
            owner_name=self._owner_name(incident),
            because=reason,
            in_pager=self._in_pager,
            places=places,
        )
        return self._change(incident, given)

    def set_severity(self, incident: Incident, severity: Severity) -> Incident:
        self._check_age(incident)
        return self._change(incident, SetSeverity(**self._by, severity=severity))

    def page(self, text: str, *, service: str | None = None, about: Incident | None = None) -> Incident:
        title = " ".join(text.split())[:_TITLE] + (_about(about) if about else "")
        opening = OpenIncident(**self._by, title=title, service=service)
        change = lifecycle.opened_by_person(self._tx.reserve("incident"), opening, now=self._tx.now)
        self._add_written(timeline.write(self._tx, [change], self._subscriptions))
        page = change.incident
        if about is not None:
            self._change(about, PageSomeone(**self._by, text=text, page=page.id))
        return page

    def resend(self, incident: Incident) -> Sequence[SentAgain]:
        again = [
            revival.send_again(self._tx, incident, channel, refused_only=False)
            for channel in dead_messages.dead_channels(self._tx, incident.id)
        ]
        self._add_written(Committed(channels=frozenset(one.channel for one in again if one)))
        called = {one.name: one.display_name for one in self._subscriptions}
        return [replace(one, called=called.get(one.channel, "")) for one in again]

    def report_action(self, incident: Incident, message: str, *, done: bool) -> None:
        """Add the result of an action that was requested there to the timeline."""
        event_type = EventType.ACTION_DONE if done else EventType.ACTION_NOT_DONE
        self._change(
            incident, ActionReported(type=event_type, by=self._request.by.id, text=message, via=self._request.channel)
        )

    def _owner_name(self, incident: Incident) -> str:
        return self._names.get(incident.owner or "", "")

    def _places(self, incident: Incident) -> tuple[str, ...]:
        """Where its alerts fire now."""
        return self._places_of(self._tx.firing_labels(incident.id)) if incident.firing else ()

    def _check_age(self, incident: Incident) -> None:
        """Refuse a request from before the incident was opened again: a platform may deliver it hours late."""
        sent_at, began = self._request.sent_at, self._not_ahead(self._tx.opened_at(incident.id))
        if sent_at is not None and began is not None and sent_at < began - _CLOCK_SKEW:
            raise Rejected(
                f"That was sent at {sent_at:%H:%M} UTC, before incident {incident.id} opened again at {began:%H:%M}"
                " UTC. Nothing was done. Send it again if you still want it.",
                code="said_before",
                status=409,
            )

    def _is_about_older_page(self, incident: Incident) -> bool:
        """Whether a further page was opened since the one that the pager tells of."""
        page_key = self._request.page_key
        return bool(page_key) and incident.page_number_of(page_key) != incident.pages

    def _was_taken_since(self, incident: Incident) -> bool:
        """Whether somebody acknowledged it after what the pager tells of: their word is on its way to the pager."""
        sent_at, taken_at = self._request.sent_at, self._not_ahead(self._tx.acknowledged_at(incident.id))
        return incident.status is Status.ACKED and sent_at is not None and taken_at is not None and sent_at < taken_at

    def _not_ahead(self, at: datetime | None) -> datetime | None:
        """None where it lies ahead: the clock has gone back since, and it says nothing about what was sent after it."""
        return None if at is not None and at > self._tx.now + _CLOCK_SKEW else at

    def _check_echo(self, incident: Incident) -> None:
        """Refuse what may be the echo of our own resolve, from before it paged again: it would silence that page."""
        sent_at, paged_at = self._request.sent_at, outbox.last_paged_at(self._tx, incident.id, self._request.channel)
        if sent_at is None or (paged_at is not None and sent_at < paged_at + _CLOCK_SKEW):
            raise Rejected(
                f"The pager resolved incident {incident.id} by itself right after it was sent a page. Nothing was done:"
                " that may be the echo of an older resolve.",
                code="echo",
                status=409,
            )

    def _change(self, incident: Incident, transition: Transition) -> Incident:
        change = lifecycle.change(incident, transition, now=self._tx.now)
        self._add_written(timeline.write(self._tx, [change], self._subscriptions))
        return change.incident


def _about(incident: Incident) -> str:
    """What a page is about, for whoever is woken by it and has not seen that incident."""
    return f" (about #{incident.id} {incident.title.partition(': ')[0][:_ABOUT]})"


def _about_older_page(incident: Incident) -> Rejected:
    since = f"page {incident.pages} was opened since"
    message = f"That is about an older page of incident {incident.id}; {since}. Nothing was done."
    return Rejected(message, code="older_page", status=409)
