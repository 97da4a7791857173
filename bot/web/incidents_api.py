"""The API of incidents: the list, one incident with timeline, alerts, runs and deliveries, the last runs, the plans
that wait, and drills of backups.

It is read-only. If the database does not answer in time, the answer is 503, never an empty list: "no incidents" must be
true.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from bot.core.backup import Backups
from bot.core.errors import Rejected
from bot.core.incident import Status
from bot.notifications.card import CardSettings
from bot.store.engine import Store
from bot.store.views import Reader
from bot.web import incident_pages
from bot.web.auth import Auth
from bot.web.drills_api import FORMATS, MOST_DRILLS, DrillsOut, drills_as_markdown, last_drills
from bot.web.incident_json import IncidentInFull, in_full
from bot.web.incident_pages import IncidentsOut, Wanted, place_of
from bot.web.plans_api import PlansOut, WhoApproves, waiting_plans
from bot.web.query_parameters import refuse_unknown
from bot.web.runs_api import MOST_RUNS, RunsOut, last_runs
from bot.web.stores_api import StoresOut, all_stores

logger = logging.getLogger(__name__)

_Seen = TypeVar("_Seen")
_MOST_ID = 2**63 - 1  # the largest integer of the database
_ANOTHER = (
    "The incident of this link is not in the database, which was restored from a backup since. #{number} may be"
    " another incident now. Look for it in the list."
)
_QUIET_S = 30.0
_WITHIN_S = 5.0
#: Database reads at once; a database that hangs blocks at most this many threads.
AT_ONCE = 8


#: The person at the console, for whom plans have their buttons.
_AT_CONSOLE = "local"
_BEFORE = "Only incidents with a smaller number: `next` of the page before."
_AFTER = "Only with `sort=severity`: `after` of the page before."
_SORT = (
    "`severity`: only unresolved incidents, the most severe first, then the one that was opened first;"
    " each with `since`."
)
_COUNTS = "Answer with `counts`: how many incidents are unresolved, by status and severity."


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownParts:
    """What the API shows beside the database."""

    cards: CardSettings  #: the settings of what people read
    backups: Backups | None = None  #: None: the settings have no stores
    who_approves: WhoApproves | None = None


def routes(store: Store, auth: Auth, *, threads: Executor, shown: ShownParts) -> APIRouter:
    """The API's routes; `auth` admits each request first."""
    shown_as_bearer = HTTPBearer(auto_error=False, description="server.api_token, where one is set")
    reads = StoreReads(store, threads=threads)
    router = APIRouter(
        prefix="/api",
        dependencies=[Depends(shown_as_bearer), Depends(auth.admit), Depends(refuse_unknown)],
        tags=["incidents"],
    )

    _add_list(router, reads, shown.cards)
    _add_incident(router, reads, shown.cards)
    _add_actions(router, reads, store, shown)
    _add_stores(router, reads, store, shown.backups)
    _add_drills(router, reads)
    return router


def _add_list(router: APIRouter, reads: StoreReads, cards: CardSettings) -> None:
    @router.get("/incidents", summary="List incidents, newest first", response_model=IncidentsOut)
    async def list_incidents(
        *,
        status: Annotated[Status | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=1, le=_MOST_ID, description=_BEFORE)] = None,
        sort: Annotated[Literal["newest", "severity"], Query(description=_SORT)] = "newest",
        after: Annotated[str | None, Query(pattern=r"^[0-3]-[0-9]{1,18}$", description=_AFTER)] = None,
        counts: Annotated[bool, Query(description=_COUNTS)] = False,
    ) -> Response:
        wanted = Wanted(
            status=status,
            limit=limit,
            by_severity=sort == "severity",
            before=before,
            after=place_of(after) if after else None,
            counts=counts,
        )
        _check_order(wanted)
        return _json(await reads.read(lambda seen: incident_pages.page(seen, wanted, cards)))


def _add_incident(router: APIRouter, reads: StoreReads, cards: CardSettings) -> None:
    @router.get(
        "/incidents/{incident_id}",
        summary="One incident with its alerts, timeline and deliveries",
        response_model=IncidentInFull,
    )
    async def show_incident(
        incident_id: Annotated[int, Path(ge=1, le=_MOST_ID)],
        mark: Annotated[str, Query(max_length=64, description="Answer only if the incident has this mark.")] = "",
    ) -> Response:
        shown = await reads.read(lambda seen: in_full(seen, incident_id, mark, cards))
        if shown is None and mark:
            raise Rejected(_ANOTHER.format(number=incident_id), code="another_incident", status=404)
        if shown is None:
            raise Rejected(f"Incident {incident_id} does not exist.", code="not_found", status=404)
        return _json(shown)


def _add_actions(router: APIRouter, reads: StoreReads, store: Store, shown: ShownParts) -> None:
    """Runs, and plans that wait."""

    @router.get("/runs", summary="The last runs of actions, with their states", response_model=RunsOut, tags=["runs"])
    async def list_runs(limit: Annotated[int, Query(ge=1, le=MOST_RUNS)] = MOST_RUNS) -> Response:
        return _json(await reads.read(lambda seen: last_runs(seen, limit)))

    @router.get("/plans", summary="The plans that wait for approval", response_model=PlansOut, tags=["plans"])
    async def list_plans() -> Response:
        return _json(
            await reads.read(
                lambda seen: waiting_plans(seen, store.now(), shown.cards, _AT_CONSOLE, shown.who_approves)
            )
        )


def _add_stores(router: APIRouter, reads: StoreReads, store: Store, backups: Backups | None) -> None:
    @router.get(
        "/stores",
        summary="The stores of backups: what could be restored, against what is promised, and the last drills",
        response_model=StoresOut,
        tags=["backups"],
    )
    async def list_stores() -> Response:
        return _json(await reads.call(partial(all_stores, backups, store.now)))


def _add_drills(router: APIRouter, reads: StoreReads) -> None:
    @router.get("/drills", summary="The last drills of backups", response_model=DrillsOut, tags=["drills"])
    async def list_drills(
        store: Annotated[str, Query(max_length=253, description="Only drills of this store.")] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_DRILLS)] = MOST_DRILLS,
        form: Annotated[Literal["json", "markdown"], Query(alias="format", description=FORMATS)] = "json",
    ) -> Response:
        if form == "markdown":
            page = await reads.read(lambda seen: drills_as_markdown(seen, store, limit))
            return Response(page, media_type="text/markdown; charset=utf-8")
        return _json(await reads.read(lambda seen: last_drills(seen, store, limit)))


def _check_order(wanted: Wanted) -> None:
    """Raises `Rejected` for parameters that do not go together."""
    if wanted.by_severity and wanted.status is Status.RESOLVED:
        raise Rejected("`sort=severity` lists unresolved incidents.", code="not_valid", status=422)
    if wanted.by_severity and wanted.before is not None:
        raise Rejected("With `sort=severity`, ask for the next page by `after`.", code="not_valid", status=422)
    if wanted.after is not None and not wanted.by_severity:
        raise Rejected("`after` needs `sort=severity`; use `before`.", code="not_valid", status=422)


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
        return await self.call(partial(self._in_snapshot, query))

    async def call(self, reads: Callable[[], _Seen]) -> _Seen:
        """As `read`, for what opens its snapshots itself."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._free.acquire()
                reading = self._threads.submit(self._call, reads, asyncio.get_running_loop())
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

    def _in_snapshot(self, query: Callable[[Reader], _Seen]) -> _Seen:
        with self._store.read() as seen:
            return query(seen)

    def _call(self, reads: Callable[[], _Seen], loop: asyncio.AbstractEventLoop) -> _Seen:
        try:
            return reads()
        finally:
            with suppress(RuntimeError):  # the loop has closed, and nobody waits
                loop.call_soon_threadsafe(self._free.release)


def _json(shown: bytes) -> Response:
    return Response(shown, media_type="application/json")
