"""resend: send an incident's messages again that were given up, after what had refused them was repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from bot.chatops.arguments import IncidentNumber
from bot.core.command import CommandContext
from bot.core.incident import Incident, Status
from bot.core.manual import Manual, Topic
from bot.core.message import SentAgain
from bot.core.request import Reply, Request


@dataclass(frozen=True, kw_only=True)
class ResendArgs:
    incident: Annotated[int, IncidentNumber()]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("resend {incident}",),
    details="Messages that a chat or pager refused for good are sent again, each channel in its order. A page of a"
    " resolved incident is not.",
    way_back="None: what was sent has been read. It changes nothing else.",
)


@dataclass(frozen=True)
class ResendCommand:
    verb: str = "resend"
    usage: str = "resend <incident>"
    summary: str = "send messages again that could not be delivered"
    manual: Manual = _MANUAL
    args: type[ResendArgs] = ResendArgs
    read_only: bool = False

    def run(self, request: Request, args: ResendArgs, context: CommandContext) -> Reply:
        incident = context.incidents.get(args.incident)
        return Reply(text=" ".join(_sentences(incident, context.incidents.resend(incident))))


def _sentences(incident: Incident, channels: Sequence[SentAgain]) -> Iterator[str]:
    again = [f"{one.called or one.channel}: {_counts(one)}" for one in channels if one]
    if again:
        yield f"Being sent again for incident {incident.id}: {'; '.join(again)}."
    elif not any(one.withheld_pages for one in channels):
        yield f"No message of incident {incident.id} was given up: each has arrived or is still tried."
        yield "Nothing was sent again."
    else:
        yield "Nothing was sent again."
    for one in channels:
        if one.withheld_pages:
            reason = (
                "the incident is resolved" if incident.status is Status.RESOLVED else "what it said no longer holds"
            )
            yield f"Not sent to {one.called or one.channel}: {_count(one.withheld_pages, 'page')}, because {reason}."


def _counts(one: SentAgain) -> str:
    counted = ((one.cards, "card"), (one.lines, "line"), (one.pages, "page"))
    return ", ".join(_count(number, noun) for number, noun in counted if number)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


command = ResendCommand()
