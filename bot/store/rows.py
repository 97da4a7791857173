"""Converts rows of the hot tables to the domain's values and back. Pure: nothing is queried here."""

from __future__ import annotations

import msgspec

from bot.core.alert import Alert, EpisodeState, Severity
from bot.core.incident import EMPTY_COURSE, Course, Event, Incident, Status
from bot.store.sql import Row
from bot.store.times import micros, micros_or_none, moment, moment_or_none

INCIDENT = (
    "id", "page_key", "key", "source", "title", "severity", "status", "opened_at", "changed_at", "firing", "total",
    "service", "owner", "resolved_at", "resolved_by", "truncated", "version", "lead",
    "course", "look_at",
)  # fmt: skip
SELECT_INCIDENT = ", ".join(f"i.{name}" for name in INCIDENT)
ALERT = (
    "id", "source", "fingerprint", "starts_at", "incident_id", "firing", "labels", "notes", "link", "heard_at",
    "ended_at", "until", "doubted_at", "text_digest",
)  # fmt: skip
EVENT = ("id", "incident_id", "at", "what", '"by"', "said", "via")
SELECT_STANDING = (
    "a.fingerprint, a.id, a.incident_id, a.starts_at, a.firing, a.ended_at, a.until, a.doubted_at, a.text_digest"
)
SELECT_ALERT = (
    "a.source, i.key, a.fingerprint, a.firing, a.labels, a.notes, a.starts_at, a.until, a.link FROM alert AS a"
    " JOIN incident AS i ON i.id = a.incident_id"
)
_SEVERITIES = {str(one): one for one in Severity}
_STATUSES = {str(one): one for one in Status}
_ENCODER = msgspec.json.Encoder()
_course_of = msgspec.json.Decoder(Course).decode


def incident_row(one: Incident) -> Row:
    return (
        one.id, one.page_key, one.key, one.source, one.title, str(one.severity), str(one.status),
        micros(one.opened_at), micros(one.changed_at), one.firing, one.total, one.service, one.owner,
        micros_or_none(one.resolved_at), one.resolved_by, one.truncated, one.version, one.lead,
        "" if one.course is EMPTY_COURSE else _json(one.course), micros_or_none(one.look_at),
    )  # fmt: skip


def incident_of(row: Row) -> Incident:
    """The inverse of `incident_row`; the columns are in the same order."""
    (
        row_id, _, key, source, title, severity, status, opened_at, changed_at, firing, total, service, owner,
        resolved_at, resolved_by, truncated, version, lead, course, look_at,
    ) = row  # fmt: skip
    return Incident(
        id=row_id,
        key=key,
        source=source,
        title=title,
        severity=_SEVERITIES[severity],
        status=_STATUSES[status],
        opened_at=moment(opened_at),
        changed_at=moment(changed_at),
        firing=firing,
        total=total,
        service=service,
        owner=owner,
        resolved_at=moment_or_none(resolved_at),
        resolved_by=resolved_by,
        truncated=truncated,
        version=version,
        lead=lead,
        course=_course_of(course) if course else EMPTY_COURSE,
        look_at=moment_or_none(look_at),
    )


def episode_state_of(row: Row) -> EpisodeState:
    _, row_id, incident_id, starts_at, firing, ended_at, until, doubted_at, text_digest = row
    return EpisodeState(
        row_id=row_id,
        incident_id=incident_id,
        starts_at=moment(starts_at),
        firing=bool(firing),
        ended_at=moment_or_none(ended_at),
        source_ended_at=moment_or_none(until),
        doubted_at=moment_or_none(doubted_at),
        text_digest=text_digest,
    )


def changing_columns(one: EpisodeState) -> Row:
    return (
        one.incident_id, int(one.firing), micros_or_none(one.ended_at), micros_or_none(one.source_ended_at),
        micros_or_none(one.doubted_at),
    )  # fmt: skip


def alert_of(row: Row) -> Alert:
    """A stored episode as the alert that was heard, from `SELECT_ALERT`."""
    source, key, fingerprint, firing, labels, notes, starts_at, until, link = row
    return Alert(
        source=source,
        group=key,
        fingerprint=fingerprint,
        firing=bool(firing),
        labels=msgspec.json.decode(labels),
        annotations=msgspec.json.decode(notes),
        starts_at=moment(starts_at),
        ends_at=moment_or_none(until),
        link=link,
    )


def notes_of(alert: Alert) -> str:
    """The column of its annotations."""
    return _json(alert.annotations)


def alert_row(alert: Alert, state: EpisodeState, heard: int) -> Row:
    """An episode that is stored for the first time. `heard`: when it was received, in microseconds."""
    incident_id, firing, ended_at, until, doubted_at = changing_columns(state)
    return (
        state.row_id, alert.source, alert.fingerprint, micros(alert.starts_at), incident_id, firing,
        _json(alert.labels), _json(alert.annotations), alert.link, heard, ended_at, until, doubted_at,
        alert.text_digest if state.text_digest is None else state.text_digest,
    )  # fmt: skip


def event_row(event_id: int, one: Event) -> Row:
    return (event_id, one.incident_id, micros(one.at), str(one.type), one.by, one.text, one.via)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()
