"""The API of the audit log: its entries, newest first, each with its position in the Merkle tree once it is sealed.

It shows the entries and proves nothing. `vakhta audit verify` proves that they are unchanged.
"""

from __future__ import annotations

from concurrent.futures import Executor
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from pydantic import AwareDatetime, BaseModel
from starlette.responses import Response

from bot.store import audit_log
from bot.store.audit_log import EntryFilter, RecordedEntry
from bot.store.engine import Store
from bot.store.views import Reader
from bot.web.auth import Auth
from bot.web.incidents_api import StoreReads
from bot.web.query_parameters import refuse_unknown

_MOST_ID = 2**63 - 1
_CODE = r"^VK[0-9]{3}[IWE]$"
_ENCODER = msgspec.json.Encoder()


class EntryOut(BaseModel):
    """One entry, decoded from its sealed bytes; `pos` and `leaf` (hex) are null until it is sealed."""

    id: int
    pos: int | None
    leaf: str | None
    v: int
    uid: str
    at: datetime
    code: str
    event: str
    by: str
    said: str
    run: str
    verb: str
    target: str
    place: str
    account: str
    once: str
    incident: int | None
    more: dict[str, str]


class EntriesOut(BaseModel):
    """A page of the log, newest first; `next` is the `before` of the following page, null at the end."""

    entries: list[EntryOut]
    next: int | None


def routes(store: Store, auth: Auth, *, threads: Executor) -> APIRouter:
    """The one route; `auth` admits the request first."""
    shown_as_bearer = HTTPBearer(auto_error=False, description="server.api_token, where one is set")
    reads = StoreReads(store, threads=threads)
    router = APIRouter(
        prefix="/api",
        dependencies=[Depends(shown_as_bearer), Depends(auth.admit), Depends(refuse_unknown)],
        tags=["audit"],
    )

    @router.get("/audit", summary="The audit log, newest first", response_model=EntriesOut)
    async def list_entries(
        *,
        incident: Annotated[int | None, Query(ge=1, le=_MOST_ID)] = None,
        since: Annotated[AwareDatetime | None, Query()] = None,
        until: Annotated[AwareDatetime | None, Query()] = None,
        code: Annotated[str | None, Query(pattern=_CODE)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[int | None, Query(ge=1, le=_MOST_ID)] = None,
    ) -> Response:
        wanted = EntryFilter(since=since, until=until, incident_id=incident, code=code or "")
        page = await reads.read(lambda seen: _page(seen, wanted, limit, before))
        return Response(page, media_type="application/json")

    return router


def _page(seen: Reader, wanted: EntryFilter, limit: int, before: int | None) -> bytes:
    found = audit_log.newest(seen.sql, wanted, before=before, limit=limit + 1)
    page = found[:limit]
    following = page[-1].id if len(found) > limit else None
    return _ENCODER.encode({"entries": [_shown(one) for one in page], "next": following})


def _shown(one: RecordedEntry) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(one.body)
    return {"id": one.id, "pos": one.pos, "leaf": one.leaf.hex() if one.leaf else None, **body}
