"""Pages of the list of incidents: the newest first, or the unresolved ones with the most severe first; and the counts.

A page says where the following one begins. What changes its severity between two pages may be missed or come twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, Field

from bot.core.alert import Severity
from bot.core.incident import Incident, Status
from bot.notifications.card import CardSettings
from bot.store import incident_lists
from bot.store.incident_lists import Place
from bot.store.views import Reader
from bot.web.incident_json import IncidentOut, listed


class CountsOut(BaseModel):
    """How many incidents are unresolved, exactly: by status, and there by severity, the most severe first."""

    open: dict[Severity, int]
    acknowledged: dict[Severity, int]


class IncidentsOut(BaseModel):
    """A page of the list, newest first; `next` is the `before` of the following page, null at the end."""

    incidents: list[IncidentOut]
    next: int | None = Field(
        description="The `before` of the following page; null at the end, and always null with `sort=severity`."
    )
    after: str | None = Field(
        default=None, description="Only with `sort=severity`: the `after` of the following page; null at the end."
    )
    counts: CountsOut | None = Field(default=None, description="Only with `counts=true`.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a page of the list is asked for."""

    status: Status | None
    limit: int
    by_severity: bool
    before: int | None
    after: Place | None
    counts: bool


def page(seen: Reader, wanted: Wanted, cards: CardSettings) -> bytes:
    made = _most_severe(seen, wanted, cards) if wanted.by_severity else _newest(seen, wanted, cards)
    if wanted.counts:
        made.counts = _counts(incident_lists.count_unresolved(seen.sql))
    return made.model_dump_json(exclude_unset=True).encode()


def place_of(written: str) -> Place:
    """The place that `after` names; it is written "rank-id"."""
    rank, _, last = written.partition("-")
    return int(rank), int(last)


def _newest(seen: Reader, wanted: Wanted, cards: CardSettings) -> IncidentsOut:
    found = seen.incidents(status=wanted.status, limit=wanted.limit + 1, before=wanted.before)
    shown = found[: wanted.limit]
    return IncidentsOut(
        incidents=[listed(one, cards) for one in shown],
        next=shown[-1].id if len(found) > wanted.limit else None,
    )


def _most_severe(seen: Reader, wanted: Wanted, cards: CardSettings) -> IncidentsOut:
    found = incident_lists.by_severity(seen.sql, wanted.limit + 1, after=wanted.after, status=wanted.status)
    shown = found[: wanted.limit]
    since = incident_lists.firing_since(seen.sql, [one.id for one in shown])
    return IncidentsOut(
        incidents=[listed(one, cards).model_copy(update={"since": since.get(one.id)}) for one in shown],
        next=None,
        after=_place(shown[-1]) if len(found) > wanted.limit else None,
    )


def _place(last: Incident) -> str:
    return f"{last.severity.rank}-{last.id}"


def _counts(found: Mapping[tuple[Status, Severity], int]) -> CountsOut:
    def of(status: Status) -> dict[Severity, int]:
        return {severity: found.get((status, severity), 0) for severity in Severity}

    return CountsOut(open=of(Status.OPEN), acknowledged=of(Status.ACKED))
