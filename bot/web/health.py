"""`/livez`: the process is alive. `/readyz`: it can do its work.

Liveness checks nothing else, because a database that is down must not cause restarts of the bot. A check that hangs
costs one thread, however often it is requested. All handlers are async, because FastAPI would run a plain function on
threads that hanging requests share.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse

logger = logging.getLogger(__name__)

#: None: healthy. Text: what is wrong; it is public, so it holds no secret.
Check = Callable[[], str | None]

_READ = ["GET", "HEAD"]


class HealthEndpoint:
    """Runs the checks in parallel, each within `within_s` seconds.

    `channels` and `notes` (other parts) are reported and do not affect readiness: a load balancer must not
    remove the intake because a chat is down.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        threads: Executor,
        channels: Mapping[str, Check] | None = None,
        notes: Mapping[str, Check] | None = None,
        within_s: float = 2.0,
    ) -> None:
        self._deciding = tuple(checks)
        self._channels = tuple(channels or ())
        self._notes = tuple(notes or ())
        self._checks = {**(notes or {}), **(channels or {}), **checks}
        self._threads = threads
        self._within_s = within_s
        self._running: dict[str, Future[str | None]] = {}
        self._raised: set[str] = set()

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/livez", _live, methods=_READ)
        router.add_api_route("/readyz", self.ready, methods=_READ)
        return router

    async def ready(self) -> JSONResponse:
        """200 if every check passes, else 503. The body lists each check."""
        names = (*self._deciding, *self._channels, *self._notes)
        faults = await asyncio.gather(*(self._check(name) for name in names))
        results = {name: fault or "ok" for name, fault in zip(names, faults, strict=True)}
        ready = all(results[name] == "ok" for name in self._deciding)
        body: dict[str, object] = {
            "ready": ready,
            "checks": {name: results[name] for name in self._deciding},
            "channels": {name: results[name] for name in self._channels},
        }
        if self._notes:
            body["notes"] = {name: results[name] for name in self._notes}
        return JSONResponse(body, 200 if ready else 503, {"cache-control": "no-store"})

    async def _check(self, name: str) -> str | None:
        running = self._running.get(name)
        if running is None or running.done():
            running = self._threads.submit(self._checks[name])
            self._running[name] = running
        try:
            # Shielded: a timeout here must not cancel a check that others wait for.
            fault = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(running)), self._within_s)
        except TimeoutError:
            # On Python 3.11 a check's own TimeoutError is the same class; either way there was no answer.
            return f"no answer within {self._within_s:g} s"
        except Exception:
            if name not in self._raised:  # once, not at every probe
                logger.exception("check failed", extra={"check": name})
            self._raised.add(name)
            return "failed; see the log"
        self._raised.discard(name)
        return fault


async def _live() -> PlainTextResponse:
    return PlainTextResponse("alive\n", headers={"cache-control": "no-store"})
