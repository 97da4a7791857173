"""Decides who may use the API and the board: the bearer of `server.api_token`, or a person at this machine.

The absence of a header never proves that a request comes from this machine. The board's page carries a key, new at each
start of the bot. The page is served only to a loopback peer that asks for a name of this machine, on whose connection
no proxy header was seen, and whose socket belongs to a person's account. The event stream, the console and the page's
API calls require that key. So a request that is smuggled into another connection, or sent by another site's page, gets
no access.

The trap: a program that relays connections without adding a header (socat, `ssh -R`) and runs as root, as the bot's own
account or as a person gets the page like that person.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import sha256
from time import monotonic
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.core.incident import CONSOLE
from bot.web.local_request import host_name, is_loopback, is_near, is_of_another_site
from bot.web.proxied_connections import ProxiedConnections
from bot.web.socket_owner import Address, UnixAccount, account_behind, is_service

logger = logging.getLogger(__name__)

#: Carries the page's key; in lower case, as in ASGI.
PAGE_HEADER = "x-vakhta-page"
_QUIET_S = 60.0
#: Lookups at once; each reads a table with all connections of this machine.
_MOST_LOOKUPS = 64


class Auth:
    """Admits a request or raises `Rejected`. Holds secrets, so its repr shows no fields."""

    def __init__(
        self,
        *,
        public_url: str,
        api_token: SecretStr | None,
        on_refused: Callable[[str, str], None],
        threads: Executor,
        proxied: ProxiedConnections,
        holder: Callable[[Address, Address], UnixAccount | None] = account_behind,
    ) -> None:
        """`refused`: called with the place and the code of each refusal; `holder`: as `account_behind`."""
        self._public_host = (urlsplit(public_url).hostname or "").lower()
        self._token = _digest(api_token.get_secret_value()) if api_token else None
        self._refused = on_refused
        self._threads = threads
        self._proxied = proxied
        self._holder = holder
        self._page_key = secrets.token_urlsafe(32)
        self._lookups = 0
        self._quiet_until = 0.0

    @property
    def page_key(self) -> str:
        """The key for the page, which only `admit_local` serves."""
        return self._page_key

    @property
    def requires_token(self) -> bool:
        """Whether the API requires a token from everyone but the board's page, on this machine too."""
        return self._token is not None

    async def admit(self, request: Request) -> None:
        """For the API: a bearer, or the board's page; if no token is set, anyone at this machine."""
        if "authorization" in request.headers:
            self._check_bearer(request)
        elif PAGE_HEADER in request.headers:
            await self.admit_page(request)
        elif self._token is None:
            await self.admit_local(request)
        else:
            raise self._refusal(
                "api",
                "Send `Authorization: Bearer` with server.api_token. Nothing was shown.",
                code="auth_required",
                status=401,
            )

    async def admit_local(self, request: Request) -> None:
        """For the board: a person at this machine."""
        self._check_claims(request)
        await self._check_holder(request)

    async def admit_page(self, request: Request) -> None:
        """For the event stream: the board's own page."""
        self._check_claims(request)
        self._check_key(request)

    async def admit_own_page(self, request: Request) -> None:
        """For commands typed on the board: from the board's own page, and from this machine at this moment."""
        self._check_claims(request)
        host = request.headers["host"].lower()
        origins = [origin.lower() for origin in request.headers.getlist("origin")]
        if origins not in ([f"http://{host}"], [f"https://{host}"]):
            raise self._other_site("The console accepts commands only from its own page.")
        self._check_key(request)
        await self._check_holder(request)

    def _check_bearer(self, request: Request) -> None:
        sent = request.headers.getlist("authorization")
        kind, _, token = sent[0].partition(" ")
        right = self._token is not None and hmac.compare_digest(_digest(token.strip()), self._token)
        if len(sent) != 1 or kind.lower() != "bearer" or not right:
            raise self._refusal(
                "api",
                "This bearer token is not the one in server.api_token. Nothing was shown.",
                code="auth_invalid",
                status=401,
            )

    def _check_claims(self, request: Request) -> None:
        """Check peer, proxy headers, Host and browser headers of the request, and of earlier ones on its connection."""
        client = request.scope.get("client") or ("", 0)
        near = is_near(client[0], request.scope["http_version"], request.headers)
        if not near or self._proxied.has_seen_proxy(client):
            raise self._not_local()
        name = host_name(request.headers.getlist("host"))
        # A request to the public name comes from elsewhere, through a proxy that adds no header.
        if name == self._public_host and not (name == "localhost" or is_loopback(name)):
            raise self._not_local()
        # Any site can point its own name at 127.0.0.1 (DNS rebinding); the browser then sends that name.
        if name != "localhost" and not is_loopback(name):
            port = (request.scope.get("server") or ("", 80))[1]
            raise Rejected(
                f"The Host header does not name the bot. Nothing was done. Use http://127.0.0.1:{port}.",
                code="bad_host",
                status=400,
            )
        if is_of_another_site(request.headers):
            raise self._other_site("Another site's page sent this request.")

    def _check_key(self, request: Request) -> None:
        sent = request.headers.getlist(PAGE_HEADER)
        if not sent:
            raise self._refusal(
                CONSOLE,
                "Only the board's own page may send this. Nothing was done. Open the board and use it there.",
                code="page_required",
                status=403,
            )
        if len(sent) != 1 or not hmac.compare_digest(_digest(sent[0]), _digest(self._page_key)):
            raise self._refusal(
                CONSOLE,
                "This page was loaded before the bot was restarted. Nothing was done. Reload the page.",
                code="page_old",
                status=403,
            )

    async def _check_holder(self, request: Request) -> None:
        """Ask the kernel whose socket the other end is: almost every proxy runs under its own account."""
        client, server = request.client, request.scope.get("server")
        if client is None or server is None or self._lookups >= _MOST_LOOKUPS:
            raise _busy()
        ends = (client.host, client.port), (server[0], server[1])
        self._lookups += 1
        try:
            account = await asyncio.get_running_loop().run_in_executor(self._threads, self._holder, *ends)
        except FileNotFoundError as unknown:
            self._log_rarely("this system does not tell who connects; a silent proxy looks like a person", str(unknown))
            return
        except OSError as trouble:
            self._log_rarely("who connects from this machine could not be looked up", str(trouble))
            raise _busy() from trouble
        finally:
            self._lookups -= 1
        if account is None or is_service(account, own=os.geteuid()):
            self._log_rarely("a connection of no person's account was refused", str(account))
            raise self._not_local("This connection belongs to a service account, not to a person of this machine.")

    def _log_rarely(self, message: str, reason: str) -> None:
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + _QUIET_S
            logger.warning(message, extra={"why": reason})

    def _other_site(self, message: str) -> Rejected:
        return self._refusal(
            CONSOLE, f"{message} Nothing was done. Open the board and type there.", code="wrong_origin", status=403
        )

    def _not_local(self, message: str = "Without a token, only this machine has access.") -> Rejected:
        return self._refusal(
            "board",
            f"{message} Send `Authorization: Bearer` with server.api_token"
            " to the API, or reach the board through `ssh -L 8080:127.0.0.1:8080 <machine>`.",
            code="auth_required",
            status=401,
        )

    def _refusal(self, place: str, message: str, *, code: str, status: int) -> Rejected:
        self._refused(place, code)
        return Rejected(message, code=code, status=status)


def _busy() -> Rejected:
    return Rejected("Too many requests at once. Nothing was done. Try again.", code="busy", status=503)


def _digest(secret: str) -> bytes:
    """Digests have one length, so that comparing them reveals nothing about where the secrets differ."""
    return sha256(secret.encode("utf-8", "replace")).digest()
