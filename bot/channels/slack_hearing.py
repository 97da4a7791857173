"""What was said in Slack, taken to the house in the name of who said it; and the answer, to the asker alone.

The promise: nobody is anybody on Slack's word alone. The account must be of our own workspace and a full member of it,
in a channel where commands are taken, as Slack says now or said five minutes ago; while Slack cannot say so, nothing
is done. Whose account it is, the house knows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from bot.channels.slack_acts import Act, Payload
from bot.channels.slack_blocks import escape
from bot.channels.slack_post import Call
from bot.channels.slack_standing import Standing
from bot.model import NOBODY, Ask, Reply
from bot.ports import Door, Undelivered

logger = logging.getLogger(__name__)

_OLD = "This button is from an older version. Nothing was done. Type `/vakhta incidents` to see what is open."
_NAMELESS = "Slack did not say whose act this is. Nothing was done."


class Hearing:
    """Used from many threads. `whisper(response_url, said)` and `call` raise `Undelivered`."""

    def __init__(
        self, *, place: str, team_id: str, standing: Standing, call: Call, whisper: Callable[[str, str], None]
    ) -> None:
        self._place = place
        self._team_id = team_id
        self._standing = standing
        self._call = call
        self._whisper = whisper
        self._door: Door | None = None

    def open(self, door: Door) -> None:
        self._door = door

    def hear(self, act: Act) -> Reply:
        """Ask the house, or refuse. `repeated`: told before, no need to tell it again."""
        assert self._door is not None, "heard before start"
        said = Ask(
            by=NOBODY, words=act.words, place=self._place, once=act.once, account=act.account, private=act.private
        )
        why = self._against(act)
        if why is not None:
            return Reply(said=why, ok=False, repeated=self._door.turn_away(said, why))
        person = self._door.person(self._place, act.account)
        standing = self._door.standing_at(self._place, act.ref) if act.ref else None
        return self._door.ask(replace(said, by=person or NOBODY, incident_id=standing))

    def hear_and_answer(self, act: Act) -> None:
        """For acts whose answer is not the response to the request itself."""
        reply = self.hear(act)
        if not reply.repeated:
            self._answer(act, reply.said)

    def tell_old(self, payload: Payload) -> None:
        """For what no listener knows: say so where Slack gave an address for it."""
        url = payload.get("response_url")
        if isinstance(url, str) and url:
            self._answer(Act(account="", team=None, words="", once="", response_url=url), _OLD)

    def _against(self, act: Act) -> str | None:
        """Why this is not for the house, None when it is. What needs no question to Slack comes first."""
        if self._is_foreign(act):
            return "Denied: your account belongs to another company. Nothing was done."
        if not act.account:
            return _NAMELESS
        if not act.words:
            return _OLD
        return self._standing.against_room(act.channel, shared=act.shared) or self._standing.against_account(
            act.account
        )

    def _is_foreign(self, act: Act) -> bool:
        """The workspace of a member of an organisation may be told as the organisation's id, E...: asked later."""
        return act.team is not None and not act.team.startswith("E") and act.team != self._team_id

    def _answer(self, act: Act, said: str) -> None:
        """The ask is done and stored by now: an answer that does not arrive is only logged."""
        try:
            if act.response_url:
                self._whisper(act.response_url, said)
                return
            where: dict[str, object] = {"channel": act.channel, "user": act.account, "text": escape(said)}
            self._call("chat.postEphemeral", where | ({"thread_ts": act.thread} if act.thread else {}))
        except Undelivered as error:
            logger.warning("an answer did not reach its asker in Slack", extra={"error": error.said})
