"""What was said in Slack, taken to the house in the name of who said it; and the answer, to the asker alone.

The promise: nobody is anybody on Slack's word alone. The account must be listed, of our own workspace, and a full
member of it as Slack says now or said five minutes ago; while Slack cannot say so, nothing is done.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from bot.channels.slack_acts import Act, Payload, outsider
from bot.channels.slack_blocks import escape
from bot.channels.slack_post import Call
from bot.model import Ask, Reply
from bot.ports import Door, Undelivered

logger = logging.getLogger(__name__)

_OLD = "This button is from an older version. Nothing was done. Type `/vakhta incidents` to see what is open."
_TRUST_S = 300  #: how long an account's standing in Slack is believed
_ACCOUNTS = 1000  #: how many are remembered


class Hearing:
    """Used from many threads. `whisper(response_url, said)` and `call` raise `Undelivered`."""

    def __init__(self, *, place: str, team_id: str, call: Call, whisper: Callable[[str, str], None]) -> None:
        self._place = place
        self._team_id = team_id
        self._call = call
        self._whisper = whisper
        self._door: Door | None = None
        self._known: OrderedDict[str, tuple[float, str | None]] = OrderedDict()  # account -> (monotonic s, why not)

    def open(self, door: Door) -> None:
        self._door = door

    def hear(self, act: Act) -> Reply:
        """Ask the house, or refuse. `repeated`: told before, no need to tell it again."""
        assert self._door is not None, "heard before start"
        person = self._door.person(self._place, act.account) if act.account else None
        why = self._foreign(act) or (self._doubt(act.account) if person else _unlisted(act))
        if why is None and not act.words:
            why = _OLD
        if why is not None or person is None:
            return Reply(said=str(why), ok=False, repeated=self._door.seen(self._place, act.once))
        standing = self._door.standing_at(self._place, act.ref) if act.ref else None
        return self._door.ask(Ask(by=person, words=act.words, place=self._place, incident_id=standing, once=act.once))

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

    def _foreign(self, act: Act) -> str | None:
        """The workspace of a member of an organisation may be told as the organisation's id, E...: asked later."""
        if act.team is None or act.team.startswith("E") or act.team == self._team_id:
            return None
        return "Denied: your account belongs to another company. Nothing was done."

    def _doubt(self, account: str) -> str | None:
        """Why the account may not act, None when it may."""
        asked, why = self._known.get(account, (float("-inf"), None))
        if time.monotonic() - asked < _TRUST_S:
            return why
        try:
            user = self._call("users.info", {"user": account}).get("user")
        except Undelivered as error:
            return (
                f"Nothing was done: it is not known whether your account is in good standing. {error.said} Try again."
            )
        found = outsider(user if isinstance(user, dict) else {}, self._team_id)
        why = f"Denied: your account {found}. Nothing was done." if found else None
        self._known[account] = (time.monotonic(), why)
        while len(self._known) > _ACCOUNTS:
            self._known.popitem(last=False)
        return why

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


def _unlisted(act: Act) -> str:
    who = act.account or "nobody"
    return f"You are not listed under `people` (slack: {who}). Nothing was done. Ask an admin to add you."
