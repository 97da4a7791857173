"""The board: the web page for on-call people, its event stream, and its console.

The page is a shell: its script reads the API and inserts everything as text. It loads nothing from other sites, and its
content security policy allows only scripts from here. It carries the key that its script's requests send.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from importlib.resources import files

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response, StreamingResponse

from bot.core.channel import Channel
from bot.core.errors import Rejected
from bot.lib.text import storable
from bot.web.auth import Auth
from bot.web.channel_webhooks import answer
from bot.web.event_stream import Feed
from bot.web.query_parameters import refuse_unknown
from bot.web.request_body import read_body

logger = logging.getLogger(__name__)

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MOST_COMMAND = 64 * 1024
_READ = ["GET", "HEAD"]


class Board:
    """Pages, event stream and console. `console` None: the board is read-only."""

    def __init__(self, *, feed: Feed, auth: Auth, console: Channel | None, threads: Executor, version: str) -> None:
        self._feed = feed
        self._auth = auth
        self._console = console
        self._threads = threads
        self._version = version
        self._files = _load_files()
        self._pages = Environment(
            loader=PackageLoader("bot.web", "pages"), autoescape=select_autoescape(), undefined=StrictUndefined
        )

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        local = [Depends(self._auth.admit_local)]
        router.add_api_route("/", self.show, methods=_READ, dependencies=local)
        router.add_api_route("/incidents/{incident_id}", self.show, methods=_READ, dependencies=local)
        router.add_api_route(
            "/events", self.stream_events, methods=["GET"], dependencies=[Depends(self._auth.admit_page)]
        )
        router.add_api_route(
            "/console", self.run_command, methods=["POST"], dependencies=[Depends(self._auth.admit_own_page)]
        )
        # The files hold no data, so anyone may read them.
        router.add_api_route("/pages/{name}", self.serve_file, methods=_READ)
        return router

    def publish_contract(self, app: FastAPI) -> None:
        """Serve the API's description as a page."""

        @app.get(
            "/api/docs", include_in_schema=False, dependencies=[Depends(self._auth.admit), Depends(refuse_unknown)]
        )
        async def contract_page() -> HTMLResponse:
            return self._page("docs.html", contract=app.openapi())

    async def show(self) -> HTMLResponse:
        return self._page(
            "board.html",
            console=self._console is not None,
            key=self._auth.page_key,
            open_api=not self._auth.requires_token,
        )

    async def serve_file(self, name: str, request: Request) -> Response:
        """One of the board's files; 304 if the client has it already."""
        found = self._files.get(name)
        if found is None:
            raise Rejected("There is nothing at this address.", code="not_found", status=404)
        tag = f'"{hashlib.sha256(found).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(found, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    async def stream_events(self, last_event_id: str | None = Header(default=None)) -> StreamingResponse:
        """The event stream, from the last event that the client has."""
        self._feed.check_room()
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
        place = int(last_event_id[:18]) if known and last_event_id else None
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._feed.stream(place), media_type="text/event-stream", headers=headers)

    async def run_command(self, request: Request) -> Response:
        """A command typed on the board, or of one of its buttons."""
        if self._console is None:
            raise Rejected(
                "The console is disabled (channels.console). Nothing was done. Use your chat.",
                code="not_found",
                status=404,
            )
        body = await read_body(request, limit=_MOST_COMMAND)
        _check_idempotency_key(body)
        loop = asyncio.get_running_loop()
        headers = dict(request.headers.items())
        try:
            return answer(await loop.run_in_executor(self._threads, self._console.receive, headers, body))
        except Rejected:
            raise
        except Exception as broken:
            logger.exception("words from the board failed")
            message = "The command failed. Look at the incident to see whether it had an effect."
            raise Rejected(message, code="not_done", status=503) from broken

    def _page(self, name: str, **values: object) -> HTMLResponse:
        return HTMLResponse(self._pages.get_template(name).render(version=self._version, **values))


def _load_files() -> Mapping[str, bytes]:
    pages = files("bot.web") / "pages"
    return {page.name: page.read_bytes() for page in pages.iterdir() if page.name.rpartition(".")[2] in _TYPES}


def _check_idempotency_key(body: bytes) -> None:
    """Refuses an idempotency key that no database can hold. The console checks the rest of the command."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return
    key = sent.get("once") if isinstance(sent, dict) else None
    if isinstance(key, str) and storable(key) != key:
        raise Rejected(
            "`once` must be text without NUL and lone surrogates. Nothing was done.", code="bad_once", status=422
        )
