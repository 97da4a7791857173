"""Who is in Slack's user groups: read again and again on a thread of its own, so that nobody's command waits for it.

What was read counts for five minutes. A group that cannot be read for longer has members that nobody knows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from bot.core.errors import Undelivered
from bot.integrations.slack.messages import Call

logger = logging.getLogger(__name__)

_TRUST_S = 300.0
_EVERY_S = 100.0  #: three readings within the time that one is believed
_SOONER_S = 15.0  #: after one that failed


class SlackUserGroups:
    """`now`: seconds that only grow."""

    def __init__(self, call: Call, now: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._now = now
        self._groups: tuple[str, ...] = ()
        self._members: dict[str, tuple[float, frozenset[str]]] = {}  # group -> (when read, accounts)
        self._troubles: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, groups: Collection[str]) -> None:
        self._groups = tuple(sorted(groups))

    def of(self, account: str) -> Mapping[str, bool | None]:
        """Each group that is watched, and whether the account is in it; None where nobody knows."""
        oldest = self._now() - _TRUST_S
        read = {group: self._members.get(group, (float("-inf"), frozenset())) for group in self._groups}
        return {group: account in members if at > oldest else None for group, (at, members) in read.items()}

    def open(self) -> None:
        if not self._groups:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep, name="slack-groups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends within the time of one call."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def read(self, call: Call | None = None) -> bool:
        """Read them all once, by that call where somebody waits for it; whether all could be."""
        read = [self._read(group, call or self._call) for group in self._groups if not self._stop.is_set()]
        return all(read)

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(_EVERY_S if self.read() else _SOONER_S)

    def _read(self, group: str, call: Call) -> bool:
        """Source of the method and its answer: Slack's Web API, usergroups.users.list, scope usergroups:read."""
        asked_at = self._now()
        try:
            users = call("usergroups.users.list", {"usergroup": group}).get("users")
        except Undelivered as error:
            self._note(group, error.message)
            return False
        if not isinstance(users, list):
            self._note(group, "Slack's answer names no users.")
            return False
        self._members[group] = (asked_at, frozenset(user for user in users if isinstance(user, str)))
        self._note(group, "")
        return True

    def _note(self, group: str, trouble: str) -> None:
        """Each trouble once, not at each reading."""
        if trouble and self._troubles.get(group) != trouble:
            logger.warning(
                "who is in a Slack group is not known; after five minutes its roles count for nobody",
                extra={"group": group, "why": trouble},
            )
        self._troubles[group] = trouble
