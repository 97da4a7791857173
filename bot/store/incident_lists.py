"""Unresolved incidents as lists: the most severe first, in pages, with exact counts, and since when they fire.

Every query reads unresolved incidents alone (the partial index `incident_unresolved`), so that a million resolved ones
cost nothing. The order is by severity and then by id: the one that was opened first comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bot.core.alert import Severity
from bot.core.incident import Incident, Status
from bot.store.rows import SELECT_INCIDENT, incident_of
from bot.store.sql import Sql
from bot.store.times import moment

UNRESOLVED = "FROM incident AS i WHERE i.status <> 'resolved'"
RANK = " ".join(["CASE i.severity", *(f"WHEN '{one}' THEN {one.rank}" for one in Severity), "END"])

#: Where a page ends: the rank of its last incident's severity, and its id.
Place = tuple[int, int]


def by_severity(
    sql: Sql, limit: int, *, after: Place | None = None, status: Status | None = None
) -> Sequence[Incident]:
    """The page after that place; with `status`, only open or only acknowledged ones."""
    where, values = UNRESOLVED, list[object]()
    if status is not None:
        where += " AND i.status = ?"
        values.append(str(status))
    if after is not None:
        rank, last = after
        where += f" AND ({RANK} > ? OR ({RANK} = ? AND i.id > ?))"
        values += [rank, rank, last]
    rows = sql.rows(f"SELECT {SELECT_INCIDENT} {where} ORDER BY {RANK}, i.id LIMIT ?", *values, limit)
    return [incident_of(row) for row in rows]


def count_unresolved(sql: Sql) -> Mapping[tuple[Status, Severity], int]:
    """Exact; what there is none of is left out."""
    rows = sql.rows(f"SELECT i.status, i.severity, count(*) {UNRESOLVED} GROUP BY i.status, i.severity")
    return {(Status(str(status)), Severity(str(severity))): int(count) for status, severity, count in rows}


def unresolved_by_service(sql: Sql, limit: int) -> Mapping[str, Sequence[int]]:
    """The numbers of unresolved incidents by their service, the worst first; of the `limit` worst ones."""
    found: dict[str, list[int]] = {}
    rows = sql.rows(
        f"SELECT i.service, i.id {UNRESOLVED} AND i.service IS NOT NULL ORDER BY {RANK}, i.id LIMIT ?", limit
    )
    for service, incident_id in rows:
        found.setdefault(str(service), []).append(int(incident_id))
    return found


def firing_since(sql: Sql, incident_ids: Iterable[int]) -> Mapping[int, datetime]:
    """For each of these incidents, when the first of its alerts that fire now began; without an entry if none does."""
    ids = list(incident_ids)
    if not ids:
        return {}
    rows = sql.rows(
        "SELECT a.incident_id, min(a.starts_at) FROM alert AS a"
        f" WHERE a.incident_id IN ({', '.join('?' * len(ids))}) AND a.firing = 1 GROUP BY a.incident_id",
        *ids,
    )
    return {int(incident_id): moment(began) for incident_id, began in rows}
