"""Who is owed what by a change: pure, one row per channel that wants the event.

| event                        | card          | line | page         |
|------------------------------|---------------|------|--------------|
| opened                       | posted        | -    | trigger      |
| passed (over when heard of)  | posted        | -    | -            |
| acked, resolved, reopened    | edited        | yes  | the same     |
| worsened                     | edited        | yes  | trigger      |
| eased, assigned, paged       | edited        | yes  | -            |
| noted, undelivered           | edited        | yes  | -            |
| alerts fired, alerts ended   | edited, last  | -    | -            |

A pager is told what it told us itself only where something older is still unsent to it, so that the older cannot
undo it. Ranks order each channel's queue: new critical cards first, then what people did, then the other new cards by
their severity, then cards whose counts moved; so the last critical incident is told before the first warning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from msgspec.structs import replace

from bot.model import STORY, Change, Incident, Kind, Owed, Severity, What

_COUNTS_ONLY = frozenset({What.FIRED, What.ENDED})
_BY_PEOPLE = 1
_COUNTS = 5


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mouth:
    """What `owed` has to know of a channel; one is equal to itself only, so that asking `_owed` of it costs little."""

    name: str
    kinds: frozenset[Kind]
    wants: frozenset[What]
    takes: Callable[[Incident], bool] = lambda _: True  #: False: this incident is none of that channel's business


_Told = tuple[tuple[What, str], ...]  #: what happened and through which place, of each event of a change


def owed(change: Change, mouths: Sequence[Mouth]) -> list[Owed]:
    """What each channel is owed for the change's events, in their order; a card at most once."""
    told = tuple((event.what, event.via) for event in change.events)
    severity = change.incident.severity
    return [one for mouth in mouths if mouth.takes(change.incident) for one in _owed(mouth, told, severity)]


@lru_cache(maxsize=1024)
def _owed(mouth: Mouth, told: _Told, severity: Severity) -> tuple[Owed, ...]:
    """Remembered, because a storm asks the same few questions for each of its incidents."""
    wanted = [(place, what, via) for place, (what, via) in enumerate(told) if _concerns(mouth, what, via)]
    rows: list[Owed] = []
    if Kind.CARD in mouth.kinds and wanted:
        rank = min(card_rank(what, severity) for _, what, _ in wanted)
        rows.append(Owed(channel=mouth.name, kind=Kind.CARD, rank=rank))
    for place, what, via in wanted:
        if Kind.LINE in mouth.kinds and what in STORY:
            rows.append(Owed(channel=mouth.name, kind=Kind.LINE, rank=_BY_PEOPLE, event=place))
        if Kind.PAGE in mouth.kinds:
            hurries, echoes = what is What.WORSENED, via == mouth.name
            page = Owed(channel=mouth.name, kind=Kind.PAGE, rank=severity.rank, event=place)
            rows.append(replace(page, hurries=hurries, echoes=echoes) if hurries or echoes else page)
    return tuple(rows)


def card_rank(what: What, severity: Severity) -> int:
    """Where a card's state stands in its channel's queue."""
    if what in _COUNTS_ONLY:
        return _COUNTS
    if what is What.PASSED:
        return 1 + Severity.INFO.rank
    if what is not What.OPENED:
        return _BY_PEOPLE
    return 0 if severity is Severity.CRITICAL else 1 + severity.rank


def _concerns(mouth: Mouth, what: What, via: str) -> bool:
    """Whether it wants the event; that a channel fails is not told to that channel."""
    return what in mouth.wants and not (what is What.UNDELIVERED and via == mouth.name)
