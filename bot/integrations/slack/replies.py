"""Sends the bot's replies in Slack: to the asker alone, or, for a plan and its outcome, to everybody in the channel.

The trap: a direct message may be one between two people, so nothing is posted there to "everybody". The request is done
and stored by now: a reply that does not arrive is only logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from bot.core.errors import Undelivered
from bot.core.request import Reply
from bot.integrations.slack.blocks import blocks, escape, reply_message, summary, without_buttons
from bot.integrations.slack.messages import NO_UNFURL, Answer, Call
from bot.integrations.slack.payloads import MINE, SAY, SlackAct, is_direct
from bot.lib.code_spans import has_code

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: `respond(response_url, message)`: an answer to one interaction; raises `Undelivered`.
RespondPrivately = Callable[[str, Mapping[str, object]], None]

STILL_RUNNING = Reply(text="Still working on it. The result will follow here.")
_STOPPED = Reply(text="The bot is stopping. Nothing was done. Ask again in a minute.", ok=False)
_BROKEN = Reply(
    text="The bot failed on this. It is not known whether it was done: look at `runs` before you ask again."
    " The bot's log has the error.",
    ok=False,
)
_SHORT = 150  #: characters shown to the presser of a reply that everybody can read


class SlackReplies:
    """Used from many threads."""

    def __init__(self, call: Call, respond: RespondPrivately) -> None:
        self._call = call
        self._respond = respond

    def response_body(self, act: SlackAct, reply: Reply) -> Mapping[str, object]:
        """The reply as the body of the response to the request itself; a plan comes with its buttons."""
        public = reply.visible_to_all and not reply.repeated and not is_direct(act.channel)
        where = {"response_type": "in_channel" if public else "ephemeral"}
        return {**where, **_message_of(reply)}

    def send(self, act: SlackAct, reply: Reply) -> None:
        """Send the reply by a call of its own, where it cannot be the response to the request itself."""
        if act.button_message is not None and reply.plan_closed and not act.presser_only:
            self._try(lambda: self._remove_buttons(act, act.button_message or {}, reply.text))
        if not reply.visible_to_all or reply.repeated or is_direct(act.channel):
            self._try(lambda: self._to_asker(act, _message_of(reply)))
            return
        self._try(lambda: self._to_all(act, reply))
        if act.button_message is not None:
            self._try(lambda: self._to_asker(act, {"text": escape(_first_line(reply.text), _SHORT)}))

    def send_late(self, act: SlackAct, late: Future[Found], answer: Callable[[Found], Reply | None]) -> None:
        """Send the reply of an act that took longer than Slack waits. `answer`: None where it was sent already."""
        reply = self._outcome(late, answer)
        if reply is not None and not act.in_home_tab:
            self.send(act, reply)

    def send_text(self, response_url: str, message: str) -> None:
        self._try(lambda: self._respond(response_url, {**_EPHEMERAL, "text": escape(message)}))

    def _outcome(self, late: Future[Found], answer: Callable[[Found], Reply | None]) -> Reply | None:
        if late.cancelled():
            return _STOPPED
        error = late.exception()
        if error is None:
            return answer(late.result())
        logger.error("a request from Slack failed after its time limit", exc_info=error)
        return _BROKEN

    def _to_asker(self, act: SlackAct, message: Mapping[str, object]) -> None:
        if act.response_url:
            self._respond(act.response_url, {**_EPHEMERAL, **message})
            return
        where: dict[str, object] = {"channel": act.channel, "user": act.account, **message}
        self._call("chat.postEphemeral", where | ({"thread_ts": act.thread} if act.thread else {}))

    def _to_all(self, act: SlackAct, reply: Reply) -> Answer:
        """In the thread where it was asked, or below the plan; in the channel where only the response URL is known."""
        message = _message_of(reply)
        if act.root or not act.response_url:
            where = {"channel": act.channel} | ({"thread_ts": act.root} if act.root else {})
            marked = {"mrkdwn": "blocks" not in message and has_code(reply.text)}
            return self._call("chat.postMessage", {**NO_UNFURL, **marked, **where, **message})
        self._respond(act.response_url, {"response_type": "in_channel", "replace_original": False, **message})
        return {}

    def _remove_buttons(self, act: SlackAct, shown: Mapping[str, object], outcome: str) -> None:
        """The plan's message keeps its text and loses its buttons. Its texts come from Slack, escaped as sent."""
        held = shown.get("blocks")
        text = shown.get("text")
        message = {
            "text": text if isinstance(text, str) and text else escape(_first_line(outcome)),
            "blocks": without_buttons(held if isinstance(held, list) else [], _first_line(outcome)),
        }
        self._respond(act.response_url, {"replace_original": True, **message})

    def _try(self, send: Callable[[], object]) -> None:
        try:
            send()
        except Undelivered as error:
            logger.warning("a reply did not arrive in Slack", extra={"error": error.message})


def thread_for_updates(act: SlackAct) -> str:
    """Where the outcome is posted for everybody later: the thread or the channel; "" where the bot may not post."""
    if not act.channel or is_direct(act.channel):
        return ""
    return f"{act.channel}:{act.root}" if act.root else act.channel


_EPHEMERAL: Mapping[str, object] = {"response_type": "ephemeral", "replace_original": False}


def _message_of(reply: Reply) -> dict[str, object]:
    """The text, or the card with its buttons."""
    card = reply_message(reply)
    if card is None or reply.card is None:
        return {"text": escape(reply.text)}
    return {"text": summary(reply.card), "blocks": blocks(card, MINE if reply.requester_only else SAY)}


def _first_line(message: str) -> str:
    return message.partition("\n")[0]
