"""One write transaction: what intake, delivery and watch may read and write inside it.

`Store.begin` lets one writer in at a time (in the process, and by an advisory lock across replicas), so ids are given
in the order of commits and "the newest event" is a safe place to go on reading from.
Nothing here waits for the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import msgspec

from bot.model import Alert, Event, Incident, Severity, Standing, Status, What, page_key_of
from bot.redact import redact
from bot.store.sql import Asked, Row, Sql
from bot.store.times import micros, micros_or_none, moment, moment_or_none

Fingerprint = tuple[str, str]  #: (source, fingerprint)
Group = tuple[str, str]  #: (source, group's key)
Episode = tuple[str, str, datetime]  #: (source, fingerprint, startsAt)


class NewAlert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An episode to be stored for the first time, as it stands."""

    row: int
    alert: Alert
    standing: Standing


class Known(NamedTuple):
    """What is stored already."""

    standings: dict[Fingerprint, Standing]  #: the episode of each that counts: that fires, else that began last
    newest: dict[Group, Incident]  #: the newest incident of each group


_INCIDENT = (
    "id", "page_key", "key", "source", "title", "severity", "status", "opened_at", "changed_at", "firing", "total",
    "service", "owner", "resolved_at", "resolved_by", "truncated", "version", "lead",
)  # fmt: skip
_INCIDENT_SET = ", ".join(f"{name} = excluded.{name}" for name in _INCIDENT[4:])
SELECT_INCIDENT = ", ".join(f"i.{name}" for name in _INCIDENT)
_ALERT = (
    "id", "source", "fingerprint", "starts_at", "incident_id", "firing", "labels", "notes", "link", "heard_at",
    "ended_at", "until", "doubted_at",
)  # fmt: skip
_EVENT = ("id", "incident_id", "at", "what", '"by"', "said", "via")
_NUMBERED = ("incident", "alert", "event", "delivery")
_STANDING = "a.fingerprint, a.id, a.incident_id, a.starts_at, a.firing, a.ended_at, a.until, a.doubted_at"
_LAST_IDS = "SELECT " + ", ".join(f"(SELECT max(id) FROM {name})" for name in _NUMBERED)
_STANDINGS = (
    f"SELECT {_STANDING} FROM (WITH k(f) AS ({{keys}}) SELECT DISTINCT f FROM k) AS k JOIN alert AS a ON a.id = ("
    "SELECT b.id FROM alert AS b WHERE b.fingerprint = k.f AND b.source = ?"
    " ORDER BY b.firing DESC, b.starts_at DESC LIMIT 1)"
)
_NEWEST = (
    f"SELECT {SELECT_INCIDENT} FROM (WITH k(p) AS ({{keys}}) SELECT DISTINCT p FROM k) AS k"
    " JOIN incident AS i ON i.id = ("
    "SELECT b.id FROM incident AS b WHERE b.page_key = k.p AND b.source = ? ORDER BY b.id DESC LIMIT 1)"
)
_INCIDENTS = f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.id IN (WITH k(i) AS ({{keys}}) SELECT i FROM k)"
_ENCODER = msgspec.json.Encoder()


class Tx:
    """The verbs of one write transaction, in which `now` stands still."""

    def __init__(self, sql: Sql, now: datetime, scrub: Callable[[str], str] = redact) -> None:
        """`scrub` takes secrets out of what goes into the audit log."""
        self.sql = sql
        self.now = now
        self.scrub = scrub
        self._next: dict[str, int] = {}

    def reserve(self, table: str, count: int = 1) -> int:
        """The first of `count` ids of `table` that nobody else will get."""
        if not self._next:
            self._count_from(self.sql.rows(_LAST_IDS))
        first = self._next[table]
        self._next[table] = first + count
        return first

    def look(self, prints: Collection[Fingerprint], groups: Collection[Group]) -> Known:
        """What is stored of these. Asked all at once, with the newest ids, because a commit waits for the answers."""
        standings = [
            (source, one)
            for source, its in _by_source(prints).items()
            for one in self.sql.of_keys(_STANDINGS, its, source)
        ]
        newest = [
            one
            for source, its in _by_source(groups).items()
            for one in self.sql.of_keys(_NEWEST, [page_key_of(key) for key in its], source)
        ]
        answers = self.sql.all_of([Asked(_LAST_IDS, ()), *(one for _, one in standings), *newest])
        if not self._next:
            self._count_from(answers[0])
        known = Known({}, {})
        for (source, _), rows in zip(standings, answers[1:], strict=False):
            known.standings.update({(source, row[0]): _standing(row) for row in rows})
        for rows in answers[1 + len(standings) :]:
            known.newest.update({(one.source, one.key): one for one in map(incident_of, rows)})
        return known

    def _count_from(self, last_ids: Sequence[Row]) -> None:
        (newest,) = last_ids
        self._next = {name: (last or 0) + 1 for name, last in zip(_NUMBERED, newest, strict=True)}

    def episode(self, of: Episode) -> Standing | None:
        """One episode, whether or not it is the newest of its fingerprint."""
        source, fingerprint, starts_at = of
        row = self.sql.row(
            f"SELECT {_STANDING} FROM alert AS a WHERE a.fingerprint = ? AND a.source = ? AND a.starts_at = ?",
            fingerprint,
            source,
            micros(starts_at),
        )
        return None if row is None else _standing(row)

    def incidents(self, ids: Sequence[int]) -> dict[int, Incident]:
        if not ids:
            return {}
        found = map(incident_of, chain.from_iterable(self.sql.all_of(self.sql.of_keys(_INCIDENTS, ids))))
        return {one.id: one for one in found}

    def incident(self, incident_id: int) -> Incident | None:
        return self.incidents([incident_id]).get(incident_id)

    def began(self, incident_id: int) -> datetime | None:
        """When it was opened, or opened again, for the last time."""
        return moment_or_none(
            self.sql.scalar(
                "SELECT max(at) FROM event WHERE incident_id = ? AND what IN (?, ?)",
                incident_id,
                str(What.OPENED),
                str(What.REOPENED),
            )
        )

    def unresolved(self, limit: int) -> list[Incident]:
        """Open and acknowledged ones, newest first."""
        rows = self.sql.rows(
            f"SELECT {SELECT_INCIDENT} FROM incident AS i WHERE i.status <> 'resolved' ORDER BY i.id DESC LIMIT ?",
            limit,
        )
        return [incident_of(row) for row in rows]

    def put_incidents(self, incidents: Sequence[Incident]) -> None:
        rows = [incident_row(one) for one in incidents]
        self.sql.insert("incident", _INCIDENT, rows, f"ON CONFLICT (id) DO UPDATE SET {_INCIDENT_SET}")

    def put_alerts(self, alerts: Sequence[NewAlert]) -> None:
        heard = micros(self.now)
        self.sql.insert("alert", _ALERT, [_alert_row(one, heard) for one in alerts])

    def move_alerts(self, standings: Iterable[Standing]) -> None:
        """Store where these episodes stand now: their incident, whether they fire, since when they do not."""
        columns = ("id", "incident_id", "firing", "ended_at", "until", "doubted_at")
        self.sql.update("alert", columns, [(one.row, *_where_it_stands(one)) for one in standings])

    def put_events(self, first: int, events: Sequence[Event]) -> None:
        """`first`: the reserved id of the first of them; the others follow it without a gap."""
        self.sql.insert("event", _EVENT, [_event_row(first + place, one) for place, one in enumerate(events)])

    def keep(self, source: str, body: bytes, sha256: str, *, code: str, why: str) -> None:
        """Set aside what could not be read, whole."""
        self.sql.insert(
            "quarantine",
            ("source", "at", "code", "why", "sha256", "body"),
            [(source, micros(self.now), code, why, sha256, body)],
        )

    def kept(self, sha256: str, since: datetime) -> bool:
        """Whether this very body has been set aside since then."""
        found = self.sql.scalar("SELECT 1 FROM quarantine WHERE sha256 = ? AND at >= ? LIMIT 1", sha256, micros(since))
        return found is not None

    def doubted(self, before: datetime, limit: int = 500) -> list[Alert]:
        """Ended episodes that were heard firing again before then, as the alerts they would be if they do fire."""
        rows = self.sql.rows(
            "SELECT a.source, i.key, a.fingerprint, a.labels, a.notes, a.starts_at, a.link FROM alert AS a"
            " JOIN incident AS i ON i.id = a.incident_id WHERE a.doubted_at IS NOT NULL AND a.doubted_at < ? LIMIT ?",
            micros(before),
            limit,
        )
        return [_doubted(row) for row in rows]

    def answered(self, place: str, once: str) -> tuple[str, bool] | None:
        """What this act of a platform was answered (said, ok), or None when it is new."""
        row = self.sql.row("SELECT said, ok FROM seen WHERE place = ? AND once = ?", place, once)
        return None if row is None else (row[0], bool(row[1]))

    def answer(self, place: str, once: str, said: str, *, ok: bool) -> None:
        row = (place, once, micros(self.now), said, int(ok))
        self.sql.insert("seen", ("place", "once", "at", "said", "ok"), [row])

    def answer_again(self, place: str, once: str, said: str, *, ok: bool) -> None:
        """What had been answered in passing is answered now."""
        self.sql.run("UPDATE seen SET said = ?, ok = ? WHERE place = ? AND once = ?", said, int(ok), place, once)

    def troubled(self, service: str) -> bool:
        """Whether an unresolved incident is on that service."""
        found = self.sql.scalar(
            "SELECT 1 FROM incident WHERE service = ? AND service IS NOT NULL AND status <> 'resolved' LIMIT 1", service
        )
        return found is not None


def _by_source(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, one in pairs:
        found.setdefault(source, []).append(one)
    return found


def incident_row(one: Incident) -> Row:
    return (
        one.id, one.page_key, one.key, one.source, one.title, str(one.severity), str(one.status),
        micros(one.opened_at), micros(one.changed_at), one.firing, one.total, one.service, one.owner,
        micros_or_none(one.resolved_at), one.resolved_by, one.truncated, one.version, one.lead,
    )  # fmt: skip


def incident_of(row: Row) -> Incident:
    """The other way round; the columns in the order of `incident_row`."""
    values = dict(zip(_INCIDENT, row, strict=True))
    del values["page_key"]
    values["severity"] = Severity(str(values["severity"]))
    values["status"] = Status(str(values["status"]))
    for name in ("opened_at", "changed_at"):
        values[name] = moment(values[name])
    values["resolved_at"] = moment_or_none(values["resolved_at"])
    return Incident(**values)


def _standing(row: Row) -> Standing:
    _, row_id, incident_id, starts_at, firing, ended_at, until, doubted_at = row
    return Standing(
        row=row_id,
        incident_id=incident_id,
        starts_at=moment(starts_at),
        firing=bool(firing),
        ended_at=moment_or_none(ended_at),
        until=moment_or_none(until),
        doubted_at=moment_or_none(doubted_at),
    )


def _where_it_stands(one: Standing) -> Row:
    return (
        one.incident_id, int(one.firing), micros_or_none(one.ended_at), micros_or_none(one.until),
        micros_or_none(one.doubted_at),
    )  # fmt: skip


def _doubted(row: Row) -> Alert:
    source, key, fingerprint, labels, notes, starts_at, link = row
    return Alert(
        source=source,
        group=key,
        fingerprint=fingerprint,
        firing=True,
        labels=msgspec.json.decode(labels),
        notes=msgspec.json.decode(notes),
        starts_at=moment(starts_at),
        link=link,
    )


def _alert_row(one: NewAlert, heard: int) -> Row:
    alert = one.alert
    incident_id, firing, ended_at, until, doubted_at = _where_it_stands(one.standing)
    return (
        one.row, alert.source, alert.fingerprint, micros(alert.starts_at), incident_id, firing, _json(alert.labels),
        _json(alert.notes), alert.link, heard, ended_at, until, doubted_at,
    )  # fmt: skip


def _event_row(event_id: int, one: Event) -> Row:
    return (event_id, one.incident_id, micros(one.at), str(one.what), one.by, one.said, one.via)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()
