"""The web edge as one: what answers where, and the server that runs it beside the blocking rest of the bot.

Alerts go straight to the intake's own ASGI app; everything else goes through FastAPI. Proxies' headers are never
believed: the peer that the socket names is the peer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from errno import EACCES, EADDRINUSE

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.core.channel import Channel
from bot.lib.metrics import Metrics, OutboxSize
from bot.store.engine import Store
from bot.web import audit_api, incidents_api
from bot.web.alerts import AlertsEndpoint
from bot.web.alerts_fast_path import FastPath
from bot.web.auth import Auth
from bot.web.board import Board
from bot.web.channel_webhooks import ChannelWebhooks
from bot.web.errors import answer_errors, internal_error_body, refusal
from bot.web.event_stream import Feed, FeedSignal
from bot.web.flagger_gates import FlaggerEndpoint, GateClients
from bot.web.health import Check, HealthEndpoint
from bot.web.http_protocol import HttpProtocol, RateLimitedLog, raise_descriptors
from bot.web.metrics import MetricsEndpoint
from bot.web.proxied_connections import ProxiedConnections
from bot.web.threads import Threads

logger = logging.getLogger(__name__)
_wire_log = logging.getLogger("uvicorn.error")

_KEEP_ALIVE_S = 75  # longer than the minute that most clients keep an idle connection
_START_WITHIN_S = 10.0
#: For a sender to take what was answered. The kernel then drops the connection, which no timer of ours can close before
#: all that was written has been read.
_UNREAD_MS = 30_000
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def build_web(
    *,
    alerts: ASGIApp,
    store: Store,
    channels: Mapping[str, Channel],
    checks: Mapping[str, Check],
    shown: Mapping[str, Check],
    noted: Mapping[str, Check] | None = None,
    outbox_sizes: Callable[[], Iterable[OutboxSize]],
    meters: Metrics,
    refused: Callable[[str, str], None],
    feed_signal: FeedSignal,
    flagger: GateClients,
    public_url: str,
    api_token: SecretStr | None,
    version: str,
) -> WebApp:
    """Join the web's parts. `channels` are those that are set up, by name; the local one is the board's own line."""
    threads = Threads()
    carriers = ProxiedConnections()
    guard = Auth(public_url=public_url, api_token=api_token, refused=refused, threads=threads.peers, carriers=carriers)
    feed = Feed(store, feed_signal, threads=threads.look)
    console = next((channel for channel in channels.values() if channel.local), None)
    board = Board(feed=feed, guard=guard, console=console, threads=threads.console, version=version)
    app = _bare_app(version)
    app.include_router(incidents_api.routes(store, guard, threads=threads.api))
    app.include_router(audit_api.routes(store, guard, threads=threads.api))
    app.include_router(board.routes())
    app.include_router(ChannelWebhooks(channels, threads=threads.inbound, meters=meters, refused=refused).routes())
    app.include_router(FlaggerEndpoint(flagger, threads=threads.gates, refused=refused).routes())
    app.include_router(HealthEndpoint(checks, shown=shown, noted=noted, threads=threads.look).routes())
    app.include_router(MetricsEndpoint(meters, outbox_sizes, threads=threads.look).routes())
    incidents_api.publish_contract(app, guard)
    board.publish_contract(app)
    return WebApp(app=app, alerts=alerts, feed=feed, threads=threads, carriers=carriers)


def _bare_app(version: str) -> FastAPI:
    # FastAPI's own documentation pages load scripts from elsewhere; ours are in the board.
    app = FastAPI(
        title="Vakhta", version=version, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    answer_errors(app)
    return app


class WebApp:
    """The ASGI app of everything. Names each request, and lets no exception out."""

    def __init__(
        self, *, app: ASGIApp, alerts: ASGIApp, feed: Feed, threads: Threads, carriers: ProxiedConnections
    ) -> None:
        #: The short way to the same intake.
        self.fast_path = FastPath(alerts) if isinstance(alerts, AlertsEndpoint) else None
        self._app = app
        self._alerts = alerts
        self._feed = feed
        self._threads = threads
        self._carriers = carriers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._carriers.observe(scope)
        if scope["path"].startswith("/alerts/"):
            await self._alerts(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    def close_streams(self) -> None:
        """Let the boards go, so that the server can stop. From the loop's own thread."""
        self._feed.close()

    def stop_threads(self) -> None:
        self._threads.stop()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def send_named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception:
            logger.exception("request failed", extra={"request_id": request_id, "path": scope["path"]})
            if not begun:
                await refusal(internal_error_body(), request_id)(scope, receive, send_named)


class Server:
    """Runs an Edge in a thread of its own."""

    def __init__(self, app: WebApp, listener: socket.socket | None = None) -> None:
        """`listener`: what `listen_at` gave; without it `bind` comes before `start`."""
        self._edge = app
        self._running: _Running | None = None
        self._thread: threading.Thread | None = None
        self._door = listener
        self._seldom = RateLimitedLog()
        self._ended: Callable[[], None] = lambda: None

    def bind(self, listen: str) -> str:
        """Take the address "host:port", without answering yet. Returns the URL; port 0 takes a free one.

        Raises:
            SystemExit: with one line that says what is wrong, where the address cannot be had.
        """
        self._door = listen_at(listen)
        return self.url()

    def url(self) -> str:
        """Where it answers, once the address is taken."""
        assert self._door is not None, "bind comes first"
        host, port = self._door.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Answer at the address that was taken, from now on."""
        assert self._door is not None, "bind comes first"
        raise_descriptors()
        _wire_log.addFilter(self._seldom)
        self._running = _Running(_configured(self._edge))
        self._thread = threading.Thread(target=self._run, args=(self._running, self._door), name="web", daemon=True)
        self._thread.start()
        if not self._running.up.wait(_START_WITHIN_S):
            raise SystemExit(f"The server did not come up within {_START_WITHIN_S:g} s. See the log.")

    def _run(self, running: _Running, door: socket.socket) -> None:
        try:
            running.run([door])
        finally:
            self._ended()

    def when_ended(self, tell: Callable[[], None]) -> None:
        """`tell` is called once the server has ended, wanted or not; at once where it has."""
        self._ended = tell
        if not self.alive():
            tell()

    def post_answer(self, answer: Callable[[], None]) -> None:
        """Run it in the loop's thread: that is where requests wait for their answers."""
        if self._running is None or self._running.loop is None:
            return
        with suppress(RuntimeError):  # the loop has closed: whoever waited is gone
            self._running.loop.call_soon_threadsafe(answer)

    def call_soon(self, act: Callable[[], None]) -> None:
        """Run it in the loop's thread, after the requests that are being read now."""
        loop = self._running.loop if self._running else None
        if loop is None or threading.current_thread() is not self._thread:
            act()
        elif self._edge.fast_path is None or not self._edge.fast_path.after_reading(act):
            loop.call_soon(act)

    def alive(self) -> bool:
        """False once the server's thread has ended, wanted or not."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self, grace: timedelta) -> None:
        """Take no more connections, let what is under way finish within `grace`, then cut it off."""
        if self._running is None or self._thread is None:
            if self._door is not None:
                self._door.close()
            return
        self._running.config.timeout_graceful_shutdown = max(1, int(grace.total_seconds()))
        self._running.should_exit = True
        self.post_answer(self._running.over.set)
        self.post_answer(self._edge.close_streams)
        self._thread.join(grace.total_seconds() + 1)
        self._edge.stop_threads()
        _wire_log.removeFilter(self._seldom)


class _Running(uvicorn.Server):
    """Says when it listens, and on which loop; ends when `over` is set, in that loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self.over = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()

    async def main_loop(self) -> None:
        """uvicorn's own looks ten times a second whether it is to end, and what time it is (`wire.Dates` does that)."""
        await self.over.wait()


def _configured(edge: WebApp) -> uvicorn.Config:
    return uvicorn.Config(
        edge,
        loop="uvloop",
        http=HttpProtocol.with_fast_path(edge.fast_path),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # On by default, and then it believes X-Forwarded-For of any local process.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


def listen_at(listen: str) -> socket.socket:
    """Take the address "host:port", without answering yet; port 0 takes a free one.

    Raises:
        SystemExit: with one line that says what is wrong, where the address cannot be had.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        door = socket.create_server((host, int(port)), family=family, backlog=2048)
    except (OSError, OverflowError, ValueError) as error:
        raise SystemExit(_why_not(listen, error)) from None
    # Accepted sockets inherit it. Head and body are two writes: without it the second waits for the peer's ACK.
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(AttributeError, OSError):  # Linux has it
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return door


def _why_not(listen: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == EADDRINUSE:
        return f"{listen} is in use. Nothing was started. Stop what listens there, or set server.listen."
    if number == EACCES:
        return f"{listen} is not allowed to this user. Nothing was started. Set server.listen to a port above 1023."
    return f"{listen} cannot be listened at ({error}). Nothing was started. Set server.listen to host:port."
