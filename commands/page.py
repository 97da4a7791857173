"""page: a person pages the on-call responder, for a service or about an incident, and is told who is paged.

Each page opens a new critical incident with a key of its own, because a pager does not ring twice for the same key:
PagerDuty adds a second trigger to the open alert, and an acknowledged alert stays silent.

A service that nobody knows is asked about, because a page for a mistyped one reaches nobody who is on call for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from bot.chatops.arguments import FreeText, IncidentNumber, Name
from bot.chatops.tokens import ArgumentSlot, Tokens, list_names, nearest_names, shorten
from bot.core.command import CommandContext, PageReach
from bot.core.errors import Rejected
from bot.core.incident import Incident
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request
from bot.lib.text import spell_list

_LONGEST = 500
#: In the place of a service: the page is for none.
_ANYONE = "anyone"
_NEAR, _LONGEST_OFFER = 3, 120
_UNKNOWN = frozenset({"unknown_name", "bad_name"})


@dataclass(frozen=True)
class PageSubject:
    """An incident's number, a service, or `anyone` for no service, which is "". In an incident's thread it may be left
    out.

    There, a service is refused with a question: the word may as well be the first of the text.
    """

    def usage(self, field: str) -> str:
        return f"incident|service|{_ANYONE}"

    def parse(self, tokens: Tokens, slot: ArgumentSlot) -> int | str:
        word = tokens.peek()
        is_service = self._is_service(word, slot)
        if slot.thread_incident is None and word and (is_service or not word.lstrip("#")[:1].isdigit()):
            return self._service(tokens, replace(slot, field="service"))
        if slot.thread_incident is not None and is_service:
            raise slot.refusal(
                f"Is {shorten(word)} the service, or does the text begin with it?"
                f" Put `#{slot.thread_incident}` first, or page from outside this incident's thread.",
                code="ambiguous",
            )
        return IncidentNumber().parse(tokens, slot)

    def format(self, value: object) -> str:
        return IncidentNumber().format(value) if isinstance(value, int) else Name().format(value or _ANYONE)

    def _service(self, tokens: Tokens, slot: ArgumentSlot) -> str:
        word, known = tokens.peek(), slot.known.get("service", ())
        if word.lower() == _ANYONE and not self._is_service(word, slot):
            tokens.take(len(word))
            return ""
        if not known and not {"/", '"'} & set(word):  # where no service is known, it is the first word of the text
            return ""
        try:
            return Name(of="service").parse(tokens, slot)
        except Rejected as refused:
            if refused.code not in _UNKNOWN:
                raise
        raise slot.refusal(" ".join(_ask_back(word, tokens.remainder(), known)), code="unknown_name")

    def _is_service(self, word: str, slot: ArgumentSlot) -> bool:
        return any(name == word or name.endswith(f"/{word}") for name in slot.known.get("service", ()))


def _ask_back(word: str, text: str, known: Collection[str]) -> Iterator[str]:
    """What to type instead, for a service that nobody knows. `text`: what follows the service."""
    yield f"{shorten(word)} is not a known service, so nobody was paged."
    near = nearest_names(word, known, _NEAR)
    if near:
        yield f"Did you mean {spell_list(f'`{one}`' for one in near)}?"
    elif known:
        yield f"Known: {list_names(known)}."
    again = f"page {_ANYONE} {word} {text}".rstrip() if not near else f"page {_ANYONE} {text}".rstrip()
    offer = again if text and len(again) <= _LONGEST_OFFER and "`" not in again else f"page {_ANYONE} <text>"
    yield f"To page for no service: `{offer}`."


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


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=(
        "page {service} the checkout hangs",
        "page {incident} please join",
        "page anyone the office has no network",
    ),
    details="It opens a new critical incident, and says who is paged.",
    way_back="`resolve` the new incident.",
)


@dataclass(frozen=True)
class PageCommand:
    verb: str = "page"
    usage: str = "page <incident|service|anyone> <text>"
    summary: str = "page the on-call responder"
    manual: Manual = _MANUAL
    args: type[PageArgs] = PageArgs
    read_only: bool = False

    def run(self, request: Request, args: PageArgs, context: CommandContext) -> Reply:
        about = None if args.incident is None else context.incidents.get(args.incident)
        service = about.service if about else args.service or None
        opened = context.incidents.page(args.text, service=service, about=about)
        said = opened.title.removeprefix(f"{request.by.display_name}: ")
        return Reply(text="\n".join(_lines(opened, said, context.get_page_reach(opened))))


def _lines(opened: Incident, said: str, reach: PageReach) -> Iterator[str]:
    """Whether somebody is paged comes first: it decides what the asker does next."""
    if reach.paging:
        yield f"Incident {opened.id} is open and pages: {said}"
        for pager in reach.paging:
            yield f"{pager.called} pages whoever is on call there."
            if pager.problem:
                yield f"{pager.called} is in trouble, so the page may be late or lost: {pager.problem}"
    else:
        yield f"Nobody is paged. Incident {opened.id} is open: {said}"
        yield from _why_nobody(opened, reach)
    certain = bool(reach.paging) and not any(one.problem for one in reach.paging)
    yield from _on_call(opened, reach, certain=certain)
    mention = f", with a mention of {spell_list(reach.mentioned, 'and')}" if reach.mentioned else ""
    if reach.chats:
        yield f"Posted in {spell_list(reach.chats, 'and')}{mention}."
    else:
        yield "No chat is set up: only the board shows it."


def _why_nobody(opened: Incident, reach: PageReach) -> Iterator[str]:
    if not reach.pagers:
        yield "No pager is set up under `channels`."
    for one in reach.pagers:
        yield f"{one.called} does not page for {opened.severity} incidents: see its `severities` in the settings."


def _on_call(opened: Incident, reach: PageReach, *, certain: bool) -> Iterator[str]:
    """Who is on call by the settings. `certain`: a pager wakes somebody, so that nobody need be called."""
    for_service = f" for {opened.service}" if opened.service else ""
    others = [one for one in reach.on_call if one != "you"]
    if reach.on_call:
        call = (
            ""
            if certain
            else f" Call {spell_list(others, 'and')}."
            if others
            else " Call somebody else if you need help."
        )
        yield f"On call{for_service}, by the settings: {spell_list(reach.on_call, 'and')}.{call}"
    elif not certain:
        unknown = (
            f"Nobody is on call for {opened.service} now, by the settings."
            if opened.service
            else "It is for no service."
        )
        yield f"{unknown} Call somebody who can help."


command = PageCommand()
