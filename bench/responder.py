"""The cheapest HTTP server there is here: what the generator can do when nothing stands in its way.

`python -m bench.responder PORT` answers 200 to everything. With `check` it also reads every body as JSON and, at
`GET /seen`, tells how many bodies and how many distinct fingerprints came: the proof that the generator is honest.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Seen:
    """What came in, for the check."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.bodies = self.bytes = self.alerts = self.unreadable = 0
        self.fingerprints: set[str] = set()

    def take(self, body: bytes) -> None:
        self.bodies += 1
        self.bytes += len(body)
        try:
            told = json.loads(body)
        except ValueError:
            self.unreadable += 1
            return
        members = told["alerts"] if isinstance(told, dict) else told
        self.alerts += len(members)
        self.fingerprints.update(json.dumps(member["labels"]) for member in members)

    def tell(self) -> bytes:
        counted = {name: getattr(self, name) for name in ("bodies", "bytes", "alerts", "unreadable")}
        body = json.dumps({**counted, "distinct": len(self.fingerprints)}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Responder(asyncio.Protocol):
    """Reads Content-Length, skips the body, answers."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            if self._buffer.startswith(b"GET /seen"):
                self._transport.write(self._seen.tell())
                self._buffer.clear()
                return
            at = self._buffer.find(b"Content-Length: ", 0, end)
            length = int(self._buffer[at + 16 : self._buffer.find(b"\r", at)]) if at > 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            if self._seen.wanted:
                self._seen.take(bytes(self._buffer[end + 4 : end + 4 + length]))
            del self._buffer[: end + 4 + length]
            self._transport.write(_OK)


async def serve(port: int, seen: Seen) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Responder(seen), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Seen(wanted="check" in sys.argv[2:])))
