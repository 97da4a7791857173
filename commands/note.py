"""note: a sentence for an incident's story, seen in every chat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bot.kinds import IncidentNumber, Text
from bot.model import Ask, Reply
from bot.ports import Desk

_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Args:
    incident: Annotated[int, IncidentNumber()]
    text: Annotated[str, Text(most=_LONGEST, asked="What should the note say?")]


@dataclass(frozen=True)
class Note:
    verb: str = "note"
    usage: str = "note <incident> <text>"
    says: str = "add a sentence to an incident's story"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        desk.incidents.add_note(desk.incidents.get(args.incident), args.text)
        return Reply(said=f"Noted on incident {args.incident}.")


command = Note()
