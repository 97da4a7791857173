"""What Slack says of an account and of a channel, believed for five minutes; while it cannot say, nothing is done."""

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
    """Used from many threads. `rooms`: the channels where commands are taken; direct messages always are.

    `now`: seconds that only grow.
    """

    def __init__(
        self, call: Call, *, team_id: str, rooms: Collection[str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self._team_id = team_id
        self._rooms = frozenset(rooms)
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()  # id -> (when told, why not)

    def account_refusal(self, account: str) -> str | None:
        """Why it may not act, None when it may."""
        return self._believed(account, self._ask_account, "whether your account is in good standing")

    def recheck_account(self, account: str) -> str:
        """What is against it now, as a sentence; where Slack does not answer, what it said last is believed as ever."""
        try:
            reason = self._ask_account(account)
        except Undelivered:
            with self._lock:
                told_at, reason = self._known.get(account, (float("-inf"), None))
            if self._now() - told_at >= _TRUST_S:
                return f"Slack does not say whether its account {account} is in good standing."
        else:
            self._remember(account, reason)
        found = (reason or "").removeprefix(_DENIED).partition(".")[0]
        return f"Slack says that its account {account} {found}." if found else ""

    def channel_refusal(self, channel: str, *, shared: bool = False) -> str | None:
        """Why nothing is taken from there, None when it is. `shared`: Slack has just said so."""
        if is_direct(channel):
            return None
        if shared or channel not in self._rooms:
            return _NOT_HERE
        return self._believed(channel, self._ask_room, "who can read this channel")

    def _ask_account(self, account: str) -> str | None:
        found = outsider(part(self._call("users.info", {"user": account}), "user"), self._team_id)
        return f"{_DENIED}{found}. Nothing was done." if found else None

    def _ask_room(self, channel: str) -> str | None:
        room = part(self._call("conversations.info", {"channel": channel}), "channel")
        return None if room.get("is_ext_shared") is False else _NOT_HERE

    def _believed(self, one: str, ask: Callable[[str], str | None], what: str) -> str | None:
        with self._lock:
            told_at, reason = self._known.get(one, (float("-inf"), None))
        if self._now() - told_at < _TRUST_S:
            return reason
        try:
            reason = ask(one)
        except Undelivered as error:
            return f"Nothing was done: it is not known {what}. {error.message} Try again."
        self._remember(one, reason)
        return reason

    def _remember(self, one: str, reason: str | None) -> None:
        with self._lock:
            self._known[one] = (self._now(), reason)
            self._known.move_to_end(one)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
