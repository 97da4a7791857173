"""Who may look at the API and the board: the bearer of `server.api_token`, or whoever sits at this machine.

Nobody is taken for somebody at this machine because their request lacks something. The board's page carries a key, new
with each start. It is given to a loopback peer alone, on whose connection no proxy has spoken, that asks for a name of
this machine and whose socket is held by a person's account. The live story, the console and the page's readings ask for
that key, so that a request smuggled into somebody else's connection, or made by another site's page, opens nothing.

The trap: a program that root, the bot's own account or a person runs, and that passes connections on and says nothing
of itself (socat, `ssh -R`), gets the page like that person.
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

#: Carries the page's key; in lower case, as ASGI has names.
PAGE_HEADER = "x-vakhta-page"
_QUIET_S = 60.0
#: Lookups under way; each reads a table as long as this machine has connections.
_MOST_LOOKUPS = 64


class Auth:
    """Lets a request pass or raises `Rejected`. Holds secrets, so it has no repr of its fields."""

    def __init__(
        self,
        *,
        public_url: str,
        api_token: SecretStr | None,
        refused: Callable[[str, str], None],
        threads: Executor,
        carriers: ProxiedConnections,
        holder: Callable[[Address, Address], UnixAccount | None] = account_behind,
    ) -> None:
        """`refused`: told which door turned somebody away, and by which code; `holder`: as `account_behind`."""
        self._public_host = (urlsplit(public_url).hostname or "").lower()
        self._token = _digest(api_token.get_secret_value()) if api_token else None
        self._refused = refused
        self._threads = threads
        self._carriers = carriers
        self._holder = holder
        self._page_key = secrets.token_urlsafe(32)
        self._lookups = 0
        self._quiet_until = 0.0

    @property
    def page_key(self) -> str:
        """For the page that `admit_local` has let somebody see."""
        return self._page_key

    @property
    def requires_token(self) -> bool:
        """Whether the API is for bearers and the board's page alone, on this machine too."""
        return self._token is not None

    async def admit(self, request: Request) -> None:
        """For what programs read: a bearer, or the board's page; where no token is set, somebody at this machine."""
        if "authorization" in request.headers:
            self._check_bearer(request)
        elif PAGE_HEADER in request.headers:
            await self.admit_page(request)
        elif self._token is None:
            await self.admit_local(request)
        else:
            raise self._turned_away(
                "api",
                "Send `Authorization: Bearer` with server.api_token. Nothing is shown.",
                code="auth_required",
                status=401,
            )

    async def admit_local(self, request: Request) -> None:
        """For the board: somebody at this machine."""
        self._check_what_it_says(request)
        await self._check_holder(request)

    async def admit_page(self, request: Request) -> None:
        """For the live story: the board's own page."""
        self._check_what_it_says(request)
        self._check_key(request)

    async def admit_own_page(self, request: Request) -> None:
        """For words typed on the board: sent by the board's own page, from this machine now."""
        self._check_what_it_says(request)
        host = request.headers["host"].lower()
        origins = [origin.lower() for origin in request.headers.getlist("origin")]
        if origins not in ([f"http://{host}"], [f"https://{host}"]):
            raise self._other_site("The console takes words from its own page only.")
        self._check_key(request)
        await self._check_holder(request)

    def _check_bearer(self, request: Request) -> None:
        sent = request.headers.getlist("authorization")
        kind, _, token = sent[0].partition(" ")
        right = self._token is not None and hmac.compare_digest(_digest(token.strip()), self._token)
        if len(sent) != 1 or kind.lower() != "bearer" or not right:
            raise self._turned_away(
                "api",
                "This bearer token is not the one in server.api_token. Nothing is shown.",
                code="auth_invalid",
                status=401,
            )

    def _check_what_it_says(self, request: Request) -> None:
        """Peer, proxies, Host and browser: what a request, or one before it on its connection, says or leaves out."""
        client = request.scope.get("client") or ("", 0)
        near = is_near(client[0], request.scope["http_version"], request.headers)
        if not near or self._carriers.has_seen_proxy(client):
            raise self._stranger()
        name = host_name(request.headers.getlist("host"))
        # Who comes by the public name comes from elsewhere, through a proxy that says nothing of itself.
        if name == self._public_host and not (name == "localhost" or is_loopback(name)):
            raise self._stranger()
        # Anybody's page can point its own name at 127.0.0.1 (DNS rebinding); the browser still sends that name.
        if name != "localhost" and not is_loopback(name):
            port = (request.scope.get("server") or ("", 80))[1]
            raise Rejected(f"This is not a name of the bot. Use http://127.0.0.1:{port}.", code="bad_host", status=400)
        if is_of_another_site(request.headers):
            raise self._other_site("Another site's page asked for this.")

    def _check_key(self, request: Request) -> None:
        sent = request.headers.getlist(PAGE_HEADER)
        if not sent:
            raise self._turned_away(
                CONSOLE,
                "This is for the board's own page. Nothing was done. Open the board, and use it there.",
                code="page_required",
                status=403,
            )
        if len(sent) != 1 or not hmac.compare_digest(_digest(sent[0]), _digest(self._page_key)):
            raise self._turned_away(
                CONSOLE,
                "This page is from before the bot was started. Nothing was done. Reload the page.",
                code="page_old",
                status=403,
            )

    async def _check_holder(self, request: Request) -> None:
        """Ask the kernel who holds the other end: a proxy has its own account nearly everywhere."""
        client, server = request.client, request.scope.get("server")
        if client is None or server is None or self._lookups >= _MOST_LOOKUPS:
            raise _busy()
        ends = (client.host, client.port), (server[0], server[1])
        self._lookups += 1
        try:
            account = await asyncio.get_running_loop().run_in_executor(self._threads, self._holder, *ends)
        except FileNotFoundError as unknown:
            self._tell_once("this system does not tell who connects; a silent proxy looks like a person", str(unknown))
            return
        except OSError as trouble:
            self._tell_once("who connects from this machine could not be looked up", str(trouble))
            raise _busy() from trouble
        finally:
            self._lookups -= 1
        if account is None or is_service(account, own=os.geteuid()):
            self._tell_once("a connection of no person's account was refused", str(account))
            raise self._stranger("This connection belongs to no person of this machine, but to a service's account.")

    def _tell_once(self, message: str, reason: str) -> None:
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + _QUIET_S
            logger.warning(message, extra={"why": reason})

    def _other_site(self, message: str) -> Rejected:
        return self._turned_away(
            CONSOLE, f"{message} Nothing was done. Open the board and type there.", code="wrong_origin", status=403
        )

    def _stranger(self, message: str = "Only this machine may look without a token.") -> Rejected:
        return self._turned_away(
            "board",
            f"{message} Send `Authorization: Bearer` with server.api_token"
            " to the API, or reach the board through `ssh -L 8080:127.0.0.1:8080 <machine>`.",
            code="auth_required",
            status=401,
        )

    def _turned_away(self, door: str, message: str, *, code: str, status: int) -> Rejected:
        self._refused(door, code)
        return Rejected(message, code=code, status=status)


def _busy() -> Rejected:
    return Rejected("Too much at once. Nothing was done; try again.", code="busy", status=503)


def _digest(secret: str) -> bytes:
    """All of one length, so that comparing them tells nothing of where they differ."""
    return sha256(secret.encode("utf-8", "replace")).digest()
