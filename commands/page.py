"""page: a person pages the on-call responder, for a service or about an incident.

Each page opens a new critical incident with a key of its own, because a pager does not ring twice for the same key:
PagerDuty adds a second trigger to the open alert, and an acknowledged alert stays silent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber, Name
from bot.chatops.tokens import ArgumentSlot, Tokens, shorten
from bot.core.command import CommandContext
from bot.core.request import Reply, Request

_LONGEST = 500


@dataclass(frozen=True)
class PageSubject:
    """An incident's number, or a service. In an incident's thread it may be left out.

    There, a service is refused with a question: the word may as well be the first of the text.
    """

    def usage(self, field: str) -> str:
        return "incident|service"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> int | str:
        word = tokens.peek()
        if slot.thread_incident is None and word and not word.lstrip("#")[:1].isdigit():
            return Name(of="service").parse(tokens, replace(slot, field="service"))
        if slot.thread_incident is not None and self._is_service(word, slot):
            raise slot.refusal(
                f"Is {shorten(word)} the service, or does the text begin with it?"
                f" Put `#{slot.thread_incident}` first, or page from outside this incident's thread.",
                code="ambiguous",
            )
        return IncidentNumber().parse(tokens, slot)

    def format(self, value: object) -> str:
        return IncidentNumber().format(value) if isinstance(value, int) else Name().format(value)

    def _is_service(self, word: str, slot: ArgumentSlot) -> bool:
        return any(name == word or name.endswith(f"/{word}") for name in slot.known.get("service", ()))


@dataclass(frozen=True, kw_only=True)
class PageArgs:
    subject: Annotated[int | str, PageSubject()]
    text: Annotated[str, FreeText(max_length=_LONGEST, question="What should the page say?")]

    @property
    def incident(self) -> int | None:
        """The target of the permission check, as for every other command about an incident."""
        return self.subject if isinstance(self.subject, int) else None

    @property
    def service(self) -> str:
        return self.subject if isinstance(self.subject, str) else ""


@dataclass(frozen=True)
class PageCommand:
    verb: str = "page"
    usage: str = "page <incident|service> <text>"
    summary: str = "page the on-call responder, by a new critical incident"
    args: type[PageArgs] = PageArgs
    read_only: bool = False

    def run(self, request: Request, args: PageArgs, context: CommandContext) -> Reply:
        about = None if args.incident is None else context.incidents.get(args.incident)
        service = about.service if about else args.service
        opened = context.incidents.page(args.text, service=service, about=about)
        return Reply(text=f"Incident {opened.id} is open and pages: {opened.title}")


command = PageCommand()
