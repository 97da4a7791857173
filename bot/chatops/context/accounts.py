"""`context.accounts`: links and unlinks the requester's accounts, and describes their identity.

Identity is decided in `access.account_linking`. A refused linking code is stored, so the refusal is a reply and not an
exception.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.access.break_glass import BreakGlass
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.core.request import Reply


class AccountService:
    """Implements `core.command.AccountOperations` for one request."""

    def __init__(self, unit: UnitOfWork, break_glass: BreakGlass) -> None:
        self._tx = unit.tx
        self._request = unit.request
        self._break_glass = break_glass
        self._policy = break_glass.authorizer.policy
        self._linking = break_glass.authorizer.linking

    def issue_link_code(self) -> Reply:
        return self._linking.issue(self._tx, self._request)

    def redeem_link_code(self, code: str) -> Reply:
        return self._linking.redeem(self._tx, self._request, code)

    def unlink(self, channel: str) -> Reply:
        return self._linking.unlink(self._tx, self._request, channel)

    def describe_identity(self) -> Sequence[str]:
        accounts = self._linking.whoami(self._tx, self._request)
        return [*accounts, *self._duties(), *self._break_glass.status_lines(self._tx, self._request.by)]

    def _duties(self) -> list[str]:
        """The services that the requester is on call for, and which of them have an open incident."""
        services = sorted(self._policy.on_call_for(self._request.by.id))
        troubled = [one for one in services if self._tx.has_unresolved_incident(one)]
        lines = [f"On call for {', '.join(services)}, according to the settings."] if services else []
        if troubled:
            lines.append(
                f"An incident is open on {', '.join(troubled)}: rights that depend on it end when it is resolved."
            )
        return lines
