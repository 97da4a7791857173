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

from bot.channels.slack_acts import Act, Payload, direct, nameless, part, text_of
from bot.channels.slack_blocks import clean
from bot.channels.slack_hearing import Hearing
from bot.channels.slack_post import Call
from bot.channels.slack_telling import Telling
from bot.channels.slack_views import FILLED, form
from bot.model import Reply
from bot.ports import Rejected, Undelivered
from bot.words import plain

logger = logging.getLogger(__name__)

CALLBACK = re.compile(r"^fill:([a-z][a-z0-9-]*)$")
_MOST_KEPT = 3000  #: characters of a modal's private_metadata
_MOST_WRONG = 300  #: characters that stand under a blank
#: Seconds for which a command's response_url is good; Slack's are 30 minutes.
_URL_S = 1700


class Forms:
    """Used from many threads. `now`: seconds since the epoch."""

    def __init__(self, call: Call, hearing: Hearing, telling: Telling, now: Callable[[], float] = time.time) -> None:
        self._call = call
        self._hearing = hearing
        self._telling = telling
        self._now = now

    def offer(self, act: Act) -> bool:
        """Whether the asker has a form before them now. Where they have not, the words are asked as they are."""
        if " " in act.words or not act.trigger:
            return False
        wanted = self._hearing.form(act)
        kept = json.dumps({"channel": act.channel, "url": act.response_url, "at": int(self._now())})
        if wanted is None or len(kept) > _MOST_KEPT:
            return False
        try:
            view = form(wanted, f"fill:{wanted.verb}", kept)
            self._call("views.open", {"trigger_id": act.trigger, "view": view})
        except Undelivered as error:
            logger.warning("a form could not be opened in Slack", extra={"error": error.said})
            return False
        return True

    def read(self, payload: Payload) -> tuple[Act, Mapping[str, str]]:
        """Who filled in which verb's form, and what, by the blanks.

        Raises:
            Rejected: it is not of a form of ours, or has no id.
        """
        return submission(payload, since=self._now() - _URL_S)

    def take(self, act: Act, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with what was filled in, by its blocks; empty when it was asked, and its answer told."""
        told = self._hearing.fill(act, values)
        if isinstance(told, Reply):
            self._telling.tell(act, told)
            return {}
        first = next(iter(values))
        return {name if name in values else first: clean(said)[:_MOST_WRONG] for name, said in told.items()}

    def follow(self, act: Act, late: Future[Mapping[str, str]]) -> None:
        """It took longer than Slack waits, so the form is gone: what is wrong with it is told like an answer."""
        self._telling.follow(act, late, _wrong)


def submission(payload: Payload, *, since: float) -> tuple[Act, Mapping[str, str]]:
    """Who filled in which verb's form, and what, by the blanks. `since`: of an older form the answer's address is void.

    Raises:
        Rejected: it is not of a form of ours, or has no id.
    """
    user, view = part(payload, "user"), part(payload, "view")
    verb = CALLBACK.match(text_of(view, "callback_id"))
    act = (text_of(view, "id"), text_of(view, "hash"), text_of(user, "id"))
    if not all(act):
        raise nameless()
    values = dict(_values(part(part(view, "state"), "values")))
    if verb is None or not values:
        raise Rejected("Nothing was filled in. Nothing was done.", code="unreadable")
    kept = _kept(text_of(view, "private_metadata"))
    at, channel = kept.get("at"), text_of(kept, "channel")
    return Act(
        account=act[2],
        team=text_of(user, "team_id") or None,
        words=verb[1],
        once="view:" + ":".join(act),
        channel=channel,
        response_url=text_of(kept, "url") if isinstance(at, int) and at > since else "",
        private=direct(channel),
    ), values


def _wrong(told: Mapping[str, str]) -> Reply | None:
    return Reply(said=f"{' '.join(told.values())} Nothing was done.", ok=False) if told else None


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
        found.append((name, chosen or " ".join(plain(text_of(blank, "value")).split())))
    return found
