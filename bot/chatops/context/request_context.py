"""The `context` that a command gets: its parts, and what concerns the request as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.chatops import home
from bot.chatops.context.accounts import AccountService
from bot.chatops.context.break_glass import BreakGlassService
from bot.chatops.context.plans import PlanService
from bot.chatops.context.runs import RunService
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.registry import RequestParts
from bot.core.action import Action
from bot.core.command import Command, Overview
from bot.incidents.service import IncidentService

#: Verbs that need no permission of their own on one's own runs; being allowed to run some action is enough.
OWN_RUN_VERBS = ("undo", "keep")


class RequestContext:
    """Implements `core.command.CommandContext` for one request, inside its transaction."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts) -> None:
        self._unit = unit
        self._registry = shared.registry
        self._authorizer = shared.break_glass.authorizer
        self.incidents = IncidentService(
            unit.tx,
            unit.request,
            shared.break_glass.subscriptions,
            unit.add_written,
            shared.break_glass.rules.places,
        )
        self.plans = PlanService(unit, shared)
        self.runs = RunService(unit, self.incidents)
        self.accounts = AccountService(unit, shared.break_glass)
        self.break_glass = BreakGlassService(unit, shared.break_glass)

    def list_commands(self) -> Sequence[Command[Any] | Action[Any]]:
        requester = self._unit.request.by
        acts = any(
            not one.read_only and self._authorizer.ever_allowed(requester, verb)
            for verb, one in self._registry.actions.items()
        )
        own = OWN_RUN_VERBS if acts else ()
        return [
            one
            for verb, one in self._registry.all.items()
            if verb in own or self._authorizer.ever_allowed(requester, verb)
        ]

    def get_overview(self, limit: int) -> Overview:
        return home.home_view(self._unit.tx, self._authorizer, self._unit.request, self._registry.risks, limit)
