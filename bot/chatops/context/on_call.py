"""`context.on_call`: who is on call for a service or by a rota, at any time."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.registry import RequestParts
from bot.core.command import OnCallReport, ServiceOnCall
from bot.core.errors import Rejected
from bot.lib.similar_words import offer, similar
from bot.oncall.asked_time import asked_time
from bot.oncall.duties import Duties

#: How far ahead gaps are looked for.
_AHEAD = timedelta(days=30)
_UTC = ZoneInfo("UTC")


class OnCallService:
    """Implements `core.command.OnCallOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._now = unit.tx.now
        self._duties = shared.duties or Duties({}, {}, lambda: unit.tx.now)

    def look_up(self, name: str, at: str) -> OnCallReport:
        duties = self._duties
        named = duties.services.get(name)
        rotas = named.rotas if named else (name,) if name in duties.rotas else ()
        if named is None and not rotas:
            near = offer(similar(name, [*duties.services, *duties.rotas]))
            message = f"Nobody is on call for {name}: no service of that name says who is, and there is no such rota."
            raise Rejected(f"{message} Nothing was done.{near} `oncall` lists all.", code="no_on_call", status=409)
        zone = duties.rotas[rotas[0]].zone if rotas else _UTC
        moment = asked_time(at, zone, self._now) if at else self._now
        views = tuple(duties.view(rota, moment, ahead=_AHEAD) for rota in rotas)
        services = (ServiceOnCall(name=name, always=named.people, rotas=named.rotas),) if named else ()
        return OnCallReport(at=moment, services=services, rotas=views)

    def look_up_all(self, at: str, limit: int) -> OnCallReport:
        duties = self._duties
        moment = asked_time(at, _UTC, self._now) if at else self._now
        services = [
            ServiceOnCall(name=name, always=one.people, rotas=one.rotas)
            for name, one in sorted(duties.services.items())
        ]
        views = [duties.view(rota, moment, ahead=_AHEAD, far=False) for rota in sorted(duties.rotas)[:limit]]
        left_out = max(0, len(services) - limit) + max(0, len(duties.rotas) - limit)
        return OnCallReport(at=moment, services=tuple(services[:limit]), rotas=tuple(views), left_out=left_out)
