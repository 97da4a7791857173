"""Read-only queries of the board, the API, the health checks and the answers of commands. Nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bot.core.alert import Alert, AlertView
from bot.core.incident import Event, EventType, Incident, Status, first_page_key_of
from bot.core.message import MessageKind
from bot.store.incident_lists import RANK, UNRESOLVED
from bot.store.rows import SELECT_ALERT, SELECT_INCIDENT, alert_of, incident_of
from bot.store.sql import Row, Sql
from bot.store.times import moment, moment_or_none

#: Of one group's incidents the newest so many are searched for the one that had a certain page.
_MOST_OF_GROUP = 100
#: How many incidents are looked at for the services that are known.
_NEWEST = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryView:
    """One delivery and its state: owed, leased (being sent), sent or dead, and the reason if it failed or has to wait.

    `next_try_at`: None where none is planned, or it goes in its turn.
    """

    id: int
    channel: str
    kind: MessageKind
    what: EventType | None  #: the event it reports; None for a card
    state: str
    owed_at: datetime
    sent_at: datetime | None
    attempts: int
    not_before: datetime
    next_try_at: datetime | None
    said: str
    ref: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnIncidents:
    """The worst of a person's unresolved incidents."""

    incidents: tuple[Incident, ...]
    count: int  #: how many unresolved incidents the person has
    unresolved: int  #: how many unresolved incidents there are in all


class Reader:
    """Queries on one snapshot of the database."""

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    def ping(self) -> None:
        self.sql.run("SELECT 1")

    def incidents(self, *, status: Status | None = None, limit: int = 50, before: int | None = None) -> list[Incident]:
        """Newest first. `before`: only ids below it, which is how the next page is asked for."""
        where, values = ["i.id < ?"], [before if before is not None else 2**62]
        if status is Status.RESOLVED:
            where.append("i.status = 'resolved'")
        elif status is not None:
            where.append(f"i.status <> 'resolved' AND i.status = '{status}'")
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE {' AND '.join(where)} ORDER BY i.id DESC LIMIT ?",
            *values,
            limit,
        )
        return [incident_of(row) for row in rows]

    def incident(self, incident_id: int) -> Incident | None:
        row = self.sql.row(f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.id = ?", incident_id)
        return None if row is None else incident_of(row)

    def paged_as(self, page_key: str) -> int | None:
        """The newest incident that was paged with that dedup_key, be it of its first page or of a later one."""
        first = first_page_key_of(page_key)
        if first == page_key:
            found: int | None = self.sql.scalar("SELECT max(id) FROM incident WHERE page_key = ?", page_key)
            return found
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.page_key = ? ORDER BY i.id DESC LIMIT ?",
            first,
            _MOST_OF_GROUP,
        )
        return next((one.id for one in map(incident_of, rows) if one.page_number_of(page_key)), None)

    def standing_at(self, channel: str, ref: str) -> int | None:
        """The incident whose card has that reference in that channel."""
        found: int | None = self.sql.scalar(
            "SELECT incident_id FROM delivery WHERE channel = ? AND ref = ? AND kind = 'card' LIMIT 1", channel, ref
        )
        return found

    def alerts(self, incident_id: int, limit: int = 500) -> list[AlertView]:
        """Firing ones first, then ordered by their start."""
        return alerts_of(self.sql, incident_id, limit)

    def unheard_incidents(self, limit: int) -> list[Incident]:
        """Unresolved incidents with alerts that are not heard of (`Course.unheard`), oldest first."""
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} {UNRESOLVED} AND i.course <> '' AND i.course LIKE ? ORDER BY i.id LIMIT ?",
            '%"unheard":{%',
            limit,
        )
        return [incident_of(row) for row in rows]

    def firing_alerts(self, incident_id: int, limit: int = 500) -> list[Alert]:
        """As they were heard, in the order of their start."""
        rows = self.sql.rows(
            f"SELECT {SELECT_ALERT} WHERE a.incident_id = ? AND a.firing = 1 ORDER BY a.starts_at, a.id LIMIT ?",
            incident_id,
            limit,
        )
        return [alert_of(row) for row in rows]

    def firing_in_groups(self, source: str, prefix: str, limit: int = 500) -> list[Alert]:
        """Firing alerts of that source's unresolved incidents whose group's key begins with `prefix`."""
        rows = self.sql.rows(
            f"SELECT {SELECT_ALERT} WHERE a.firing = 1 AND i.status <> 'resolved' AND i.source = ?"
            " AND substr(i.key, 1, ?) = ? ORDER BY a.id LIMIT ?",
            source,
            len(prefix),
            prefix,
            limit,
        )
        return [alert_of(row) for row in rows]

    def events(self, incident_id: int, limit: int = 1000) -> list[tuple[int, Event]]:
        """(id, event), oldest first; of a longer timeline, the newest `limit`."""
        rows = self.sql.rows(
            'SELECT id, incident_id, at, what, "by", said, via FROM event WHERE incident_id = ?'
            " ORDER BY id DESC LIMIT ?",
            incident_id,
            limit,
        )
        return [(int(row[0]), event_of(row)) for row in reversed(rows)]

    def events_since(self, after_id: int, limit: int) -> list[tuple[int, Event]]:
        """(id, event) of all incidents after that id, in the order of commits."""
        rows = self.sql.rows(
            'SELECT id, incident_id, at, what, "by", said, via FROM event WHERE id > ? ORDER BY id LIMIT ?',
            after_id,
            limit,
        )
        return [(int(row[0]), event_of(row)) for row in rows]

    def newest_event(self) -> int:
        return int(self.sql.scalar("SELECT max(id) FROM event") or 0)

    def deliveries(self, incident_id: int, limit: int = 1000) -> list[DeliveryView]:
        """Oldest first; of a longer list, the newest `limit`."""
        rows = self.sql.rows(
            "SELECT d.id, d.channel, d.kind, e.what, d.state, d.owed_at, d.sent_at, d.attempts, d.not_before, d.said,"
            " d.ref, p.until, p.said, CASE WHEN d.refused <> '' THEN t.try_at END"
            " FROM delivery AS d LEFT JOIN event AS e ON e.id = d.event_id"
            " LEFT JOIN pause AS p ON p.channel = d.channel AND p.until > d.not_before"
            " LEFT JOIN channel_trouble AS t ON t.channel = d.channel WHERE d.incident_id = ?"
            " ORDER BY d.id DESC LIMIT ?",
            incident_id,
            limit,
        )
        return [_delivery(row) for row in reversed(rows)]

    def outbox_size(self) -> dict[str, tuple[int, datetime]]:
        """By channel: how many deliveries are to be sent, and since when the oldest of them waits."""
        rows = self.sql.rows(
            "SELECT channel, count(*), min(owed_at) FROM delivery WHERE state = 'owed' GROUP BY channel"
        )
        return {row[0]: (row[1], moment(row[2])) for row in rows}


def alerts_of(sql: Sql, incident_id: int, limit: int, lead: str = "") -> list[AlertView]:
    """As `Reader.alerts`; of those that fire, the one with the fingerprint `lead` comes first."""
    rows = sql.rows(
        "SELECT source, fingerprint, firing, labels, notes, starts_at, ended_at, link FROM alert"
        " WHERE incident_id = ?"
        " ORDER BY firing DESC, CASE WHEN fingerprint = ? THEN 0 ELSE 1 END, starts_at, id LIMIT ?",
        incident_id,
        lead,
        limit,
    )
    return [_alert(row) for row in rows]


def own_incidents(sql: Sql, person: str, services: Sequence[str], limit: int) -> OwnIncidents:
    """The unresolved incidents that the person owns or that are on these services; at most `limit`.

    The most severe come first, then the oldest.
    """
    of_services = f" OR i.service IN ({', '.join('?' * len(services))})" if services else ""
    theirs = f"{UNRESOLVED} AND (i.owner = ?{of_services})"
    rows = sql.rows(
        f"SELECT {SELECT_INCIDENT} {theirs} ORDER BY {RANK}, i.id LIMIT ?",
        person,
        *services,
        limit,
    )
    return OwnIncidents(
        incidents=tuple(map(incident_of, rows)),
        count=int(sql.scalar(f"SELECT count(*) {theirs}", person, *services) or 0),
        unresolved=int(sql.scalar(f"SELECT count(*) {UNRESOLVED}") or 0),
    )


def services_of_alerts(sql: Sql) -> list[str]:
    """The services of the newest incidents that alerts opened. A person who opens one may have mistyped its service."""
    rows = sql.rows(
        "SELECT DISTINCT service FROM (SELECT service FROM incident WHERE source <> 'person' ORDER BY id DESC LIMIT ?)"
        " AS newest WHERE service IS NOT NULL ORDER BY service",
        _NEWEST,
    )
    return [str(row[0]) for row in rows]


def newest_labels(sql: Sql, limit: int, *, without_source: str) -> list[tuple[dict[str, str], datetime]]:
    """The labels of the newest alerts with their start, newest first, without those of one source."""
    rows = sql.rows(
        "SELECT labels, starts_at FROM (SELECT id, source, labels, starts_at FROM alert ORDER BY id DESC LIMIT ?)"
        " AS newest WHERE source <> ? ORDER BY id DESC",
        limit,
        without_source,
    )
    return [(msgspec.json.decode(str(labels)), moment(starts_at)) for labels, starts_at in rows]


def event_of(row: Row) -> Event:
    """From (id, incident_id, at, what, by, said, via)."""
    _, incident_id, at, what, by, message, via = row
    return Event(
        incident_id=incident_id,
        at=moment(at),
        type=EventType(str(what)),
        by=str(by),
        text=str(message),
        via=str(via),
    )


def _alert(row: Row) -> AlertView:
    source, fingerprint, firing, labels, notes, starts_at, ended_at, link = row
    return AlertView(
        source=str(source),
        fingerprint=str(fingerprint),
        firing=bool(firing),
        labels=msgspec.json.decode(str(labels)),
        notes=msgspec.json.decode(str(notes)),
        starts_at=moment(starts_at),
        ended_at=moment_or_none(ended_at),
        link=str(link),
    )


def _delivery(row: Row) -> DeliveryView:
    waits = row[4] == "waits"
    next_try_at, reason = _next_try(row)
    return DeliveryView(
        id=row[0],
        channel=str(row[1]),
        kind=MessageKind(str(row[2])),
        what=EventType(str(row[3])) if row[3] is not None else None,
        state="owed" if waits else str(row[4]),
        owed_at=moment(row[5]),
        sent_at=moment_or_none(row[6]),
        attempts=row[7],
        not_before=moment(row[8]),
        next_try_at=next_try_at,
        said="waits until its card is posted" if waits else reason,
        ref=None if row[10] is None else str(row[10]),
    )


def _next_try(row: Row) -> tuple[datetime | None, str]:
    """When the delivery is tried again, and why not now: its own failure, or the pause of its channel."""
    state, attempts, not_before, said = str(row[4]), row[7], row[8], str(row[9])
    paused_until, pause, refused_until = row[11:]
    if state == "owed" and paused_until is not None:
        return moment(paused_until), str(pause)
    if state == "dead":
        return moment_or_none(refused_until), said
    return (moment(not_before) if state == "owed" and attempts else None), said
