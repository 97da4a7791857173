"""The event stream's tail: no event twice, and none missing without a notice, however store and clients behave."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast
from unittest.mock import ANY

import pytest

from bot.core.incident import Event, EventType
from bot.store.engine import Store
from bot.store.views import Reader
from bot.web import event_stream as feed
from bot.web.event_stream import Feed, FeedSignal

pytestmark = pytest.mark.waits

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


class Events:
    """A store with only events, in the order in which they became visible."""

    def __init__(self, *ids: int) -> None:
        self.ids = list(ids)
        self.down = False
        self.refused = 0

    @contextmanager
    def read(self) -> Iterator[Reader]:
        if self.down:
            self.refused += 1
            raise OSError("no such database")
        yield cast("Reader", self)

    def newest_event(self) -> int:
        return max(self.ids, default=0)

    def events_since(self, after_id: int, /, limit: int) -> Sequence[tuple[int, Event]]:
        seen = sorted(number for number in self.ids if number > after_id)[:limit]
        return [(number, event(number)) for number in seen]


def event(number: int) -> Event:
    return Event(incident_id=1, at=NOW, type=EventType.NOTED, by="ana", text=f"note {number}")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_PAUSE_S", 0.0)
    monkeypatch.setattr(feed, "_POLL_EVERY_S", 0.01)


def watch(shelf: Events, script: Callable[[Feed], AsyncIterator[str]], bell: FeedSignal | None = None) -> list[str]:
    """What the script received from one feed."""

    async def run(threads: ThreadPoolExecutor) -> list[str]:
        async with asyncio.timeout(60):
            return [piece async for piece in script(Feed(cast("Store", shelf), bell or FeedSignal(), threads=threads))]

    with ThreadPoolExecutor(1) as threads:
        return asyncio.run(run(threads))


async def until(told: AsyncGenerator[bytes, None], last: str) -> list[str]:
    """Ids and names in the order received, up to and including `last`."""
    heard: list[str] = []
    while last not in heard:
        heard += re.findall(r"^(?:id|event): (\w+)$", (await anext(told)).decode(), re.MULTILINE)
    return heard


def test_each_event_is_told_once_and_in_order() -> None:
    shelf = Events(1, 2, 4)

    async def script(feed: Feed) -> AsyncIterator[str]:
        told = feed.stream(None)
        for number in await until(told, "4"):
            yield number
        shelf.ids += [5, 7]
        for number in await until(told, "7"):
            yield number

    assert watch(shelf, script) == ["1", "2", "4", "5", "7"]


def test_a_client_slower_than_the_tail_is_told_to_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_TAIL", 4)
    shelf = Events(1, 2)

    async def script(feed: Feed) -> AsyncIterator[str]:
        slow, quick = feed.stream(None), feed.stream(None)
        await until(slow, "2")
        await until(quick, "2")
        for number in range(3, 9):
            shelf.ids.append(number)
            await until(quick, str(number))
        for name in await until(slow, "reread"):
            yield name
        shelf.ids.append(9)
        for name in await until(slow, "9"):
            yield name

    assert watch(shelf, script) == ["reread", "9"]


def test_a_store_that_comes_back_goes_on_being_told() -> None:
    shelf = Events(1)

    async def script(feed: Feed) -> AsyncIterator[str]:
        told = feed.stream(None)
        await until(told, "1")
        shelf.down = True
        while shelf.refused < 3:
            await asyncio.sleep(0)
        shelf.ids.append(2)
        shelf.down = False
        for number in await until(told, "2"):
            yield number

    assert watch(shelf, script) == ["2"]


def test_a_silent_line_is_pinged_so_that_it_can_be_told_from_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_PING_S", 0.01)

    async def script(feed: Feed) -> AsyncIterator[str]:
        for name in await until(feed.stream(None), "ping"):
            yield name

    assert watch(Events(), script) == ["ping"]


def test_nobody_watching_means_no_look_at_the_store_until_somebody_comes() -> None:
    shelf = Events(1)

    async def script(feed: Feed) -> AsyncIterator[str]:
        told = feed.stream(None)
        await until(told, "1")
        await told.aclose()
        yield f"looking: {feed._reading is not None}"
        shelf.ids.append(2)
        for number in await until(feed.stream(None), "2"):
            yield number

    assert watch(shelf, script) == ["looking: False", "1", "2"]


def test_a_line_that_is_no_event_is_told_among_them_and_again_to_whoever_comes_back() -> None:
    shelf, bell = Events(1, 2), FeedSignal()

    async def script(feed: Feed) -> AsyncIterator[str]:
        yield str(bell.send_line("a", "nobody watches yet"))
        told = feed.stream(None)
        await until(told, "2")
        yield str(bell.send_line("a", "3 of 6 are ready"))
        piece = (await anext(told)).decode() or (await anext(told)).decode()
        yield piece.partition("data: ")[2].strip()
        shelf.ids.append(3)
        await until(told, "3")
        for name in await until(feed.stream(2), "3"):
            yield name

    unheard, heard, line, *again = watch(shelf, script, bell)

    assert (unheard, heard) == ("False", "True")
    assert json.loads(line) == {"name": "a", "at": ANY, "text": "3 of 6 are ready"}
    assert again == ["said", "3"]
