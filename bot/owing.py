"""Who is owed what by a change: pure, one row per channel that wants the event.

| event                        | card          | line | page         |
|------------------------------|---------------|------|--------------|
| opened                       | posted        | -    | trigger      |
| acked, resolved, reopened    | edited        | yes  | the same     |
| worsened                     | edited        | yes  | trigger      |
| noted, undelivered           | edited        | yes  | -            |
| alerts fired, alerts ended   | edited, last  | -    | -            |

A pager is never told what it told us (`Event.via`). What had ended before it was heard of pages nobody.
Ranks order each channel's queue: new critical cards first, then what people did, then the other new cards by their
severity, then cards whose counts moved; so the last critical incident is told before the first warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.model import STORY, Change, Event, Incident, Kind, Owed, Severity, What

_COUNTS_ONLY = frozenset({What.FIRED, What.ENDED})
_BY_PEOPLE = 1
_COUNTS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Mouth:
    """What `owed` has to know of a channel."""

    name: str
    kinds: frozenset[Kind]
    wants: frozenset[What]
    takes: Callable[[Incident], bool] = lambda _: True  #: False: this incident is none of that channel's business


def owed(change: Change, mouths: Sequence[Mouth]) -> list[Owed]:
    """What each channel is owed for the change's events, in their order; a card at most once."""
    rows: list[Owed] = []
    for mouth in mouths:
        wanted = [(place, event) for place, event in enumerate(change.events) if _concerns(mouth, event)]
        if not wanted or not mouth.takes(change.incident):
            continue
        if Kind.CARD in mouth.kinds:
            rank = min(card_rank(event.what, change.incident.severity) for _, event in wanted)
            rows.append(Owed(channel=mouth.name, kind=Kind.CARD, rank=rank))
        if _ended_unheard(change):
            continue
        if Kind.LINE in mouth.kinds:
            rows.extend(
                Owed(channel=mouth.name, kind=Kind.LINE, rank=_BY_PEOPLE, event=place)
                for place, event in wanted
                if event.what in STORY
            )
        if Kind.PAGE in mouth.kinds:
            rank = change.incident.severity.rank
            rows.extend(
                Owed(channel=mouth.name, kind=Kind.PAGE, rank=rank, event=place)
                for place, event in wanted
                if event.via != mouth.name
            )
    return rows


def card_rank(what: What, severity: Severity) -> int:
    """Where a card's state stands in its channel's queue."""
    if what in _COUNTS_ONLY:
        return _COUNTS
    if what is not What.OPENED:
        return _BY_PEOPLE
    return 0 if severity is Severity.CRITICAL else 1 + severity.rank


def _concerns(mouth: Mouth, event: Event) -> bool:
    """Whether it wants the event; that a channel fails is not told to that channel."""
    return event.what in mouth.wants and not (event.what is What.UNDELIVERED and event.via == mouth.name)


def _ended_unheard(change: Change) -> bool:
    return {event.what for event in change.events} >= {What.OPENED, What.RESOLVED}
