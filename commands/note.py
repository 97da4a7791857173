"""note: a sentence for an incident's story, seen in every chat."""

from __future__ import annotations

from dataclasses import dataclass

from bot import words
from bot.model import Ask, Reply
from bot.ports import Desk, Rejected

_LONGEST = 2000


@dataclass(frozen=True)
class Note:
    verb: str = "note"
    usage: str = "note <incident> <text>"
    says: str = "add a sentence to an incident's story"

    def run(self, ask: Ask, rest: str, desk: Desk) -> Reply:
        number, text = words.target_and_text(rest, ask.incident_id, self.usage)
        if not text:
            raise Rejected(f"What should the note say? Nothing was done. Usage: {self.usage}", code="no_text")
        if len(text) > _LONGEST:
            said = f"A note has at most {_LONGEST} characters, this has {len(text)}. Nothing was done. Shorten it."
            raise Rejected(said, code="too_long")
        desk.note(desk.incident(number), ask, text)
        return Reply(said=f"Noted on incident {number}.")


command = Note()
