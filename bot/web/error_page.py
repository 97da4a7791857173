"""The page that a browser is shown instead of an error in JSON: what is wrong, and the way back to the board.

It holds nothing of the request. Its script-free page obeys the content security policy of the board.
"""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from bot.core.errors import Rejected


def wants_page(request: Request) -> bool:
    """Whether a person opened the address. A program asks for JSON or anything; the board's script for anything."""
    accepted = request.headers.get("accept", "").lower()
    return request.method in ("GET", "HEAD") and "text/html" in accepted and "application/json" not in accepted


def error_page(error: Rejected, request_id: str) -> bytes:
    """The page, in HTML."""
    title = HTTPStatus(error.status).phrase
    page: str = _template().render(title=title, status=error.status, message=error.message, request_id=request_id)
    return page.encode("utf-8", "replace")


@cache
def _template() -> Template:
    pages = Environment(
        loader=PackageLoader("bot.web", "pages"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    return pages.get_template("error.html")
