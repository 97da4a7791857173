"""The `context` that a command gets: its parts, and what concerns the request as a whole."""

from __future__ import annotations

from bot.chatops import home
from bot.chatops.context.accounts import AccountService
from bot.chatops.context.break_glass import BreakGlassService
from bot.chatops.context.catalog import CatalogService
from bot.chatops.context.help import HelpService
from bot.chatops.context.on_call import OnCallService
from bot.chatops.context.plans import PlanService
from bot.chatops.context.runs import RunService
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.incident_detail import incident_detail
from bot.chatops.page_reach import page_reach
from bot.chatops.registry import RequestParts
from bot.core.command import Overview, PageReach
from bot.core.incident import Incident
from bot.core.incident_detail import IncidentDetail
from bot.incidents.service import IncidentService, Known

#: Verbs that need no permission of their own on one's own runs; being allowed to run some action is enough.
OWN_RUN_VERBS = ("undo", "keep")


class RequestContext:
    """Implements `core.command.CommandContext` for one request, inside its transaction."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._registry = shared.registry
        self._authorizer = shared.break_glass.authorizer
        self._cards = shared.cards
        self._subscriptions = shared.break_glass.subscriptions
        self.incidents = IncidentService(
            unit.tx,
            unit.request,
            shared.break_glass.subscriptions,
            unit.add_written,
            Known(places_of=shared.break_glass.rules.places, names=shared.cards.names),
        )
        self.plans = PlanService(unit, shared)
        self.runs = RunService(unit, self.incidents)
        self.accounts = AccountService(unit, shared.break_glass)
        self.break_glass = BreakGlassService(unit, shared.break_glass)
        self.on_call = OnCallService(unit, shared)
        self.catalog = CatalogService(unit.tx, shared.cards)
        self.help = HelpService(unit, shared, own_run_verbs=OWN_RUN_VERBS)

    def get_detail(self, incident: Incident) -> IncidentDetail:
        return incident_detail(self._unit.tx, incident, self._cards, self._subscriptions)

    def get_page_reach(self, incident: Incident) -> PageReach:
        return page_reach(incident, self._subscriptions, self._authorizer.policy, self._cards, self._unit.request.by)

    def get_name(self, person: str) -> str:
        return self._cards.names.get(person, person)

    def get_overview(self, limit: int) -> Overview:
        shown = self._cards.catalog
        return home.home_view(
            self._unit.tx, self._authorizer, self._unit.request, self._registry.risks, limit, catalog=shown
        )
