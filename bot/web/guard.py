"""Who may look at the API and the board: the bearer of `server.api_token`, or whoever sits at this machine.

"At this machine" means a loopback peer that no proxy forwards for, speaking to a name of this machine. The name
is checked because a web page of anybody can point its own name at 127.0.0.1 (DNS rebinding); such a request
looks local in every other way. The trap: a proxy on this machine that says nothing of itself looks local too.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import SecretStr

from bot.ports import Rejected

#: Set by proxies, as is whatever begins with x-forwarded. One of them in a request means that the peer is not the
#: one who asks.
_FORWARDED = frozenset(
    {
        "cf-connecting-ip",
        "fly-client-ip",
        "forwarded",
        "proxy",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "x-original-url",
        "x-real-ip",
    }
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?P<port>:[0-9]{1,5})?")


class Guard:
    """Lets a request pass or raises `Rejected`. Holds the token, so it has no repr of its fields."""

    def __init__(self, *, public_url: str, api_token: SecretStr | None, refused: Callable[[str, str], None]) -> None:
        """`refused`: told which door turned somebody away, and by which code."""
        self._public_host = (urlsplit(public_url).hostname or "").lower()
        self._token = sha256(api_token.get_secret_value().encode()).digest() if api_token else None
        self._refused = refused

    async def admit(self, request: Request) -> None:
        """For what programs read: a bearer, or somebody at this machine."""
        if "authorization" in request.headers:
            self._check_bearer(request)
            return
        await self.admit_local(request)

    async def admit_local(self, request: Request) -> None:
        """For the board: somebody at this machine."""
        if not _is_local(request):
            raise self._stranger()
        self._check_name(request)

    async def admit_own_page(self, request: Request) -> None:
        """For words typed on the board: sent by the board's own page, not by another site's."""
        await self.admit_local(request)
        host = request.headers["host"].lower()
        origins = [origin.lower() for origin in request.headers.getlist("origin")]
        if origins not in ([f"http://{host}"], [f"https://{host}"]) or request.headers.get("x-vakhta-console") != "1":
            self._refused("console", "wrong_origin")
            raise Rejected(
                "The console takes words from its own page only. Nothing was done. Open the board and type there.",
                code="wrong_origin",
                status=403,
            )

    def _check_bearer(self, request: Request) -> None:
        sent = request.headers.getlist("authorization")
        kind, _, token = sent[0].partition(" ")
        digest = sha256(token.strip().encode()).digest()
        right = self._token is not None and hmac.compare_digest(digest, self._token)
        if len(sent) != 1 or kind.lower() != "bearer" or not right:
            self._refused("api", "auth_invalid")
            raise Rejected(
                "This bearer token is not the one in server.api_token. Nothing is shown.",
                code="auth_invalid",
                status=401,
            )

    def _check_name(self, request: Request) -> None:
        name = host_name(request.headers.getlist("host"))
        if name == "localhost" or _is_loopback(name):
            return
        # Who comes by the public name comes from elsewhere, through a proxy that says nothing of itself.
        if name == self._public_host:
            raise self._stranger()
        port = (request.scope.get("server") or ("", 80))[1]
        raise Rejected(f"This is not a name of the bot. Use http://127.0.0.1:{port}.", code="bad_host", status=400)

    def _stranger(self) -> Rejected:
        self._refused("board", "auth_required")
        return Rejected(
            "Only this machine may look without a token. Send `Authorization: Bearer` with server.api_token"
            " to the API, or reach the board through `ssh -L 8080:127.0.0.1:8080 <machine>`.",
            code="auth_required",
            status=401,
        )


def host_name(hosts: Sequence[str]) -> str:
    """The name in a request's Host headers, lower case, without port and brackets. Raises `Rejected`."""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None:
        raise Rejected("Send one Host header with a name and, if need be, a port.", code="bad_host", status=400)
    return found["name"].strip("[]").lower()


def _is_local(request: Request) -> bool:
    peer = request.client.host if request.client else ""
    return _is_loopback(peer) and not any(_is_forwarded(name) for name in request.headers)


def _is_forwarded(header: str) -> bool:
    return header in _FORWARDED or header.startswith("x-forwarded")


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # A dual-stack socket shows 127.0.0.1 as ::ffff:127.0.0.1, which Python before 3.13 calls not loopback.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
