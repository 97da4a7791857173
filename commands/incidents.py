"""incidents: list the incidents that are not resolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.chatops.arguments import NoArguments
from bot.core.command import CommandContext
from bot.core.incident import Incident, Status
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request

_SHOWN = 20


_MANUAL = Manual(topic=Topic.INCIDENTS, examples=("incidents",))


@dataclass(frozen=True)
class IncidentsCommand:
    verb: str = "incidents"
    usage: str = "incidents"
    summary: str = "list unresolved incidents, worst first"
    manual: Manual = _MANUAL
    args: type[NoArguments] = NoArguments
    read_only: bool = True

    def run(self, request: Request, args: NoArguments, context: CommandContext) -> Reply:
        found = context.incidents.list_unresolved(_SHOWN + 1)
        if not found:
            return Reply(text="There are no unresolved incidents.")
        lines = [incident_line(one, context.get_name) for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append("... and more; the board lists all.")
        return Reply(text="\n".join(lines))


def incident_line(one: Incident, name_of: Callable[[str], str]) -> str:
    """One incident in a list. `name_of`: the name of the person with that id."""
    firing = one.firing_words + (f"; {one.unheard_clause}" if one.unheard_clause else "")
    alerts = f" ({firing})" if one.total else ""
    return f"#{one.id} {one.severity} {one.status}{owner_clause(one, name_of)}: {one.title}{alerts}"


def owner_clause(one: Incident, name_of: Callable[[str], str]) -> str:
    """ ", assigned to Bo" or ", Bo has it"; "" for an incident without owner."""
    if not one.owner:
        return ""
    return f", assigned to {name_of(one.owner)}" if one.status is Status.OPEN else f", {one.owner_name} has it"


command = IncidentsCommand()
