"""The web's thread pools, one per purpose."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

from bot.web import incidents_api


class Threads:
    """One pool per purpose, so that a slow chat does not make the bot appear unready."""

    def __init__(self) -> None:
        self.api = ThreadPoolExecutor(incidents_api.AT_ONCE, thread_name_prefix="api")
        self.console = ThreadPoolExecutor(4, thread_name_prefix="console")
        self.look = ThreadPoolExecutor(12, thread_name_prefix="look")
        self.gates = ThreadPoolExecutor(4, thread_name_prefix="gates")
        self.peers = ThreadPoolExecutor(2, thread_name_prefix="peers")
        self._inbound: dict[str, ThreadPoolExecutor] = {}

    def inbound(self, channel: str) -> Executor:
        """The pool of one channel, made at its first webhook. Call it in the loop's thread."""
        if channel not in self._inbound:
            self._inbound[channel] = ThreadPoolExecutor(4, thread_name_prefix=f"inbound-{channel}")
        return self._inbound[channel]

    def stop(self) -> None:
        """Accept no more work; calls that hang are abandoned."""
        for pool in (self.api, self.console, self.look, self.gates, self.peers, *self._inbound.values()):
            pool.shutdown(wait=False, cancel_futures=True)
