"""The Home tab of Slack: a person's own incidents, plans and runs, redrawn when they open it or press a button there.

The reply to a button is shown at the top of the tab, where the presser looks. A direct message instead would notify
them for every click, would stay when it no longer matters, and would be a second call that can fail by itself. So each
is one call; a tab that could not be drawn stays as it was, and opening it again redraws it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from bot.core.errors import Undelivered
from bot.core.request import Reply
from bot.integrations.slack.messages import Call
from bot.integrations.slack.payloads import SlackAct, at_home
from bot.integrations.slack.requests import SlackRequests
from bot.integrations.slack.views import home_view

logger = logging.getLogger(__name__)

#: Seconds for which a tab that was just opened counts as drawn: Slack sends an event at every change of tabs.
_FRESH_S = 5.0
_REMEMBERED = 1000


class HomeTab:
    """Used from many threads. `now`: monotonic seconds."""

    def __init__(self, call: Call, requests: SlackRequests, now: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._requests = requests
        self._now = now
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, float] = OrderedDict()  # account -> when

    def publish(self, act: SlackAct) -> None:
        """Draw the tab for somebody who opened it. A repeated event, or one within seconds, draws nothing."""
        if self._is_fresh(act.account):
            return
        found = None
        try:
            found = self._requests.handle(act)
        finally:
            if found is None:  # It failed, and Slack will send the event again.
                self._forget(act.account)
        if not found.repeated:
            self._publish(act.account, found)

    def answer(self, act: SlackAct) -> None:
        """Handle a button of the tab, and redraw the tab with the reply on top."""
        answer = self._requests.handle(act)
        if not answer.repeated:
            found = self._requests.handle(at_home(replace(act, idempotency_key=f"{act.idempotency_key}:home")))
            self._publish(act.account, found, answer)

    def _is_fresh(self, account: str) -> bool:
        with self._lock:
            now = self._now()
            if now - self._opened.get(account, float("-inf")) < _FRESH_S:
                return True
            self._opened[account] = now
            self._opened.move_to_end(account)
            while len(self._opened) > _REMEMBERED:
                self._opened.popitem(last=False)
            return False

    def _forget(self, account: str) -> None:
        with self._lock:
            self._opened.pop(account, None)

    def _publish(self, account: str, found: Reply, answer: Reply | None = None) -> None:
        view = home_view(found, answer, at=datetime.now(UTC))
        try:
            self._call("views.publish", {"user_id": account, "view": view})
        except Undelivered as error:
            logger.warning("could not redraw a Home tab in Slack", extra={"error": error.message})
