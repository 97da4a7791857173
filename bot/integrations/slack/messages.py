"""Cards and lines into one Slack channel: post, edit in place, answer in the thread.

The promise: an alert is told even when Slack will not draw it (once more, as bare text), and what was tried before,
perhaps by a process that died, is looked for before it is posted again.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from bot.core.errors import Undelivered
from bot.core.message import MessageKind, Notification
from bot.integrations.slack.blocks import blocks, escape, summary, text_only

logger = logging.getLogger(__name__)

Answer = Mapping[str, object]
#: One call of the Web API by its name; raises `SlackApiError` or plain `Undelivered`.
Call = Callable[[str, Mapping[str, object]], Answer]

NO_UNFURL: Mapping[str, object] = {
    "parse": "none",
    "link_names": False,
    "unfurl_links": False,
    "unfurl_media": False,
    "mrkdwn": False,
}
_GONE = frozenset(
    {"message_not_found", "thread_not_found", "cannot_reply_to_message", "cant_update_message", "edit_window_closed"}
)
_UNDRAWABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
_REMEMBERED = 500  #: things of each kind kept in memory
_PAGES = 5  #: of 200 messages each, read back when looking for one
_SKEW_S = 120  #: how far Slack's clock may be from ours


class SlackApiError(Undelivered):
    """Slack answered no, with one of its error codes: it did not happen."""

    def __init__(self, message: str, *, code: str, permanent: bool) -> None:
        super().__init__(message, permanent=permanent)
        self.code = code


class SlackMessages:
    """Puts notices into `channel`. Used by one thread at a time."""

    def __init__(self, call: Call, channel: str) -> None:
        self._call = call
        self._channel = channel
        self._bare: OrderedDict[str, float] = OrderedDict()  # things whose blocks Slack refused

    def post_card(self, notification: Notification) -> str:
        """Post or edit the card; returns "channel:ts"."""
        ref = notification.ref or self._find(notification, self._channel, None)
        if ref is None:
            return self._post_card(notification)
        channel, _, ts = ref.partition(":")
        try:
            self._draw(
                "chat.update", notification, {"channel": channel, "ts": ts, "parse": "none", "link_names": False}
            )
        except SlackApiError as error:
            if error.code not in _GONE and channel == self._channel:
                raise
            return self._post_card(notification)  # Deleted, or left behind in a channel of earlier settings.
        return ref

    def post_line(self, notification: Notification) -> None:
        """One line in the card's thread; beside it when somebody deleted the card."""
        assert notification.event is not None, "a line tells an event"
        assert notification.ref is not None, "a line stands in a card's thread"
        channel, _, thread = notification.ref.partition(":")
        if self._find(notification, channel, thread):
            return
        message = notification.event.text.strip() or "(no text)"
        inside = {"channel": channel, "thread_ts": thread, "text": escape(message)}
        try:
            self._post(notification, lambda told: self._call("chat.postMessage", {**told, **inside}))
        except SlackApiError as error:
            if error.code not in _GONE and channel == self._channel:
                raise
            beside = {"channel": self._channel, "text": escape(f"#{notification.incident.id} {message}")}
            self._post(notification, lambda told: self._call("chat.postMessage", {**told, **beside}))

    def post_text(self, text: str, to: str | None, instead_of: str) -> str:
        if instead_of:
            channel, _, ts = instead_of.partition(":")
            standing = {"channel": channel, "ts": ts, "parse": "none", "link_names": False}
            self._call("chat.update", {**standing, "text": escape(text)})
            return instead_of
        channel, _, thread = (to or self._channel).partition(":")
        where = {"channel": channel} | ({"thread_ts": thread} if thread else {})
        answer = self._call("chat.postMessage", {**NO_UNFURL, **where, "text": escape(text)})
        return f"{answer['channel']}:{answer['ts']}"

    def _post_card(self, notification: Notification) -> str:
        answer = self._post(notification, lambda told: self._draw("chat.postMessage", notification, told))
        return f"{answer['channel']}:{answer['ts']}"

    def _post(self, notification: Notification, send: Callable[[Mapping[str, object]], Answer]) -> Answer:
        told = {"event_type": "vakhta", "event_payload": {"key": notification.key, "thing": _thing(notification)}}
        return send({**NO_UNFURL, "channel": self._channel, "metadata": told})

    def _draw(self, method: str, notification: Notification, fields: Mapping[str, object]) -> Answer:
        """Send with blocks. What Slack refuses to draw goes as bare text, from then on at the first try."""
        if _thing(notification) not in self._bare:
            try:
                return self._call(
                    method, {**fields, "text": summary(notification.card), "blocks": blocks(notification.card)}
                )
            except SlackApiError as error:
                if error.code not in _UNDRAWABLE:
                    raise
                logger.warning("Slack refused a card's blocks; sent as text", extra={"error": error.code})
                _remember(self._bare, _thing(notification), time.time())
        return self._call(method, {**fields, "text": text_only(notification.card), "blocks": []})

    def _find(self, notification: Notification, channel: str, thread: str | None) -> str | None:
        """Where an earlier try of this notice arrived after all; None where it did not, or nobody may look."""
        if not notification.attempted:
            return None
        fields: dict[str, object] = {
            "channel": channel,
            "oldest": f"{notification.due_at.timestamp() - _SKEW_S:.6f}",
            "limit": 200,
            "include_all_metadata": True,
        }
        method = "conversations.history" if thread is None else "conversations.replies"
        try:
            ts = self._look(method, fields if thread is None else {**fields, "ts": thread}, _thing(notification))
        except SlackApiError as error:
            if not error.permanent:
                raise
            logger.warning("Slack does not let the bot read back; a post may be doubled", extra={"error": error.code})
            return None
        return ts and f"{channel}:{ts}"

    def _look(self, method: str, fields: Mapping[str, object], thing: str) -> str | None:
        """The ts of the message that carries `thing`."""
        cursor = ""
        for _ in range(_PAGES):
            answer = self._call(method, {**fields, "cursor": cursor} if cursor else fields)
            for message in _rows(answer.get("messages")):
                if _told_by(message) == thing:
                    return str(message["ts"])
            following = answer.get("response_metadata")
            cursor = str(following.get("next_cursor") or "") if isinstance(following, dict) else ""
            if not cursor:
                break
        return None


def _thing(notification: Notification) -> str:
    """What there must be one of. A card's key changes as the incident moves on; its incident stays.

    With its mark: what an incident of the same number has posted before a restore is another one's.
    """
    mark = notification.incident.marked
    return f"card {mark}" if notification.kind is MessageKind.CARD else f"line {mark} {notification.key}"


def _remember(things: OrderedDict[str, float], thing: str, at: float) -> None:
    """The first time stays; the oldest thing is forgotten when there are too many."""
    things.setdefault(thing, at)
    while len(things) > _REMEMBERED:
        things.popitem(last=False)


def _rows(messages: object) -> list[dict[str, object]]:
    return [row for row in messages if isinstance(row, dict)] if isinstance(messages, list) else []


def _told_by(message: Mapping[str, object]) -> object:
    told = message.get("metadata")
    if not isinstance(told, dict) or told.get("event_type") != "vakhta":
        return None
    payload = told.get("event_payload")
    return payload.get("thing") if isinstance(payload, dict) else None
