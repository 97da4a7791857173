"""The live story: committed events, and lines that are none, to every open board, over server-sent events.

The feed keeps a short tail of the story and each client a place in it. A client too slow, or away for too long,
is told to read everything again; nothing grows with the number of events or with a client that does not read.
The tail is looked at when the bell rings and once a second, because another process may have written.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice

from bot.core.errors import Rejected
from bot.store.engine import Store
from bot.web.incidents_api import EventOut, event_out

logger = logging.getLogger(__name__)

_TAIL = 1000
_FILL = 500  # how far back the tail reaches when it is filled anew
_FRESH = 40  # what a board that has just been opened sees of the story so far
_MOST_CLIENTS = 64
_LOOK_EVERY_S = 1.0
_PAUSE_S = 0.1  # between two looks, so that a storm does not make the board compete with the intake
_PING_S = 15.0

#: Read everything again: there is a gap between what the client saw and what is kept.
_REREAD = b"event: reread\ndata: {}\n\n"
_PING = b"event: ping\ndata: {}\n\n"


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line that belongs to no incident. One of the same name takes the place of the one before."""

    name: str
    at: str
    text: str


class FeedSignal:
    """Rung after a commit, from any thread; carries lines that are no events. Costs nothing while nobody watches."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self._on_its_way = False
        self._spoken: deque[FeedLine] = deque(maxlen=_FRESH)

    def say(self, name: str, text: str) -> bool:
        """False: nobody watches, and it is not said."""
        if self._loop is None:
            return False
        self._spoken.append(FeedLine(name, datetime.now(UTC).isoformat(), text))
        self.notify()
        return True

    def take_lines(self) -> list[FeedLine]:
        """What was said since this was last asked."""
        return [self._spoken.popleft() for _ in range(len(self._spoken))]

    def notify(self) -> None:
        loop = self._loop
        if loop is None or self._on_its_way:
            return
        self._on_its_way = True
        with suppress(RuntimeError):  # the loop has just been closed: nobody is left to hear
            loop.call_soon_threadsafe(self._rung.set)

    def listen(self) -> None:
        """From the loop that waits."""
        self._loop = asyncio.get_running_loop()

    def detach(self) -> None:
        self._loop = None
        self._spoken.clear()

    async def wait(self, within_s: float) -> None:
        """Until it rings or the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), within_s)
        self._rung.clear()
        self._on_its_way = False


@dataclass(frozen=True, slots=True)
class _Told:
    """One event in the tail, or line that is none, as it goes over the wire. `serial` counts up without gaps.

    `event_id` of a line is that of the event before it, so that whoever comes back hears it again: it has a name.
    """

    serial: int
    event_id: int
    wire: bytes


class Feed:
    """One tail for all clients; it looks at the store only while there are any."""

    def __init__(self, store: Store, signal: FeedSignal, *, threads: Executor) -> None:
        self._store = store
        self._bell = signal
        self._threads = threads
        self._tail: deque[_Told] = deque(maxlen=_TAIL)
        self._serial = 0
        self._clients = 0
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()  #: set once the tail has been filled for the first time
        self._moved = asyncio.Event()  #: set, and replaced, whenever the tail grows
        self._closed = False

    def check_room(self) -> None:
        """Raises `Rejected` when one more client is too many."""
        if self._closed or self._clients >= _MOST_CLIENTS:
            raise Rejected("Too many boards are open. Close one and reload.", code="busy", status=503)

    async def stream(self, last_event_id: int | None) -> AsyncGenerator[bytes, None]:
        """What one client gets, from where it left off, until it goes away."""
        self._enter()
        try:
            await self._looked.wait()
            place = self._place_of(last_event_id)
            yield b"retry: 1000\n\n" + (_REREAD if place is None else b"")
            place = self._fresh_place() if place is None else place
            while not self._closed:
                moved = self._moved
                place, piece = self._since(place)
                yield piece or await _first_of(moved)
        finally:
            self._leave()

    def close(self) -> None:
        """End every stream; the clients will try to come back. From the loop's own thread."""
        self._closed = True
        self._looked.set()
        self._moved.set()

    def _enter(self) -> None:
        self._clients += 1
        if self._looking is None:
            self._bell.listen()
            self._looking = asyncio.create_task(self._look())

    def _leave(self) -> None:
        self._clients -= 1
        if self._clients or self._looking is None:
            return
        self._bell.detach()
        self._looking.cancel()
        self._looking = None
        self._looked = asyncio.Event()
        # Nobody watches, so the tail would only grow old; the next client fills it anew.
        self._tail.clear()

    def _place_of(self, last_event_id: int | None) -> int | None:
        """The serial of the last event that client has seen; None when it is not kept any more."""
        if last_event_id is None:
            return self._fresh_place()
        return next((told.serial for told in self._tail if told.event_id == last_event_id), None)

    def _fresh_place(self) -> int:
        return self._serial - min(_FRESH, len(self._tail))

    def _since(self, place: int) -> tuple[int, bytes]:
        """All that was told after `place`, and the place after that."""
        missing = self._serial - place
        if missing > len(self._tail):
            return self._serial, _REREAD
        unseen = islice(self._tail, len(self._tail) - missing, None)
        return self._serial, b"".join(told.wire for told in unseen)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        failing = False
        while not self._closed:
            try:
                self._take(await loop.run_in_executor(self._threads, self._read), self._bell.take_lines())
                failing = False
            except Exception:
                if not failing:  # once: a store that is down for an hour is one line, not an hour of lines
                    logger.exception("the board's feed cannot read the store")
                failing = True
            self._looked.set()
            await asyncio.sleep(_PAUSE_S)
            await self._bell.wait(_LOOK_EVERY_S)

    def _read(self) -> list[EventOut]:
        with self._store.read() as seen:
            # Ids are given in the order of commits (decision 0001), so nothing can appear behind the last one seen.
            after = self._tail[-1].event_id if self._tail else max(0, seen.newest_event() - _FILL)
            return [event_out(event_id, event) for event_id, event in seen.events_since(after, limit=_TAIL)]

    def _take(self, events: list[EventOut], lines: list[FeedLine]) -> None:
        for event in events:
            self._keep(event.id, f"id: {event.id}\ndata: {event.model_dump_json()}\n\n")
        for line in lines:
            last = self._tail[-1].event_id if self._tail else 0
            self._keep(last, f"event: said\ndata: {json.dumps(asdict(line))}\n\n")
        if events or lines:
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    def _keep(self, event_id: int, wire: str) -> None:
        self._serial += 1
        self._tail.append(_Told(self._serial, event_id, wire.encode()))


async def _first_of(moved: asyncio.Event) -> bytes:
    """Nothing when the tail moved, a ping when it did not for long: a silent line cannot be told from a dead one."""
    try:
        await asyncio.wait_for(moved.wait(), _PING_S)
    except TimeoutError:
        return _PING
    return b""
