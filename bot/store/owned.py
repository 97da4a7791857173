"""Which unresolved incidents are somebody's: theirs by name, or of the services that they are on call for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.alert import Severity
from bot.core.incident import Incident
from bot.store.rows import SELECT_INCIDENT, incident_of
from bot.store.sql import Sql

_UNRESOLVED = "FROM incident AS i WHERE i.status <> 'resolved'"
_RANK = " ".join(["CASE i.severity", *(f"WHEN '{one}' THEN {one.rank}" for one in Severity), "END"])


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnIncidents:
    """Of all that are theirs, the worst."""

    incidents: tuple[Incident, ...]
    count: int  #: how many there are
    unresolved: int  #: and of everybody's


def own_incidents(sql: Sql, person: str, services: Sequence[str], limit: int) -> OwnIncidents:
    """At most `limit` incidents, the worst first and of those the oldest."""
    of_services = f" OR i.service IN ({', '.join('?' * len(services))})" if services else ""
    theirs = f"{_UNRESOLVED} AND (i.owner = ?{of_services})"
    rows = sql.rows(
        f"SELECT {SELECT_INCIDENT} {theirs} ORDER BY {_RANK}, i.id LIMIT ?",
        person,
        *services,
        limit,
    )
    return OwnIncidents(
        incidents=tuple(map(incident_of, rows)),
        count=int(sql.scalar(f"SELECT count(*) {theirs}", person, *services) or 0),
        unresolved=int(sql.scalar(f"SELECT count(*) {_UNRESOLVED}") or 0),
    )
