"""What was said in Slack, taken to the house in the name of who said it.

The promise: nobody is anybody on Slack's word alone. The account must be of our own workspace and a full member of it,
in a channel where commands are taken, as Slack says now or said five minutes ago; while Slack cannot say so, nothing
is done. Of the Home tab, which is in no channel, the account alone is asked. Whose account it is, the house knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.core.channel import Gateway
from bot.core.form import Form
from bot.core.request import UNKNOWN_PRINCIPAL, Reply, Request
from bot.integrations.slack.membership import Membership
from bot.integrations.slack.payloads import Payload, SlackAct
from bot.integrations.slack.replies import SlackReplies, thread_for_updates

_OLD = "This button is from an older version. Nothing was done. Type `/vakhta incidents` to see what is open."
_NAMELESS = "Slack did not say whose act this is. Nothing was done."
_BY_APP = "An app wrote this in your name. Nothing was done. Type it yourself, or use `/vakhta`."


class SlackRequests:
    """Used from many threads."""

    def __init__(self, *, place: str, team_id: str, standing: Membership, replies: SlackReplies) -> None:
        self._place = place
        self._team_id = team_id
        self._standing = standing
        self._telling = replies
        self._door: Gateway | None = None

    def connect(self, gateway: Gateway) -> None:
        self._door = gateway

    def handle(self, act: SlackAct) -> Reply:
        """Ask the house, or refuse. `repeated`: told before, no need to tell it again."""
        request = self._admit(act)
        return request if isinstance(request, Reply) else self._opened.handle(request)

    def form(self, act: SlackAct) -> Form | None:
        """What the words want to be told, for somebody who is heard there. Nothing is put on record."""
        return None if self._against(act) else self._opened.form(self._asked(act))

    def submit_form(self, act: SlackAct, values: Mapping[str, str]) -> Reply | Mapping[str, str]:
        """Ask what was filled in; or what is wrong with it, by the blanks' names, and then nothing was asked."""
        request = self._admit(act)
        if isinstance(request, Reply):
            return request
        filled = self._opened.submit_form(request, values)
        return filled.errors or self._opened.handle(replace(request, text=filled.text))

    def handle_and_reply(self, act: SlackAct) -> None:
        """For acts whose answer is not the response to the request itself."""
        reply = self.handle(act)
        if not reply.repeated:
            self._telling.send(act, reply)

    def reply_outdated(self, payload: Payload) -> None:
        """For what no listener knows: say so where Slack gave an address for it."""
        url = payload.get("response_url")
        if isinstance(url, str) and url:
            self._telling.send_text(url, _OLD)

    @property
    def _opened(self) -> Gateway:
        assert self._door is not None, "heard before start"
        return self._door

    def _admit(self, act: SlackAct) -> Request | Reply:
        """The ask in the name of whoever it is; or the refusal, on record."""
        reason = self._against(act)
        if reason is None:
            return self._asked(act)
        return Reply(text=reason, ok=False, repeated=self._opened.record_refusal(self._said(act), reason))

    def _asked(self, act: SlackAct) -> Request:
        person = self._opened.person(self._place, act.account)
        if person is None and act.text_if_unlinked:
            act = replace(act, text=act.text_if_unlinked)
        standing = self._opened.incident_at(self._place, act.card_ref) if act.card_ref else None
        return replace(self._said(act), by=person or UNKNOWN_PRINCIPAL, incident_id=standing)

    def _said(self, act: SlackAct) -> Request:
        """By nobody, as yet."""
        return Request(
            by=UNKNOWN_PRINCIPAL,
            text=act.text,
            channel=self._place,
            idempotency_key=act.idempotency_key,
            account=act.account,
            private=act.is_private,
            from_button=act.from_button,
            thread=thread_for_updates(act),
        )

    def _against(self, act: SlackAct) -> str | None:
        """Why this is not for the house, None when it is. What needs no question to Slack comes first."""
        if self._is_foreign(act):
            return "Denied: your account belongs to another company. Nothing was done."
        if not act.account:
            return _NAMELESS
        if act.by_app:
            return _BY_APP
        if not act.text:
            return _OLD
        room = None if act.in_home_tab else self._standing.channel_refusal(act.channel, shared=act.is_shared)
        return room or self._standing.account_refusal(act.account)

    def _is_foreign(self, act: SlackAct) -> bool:
        """The workspace of a member of an organisation may be told as the organisation's id, E...: asked later."""
        return act.team is not None and not act.team.startswith("E") and act.team != self._team_id
