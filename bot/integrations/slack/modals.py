"""Slack's modals: a command typed without its arguments opens a form, and the submission is handled as if typed.

The trap: the submission names the channel where the command was typed, and Slack signs that. But who reads there may
have changed since, and so may whose account it is. So everything is checked again, with the rights at the time of the
submission. One modal is one act: submitted again it has no second effect.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from bot.core.errors import Rejected, Undelivered
from bot.core.request import Reply
from bot.integrations.slack.blocks import clean
from bot.integrations.slack.messages import Call
from bot.integrations.slack.payloads import Payload, SlackAct, is_direct, no_sender, part, text_of
from bot.integrations.slack.replies import SlackReplies
from bot.integrations.slack.requests import SlackRequests
from bot.integrations.slack.views import FILLED, modal_view
from bot.lib.code_spans import quoted
from bot.lib.text import normalized

logger = logging.getLogger(__name__)

CALLBACK = re.compile(r"^fill:([a-z][a-z0-9-]*)$")
_MOST_KEPT = 3000  #: characters of a modal's private_metadata
_MOST_WRONG = 300  #: characters of an error under a field
#: Seconds for which a command's response_url is valid; Slack's limit is 30 minutes.
_URL_S = 1700


class SlackModals:
    """Used from many threads. `now`: seconds since the epoch."""

    def __init__(
        self, call: Call, requests: SlackRequests, replies: SlackReplies, now: Callable[[], float] = time.time
    ) -> None:
        self._call = call
        self._requests = requests
        self._replies = replies
        self._now = now

    def open_modal(self, act: SlackAct) -> bool:
        """Whether a form was opened for the asker. If not, the command is handled as it was typed."""
        if " " in act.text or not act.trigger_id:
            return False
        wanted = self._requests.form(act)
        kept = json.dumps({"channel": act.channel, "url": act.response_url, "at": int(self._now())})
        if wanted is None or len(kept) > _MOST_KEPT:
            return False
        try:
            view = modal_view(wanted, f"fill:{wanted.verb}", kept)
            self._call("views.open", {"trigger_id": act.trigger_id, "view": view})
        except Undelivered as error:
            logger.warning("could not open a form in Slack", extra={"error": error.message})
            return False
        return True

    def read(self, payload: Payload) -> tuple[SlackAct, Mapping[str, str]]:
        """Who submitted which verb's form, and the values by field name.

        Raises:
            Rejected: the form is not one of ours, or the submission has no id.
        """
        return parse_submission(payload, since=self._now() - _URL_S)

    def submit(self, act: SlackAct, values: Mapping[str, str]) -> Mapping[str, str]:
        """Errors by block id; empty when the request was handled and its reply sent."""
        outcome = self._requests.submit_form(act, values)
        if isinstance(outcome, Reply):
            self._replies.send(act, outcome)
            return {}
        first = next(iter(values))
        return {
            name if name in values else first: quoted(clean(message))[:_MOST_WRONG] for name, message in outcome.items()
        }

    def finish_late(self, act: SlackAct, late: Future[Mapping[str, str]]) -> None:
        """It took longer than Slack waits, so the form is closed: its errors are sent like a reply."""
        self._replies.send_late(act, late, _error_reply)


def parse_submission(payload: Payload, *, since: float) -> tuple[SlackAct, Mapping[str, str]]:
    """Who submitted which verb's form, and the values by field name.

    `since`: the response_url of a form opened earlier has expired, and is left out.

    Raises:
        Rejected: the form is not one of ours, or the submission has no id.
    """
    user, view = part(payload, "user"), part(payload, "view")
    verb = CALLBACK.match(text_of(view, "callback_id"))
    act = (text_of(view, "id"), text_of(view, "hash"), text_of(user, "id"))
    if not all(act):
        raise no_sender()
    values = dict(_values(part(part(view, "state"), "values")))
    if verb is None or not values:
        raise Rejected("The form is empty. Nothing was done.", code="unreadable")
    kept = _kept(text_of(view, "private_metadata"))
    at, channel = kept.get("at"), text_of(kept, "channel")
    return SlackAct(
        account=act[2],
        team=text_of(user, "team_id") or None,
        text=verb[1],
        idempotency_key="view:" + ":".join(act),
        channel=channel,
        response_url=text_of(kept, "url") if isinstance(at, int) and at > since else "",
        is_private=is_direct(channel),
    ), values


def _error_reply(errors: Mapping[str, str]) -> Reply | None:
    return Reply(text=f"{' '.join(errors.values())} Nothing was done.", ok=False) if errors else None


def _kept(private_metadata: str) -> Payload:
    try:
        kept = json.loads(private_metadata)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _values(blocks: Payload) -> list[tuple[str, str]]:
    """A chosen option as it is; typed text normalized as in a message."""
    found = []
    for name in blocks:
        element = part(part(blocks, name), FILLED)
        chosen = text_of(part(element, "selected_option"), "value")
        found.append((name, chosen or " ".join(normalized(text_of(element, "value")).split())))
    return found
