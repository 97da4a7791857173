"""The shape of every HTTP error: `{"error": {"code", "message", "request_id"}}`; for a browser, a page that says it.

It contains no stack trace, no secret, and nothing of the request but the name of an unknown query parameter. The log
has the details under the request_id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from bot.core.errors import Rejected
from bot.web.error_page import error_page, wants_page

_MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not accept this method.",
    500: "Internal error. The bot's log has the details under this request_id.",
}


def answer_errors(app: FastAPI) -> None:
    """Answer every error of this app in that shape."""

    @app.exception_handler(Rejected)
    async def of_rejected(request: Request, error: Rejected) -> Response:
        return _answer(request, error)

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        message = _MESSAGES.get(status, f"{status.phrase}.")
        return _answer(request, Rejected(message, code=status.name.lower(), status=status), error.headers)

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        # Only the place and the reason: pydantic's `input` is the sender's text, which may hold a secret.
        faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()[:3])
        return _answer(request, Rejected(f"{faults}.", code="not_valid", status=422))

    @app.exception_handler(Exception)
    async def of_bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - the signature is Starlette's
        return _answer(request, internal_error_body())


def _answer(request: Request, error: Rejected, headers: Mapping[str, str] | None = None) -> Response:
    request_id = request_id_of(request)
    if not wants_page(request):
        return refusal(error, request_id, headers)
    return HTMLResponse(error_page(error, request_id), error.status, _headers_for(error, headers))


def refusal(error: Rejected, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that was refused."""
    body = error_body(error.code, error.message, request_id)
    return Response(body, error.status, _headers_for(error, headers), media_type="application/json")


def _headers_for(error: Rejected, headers: Mapping[str, str] | None) -> dict[str, str]:
    sent = dict(headers or {})
    if error.status == HTTPStatus.UNAUTHORIZED:
        sent["www-authenticate"] = "Bearer"
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        sent["retry-after"] = "5"
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        sent["connection"] = "close"  # the rest of the body would keep the connection open for ever
    return sent


def error_body(code: str, message: str, request_id: str) -> bytes:
    error = {"code": code, "message": message, "request_id": request_id}
    return json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "replace")


def internal_error_body() -> Rejected:
    """The error for a bug in the bot."""
    return Rejected(_MESSAGES[500], code="internal", status=500)


def request_id_of(request: Request) -> str:
    found = getattr(request.state, "request_id", "")
    return found if isinstance(found, str) else ""
