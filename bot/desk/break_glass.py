"""`desk.break_glass`: emergency rights are activated, reviewed and listed. `breaking` holds the rules and the alarm."""

from __future__ import annotations

from collections.abc import Sequence

from bot.breaking import Breaking
from bot.desk.unit_of_work import UnitOfWork
from bot.model import Reply


class BreakGlassService:
    """Implements `ports.BreakGlassOperations` for one request."""

    def __init__(self, unit: UnitOfWork, breaking: Breaking) -> None:
        self._unit = unit
        self._breaking = breaking

    def activate(self, reason: str) -> Reply:
        reply, written = self._breaking.break_glass(self._unit.tx, self._unit.ask, reason)
        self._unit.add_written(written)
        return reply

    def review(self, person: str, finding: str) -> Reply:
        reply, written = self._breaking.review(self._unit.tx, self._unit.ask, person, finding)
        self._unit.add_written(written)
        return reply

    def list_recent(self) -> Sequence[str]:
        return self._breaking.listed(self._unit.tx)
