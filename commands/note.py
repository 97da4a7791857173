"""note: add a note to an incident's timeline, shown in every chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber
from bot.core.command import CommandContext
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request

_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class NoteArgs:
    incident: Annotated[int, IncidentNumber()]
    text: Annotated[str, FreeText(max_length=_LONGEST, question="What should the note say?")]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("note {incident} restarted the cache, watching it", "note restarted the cache"),
    details="Every chat shows it. In an incident's thread the number may be left out.",
    way_back="A note stays.",
)


@dataclass(frozen=True)
class NoteCommand:
    verb: str = "note"
    usage: str = "note <incident> <text>"
    summary: str = "add a note to an incident's timeline"
    manual: Manual = _MANUAL
    args: type[NoteArgs] = NoteArgs
    read_only: bool = False

    def run(self, request: Request, args: NoteArgs, context: CommandContext) -> Reply:
        context.incidents.add_note(context.incidents.get(args.incident), args.text)
        return Reply(text=f"Noted on incident {args.incident}.")


command = NoteCommand()
