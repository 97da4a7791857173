"""Rotas in the API: who is on call now, and each rota as a calendar to subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field
from starlette.responses import Response

from bot.core.errors import Rejected
from bot.core.rota import RotaGap, RotaView, Shift
from bot.notifications.card import CardSettings
from bot.oncall.describe import spell_gap, spell_reason
from bot.oncall.duties import Duties
from bot.oncall.ical_export import calendar_of
from bot.store.engine import Store
from bot.web.auth import Auth
from bot.web.incidents_api import StoreReads
from bot.web.query_parameters import refuse_unknown

#: How far ahead gaps are looked for.
_AHEAD = timedelta(days=30)
#: What a calendar holds, from now on to both sides.
_PAST, _FUTURE = timedelta(days=30), timedelta(days=365)

_Names = Callable[[str], str]


class ShiftOut(BaseModel):
    """People who are on call together."""

    people: list[str] = Field(description="Their names.")
    start: datetime
    end: datetime = Field(description="A shift that goes on for long is followed for days, and then cut.")
    reason: str
    shadow: bool = Field(description="True: they do not count as on call.")


class RotaGapOut(BaseModel):
    """A time in which too few are on call."""

    start: datetime
    end: datetime
    text: str


class RotaOut(BaseModel):
    """One rota now."""

    name: str
    zone: str
    on_call: list[ShiftOut] = Field(description="Empty while nobody is.")
    until: datetime | None = Field(description="When other people are on call; null where that is not within days.")
    coming: list[ShiftOut] = Field(description="Who is on call from then on.")
    gaps: list[RotaGapOut] = Field(description="Of the next 30 days.")


class RotasOut(BaseModel):
    """All rotas, by their names."""

    rotas: list[RotaOut]


def routes(store: Store, auth: Auth, *, threads: Executor, cards: CardSettings, duties: Duties | None) -> APIRouter:
    """The API's routes; `auth` admits each request first. `cards`: people's names."""
    shown_as_bearer = HTTPBearer(auto_error=False, description="server.api_token, where one is set")
    reads = StoreReads(store, threads=threads)

    def now() -> datetime:
        return store.now()

    known = duties or Duties({}, {}, now)
    router = APIRouter(
        prefix="/api",
        dependencies=[Depends(shown_as_bearer), Depends(auth.admit), Depends(refuse_unknown)],
        tags=["on call"],
    )

    def name_of(person: str) -> str:
        return cards.names.get(person) or person

    @router.get("/rotas", summary="Who is on call by each rota, and its coming gaps", response_model=RotasOut)
    async def list_rotas() -> Response:
        shown = await reads.call(partial(_all, known, now(), name_of))
        return Response(shown, media_type="application/json")

    @router.get("/rotas/{name:path}.ics", summary="A rota as a calendar (iCal), of the next 12 months")
    async def calendar(name: Annotated[str, Path(max_length=253)]) -> Response:
        if name not in known.rotas:
            raise Rejected(f"There is no rota {name[:80]!r}.", code="not_found", status=404)
        shown = await reads.call(partial(_calendar, known, name, now(), name_of))
        return Response(shown, media_type="text/calendar; charset=utf-8")

    return router


def _all(duties: Duties, now: datetime, names: _Names) -> bytes:
    views = (duties.view(rota, now, ahead=_AHEAD, far=False) for rota in sorted(duties.rotas))
    return RotasOut(rotas=[_rota(view, names) for view in views]).model_dump_json().encode()


def _rota(view: RotaView, names: _Names) -> RotaOut:
    return RotaOut(
        name=view.rota,
        zone=view.zone.key,
        on_call=[_shift(one, names) for one in view.shifts],
        until=view.until,
        coming=[_shift(one, names) for one in view.coming],
        gaps=[_gap(one, view, names) for one in view.gaps],
    )


def _shift(shift: Shift, names: _Names) -> ShiftOut:
    return ShiftOut(
        people=[names(one) for one in shift.people],
        start=shift.start,
        end=shift.end,
        reason=spell_reason(shift, names),
        shadow=shift.shadow,
    )


def _gap(gap: RotaGap, view: RotaView, names: _Names) -> RotaGapOut:
    return RotaGapOut(start=gap.start, end=gap.end, text=spell_gap(gap, f"rota {view.rota}", view.zone, names))


def _calendar(duties: Duties, rota: str, now: datetime, names: _Names) -> str:
    since, until = now - _PAST, now + _FUTURE
    shifts, gaps = duties.shifts(rota, since, until), duties.gaps(rota, now, until)
    return calendar_of(rota, shifts, gaps, now=now, names=names)
