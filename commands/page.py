"""page: somebody wakes whoever is to be woken, for a service or about an incident.

Each page is a new critical incident with a key of its own. A pager that was told a key does not ring for it again:
PagerDuty only adds the second trigger to the alert that is open, and an acknowledged one stays silent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from bot.kinds import IncidentNumber, Name, Text
from bot.model import Ask, Reply
from bot.ports import Desk
from bot.sentence import Line, Slot, short

_LONGEST = 500


@dataclass(frozen=True)
class Subject:
    """An incident's number, or a service. In an incident's thread it may be left out; a service is then asked back."""

    def shape(self, field: str) -> str:
        return "incident|service"

    def take(self, line: Line, slot: Slot) -> int | str:
        word = line.peek()
        if slot.here is None and word and not word.lstrip("#")[:1].isdigit():
            return Name(of="service").take(line, replace(slot, field="service"))
        if slot.here is not None and self._is_service(word, slot):
            raise slot.wrong(
                f"Is {short(word)} the service, or does the text begin with it?"
                f" Say `#{slot.here}` first, or say it outside of this incident's thread.",
                code="ambiguous",
            )
        return IncidentNumber().take(line, slot)

    def write(self, value: object) -> str:
        return IncidentNumber().write(value) if isinstance(value, int) else Name().write(value)

    def _is_service(self, word: str, slot: Slot) -> bool:
        return any(name == word or name.endswith(f"/{word}") for name in slot.known.get("service", ()))


@dataclass(frozen=True, kw_only=True)
class Args:
    subject: Annotated[int | str, Subject()]
    text: Annotated[str, Text(most=_LONGEST, asked="What should the page say?")]

    @property
    def incident(self) -> int | None:
        """What the rights are asked for, as with every other command about an incident."""
        return self.subject if isinstance(self.subject, int) else None

    @property
    def service(self) -> str:
        return self.subject if isinstance(self.subject, str) else ""


@dataclass(frozen=True)
class Page:
    verb: str = "page"
    usage: str = "page <incident|service> <text>"
    says: str = "wake whoever is to be woken, as a new critical incident"
    args: type[Args] = Args
    reads: bool = False

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        about = None if args.incident is None else desk.incidents.get(args.incident)
        service = about.service if about else args.service
        opened = desk.incidents.page(args.text, service=service, about=about)
        return Reply(said=f"Incident {opened.id} is open and pages: {opened.title}")


command = Page()
