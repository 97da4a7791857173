"""The board: the page of an on-call person at 3 a.m., its live story, and the line to type in.

The page is a shell; its script reads the API and puts everything in as text. It loads nothing from elsewhere, and
its content policy lets the browser run only what is served here. It carries the key that its script's requests bear.
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
from bot.web.request_body import read_body

logger = logging.getLogger(__name__)

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_MOST_WORDS = 64 * 1024
_READ = ["GET", "HEAD"]


class Board:
    """Pages, live story and console. `console` None: the board can be looked at and not typed at."""

    def __init__(self, *, feed: Feed, guard: Auth, console: Channel | None, threads: Executor, version: str) -> None:
        self._feed = feed
        self._guard = guard
        self._console = console
        self._threads = threads
        self._version = version
        self._files = _load_files()
        self._pages = Environment(
            loader=PackageLoader("bot.web", "pages"), autoescape=select_autoescape(), undefined=StrictUndefined
        )

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        local = [Depends(self._guard.admit_local)]
        router.add_api_route("/", self.show, methods=_READ, dependencies=local)
        router.add_api_route("/incidents/{incident_id}", self.show, methods=_READ, dependencies=local)
        router.add_api_route("/events", self.tell, methods=["GET"], dependencies=[Depends(self._guard.admit_page)])
        router.add_api_route(
            "/console", self.take, methods=["POST"], dependencies=[Depends(self._guard.admit_own_page)]
        )
        # The files hold nothing of anybody: no need to ask who reads them.
        router.add_api_route("/pages/{name}", self.hand_out, methods=_READ)
        return router

    def publish_contract(self, app: FastAPI) -> None:
        """The API's description as a page of our own."""

        @app.get("/api/docs", include_in_schema=False, dependencies=[Depends(self._guard.admit)])
        async def contract_page() -> HTMLResponse:
            return self._page("docs.html", contract=app.openapi())

    async def show(self) -> HTMLResponse:
        return self._page(
            "board.html",
            console=self._console is not None,
            key=self._guard.page_key,
            open_api=not self._guard.requires_token,
        )

    async def hand_out(self, name: str, request: Request) -> Response:
        """One of the board's own files, unchanged ones by 304."""
        found = self._files.get(name)
        if found is None:
            raise Rejected("There is nothing at this address.", code="not_found", status=404)
        tag = f'"{hashlib.sha256(found).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(found, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    async def tell(self, last_event_id: str | None = Header(default=None)) -> StreamingResponse:
        """The live story, from where the client left off."""
        self._feed.check_room()
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
        place = int(last_event_id[:18]) if known and last_event_id else None
        headers = {"x-accel-buffering": "no"}
        return StreamingResponse(self._feed.stream(place), media_type="text/event-stream", headers=headers)

    async def take(self, request: Request) -> Response:
        """Words typed on the board, or behind one of its buttons."""
        if self._console is None:
            raise Rejected("The console is off (channels.console). Use your chat.", code="not_found", status=404)
        body = await read_body(request, limit=_MOST_WORDS)
        _check_once(body)
        loop = asyncio.get_running_loop()
        headers = dict(request.headers.items())
        try:
            return answer(await loop.run_in_executor(self._threads, self._console.receive, headers, body))
        except Rejected:
            raise
        except Exception as broken:
            logger.exception("words from the board failed")
            raise Rejected("This did not go through; look at the incident.", code="not_done", status=503) from broken

    def _page(self, name: str, **values: object) -> HTMLResponse:
        return HTMLResponse(self._pages.get_template(name).render(version=self._version, **values))


def _load_files() -> Mapping[str, bytes]:
    pages = files("bot.web") / "pages"
    return {page.name: page.read_bytes() for page in pages.iterdir() if page.name.rpartition(".")[2] in _TYPES}


def _check_once(body: bytes) -> None:
    """Refuses an id that no database can hold. Whatever else is wrong with the line, the console says it."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        return
    once = sent.get("once") if isinstance(sent, dict) else None
    if isinstance(once, str) and storable(once) != once:
        raise Rejected("`once` is text without NUL and lone surrogates.", code="bad_once", status=422)
