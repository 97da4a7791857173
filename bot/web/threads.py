"""The web's threads, by what they are for."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor

from bot.web import incidents_api


class Threads:
    """The web's own threads, apart by purpose: a slow chat must not make the bot look unready."""

    def __init__(self) -> None:
        self.api = ThreadPoolExecutor(incidents_api.AT_ONCE, thread_name_prefix="api")
        self.console = ThreadPoolExecutor(4, thread_name_prefix="console")
        self.look = ThreadPoolExecutor(12, thread_name_prefix="look")
        self.gates = ThreadPoolExecutor(4, thread_name_prefix="gates")
        self.peers = ThreadPoolExecutor(2, thread_name_prefix="peers")
        self._inbound: dict[str, ThreadPoolExecutor] = {}

    def inbound(self, channel: str) -> Executor:
        """Those of one channel, made when it first hears something. From the loop's own thread."""
        if channel not in self._inbound:
            self._inbound[channel] = ThreadPoolExecutor(4, thread_name_prefix=f"inbound-{channel}")
        return self._inbound[channel]

    def stop(self) -> None:
        """Take no more; what hangs is left behind."""
        for pool in (self.api, self.console, self.look, self.gates, self.peers, *self._inbound.values()):
            pool.shutdown(wait=False, cancel_futures=True)
