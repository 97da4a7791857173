"""The event stream: sends committed events, and lines of the console, to every open board by server-sent events.

The feed keeps the last events, and a position per client. A client that is too slow, or was away too long, is told to
reload everything; memory grows neither with the number of events nor with a client that does not read. The feed reads
new events after each signal, and once a second, because another process may have written.
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
from bot.web.incident_json import EventOut, event_out

logger = logging.getLogger(__name__)

_TAIL = 1000
_FILL = 500  # events read when the tail is empty
_FRESH = 40  # past events that a newly opened board gets
_MOST_CLIENTS = 64
_POLL_EVERY_S = 1.0
_PAUSE_S = 0.1  # between two reads, so that in an alert storm the board does not compete with the intake
_PING_S = 15.0

#: Tells the client to reload everything: events between its last one and the tail are lost.
_REREAD = b"event: reread\ndata: {}\n\n"
_PING = b"event: ping\ndata: {}\n\n"


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A line that belongs to no incident. It replaces an earlier line of the same name."""

    name: str
    at: str
    text: str


class FeedSignal:
    """Wakes the feed after a commit, from any thread, and carries lines. Costs nothing while no board is open."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self._pending = False
        self._lines: deque[FeedLine] = deque(maxlen=_FRESH)

    def send_line(self, name: str, text: str) -> bool:
        """Send a line to all boards. False: no board is open, and the line is dropped."""
        if self._loop is None:
            return False
        self._lines.append(FeedLine(name, datetime.now(UTC).isoformat(), text))
        self.notify()
        return True

    def take_lines(self) -> list[FeedLine]:
        """The lines since the last call."""
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def notify(self) -> None:
        loop = self._loop
        if loop is None or self._pending:
            return
        self._pending = True
        with suppress(RuntimeError):  # the loop has just been closed, and no board is left
            loop.call_soon_threadsafe(self._event.set)

    def listen(self) -> None:
        """Start to take signals. Call it in the loop that waits."""
        self._loop = asyncio.get_running_loop()

    def detach(self) -> None:
        self._loop = None
        self._lines.clear()

    async def wait(self, within_s: float) -> None:
        """Wait for a signal, at most that long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), within_s)
        self._event.clear()
        self._pending = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event or a line in the tail, in wire format. `serial` counts up without gaps.

    A line has the `event_id` of the event before it, so a client that reconnects gets it again; its name prevents a
    duplicate.
    """

    serial: int
    event_id: int
    wire: bytes


class Feed:
    """One tail for all clients; reads the database only while a client is connected."""

    def __init__(self, store: Store, signal: FeedSignal, *, threads: Executor) -> None:
        self._store = store
        self._signal = signal
        self._threads = threads
        self._tail: deque[_Entry] = deque(maxlen=_TAIL)
        self._serial = 0
        self._clients = 0
        self._reading: asyncio.Task[None] | None = None
        self._filled = asyncio.Event()  #: set after the first read
        self._grown = asyncio.Event()  #: set and replaced whenever the tail grows
        self._closed = False

    def check_room(self) -> None:
        """Raises `Rejected` if there are too many clients already."""
        if self._closed or self._clients >= _MOST_CLIENTS:
            raise Rejected("Too many boards are open. Close one and reload.", code="busy", status=503)

    async def stream(self, last_event_id: int | None) -> AsyncGenerator[bytes, None]:
        """The stream of one client, from its last event, until it disconnects."""
        self._enter()
        try:
            await self._filled.wait()
            place = self._place_of(last_event_id)
            yield b"retry: 1000\n\n" + (_REREAD if place is None else b"")
            place = self._fresh_place() if place is None else place
            while not self._closed:
                grown = self._grown
                place, piece = self._since(place)
                yield piece or await _ping_unless(grown)
        finally:
            self._leave()

    def close(self) -> None:
        """End every stream; the clients will reconnect. Call it in the loop's thread."""
        self._closed = True
        self._filled.set()
        self._grown.set()

    def _enter(self) -> None:
        self._clients += 1
        if self._reading is None:
            self._signal.listen()
            self._reading = asyncio.create_task(self._poll())

    def _leave(self) -> None:
        self._clients -= 1
        if self._clients or self._reading is None:
            return
        self._signal.detach()
        self._reading.cancel()
        self._reading = None
        self._filled = asyncio.Event()
        # Without clients the tail would become stale; the next client fills it again.
        self._tail.clear()

    def _place_of(self, last_event_id: int | None) -> int | None:
        """The serial of the last event that the client has; None if that is no longer kept."""
        if last_event_id is None:
            return self._fresh_place()
        return next((one.serial for one in self._tail if one.event_id == last_event_id), None)

    def _fresh_place(self) -> int:
        return self._serial - min(_FRESH, len(self._tail))

    def _since(self, place: int) -> tuple[int, bytes]:
        """Everything after `place`, and the new place."""
        missing = self._serial - place
        if missing > len(self._tail):
            return self._serial, _REREAD
        unseen = islice(self._tail, len(self._tail) - missing, None)
        return self._serial, b"".join(one.wire for one in unseen)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        failing = False
        while not self._closed:
            try:
                self._take(await loop.run_in_executor(self._threads, self._read), self._signal.take_lines())
                failing = False
            except Exception:
                if not failing:  # log it once, not once per second
                    logger.exception("the board's feed cannot read the store")
                failing = True
            self._filled.set()
            await asyncio.sleep(_PAUSE_S)
            await self._signal.wait(_POLL_EVERY_S)

    def _read(self) -> list[EventOut]:
        with self._store.read() as seen:
            # Ids are assigned in the order of commits (decision 0001), so no event can appear before the last one read.
            after = self._tail[-1].event_id if self._tail else max(0, seen.newest_event() - _FILL)
            return [event_out(event_id, event) for event_id, event in seen.events_since(after, limit=_TAIL)]

    def _take(self, events: list[EventOut], lines: list[FeedLine]) -> None:
        for event in events:
            self._keep(event.id, f"id: {event.id}\ndata: {event.model_dump_json()}\n\n")
        for line in lines:
            last = self._tail[-1].event_id if self._tail else 0
            self._keep(last, f"event: said\ndata: {json.dumps(asdict(line))}\n\n")
        if events or lines:
            grown, self._grown = self._grown, asyncio.Event()
            grown.set()

    def _keep(self, event_id: int, wire: str) -> None:
        self._serial += 1
        self._tail.append(_Entry(self._serial, event_id, wire.encode()))


async def _ping_unless(grown: asyncio.Event) -> bytes:
    """Empty once the tail has grown; a ping after some time, because a silent connection looks like a dead one."""
    try:
        await asyncio.wait_for(grown.wait(), _PING_S)
    except TimeoutError:
        return _PING
    return b""
