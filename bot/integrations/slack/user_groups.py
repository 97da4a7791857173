"""Members of Slack's user groups, polled on a thread of its own, so that no command waits for them.

A reading counts for 5 min. After that, for a group that cannot be read, membership is unknown.
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
_EVERY_S = 100.0  #: three readings within the time that one counts
_SOONER_S = 15.0  #: after a reading that failed


class SlackUserGroups:
    """`now`: monotonic seconds."""

    def __init__(self, call: Call, now: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._now = now
        self._groups: tuple[str, ...] = ()
        self._members: dict[str, tuple[float, frozenset[str]]] = {}  # group -> (when read, accounts)
        self._problems: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, groups: Collection[str]) -> None:
        self._groups = tuple(sorted(groups))

    def of(self, account: str) -> Mapping[str, bool | None]:
        """Each watched group, and whether the account is in it; None: unknown."""
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
        """Returns within the time of one call."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def read(self, call: Call | None = None) -> bool:
        """Read all groups once; whether all could be read. `call`: a quicker one, where somebody waits."""
        read = [self._read(group, call or self._call) for group in self._groups if not self._stop.is_set()]
        return all(read)

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(_EVERY_S if self.read() else _SOONER_S)

    def _read(self, group: str, call: Call) -> bool:
        """By Slack's Web API: usergroups.users.list, scope usergroups:read."""
        asked_at = self._now()
        try:
            users = call("usergroups.users.list", {"usergroup": group}).get("users")
        except Undelivered as error:
            self._note(group, error.message)
            return False
        if not isinstance(users, list):
            self._note(group, "Slack's answer lists no users.")
            return False
        self._members[group] = (asked_at, frozenset(user for user in users if isinstance(user, str)))
        self._note(group, "")
        return True

    def _note(self, group: str, problem: str) -> None:
        """Logs each problem once, not at each reading."""
        if problem and self._problems.get(group) != problem:
            logger.warning(
                "the members of a Slack group are not known; after 5 min its roles count for nobody",
                extra={"group": group, "why": problem},
            )
        self._problems[group] = problem
