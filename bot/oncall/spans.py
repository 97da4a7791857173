"""Spans of time: cut, joined, and with the people whom a layer gives for them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from bot.core.rota import Override, Together


class Span(NamedTuple):
    """From `start` on and before `end`."""

    start: datetime
    end: datetime


class LayerSpan(NamedTuple):
    """What one layer gives for a time. `people` is empty while its turn is vacant or its people are away."""

    start: datetime
    end: datetime
    people: Together
    away: Together = ()  #: whose turn it is, and who is on leave
    override: Override | None = None
    instead_of: Together = ()  #: with an override: whose turn it would be


def within(turns: Iterable[LayerSpan], hours: Sequence[Span]) -> Iterator[LayerSpan]:
    """The parts of the turns that are within the hours. Both are in order, without overlaps."""
    first = 0
    for turn in turns:
        while first < len(hours) and hours[first].end <= turn.start:
            first += 1
        at = first
        while at < len(hours) and hours[at].start < turn.end:
            yield turn._replace(start=max(turn.start, hours[at].start), end=min(turn.end, hours[at].end))
            at += 1


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same times in order, those that touch as one."""
    found: list[Span] = []
    for one in sorted(spans):
        if found and one.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, one.end))
        else:
            found.append(one)
    return found


def split(spans: Iterable[LayerSpan], start: datetime, end: datetime) -> Iterator[tuple[LayerSpan, bool]]:
    """The same spans, cut at both instants, each with whether it lies between them."""
    for one in spans:
        if one.end <= start or one.start >= end:
            yield one, False
            continue
        if one.start < start:
            yield one._replace(end=start), False
        yield one._replace(start=max(one.start, start), end=min(one.end, end)), True
        if one.end > end:
            yield one._replace(start=end), False
