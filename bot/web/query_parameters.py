"""Refuses an API request with an unknown query parameter: `?stauts=open` must not be answered as if it were not there.

Only for the API. Probes and scrapers may add parameters of their own, and must not fail by them.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from bot.core.errors import Rejected
from bot.lib.similar_words import offer, similar
from bot.lib.terminal import printable

_MOST_SHOWN = 40  #: characters of a name


async def refuse_unknown(request: Request) -> None:
    """As a dependency of a route. Raises `Rejected` 422 with the first unknown name, and the nearest known one."""
    route = request.scope.get("route")
    known = list(_known(route.dependant)) if isinstance(route, APIRoute) else []
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is None:
        return
    near = offer(similar(unknown, known)) or (f" Known: {', '.join(known)}." if known else " It takes none.")
    shown = printable(unknown[:_MOST_SHOWN])
    raise Rejected(
        f"There is no query parameter {shown!r} at this address.{near} Nothing was shown.",
        code="unknown_parameter",
        status=422,
    )


def _known(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for one in dependant.dependencies:
        yield from _known(one)
