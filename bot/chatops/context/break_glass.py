"""`context.break_glass`: emergency rights are activated, reviewed and listed, by the rules of `access.break_glass`."""

from __future__ import annotations

from collections.abc import Sequence

from bot.access.break_glass import BreakGlass
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.core.request import Reply


class BreakGlassService:
    """Implements `core.command.BreakGlassOperations` for one request."""

    def __init__(self, unit: UnitOfWork, break_glass: BreakGlass) -> None:
        self._unit = unit
        self._break_glass = break_glass

    def activate(self, reason: str) -> Reply:
        reply, written = self._break_glass.activate(self._unit.tx, self._unit.request, reason)
        self._unit.add_written(written)
        return reply

    def review(self, person: str, finding: str) -> Reply:
        reply, written = self._break_glass.review(self._unit.tx, self._unit.request, person, finding)
        self._unit.add_written(written)
        return reply

    def list_recent(self) -> Sequence[str]:
        return self._break_glass.history_lines(self._unit.tx)
