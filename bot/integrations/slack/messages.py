"""Cards and lines into one Slack channel: post, edit in place, answer in the thread.

The promise: an incident is posted even when Slack refuses its blocks (then as bare text). A message that was tried
before, perhaps by a process that died, is looked for before it is posted again. Whoever is on call is mentioned in the
first message of an incident that is open, and never again.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from bot.core.errors import Undelivered
from bot.core.incident import Status
from bot.core.message import MessageKind, Notification
from bot.integrations.slack.blocks import Block, blocks, escape, paragraphs, summary, text_message, text_only
from bot.integrations.slack.incident_blocks import first_line, incident_blocks, line_notice, mentions

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
_BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long"})
_REMEMBERED = 500  #: messages whose blocks were refused, kept in memory
_PAGES = 5  #: of 200 messages each, read back when looking for one
_SKEW_S = 120  #: how far Slack's clock may be from ours


class SlackApiError(Undelivered):
    """Slack refused the call with one of its error codes: it did not happen."""

    def __init__(self, message: str, *, code: str, permanent: bool) -> None:
        super().__init__(message, permanent=permanent)
        self.code = code


class SlackMessages:
    """Posts notifications into `channel`. Used by one thread at a time."""

    def __init__(self, call: Call, channel: str) -> None:
        self._call = call
        self._channel = channel
        self._without_blocks: OrderedDict[str, float] = OrderedDict()  # messages whose blocks Slack refused -> when

    def post_card(self, notification: Notification) -> str:
        """Post or edit the card; returns "channel:ts"."""
        ref = notification.ref or self._find(notification, self._channel, None)
        if ref is None:
            return self._post_card(notification, call=notification.incident.status is Status.OPEN)
        channel, _, ts = ref.partition(":")
        try:
            self._draw(
                "chat.update", notification, {"channel": channel, "ts": ts, "parse": "none", "link_names": False}
            )
        except SlackApiError as error:
            if error.code not in _GONE and channel == self._channel:
                raise
            return self._post_card(notification, call=False)  # Deleted, or in a channel of earlier settings.
        return ref

    def post_line(self, notification: Notification) -> None:
        """One line in the card's thread; beside it when somebody deleted the card."""
        assert notification.event is not None, "a line is about an event"
        assert notification.ref is not None, "a line is in a card's thread"
        channel, _, thread = notification.ref.partition(":")
        if self._find(notification, channel, thread):
            return
        message = notification.event.text.strip() or "(no text)"
        in_thread = {"channel": channel, "thread_ts": thread}
        try:
            self._post(notification, lambda common: self._draw_line(notification, message, {**common, **in_thread}))
        except SlackApiError as error:
            if error.code not in _GONE and channel == self._channel:
                raise
            beside = {"channel": self._channel, **text_message(f"#{notification.incident.id} {message}")}
            self._post(notification, lambda common: self._call("chat.postMessage", {**common, **beside}))

    def post_text(self, text: str, to: str | None, instead_of: str) -> str:
        if instead_of:
            channel, _, ts = instead_of.partition(":")
            earlier = {"channel": channel, "ts": ts, "parse": "none", "link_names": False}
            self._call("chat.update", {**earlier, "text": escape(text)})
            return instead_of
        channel, _, thread = (to or self._channel).partition(":")
        where = {"channel": channel} | ({"thread_ts": thread} if thread else {})
        answer = self._call("chat.postMessage", {**NO_UNFURL, **where, **text_message(text)})
        return f"{answer['channel']}:{answer['ts']}"

    def _post_card(self, notification: Notification, *, call: bool) -> str:
        answer = self._post(
            notification, lambda common: self._draw("chat.postMessage", notification, common, call=call)
        )
        return f"{answer['channel']}:{answer['ts']}"

    def _post(self, notification: Notification, send: Callable[[Mapping[str, object]], Answer]) -> Answer:
        metadata = {"event_type": "vakhta", "event_payload": {"key": notification.key, "thing": _thing(notification)}}
        return send({**NO_UNFURL, "channel": self._channel, "metadata": metadata})

    def _draw(
        self, method: str, notification: Notification, fields: Mapping[str, object], *, call: bool = False
    ) -> Answer:
        """Send with blocks. A message whose blocks Slack refuses goes as bare text, from then on at the first try."""
        if _thing(notification) not in self._without_blocks:
            try:
                text, drawn = draw_card(notification, call=call)
                return self._call(method, {**fields, "text": text, "blocks": drawn})
            except SlackApiError as error:
                if error.code not in _BLOCKS_REFUSED:
                    raise
                logger.warning("Slack refused a card's blocks; sent as text", extra={"error": error.code})
                _remember(self._without_blocks, _thing(notification), time.time())
        told = notification.card.situation
        called = mentions(told.on_call) if told and call else ""
        return self._call(method, {**fields, "text": text_only(notification.card, called), "blocks": []})

    def _draw_line(self, notification: Notification, message: str, fields: Mapping[str, object]) -> Answer:
        """A phone's notification of a line says which incident it is about; in the thread only the line is read."""
        drawn = {"text": line_notice(notification.incident, notification.card, message), "blocks": paragraphs(message)}
        try:
            return self._call("chat.postMessage", {**fields, **drawn})
        except SlackApiError as error:
            if error.code not in _BLOCKS_REFUSED:
                raise
        return self._call("chat.postMessage", {**fields, **text_message(message)})

    def _find(self, notification: Notification, channel: str, thread: str | None) -> str | None:
        """Where an earlier try of this notification arrived; None: it did not, or the bot may not read the channel."""
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
            logger.warning(
                "Slack does not let the bot read the channel; a message may be posted twice",
                extra={"error": error.code},
            )
            return None
        return ts and f"{channel}:{ts}"

    def _look(self, method: str, fields: Mapping[str, object], thing: str) -> str | None:
        """The ts of the message that carries `thing`."""
        cursor = ""
        for _ in range(_PAGES):
            answer = self._call(method, {**fields, "cursor": cursor} if cursor else fields)
            for message in _rows(answer.get("messages")):
                if _thing_in(message) == thing:
                    return str(message["ts"])
            following = answer.get("response_metadata")
            cursor = str(following.get("next_cursor") or "") if isinstance(following, dict) else ""
            if not cursor:
                break
        return None


def draw_card(notification: Notification, *, call: bool) -> tuple[str, list[Block]]:
    """The first line, and the blocks. `call`: mention whoever is on call."""
    card = notification.card
    if card.situation is None:
        return summary(card), blocks(card)
    return first_line(card, card.situation), incident_blocks(card, card.situation, notification.incident.id, call=call)


def _thing(notification: Notification) -> str:
    """The name, kept in a message's metadata, under which an earlier try is found again.

    For a card it is the incident, because a card's key changes with each state. The incident's marker is in it: a
    message posted before a restore under the same number belongs to another incident.
    """
    mark = notification.incident.marked
    return f"card {mark}" if notification.kind is MessageKind.CARD else f"line {mark} {notification.key}"


def _remember(things: OrderedDict[str, float], thing: str, at: float) -> None:
    """The first time is kept; the oldest entry goes when there are too many."""
    things.setdefault(thing, at)
    while len(things) > _REMEMBERED:
        things.popitem(last=False)


def _rows(messages: object) -> list[dict[str, object]]:
    return [row for row in messages if isinstance(row, dict)] if isinstance(messages, list) else []


def _thing_in(message: Mapping[str, object]) -> object:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != "vakhta":
        return None
    payload = metadata.get("event_payload")
    return payload.get("thing") if isinstance(payload, dict) else None
