"""Checks in Slack whether an account and a channel may give commands. An answer counts for 5 min; without, no."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

from bot.core.errors import Undelivered
from bot.integrations.slack.messages import Call
from bot.integrations.slack.payloads import is_direct, outsider, part

_TRUST_S = 300.0
_REMEMBERED = 1000

_DENIED = "Denied: your account "
_NOT_HERE = "Not allowed in this channel. Nothing was done. Use the incident channel, or a direct message to the bot."


class Membership:
    """Used from many threads. `rooms`: the channels where commands are accepted; in direct messages they always are.

    `now`: monotonic seconds.
    """

    def __init__(
        self, call: Call, *, team_id: str, rooms: Collection[str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self._team_id = team_id
        self._rooms = frozenset(rooms)
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()  # id -> (when, refusal)

    def account_refusal(self, account: str) -> str | None:
        """Why it may not act, None when it may."""
        return self._cached(account, self._ask_account, "whether your account is a full member of this workspace")

    def recheck_account(self, account: str) -> str:
        """Why it may not act now, as a sentence, "" when it may; without an answer the last one counts its 5 min."""
        try:
            reason = self._ask_account(account)
        except Undelivered:
            with self._lock:
                asked_at, reason = self._known.get(account, (float("-inf"), None))
            if self._now() - asked_at >= _TRUST_S:
                return f"Slack does not answer whether its account {account} is a full member of the workspace."
        else:
            self._remember(account, reason)
        found = (reason or "").removeprefix(_DENIED).partition(".")[0]
        return f"Slack says that its account {account} {found}." if found else ""

    def channel_refusal(self, channel: str, *, shared: bool = False) -> str | None:
        """Why no command is accepted there, None when one is. `shared`: the payload says that it is shared."""
        if is_direct(channel):
            return None
        if shared or channel not in self._rooms:
            return _NOT_HERE
        return self._cached(channel, self._ask_room, "who can read this channel")

    def _ask_account(self, account: str) -> str | None:
        found = outsider(part(self._call("users.info", {"user": account}), "user"), self._team_id)
        return f"{_DENIED}{found}. Nothing was done." if found else None

    def _ask_room(self, channel: str) -> str | None:
        room = part(self._call("conversations.info", {"channel": channel}), "channel")
        return None if room.get("is_ext_shared") is False else _NOT_HERE

    def _cached(self, id_: str, ask: Callable[[str], str | None], question: str) -> str | None:
        with self._lock:
            asked_at, reason = self._known.get(id_, (float("-inf"), None))
        if self._now() - asked_at < _TRUST_S:
            return reason
        try:
            reason = ask(id_)
        except Undelivered as error:
            return f"It is not known {question}. {error.message} Nothing was done. Try again."
        self._remember(id_, reason)
        return reason

    def _remember(self, id_: str, reason: str | None) -> None:
        with self._lock:
            self._known[id_] = (self._now(), reason)
            self._known.move_to_end(id_)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
