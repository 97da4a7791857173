"""The object that a command is given as `desk`: its parts, and what is about the request as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot import mine
from bot.acting import Action
from bot.casework import IncidentService
from bot.desk.accounts import AccountService
from bot.desk.break_glass import BreakGlassService
from bot.desk.plans import PlanService
from bot.desk.runs import RunService
from bot.desk.unit_of_work import UnitOfWork
from bot.ports import Command, Overview
from bot.verbs import Parts

#: Somebody who may run some action may use these on their own runs, without a right to the verb itself.
OF_OWN_RUNS = ("undo", "keep")


class RequestContext:
    """Implements `ports.Desk` for one request, inside its transaction."""

    def __init__(self, unit: UnitOfWork, shared: Parts) -> None:
        self._unit = unit
        self._verbs = shared.verbs
        self._rights = shared.breaking.rights
        self.incidents = IncidentService(unit.tx, unit.ask, shared.breaking.mouths, unit.add_written)
        self.plans = PlanService(unit, shared)
        self.runs = RunService(unit, self.incidents)
        self.accounts = AccountService(unit, shared.breaking)
        self.break_glass = BreakGlassService(unit, shared.breaking)

    def list_commands(self) -> Sequence[Command[Any] | Action[Any]]:
        who = self._unit.ask.by
        acts = any(not one.reads and self._rights.ever(who, verb) for verb, one in self._verbs.actions.items())
        own = OF_OWN_RUNS if acts else ()
        return [one for verb, one in self._verbs.all.items() if verb in own or self._rights.ever(who, verb)]

    def get_overview(self, limit: int) -> Overview:
        return mine.look(self._unit.tx, self._rights, self._unit.ask, self._verbs.risks, limit)
