"""`desk.accounts`: the asker links and unlinks accounts, and sees who the bot takes them for.

Identity is decided in `linking`. A refused linking code is stored, so it is a reply and not an exception.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.access.break_glass import BreakGlass
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.core.request import Reply


class AccountService:
    """Implements `ports.AccountOperations` for one request."""

    def __init__(self, unit: UnitOfWork, break_glass: BreakGlass) -> None:
        self._tx = unit.tx
        self._ask = unit.request
        self._break_glass = break_glass
        self._book = break_glass.authorizer.policy
        self._linking = break_glass.authorizer.linking

    def issue_link_code(self) -> Reply:
        return self._linking.issue(self._tx, self._ask)

    def redeem_link_code(self, code: str) -> Reply:
        return self._linking.redeem(self._tx, self._ask, code)

    def unlink(self, channel: str) -> Reply:
        return self._linking.unlink(self._tx, self._ask, channel)

    def describe_identity(self) -> Sequence[str]:
        accounts = self._linking.whoami(self._tx, self._ask)
        return [*accounts, *self._duties(), *self._break_glass.status_lines(self._tx, self._ask.by)]

    def _duties(self) -> list[str]:
        """The services that the asker is on call for, and the rights that end with an open incident."""
        services = sorted(self._book.on_call_for(self._ask.by.id))
        troubled = [one for one in services if self._tx.has_unresolved_incident(one)]
        lines = [f"On call for {', '.join(services)}: by the settings."] if services else []
        if troubled:
            lines.append(f"An incident is open on {', '.join(troubled)}: what rests on it ends when it is resolved.")
        return lines
