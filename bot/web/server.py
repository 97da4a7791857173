"""Joins the web's parts into one ASGI app, and runs its server on a thread beside the blocking rest of the bot.

Alerts go straight to an ASGI app of their own; everything else goes through FastAPI. Proxy headers never change the
peer: the peer is the address of the socket.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta
from errno import EACCES, EADDRINUSE

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.core.backup import Backups
from bot.core.channel import Channel
from bot.lib.metrics import Metrics, OutboxSize
from bot.notifications.card import CardSettings
from bot.oncall.duties import Duties
from bot.store.engine import Store
from bot.web import audit_api, incidents_api, rotas_api
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
from bot.web.plans_api import WhoApproves
from bot.web.proxied_connections import ProxiedConnections
from bot.web.threads import Threads

logger = logging.getLogger(__name__)
_wire_log = logging.getLogger("uvicorn.error")

_KEEP_ALIVE_S = 75  # longer than the minute that most clients keep an idle connection
_START_WITHIN_S = 10.0
#: How long a client may leave an answer unread. Then the kernel drops the connection; a timer here could not close it
#: while written data is unread.
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
    channel_checks: Mapping[str, Check],
    note_checks: Mapping[str, Check] | None = None,
    outbox_sizes: Callable[[], Iterable[OutboxSize]],
    meters: Metrics,
    on_refused: Callable[[str, str], None],
    feed_signal: FeedSignal,
    flagger: GateClients,
    public_url: str,
    api_token: SecretStr | None,
    version: str,
    cards: CardSettings | None = None,
    backups: Backups | None = None,
    duties: Duties | None = None,
    who_approves: WhoApproves | None = None,
) -> WebApp:
    """Join the web's parts. `channels`: by name, the local one is the console; `cards`: what people read."""
    threads, proxied = Threads(), ProxiedConnections()
    auth = Auth(
        public_url=public_url, api_token=api_token, on_refused=on_refused, threads=threads.peers, proxied=proxied
    )
    feed = Feed(store, feed_signal, threads=threads.look)
    console = next((channel for channel in channels.values() if channel.local), None)
    board = Board(feed=feed, auth=auth, console=console, threads=threads.console, version=version)
    app = _bare_app(version)
    shown = incidents_api.ShownParts(cards=cards or CardSettings(), backups=backups, who_approves=who_approves)
    _add_api(app, store, auth, threads=threads.api, shown=shown, duties=duties)
    app.include_router(board.routes())
    webhooks = ChannelWebhooks(channels, threads=threads.inbound, meters=meters, on_refused=on_refused)
    app.include_router(webhooks.routes())
    app.include_router(FlaggerEndpoint(flagger, threads=threads.gates, on_refused=on_refused).routes())
    health = HealthEndpoint(checks, channels=channel_checks, notes=note_checks, threads=threads.look)
    _add_state(app, health, MetricsEndpoint(meters, outbox_sizes, threads=threads.look))
    board.publish_contract(app)
    return WebApp(app=app, alerts=alerts, feed=feed, threads=threads, proxied=proxied)


def _add_api(
    app: FastAPI,
    store: Store,
    auth: Auth,
    *,
    threads: Executor,
    shown: incidents_api.ShownParts,
    duties: Duties | None,
) -> None:
    app.include_router(incidents_api.routes(store, auth, threads=threads, shown=shown))
    app.include_router(audit_api.routes(store, auth, threads=threads))
    app.include_router(rotas_api.routes(store, auth, threads=threads, cards=shown.cards, duties=duties))
    incidents_api.publish_contract(app, auth)


def _add_state(app: FastAPI, health: HealthEndpoint, metrics: MetricsEndpoint) -> None:
    app.include_router(health.routes())
    app.include_router(metrics.routes())


def _bare_app(version: str) -> FastAPI:
    # FastAPI's own documentation pages load scripts from other sites; the board serves one without.
    app = FastAPI(
        title="Vakhta", version=version, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    answer_errors(app)
    return app


class WebApp:
    """The ASGI app of all endpoints. Gives each request an id, and lets no exception escape."""

    def __init__(
        self, *, app: ASGIApp, alerts: ASGIApp, feed: Feed, threads: Threads, proxied: ProxiedConnections
    ) -> None:
        #: The fast path to the same alerts endpoint.
        self.fast_path = FastPath(alerts) if isinstance(alerts, AlertsEndpoint) else None
        self._app = app
        self._alerts = alerts
        self._feed = feed
        self._threads = threads
        self._proxied = proxied

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._proxied.observe(scope)
        if scope["path"].startswith("/alerts/"):
            await self._alerts(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    def close_streams(self) -> None:
        """End the event streams of the boards, so that the server can stop. Call it in the loop's thread."""
        self._feed.close()

    def stop_threads(self) -> None:
        self._threads.stop()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("request failed", extra={"request_id": request_id, "path": scope["path"]})
            if not begun:
                await refusal(internal_error_body(), request_id)(scope, receive, send_with_id)


class Server:
    """Runs a `WebApp` on a thread of its own."""

    def __init__(self, app: WebApp, listener: socket.socket | None = None) -> None:
        """`listener`: from `listen_at`; without it, call `bind` before `start`."""
        self._app = app
        self._running: _Running | None = None
        self._thread: threading.Thread | None = None
        self._listener = listener
        self._seldom = RateLimitedLog()
        self._ended: Callable[[], None] = lambda: None

    def bind(self, listen: str) -> str:
        """Bind to the address "host:port" without answering yet. Returns the URL; port 0 binds a free port.

        Raises:
            SystemExit: with a one-line message, if the address cannot be bound.
        """
        self._listener = listen_at(listen)
        return self.url()

    def url(self) -> str:
        """The URL of the bound address."""
        assert self._listener is not None, "bind comes first"
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Start to answer at the bound address."""
        assert self._listener is not None, "bind comes first"
        raise_descriptors()
        _wire_log.addFilter(self._seldom)
        self._running = _Running(_server_config(self._app))
        self._thread = threading.Thread(target=self._run, args=(self._running, self._listener), name="web", daemon=True)
        self._thread.start()
        if not self._running.up.wait(_START_WITHIN_S):
            raise SystemExit(f"The web server did not start within {_START_WITHIN_S:g} s. See the log.")

    def _run(self, running: _Running, listener: socket.socket) -> None:
        try:
            running.run([listener])
        finally:
            self._ended()

    def when_ended(self, act: Callable[[], None]) -> None:
        """Call `act` once the server has ended for any reason; immediately if it has."""
        self._ended = act
        if not self.alive():
            act()

    def post_answer(self, answer: Callable[[], None]) -> None:
        """Run `answer` in the loop's thread, where requests wait for their answers."""
        if self._running is None or self._running.loop is None:
            return
        with suppress(RuntimeError):  # the loop has closed, and nobody waits
            self._running.loop.call_soon_threadsafe(answer)

    def call_soon(self, act: Callable[[], None]) -> None:
        """Run `act` in the loop's thread, after the requests that are being parsed now."""
        loop = self._running.loop if self._running else None
        if loop is None or threading.current_thread() is not self._thread:
            act()
        elif self._app.fast_path is None or not self._app.fast_path.after_reading(act):
            loop.call_soon(act)

    def alive(self) -> bool:
        """False once the server's thread has ended for any reason."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self, grace: timedelta) -> None:
        """Accept no more connections, let requests under way finish within `grace`, then cut them off."""
        if self._running is None or self._thread is None:
            if self._listener is not None:
                self._listener.close()
            return
        self._running.config.timeout_graceful_shutdown = max(1, int(grace.total_seconds()))
        self._running.should_exit = True
        self.post_answer(self._running.over.set)
        self.post_answer(self._app.close_streams)
        self._thread.join(grace.total_seconds() + 1)
        self._app.stop_threads()
        _wire_log.removeFilter(self._seldom)


class _Running(uvicorn.Server):
    """Sets `up` and `loop` when it listens; ends when `over` is set, in that loop."""

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
        """Replaces uvicorn's loop, which wakes ten times a second to check for the end and to set the Date header."""
        await self.over.wait()


def _server_config(app: WebApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=HttpProtocol.with_fast_path(app.fast_path),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # On by default, and then uvicorn trusts X-Forwarded-For of any local process.
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


def listen_at(listen: str) -> socket.socket:
    """Bind to the address "host:port" without answering yet; port 0 binds a free port.

    Raises:
        SystemExit: with a one-line message, if the address cannot be bound.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=2048)
    except (OSError, OverflowError, ValueError) as error:
        raise SystemExit(_bind_error(listen, error)) from None
    # Accepted sockets inherit it. Head and body are two writes; without it the second waits for the peer's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(AttributeError, OSError):  # only on Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
    return listener


def _bind_error(listen: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == EADDRINUSE:
        return f"{listen} is in use. Nothing was started. Stop the program that listens there, or set server.listen."
    if number == EACCES:
        return f"{listen} is not allowed to this user. Nothing was started. Set server.listen to a port above 1023."
    return f"{listen} cannot be used ({error}). Nothing was started. Set server.listen to host:port."
