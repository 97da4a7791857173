"""What was said in Slack, taken to the house in the name of who said it.

The promise: nobody is anybody on Slack's word alone. The account must be of our own workspace and a full member of it,
in a channel where commands are taken, as Slack says now or said five minutes ago; while Slack cannot say so, nothing
is done. Of the Home tab, which is in no channel, the account alone is asked. Whose account it is, the house knows.
"""

from __future__ import annotations

from dataclasses import replace

from bot.channels.slack_acts import Act, Payload
from bot.channels.slack_standing import Standing
from bot.channels.slack_telling import Telling
from bot.model import NOBODY, Ask, Reply
from bot.ports import Door

_OLD = "This button is from an older version. Nothing was done. Type `/vakhta incidents` to see what is open."
_NAMELESS = "Slack did not say whose act this is. Nothing was done."


class Hearing:
    """Used from many threads."""

    def __init__(self, *, place: str, team_id: str, standing: Standing, telling: Telling) -> None:
        self._place = place
        self._team_id = team_id
        self._standing = standing
        self._telling = telling
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
            self._telling.tell(act, reply)

    def tell_old(self, payload: Payload) -> None:
        """For what no listener knows: say so where Slack gave an address for it."""
        url = payload.get("response_url")
        if isinstance(url, str) and url:
            self._telling.say(url, _OLD)

    def _against(self, act: Act) -> str | None:
        """Why this is not for the house, None when it is. What needs no question to Slack comes first."""
        if self._is_foreign(act):
            return "Denied: your account belongs to another company. Nothing was done."
        if not act.account:
            return _NAMELESS
        if not act.words:
            return _OLD
        room = None if act.at_home else self._standing.against_room(act.channel, shared=act.shared)
        return room or self._standing.against_account(act.account)

    def _is_foreign(self, act: Act) -> bool:
        """The workspace of a member of an organisation may be told as the organisation's id, E...: asked later."""
        return act.team is not None and not act.team.startswith("E") and act.team != self._team_id
