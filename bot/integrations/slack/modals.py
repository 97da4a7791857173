"""Slack's modals: a verb that was said without its arguments is filled in, and asked like anything that is typed.

The trap: what comes back names the channel where it was said, and Slack signs that; but who reads there may have
changed since, and so may who the person is. So all is checked anew, and the rights are those of the moment it is sent.
One modal is one act: sent again it has no second effect.
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
from bot.lib.text import normalized

logger = logging.getLogger(__name__)

CALLBACK = re.compile(r"^fill:([a-z][a-z0-9-]*)$")
_MOST_KEPT = 3000  #: characters of a modal's private_metadata
_MOST_WRONG = 300  #: characters that stand under a blank
#: Seconds for which a command's response_url is good; Slack's are 30 minutes.
_URL_S = 1700


class SlackModals:
    """Used from many threads. `now`: seconds since the epoch."""

    def __init__(
        self, call: Call, requests: SlackRequests, replies: SlackReplies, now: Callable[[], float] = time.time
    ) -> None:
        self._call = call
        self._hearing = requests
        self._telling = replies
        self._now = now

    def open_modal(self, act: SlackAct) -> bool:
        """Whether the asker has a form before them now. Where they have not, the words are asked as they are."""
        if " " in act.text or not act.trigger_id:
            return False
        wanted = self._hearing.form(act)
        kept = json.dumps({"channel": act.channel, "url": act.response_url, "at": int(self._now())})
        if wanted is None or len(kept) > _MOST_KEPT:
            return False
        try:
            view = modal_view(wanted, f"fill:{wanted.verb}", kept)
            self._call("views.open", {"trigger_id": act.trigger_id, "view": view})
        except Undelivered as error:
            logger.warning("a form could not be opened in Slack", extra={"error": error.message})
            return False
        return True

    def read(self, payload: Payload) -> tuple[SlackAct, Mapping[str, str]]:
        """Who filled in which verb's form, and what, by the blanks.

        Raises:
            Rejected: it is not of a form of ours, or has no id.
        """
        return parse_submission(payload, since=self._now() - _URL_S)

    def submit(self, act: SlackAct, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with what was filled in, by its blocks; empty when it was asked, and its answer told."""
        told = self._hearing.submit_form(act, values)
        if isinstance(told, Reply):
            self._telling.send(act, told)
            return {}
        first = next(iter(values))
        return {name if name in values else first: clean(message)[:_MOST_WRONG] for name, message in told.items()}

    def finish_late(self, act: SlackAct, late: Future[Mapping[str, str]]) -> None:
        """It took longer than Slack waits, so the form is gone: what is wrong with it is told like an answer."""
        self._telling.send_late(act, late, _wrong)


def parse_submission(payload: Payload, *, since: float) -> tuple[SlackAct, Mapping[str, str]]:
    """Who filled in which verb's form, and what, by the blanks. `since`: of an older form the answer's address is void.

    Raises:
        Rejected: it is not of a form of ours, or has no id.
    """
    user, view = part(payload, "user"), part(payload, "view")
    verb = CALLBACK.match(text_of(view, "callback_id"))
    act = (text_of(view, "id"), text_of(view, "hash"), text_of(user, "id"))
    if not all(act):
        raise no_sender()
    values = dict(_values(part(part(view, "state"), "values")))
    if verb is None or not values:
        raise Rejected("Nothing was filled in. Nothing was done.", code="unreadable")
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


def _wrong(told: Mapping[str, str]) -> Reply | None:
    return Reply(text=f"{' '.join(told.values())} Nothing was done.", ok=False) if told else None


def _kept(told: str) -> Payload:
    try:
        kept = json.loads(told)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _values(blocks: Payload) -> list[tuple[str, str]]:
    """What was chosen as it is; what was typed as it would be in a message."""
    found = []
    for name in blocks:
        blank = part(part(blocks, name), FILLED)
        chosen = text_of(part(blank, "selected_option"), "value")
        found.append((name, chosen or " ".join(normalized(text_of(blank, "value")).split())))
    return found
