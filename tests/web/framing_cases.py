"""Streams of requests that are right or nearly so, and what h11 by itself and a connection of ours read in them.

`told_by_h11` is the judge. `Listener` is a whole connection (`HttpProtocol`, with the short way in front) on a
transport and a loop that do at once what they are told, so that a million streams can be read.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, cast

import h11
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from bot.core.alert import AlertBatch
from bot.web.alert_answers import AlertAnswer
from bot.web.alerts import AlertsEndpoint
from bot.web.alerts_fast_path import FastPath
from bot.web.fair_share import FairShare
from bot.web.framing import fault_of, has_bare_lf
from bot.web.http_protocol import HttpProtocol


class Request(NamedTuple):
    """The parts of a request that matter to the bot."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def told_by_h11(stream: bytes) -> tuple[list[Request], int]:
    """All complete requests in the stream, by h11; and how many precede the first one that the bot refuses."""
    one = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    one.receive_data(stream)
    told: list[Request] = []
    plain = -1
    try:
        while True:
            if plain < 0 and one.their_state is h11.IDLE and fault_of(one.trailing_data[0].partition(b"\r\n\r\n")[0]):
                plain = len(told)
            before = one.trailing_data[0]
            event = one.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                fields = tuple(sorted((name, value) for name, value in head.headers))
                ended = before[: len(before) - len(one.trailing_data[0])]
                if plain < 0 and (b"transfer-encoding", b"chunked") in fields and has_bare_lf(ended):
                    plain = len(told)
                told.append(Request(head.method, head.target, fields, body))
                one.send(h11.Response(status_code=404, headers=[(b"content-length", b"0")]))
                one.send(h11.EndOfMessage())
                if one.their_state is not h11.DONE:
                    break
                one.start_next_cycle()
            else:
                break
    except h11.RemoteProtocolError:
        pass
    return told, len(told) if plain < 0 else plain


class _Loop:
    """Keeps callbacks until `turn`. Pauses end at once; timeouts that end a connection never come."""

    def __init__(self) -> None:
        self._soon: deque[Callable[[], object]] = deque()
        self._tasks: list[tuple[Any, Coroutine[Any, Any, None]]] = []

    def call_soon(self, act: Callable[..., object], *args: object) -> None:
        self._soon.append(lambda: act(*args))

    def call_later(self, after_s: float, act: Callable[..., object], *args: object) -> _Loop:
        # The rest of a connection's share is three times what the machine took, which may have stalled meanwhile.
        if after_s < 1 or isinstance(getattr(act, "__self__", None), FairShare):
            self.call_soon(act, *args)
        return self

    def cancel(self) -> None: ...

    def add_done_callback(self, _: object) -> None: ...

    def create_task(self, work: Coroutine[Any, Any, None]) -> _Loop:
        cycle = work.cr_frame.f_locals["self"]  # type: ignore[attr-defined]  # a coroutine of uvicorn's own
        self._tasks.append((cycle, work))
        return self

    def turn(self, most: int) -> bool:
        """Run what can run; returns whether that was all. An app waits for its body or the end of the connection."""
        for _ in range(most):
            ready = [one for one in self._tasks if not one[0].more_body or one[0].disconnected][:1]
            for one in ready:
                self._tasks.remove(one)
                try:
                    one[1].send(None)
                except StopIteration:
                    continue
                raise AssertionError("an app waits although its body is whole")
            if self._soon:
                self._soon.popleft()()
            elif not ready:
                return True
        return False

    def end(self) -> None:
        for _, work in self._tasks:
            work.close()


class _Line:
    """A transport that accepts everything, and delivers data even while paused."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed, "nothing is written after the end"
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Listener:
    """Reads streams, one connection for each. `short`: with a fast path that accepts everything of its shape."""

    def __init__(self, *, short: bool) -> None:
        self._config = uvicorn.Config(
            self._app, lifespan="off", log_config=None, proxy_headers=False, interface="asgi3"
        )
        self._config.load()
        self._heard: list[Request] = []
        self.by_short_way = 0
        self._kind = HttpProtocol.with_fast_path(FastPath(cast("AlertsEndpoint", self)) if short else None)

    def read(self, pieces: list[bytes], chance: random.Random) -> list[Request]:
        """The requests received. The next piece arrives at any stage of the processing of those before it."""
        loop, line, self._heard = _Loop(), _Line(), []
        wire = self._kind(self._config, ServerState(), {}, cast("Any", loop))
        wire.connection_made(cast("Any", line))
        for piece in pieces:
            wire.data_received(piece)
            loop.turn(chance.choice((0, 0, 1, 2, 3, 100)))
            if line.closed:
                break
        assert loop.turn(2000), "it comes to rest"
        loop.end()
        answers = b"".join(line.sent)
        assert answers.count(b"HTTP/1.1 404 ") == len(self._heard), "each is answered once"
        return self._heard

    def read_ordinary(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> AlertBatch:
        """Like the intake's: called by the fast path for each request that it has parsed."""
        self.by_short_way += 1
        self._heard.append(Request(b"POST", path.encode(), tuple(sorted(headers.items())), body))
        return AlertBatch(source="any", group="", alerts=())

    def store(self, _: AlertBatch, __: Mapping[bytes, bytes], tell: Callable[[AlertAnswer], None]) -> None:
        tell(AlertAnswer(404, ((b"content-length", b"0"),), b""))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        assert not message["more_body"]
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        self._heard.append(Request(scope["method"].encode(), target, tuple(sorted(scope["headers"])), message["body"]))
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


_METHODS = (b"POST", b"POST", b"POST", b"GET", b"PUT", b"HEAD", b"get", b"CONNECT", b"PRI", b"P OST", b"")
_TARGETS = (
    *((b"/alerts/alertmanager",) * 6),
    *(
        b"/livez",
        b"/",
        b"/a?b=c",
        b"*",
        b"http://b/alerts/x",
        b"//b/c",
        b"/%2e%2e",
        b"/\xc3\xa9",
        b"a:1",
        b"/a b",
        b"/#",
    ),
)
_VERSIONS = (*((b"HTTP/1.1",) * 12), b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/11", b"")
_HOSTS = (*((b"Host: a",) * 9), b"Host: a:80", b"host:b", b"Host: a b", b"Host:", b"Host: a\r\nHost: b", b"X: y")
_FIELDS = (
    *((b"User-Agent: Alertmanager/0.28.1", b"Content-Type: application/json", b"Authorization: Bearer x") * 3),
    *(
        b"Upgrade: h2c\r\nConnection: Upgrade",
        b"Upgrade: websocket",
        *((b"Connection: close",) * 3),
        b"Connection: a, close",
    ),
    *(b"Expect: 100-continue", b"X-Forwarded-For: 1", b"X : y", b" X: y", b"X:\ty ", b"X: a\r\n folded", b"X", b": y"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: 5, 5", b"content_length: 1"),
    *(
        b"Authorization: a\r\nAuthorization: b",
        b"X: \x00",
        b"X: \x0b",
        b"X: a\rb",
        b"X: a\nY: b",
        b"X-\xff: a",
        b"\x00: a",
    ),
)
_LENGTHS = (
    b"Content-Length: %d",
    b"Content-Length: %d",
    b"content-length:%d",
    b"Content-Length: 0%d",
    b"Content-Length : %d",
)
_BODIES = (
    *(b"", b"{}", b"word", b'{"version":"4"}', b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    *(b"\r\n" * 40 + b"POST /console HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b"\x00\xff" * 20),
)
_CHUNKED = (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked")
_SIZES = (b"%x", b"%x", b"%X", b"0%x", b"%x;a=b", b"%x ", b"+%x", b"0x%x", b"%x;\r", b"%x\n", b"-%x")
_ENDS = (
    *((b"0\r\n\r\n",) * 6),
    b"0\r\nX: y\r\n\r\n",
    b"0\r\n\n",
    b"0\n\n",
    b"0;a\r\n\r\n",
    b"00\r\n\r\n",
    b"0\r\n X: y\r\n\r\n",
)
_NASTY = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b":",
    b"\t",
    b"0",
    b"\r\n\r\n",
    b"\xff",
    b"Transfer-Encoding: chunked\r\n",
)


def stream(chance: random.Random) -> bytes:
    """A few requests, most of them valid, with an occasional stray byte."""
    if chance.random() < 0.3:
        return _ordinary(chance)
    text = b"".join(_request(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))
    for _ in range(chance.choice((0, 0, 0, 1, 1, 3))):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(_NASTY) * chance.randrange(2) + text[at + chance.randrange(3) :]
    return text


def _ordinary(chance: random.Random) -> bytes:
    """Requests for the fast path, or with one difference from such a request."""
    body = chance.choice(_BODIES)
    lines = [b"POST /alerts/alertmanager HTTP/1.1", b"Host: a", *_FIELDS[:3], b"Content-Length: %d" % len(body)]
    at = chance.randrange(1, len(lines))
    match chance.randrange(5):
        case 0:
            lines.insert(at, chance.choice(lines[1:]))
        case 1:
            lines.insert(at, chance.choice(_FIELDS))
        case 2:
            nasty = chance.choice(_NASTY)
            lines[at] = chance.choice((lines[at] + nasty, nasty + lines[at], lines[at].replace(b": ", b":" + nasty)))
        case 3:
            body = chance.choice((body[:-1], body + chance.choice(_NASTY), body + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        case _:
            pass
    return b"\r\n".join([*lines, b"", body])


def cut(text: bytes, chance: random.Random) -> list[bytes]:
    """In one piece, in a few, or in many."""
    cuts = chance.choice((0, 0, 0, 1, 1, 2, 5, 40))
    at = [0, *sorted(chance.randrange(len(text) + 1) for _ in range(cuts)), len(text)]
    return [piece for begin, end in pairwise(at) if (piece := text[begin:end])]


def _request(chance: random.Random) -> bytes:
    pick = chance.choice
    odd = chance.random() < 0.5  # half of them have nothing odd about them
    line = (pick(_METHODS), pick(_TARGETS), pick(_VERSIONS)) if odd else (b"POST", _TARGETS[0], b"HTTP/1.1")
    fields = [pick(_HOSTS) if odd else _HOSTS[0]]
    fields += chance.choices(_FIELDS, k=chance.randrange(4)) if odd else chance.sample(_FIELDS[:3], chance.randrange(4))
    body = pick(_BODIES)
    if chance.random() < 0.3:
        fields.append(pick(_CHUNKED))
        body = _chunks(body, chance, odd=odd)
    elif body or chance.random() < 0.5:
        fields.append((pick(_LENGTHS) if odd else _LENGTHS[0]) % (len(body) + (odd and pick((0, 0, 0, 0, 1, -1, 7)))))
    if odd:
        chance.shuffle(fields)
    end = pick((b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n")) if odd else b"\r\n"
    return end.join([b" ".join(line), *fields, b"", b""]) + body


def _chunks(body: bytes, chance: random.Random, *, odd: bool) -> bytes:
    size = chance.choice((1, 7, 4096))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = [(chance.choice(_SIZES) if odd else b"%x") % len(one) + b"\r\n" + one + b"\r\n" for one in pieces]
    return b"".join(framed) + (chance.choice(_ENDS) if odd else _ENDS[0])
