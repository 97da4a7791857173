"""All verbs that can be typed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.action import Action
from bot.core.command import Command
from bot.core.errors import Rejected
from bot.core.manual import EVERY_FACILITY, Facility
from bot.core.plan import Risk


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Commands (they read, or change incidents) and actions (they change something outside), by verb."""

    commands: Mapping[str, Command[Any]]
    actions: dict[str, Action[Any]]
    facilities: frozenset[Facility] = EVERY_FACILITY  #: what the settings provide

    @property
    def all(self) -> Mapping[str, Command[Any] | Action[Any]]:
        return dict(sorted((*self.commands.items(), *self.actions.items())))

    @property
    def usable(self) -> Mapping[str, Command[Any] | Action[Any]]:
        """Those that this installation can do: what help and menus show. The others are refused with a reason."""
        return {verb: one for verb, one in self.all.items() if one.manual.works_with(self.facilities)}

    @property
    def risks(self) -> Mapping[str, Risk]:
        return {verb: one.risk for verb, one in self.actions.items()}

    def action(self, verb: str) -> Action[Any]:
        """The action of a stored plan or run, which an older version may have written.

        Raises:
            Rejected: this version has no action of that name.
        """
        found = self.actions.get(verb)
        if found is None:
            message = f"The bot no longer has the command {verb[:40]!r}. Nothing was done. Do it by hand."
            raise Rejected(message, code="no_such_action", status=409)
        return found
