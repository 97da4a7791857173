"""The API of incidents: the list, one incident with timeline, alerts, runs and deliveries, and the last runs.

It is read-only. If the database does not answer in time, the answer is 503, never an empty list: "no incidents" must be
true.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from bot.core.alert import AlertView, Severity
from bot.core.errors import Rejected
from bot.core.incident import Event, Incident, Status
from bot.store.engine import Store
from bot.store.views import DeliveryView, Reader
from bot.web.auth import Auth
from bot.web.query_parameters import refuse_unknown
from bot.web.runs_api import MOST_RUNS, RunOut, RunsOut, last_runs, runs_about

logger = logging.getLogger(__name__)

_Seen = TypeVar("_Seen")
_MOST_ID = 2**63 - 1  # the largest integer of the database
_MOST_ALERTS = 500
_ANOTHER = (
    "The incident of this link is not in the database, which was restored from a backup since. #{number} may be"
    " another incident now. Look for it in the list."
)
_QUIET_S = 30.0
_WITHIN_S = 5.0
#: Database reads at once; a database that hangs blocks at most this many threads.
AT_ONCE = 8


class IncidentOut(BaseModel):
    """One incident in the list."""

    id: int
    mark: str = Field(
        description="Unique to this incident: after a restore from a backup another one may have its number."
    )
    key: str
    source: str
    title: str
    severity: Severity
    status: Status
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    owner: str | None
    service: str | None
    firing: int
    total: int
    truncated: int
    flapping: str = Field(
        description='"flapping: 4 times in 12 min" while it is held open until its alerts are quiet, else "".'
    )


class AlertOut(BaseModel):
    """One episode of an alert; `link` is shown, never fetched."""

    source: str
    fingerprint: str
    firing: bool
    labels: dict[str, str]
    notes: dict[str, str]
    starts_at: datetime
    ended_at: datetime | None
    link: str


class EventOut(BaseModel):
    """One event of the timeline."""

    id: int
    incident_id: int
    at: datetime
    what: str
    by: str
    said: str
    via: str


class DeliveryOut(BaseModel):
    """One message: `state` is owed (to be sent), leased (being sent), sent, or dead (set aside, see `why_not`).

    A dead one has a `next_try_at` while its channel refuses every message and is tried again then.
    """

    id: int
    channel: str
    kind: str
    what: str | None
    state: str
    owed_at: datetime
    sent_at: datetime | None
    attempts: int
    why_not: str | None
    next_try_at: datetime | None


class IncidentsOut(BaseModel):
    """A page of the list, newest first; `next` is the `before` of the following page, null at the end."""

    incidents: list[IncidentOut]
    next: int | None


class IncidentInFull(IncidentOut):
    """One incident with all that belongs to it; at most 500 alerts and 50 runs, the newest."""

    alerts: list[AlertOut]
    events: list[EventOut]
    deliveries: list[DeliveryOut]
    runs: list[RunOut]


def routes(store: Store, auth: Auth, *, threads: Executor) -> APIRouter:
    """The API's routes; `auth` admits each request first."""
    shown_as_bearer = HTTPBearer(auto_error=False, description="server.api_token, where one is set")
    reads = StoreReads(store, threads=threads)
    router = APIRouter(
        prefix="/api",
        dependencies=[Depends(shown_as_bearer), Depends(auth.admit), Depends(refuse_unknown)],
        tags=["incidents"],
    )

    @router.get("/incidents", summary="List incidents, newest first", response_model=IncidentsOut)
    async def list_incidents(
        status: Annotated[Status | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=1, le=_MOST_ID)] = None,
    ) -> Response:
        return _json(await reads.read(lambda seen: _page(seen, status, limit, before)))

    @router.get(
        "/incidents/{incident_id}",
        summary="One incident with its alerts, timeline and deliveries",
        response_model=IncidentInFull,
    )
    async def show_incident(
        incident_id: Annotated[int, Path(ge=1, le=_MOST_ID)],
        mark: Annotated[str, Query(max_length=64, description="Answer only if the incident has this mark.")] = "",
    ) -> Response:
        shown = await reads.read(lambda seen: _in_full(seen, incident_id, mark))
        if shown is None and mark:
            raise Rejected(_ANOTHER.format(number=incident_id), code="another_incident", status=404)
        if shown is None:
            raise Rejected(f"Incident {incident_id} does not exist.", code="not_found", status=404)
        return _json(shown)

    @router.get("/runs", summary="The last runs of actions, with their states", response_model=RunsOut, tags=["runs"])
    async def list_runs(limit: Annotated[int, Query(ge=1, le=MOST_RUNS)] = MOST_RUNS) -> Response:
        return _json(await reads.read(lambda seen: last_runs(seen, limit)))

    return router


def publish_contract(app: FastAPI, auth: Auth) -> None:
    """Serve the OpenAPI document. FastAPI's own pages for it load scripts from other sites, so they are disabled."""

    @app.get("/api/openapi.json", include_in_schema=False, dependencies=[Depends(auth.admit), Depends(refuse_unknown)])
    async def contract() -> JSONResponse:
        return JSONResponse(app.openapi())


class StoreReads:
    """Reads from the database for the API, each time in one snapshot, on threads of its own."""

    def __init__(self, store: Store, *, threads: Executor) -> None:
        self._store = store
        self._threads = threads
        # A thread that hangs keeps its slot, so that reads whose client has left do not queue up behind it.
        self._free = asyncio.Semaphore(AT_ONCE)
        self._quiet_until = 0.0

    async def read(self, query: Callable[[Reader], _Seen]) -> _Seen:
        """Raises `Rejected` 503 if the database does not answer in time."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._free.acquire()
                reading = self._threads.submit(self._read, query, asyncio.get_running_loop())
                # Shielded: it must run to its end, or its slot is never released.
                return await asyncio.shield(asyncio.wrap_future(reading))
        except Exception as broken:
            # Every open board polls, so the traceback is logged only once in a while.
            if monotonic() >= self._quiet_until:
                self._quiet_until = monotonic() + _QUIET_S
                logger.exception("store not readable")
            raise Rejected(
                "The database does not answer. Nothing can be shown. See /readyz.", code="store_down", status=503
            ) from broken

    def _read(self, query: Callable[[Reader], _Seen], loop: asyncio.AbstractEventLoop) -> _Seen:
        try:
            with self._store.read() as seen:
                return query(seen)
        finally:
            with suppress(RuntimeError):  # the loop has closed, and nobody waits
                loop.call_soon_threadsafe(self._free.release)


def _json(shown: bytes) -> Response:
    return Response(shown, media_type="application/json")


def event_out(event_id: int, event: Event) -> EventOut:
    return EventOut(
        id=event_id,
        incident_id=event.incident_id,
        at=event.at,
        what=event.type,
        by=event.by,
        said=event.text,
        via=event.via,
    )


def _page(seen: Reader, status: Status | None, limit: int, before: int | None) -> bytes:
    found = seen.incidents(status=status, limit=limit + 1, before=before)
    page = found[:limit]
    listed = IncidentsOut(
        incidents=[IncidentOut.model_validate(_fields(incident)) for incident in page],
        next=page[-1].id if len(found) > limit else None,
    )
    return listed.model_dump_json().encode()


def _in_full(seen: Reader, incident_id: int, mark: str) -> bytes | None:
    """None if no incident has that number, or it has another mark."""
    incident = seen.incident(incident_id)
    if incident is None or mark not in ("", incident.mark):
        return None
    shown = IncidentInFull.model_validate(
        _fields(incident)
        | {
            "alerts": [_alert(row) for row in seen.alerts(incident_id, limit=_MOST_ALERTS)],
            "events": [event_out(event_id, event) for event_id, event in seen.events(incident_id)],
            "deliveries": [_delivery(row) for row in seen.deliveries(incident_id)],
            "runs": runs_about(seen, incident_id),
        }
    )
    return shown.model_dump_json().encode()


def _fields(incident: Incident) -> dict[str, object]:
    same = {name: getattr(incident, name) for name in IncidentOut.model_fields if name != "flapping"}
    return {**same, "flapping": incident.flapping_words}


def _alert(row: AlertView) -> AlertOut:
    return AlertOut.model_validate({name: getattr(row, name) for name in AlertOut.model_fields})


def _delivery(row: DeliveryView) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        channel=row.channel,
        kind=row.kind,
        what=row.what,
        state=row.state,
        owed_at=row.owed_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        why_not=row.said or None if row.state != "sent" else None,
        next_try_at=row.next_try_at,
    )
