"""Connections within this machine on which a proxy has spoken: whatever comes on them later is not from this machine.

A request that somebody smuggles past a proxy lacks the proxy's headers, and shares the connection with one that has
them. A connection is known by the client's address, and remembered for longer than it is kept open without a request.
Ordinary webhooks of the short way are not looked at: each is one whole read and carries nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from starlette.types import Scope

from bot.web.local_request import is_loopback, is_of_a_proxy

Address = tuple[str, int]

#: Longer than the server keeps an idle connection open, and a slow request takes to arrive.
_REMEMBERED_S = 180.0
_MOST = 4096  #: before those that are over are looked for; there cannot be more than this machine has ports


class ProxiedConnections:
    """From the loop's own thread. `now`: seconds that only grow."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._until: dict[Address, float] = {}
        self._most = _MOST

    def observe(self, scope: Scope) -> None:
        """Look at one request, in the order in which they come on their connection."""
        client = scope.get("client")
        if client is None or not is_loopback(client[0]):
            return
        if self.has_seen_proxy(client) or any(is_of_a_proxy(name.decode("latin-1")) for name, _ in scope["headers"]):
            self._until[client] = self._now() + _REMEMBERED_S
            if len(self._until) > self._most:
                self._forget()

    def has_seen_proxy(self, client: Address) -> bool:
        """Whether a proxy has spoken on the connection of that client."""
        return self._until.get(client, 0.0) > self._now()

    def _forget(self) -> None:
        now = self._now()
        self._until = {client: until for client, until in self._until.items() if until > now}
        # Twice as many as are left: to look at all for each request of a proxy that reuses none would hold up the loop.
        self._most = max(_MOST, 2 * len(self._until))
