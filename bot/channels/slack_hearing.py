"""What was said in Slack, taken to the house in the name of who said it.

The promise: nobody is anybody on Slack's word alone. The account must be of our own workspace and a full member of it,
in a channel where commands are taken, as Slack says now or said five minutes ago; while Slack cannot say so, nothing
is done. Of the Home tab, which is in no channel, the account alone is asked. Whose account it is, the house knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.channels.slack_acts import Act, Payload
from bot.channels.slack_standing import Standing
from bot.channels.slack_telling import Telling, spot
from bot.forms import Form
from bot.model import NOBODY, Ask, Reply
from bot.ports import Door

_OLD = "This button is from an older version. Nothing was done. Type `/vakhta incidents` to see what is open."
_NAMELESS = "Slack did not say whose act this is. Nothing was done."
_BY_APP = "An app wrote this in your name. Nothing was done. Type it yourself, or use `/vakhta`."


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
        ask = self._admit(act)
        return ask if isinstance(ask, Reply) else self._opened.ask(ask)

    def form(self, act: Act) -> Form | None:
        """What the words want to be told, for somebody who is heard there. Nothing is put on record."""
        return None if self._against(act) else self._opened.form(self._asked(act))

    def fill(self, act: Act, values: Mapping[str, str]) -> Reply | Mapping[str, str]:
        """Ask what was filled in; or what is wrong with it, by the blanks' names, and then nothing was asked."""
        ask = self._admit(act)
        if isinstance(ask, Reply):
            return ask
        filled = self._opened.fill(ask, values)
        return filled.wrong or self._opened.ask(replace(ask, words=filled.words))

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

    @property
    def _opened(self) -> Door:
        assert self._door is not None, "heard before start"
        return self._door

    def _admit(self, act: Act) -> Ask | Reply:
        """The ask in the name of whoever it is; or the refusal, on record."""
        why = self._against(act)
        if why is None:
            return self._asked(act)
        return Reply(said=why, ok=False, repeated=self._opened.turn_away(self._said(act), why))

    def _asked(self, act: Act) -> Ask:
        person = self._opened.person(self._place, act.account)
        if person is None and act.unknown:
            act = replace(act, words=act.unknown)
        standing = self._opened.standing_at(self._place, act.ref) if act.ref else None
        return replace(self._said(act), by=person or NOBODY, incident_id=standing)

    def _said(self, act: Act) -> Ask:
        """By nobody, as yet."""
        return Ask(
            by=NOBODY,
            words=act.words,
            place=self._place,
            once=act.once,
            account=act.account,
            private=act.private,
            button=act.button,
            spot=spot(act),
        )

    def _against(self, act: Act) -> str | None:
        """Why this is not for the house, None when it is. What needs no question to Slack comes first."""
        if self._is_foreign(act):
            return "Denied: your account belongs to another company. Nothing was done."
        if not act.account:
            return _NAMELESS
        if act.by_app:
            return _BY_APP
        if not act.words:
            return _OLD
        room = None if act.at_home else self._standing.against_room(act.channel, shared=act.shared)
        return room or self._standing.against_account(act.account)

    def _is_foreign(self, act: Act) -> bool:
        """The workspace of a member of an organisation may be told as the organisation's id, E...: asked later."""
        return act.team is not None and not act.team.startswith("E") and act.team != self._team_id
