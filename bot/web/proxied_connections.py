"""Remembers loopback connections on which a proxy header was seen: later requests on them are not local.

A request that is smuggled past a proxy lacks the proxy's headers, and shares the connection with one that has them.
A connection is identified by the client's address, and remembered longer than an idle connection stays open. Webhooks
on the fast path are not observed: each is one whole read that contains nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from starlette.types import Scope

from bot.web.local_request import is_loopback, is_of_a_proxy

Address = tuple[str, int]

#: Longer than an idle connection stays open plus the time a slow request takes to arrive.
_REMEMBERED_S = 180.0
_MOST = 4096  #: entries before expired ones are removed; the number of ports limits them anyway


class ProxiedConnections:
    """Call it in the loop's thread. `now`: a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._until: dict[Address, float] = {}
        self._most = _MOST

    def observe(self, scope: Scope) -> None:
        """Note one request. Call it in the order of the requests on their connection."""
        client = scope.get("client")
        if client is None or not is_loopback(client[0]):
            return
        if self.has_seen_proxy(client) or any(is_of_a_proxy(name.decode("latin-1")) for name, _ in scope["headers"]):
            self._until[client] = self._now() + _REMEMBERED_S
            if len(self._until) > self._most:
                self._forget()

    def has_seen_proxy(self, client: Address) -> bool:
        """Whether a proxy header was seen on the connection of that client."""
        return self._until.get(client, 0.0) > self._now()

    def _forget(self) -> None:
        now = self._now()
        self._until = {client: until for client, until in self._until.items() if until > now}
        # Twice the rest: scanning all at each request of a proxy that reuses no connection would block the loop.
        self._most = max(_MOST, 2 * len(self._until))
