"""What the house answered, told in Slack: to the asker alone, or a plan and what became of it to everybody there.

The trap: in a direct message everybody is the other one of two, who may not be the bot; so nothing is posted there.
The ask is done and stored by now: an answer that does not arrive is only logged.
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

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: `whisper(response_url, message)`: an answer to one interaction; raises `Undelivered`.
RespondPrivately = Callable[[str, Mapping[str, object]], None]

STILL_RUNNING = Reply(text="Still at it. What comes of it is told here.")
_STOPPED = Reply(text="The bot is being stopped. Nothing was done; ask again in a moment.", ok=False)
_BROKEN = Reply(text="Something broke in the bot. `runs` tells what was done, and its log tells more.", ok=False)
_SHORT = 150  #: characters that the presser is told of what everybody can read


class SlackReplies:
    """Used from many threads."""

    def __init__(self, call: Call, whisper: RespondPrivately) -> None:
        self._call = call
        self._whisper = whisper

    def response_body(self, act: SlackAct, reply: Reply) -> Mapping[str, object]:
        """What goes back in the answer to the request itself; with a plan its buttons do."""
        public = reply.visible_to_all and not reply.repeated and not is_direct(act.channel)
        where = {"response_type": "in_channel" if public else "ephemeral"}
        return {**where, **_drawn(reply)}

    def send(self, act: SlackAct, reply: Reply) -> None:
        """For acts whose answer is not the response to the request itself."""
        if act.button_message is not None and reply.plan_closed and not act.presser_only:
            self._try(lambda: self._retire(act, act.button_message or {}, reply.text))
        if not reply.visible_to_all or reply.repeated or is_direct(act.channel):
            self._try(lambda: self._to_asker(act, _drawn(reply)))
            return
        self._try(lambda: self._to_all(act, _drawn(reply)))
        if act.button_message is not None:
            self._try(lambda: self._to_asker(act, {"text": escape(_first_line(reply.text), _SHORT)}))

    def send_late(self, act: SlackAct, late: Future[Found], answer: Callable[[Found], Reply | None]) -> None:
        """What became of it after all; Slack was told in time that it takes longer. `answer`: None where it is told."""
        reply = self._outcome(late, answer)
        if reply is not None and not act.in_home_tab:
            self.send(act, reply)

    def send_text(self, response_url: str, message: str) -> None:
        self._try(lambda: self._whisper(response_url, {**_ALONE, "text": escape(message)}))

    def _outcome(self, late: Future[Found], answer: Callable[[Found], Reply | None]) -> Reply | None:
        if late.cancelled():
            return _STOPPED
        broken = late.exception()
        if broken is None:
            return answer(late.result())
        logger.error("an ask in Slack broke after its time", exc_info=broken)
        return _BROKEN

    def _to_asker(self, act: SlackAct, message: Mapping[str, object]) -> None:
        if act.response_url:
            self._whisper(act.response_url, {**_ALONE, **message})
            return
        where: dict[str, object] = {"channel": act.channel, "user": act.account, **message}
        self._call("chat.postEphemeral", where | ({"thread_ts": act.thread} if act.thread else {}))

    def _to_all(self, act: SlackAct, message: Mapping[str, object]) -> Answer:
        """In the thread where it was asked, or below the plan; beside it where only its address is known."""
        if act.root or not act.response_url:
            thread = {"thread_ts": act.root} if act.root else {}
            return self._call("chat.postMessage", {**NO_UNFURL, "channel": act.channel, **thread, **message})
        self._whisper(act.response_url, {"response_type": "in_channel", "replace_original": False, **message})
        return {}

    def _retire(self, act: SlackAct, shown: Mapping[str, object], said: str) -> None:
        """The plan's message keeps its words and loses its buttons. Its texts come from Slack, escaped as sent."""
        held = shown.get("blocks")
        text = shown.get("text")
        message = {
            "text": text if isinstance(text, str) and text else escape(_first_line(said)),
            "blocks": without_buttons(held if isinstance(held, list) else [], _first_line(said)),
        }
        self._whisper(act.response_url, {"replace_original": True, **message})

    def _try(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except Undelivered as error:
            logger.warning("an answer did not reach its asker in Slack", extra={"error": error.message})


def thread_for_updates(act: SlackAct) -> str:
    """Where all are told later what came of it: the thread, or the channel; "" where the bot may not speak."""
    if not act.channel or is_direct(act.channel):
        return ""
    return f"{act.channel}:{act.root}" if act.root else act.channel


_ALONE: Mapping[str, object] = {"response_type": "ephemeral", "replace_original": False}


def _drawn(reply: Reply) -> dict[str, object]:
    """The words, or the card with its buttons."""
    card = reply_message(reply)
    if card is None or reply.card is None:
        return {"text": escape(reply.text)}
    return {"text": summary(reply.card), "blocks": blocks(card, MINE if reply.requester_only else SAY)}


def _first_line(message: str) -> str:
    return message.partition("\n")[0]
