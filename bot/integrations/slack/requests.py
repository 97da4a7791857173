"""Turns an act in Slack into a request of the person whose account it is, or refuses it.

The promise: a signed payload alone proves nothing about the sender. The account must be a full member of our workspace,
and the channel one where commands are accepted, as Slack answers now or answered at most five minutes ago. While Slack
does not answer, nothing is done. The Home tab is in no channel, so there only the account is checked. Which person the
account belongs to is looked up in the bot (`Gateway.person`), not in Slack.
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
_NAMELESS = "Slack did not say who did this. Nothing was done."
_BY_APP = "An app wrote this in your name. Nothing was done. Type it yourself, or use `/vakhta`."


class SlackRequests:
    """Used from many threads."""

    def __init__(self, *, channel: str, team_id: str, membership: Membership, replies: SlackReplies) -> None:
        self._channel = channel
        self._team_id = team_id
        self._membership = membership
        self._replies = replies
        self._gateway: Gateway | None = None

    def connect(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handle(self, act: SlackAct) -> Reply:
        """Pass it on, or refuse. `repeated`: it was answered before, so the reply need not be sent again."""
        request = self._admit(act)
        return request if isinstance(request, Reply) else self._started.handle(request)

    def form(self, act: SlackAct) -> Form | None:
        """The form of the command, for somebody who may give commands there. Nothing is recorded."""
        return None if self._refusal(act) else self._started.form(self._request(act))

    def submit_form(self, act: SlackAct, values: Mapping[str, str]) -> Reply | Mapping[str, str]:
        """Handle a submitted form; or its errors by field name, and then nothing was done."""
        request = self._admit(act)
        if isinstance(request, Reply):
            return request
        filled = self._started.submit_form(request, values)
        return filled.errors or self._started.handle(replace(request, text=filled.text))

    def handle_and_reply(self, act: SlackAct) -> None:
        """For acts whose reply is not the response to the request itself."""
        reply = self.handle(act)
        if not reply.repeated:
            self._replies.send(act, reply)

    def reply_outdated(self, payload: Payload) -> None:
        """Answer a payload that no listener handles, where Slack gave a response URL."""
        url = payload.get("response_url")
        if isinstance(url, str) and url:
            self._replies.send_text(url, _OLD)

    @property
    def _started(self) -> Gateway:
        assert self._gateway is not None, "a request before start"
        return self._gateway

    def _admit(self, act: SlackAct) -> Request | Reply:
        """The request with its sender; or the refusal, recorded."""
        reason = self._refusal(act)
        if reason is None:
            return self._request(act)
        return Reply(text=reason, ok=False, repeated=self._started.record_refusal(self._unnamed_request(act), reason))

    def _request(self, act: SlackAct) -> Request:
        person = self._started.person(self._channel, act.account)
        if person is None and act.text_if_unlinked:
            act = replace(act, text=act.text_if_unlinked)
        incident_id = self._started.incident_at(self._channel, act.card_ref) if act.card_ref else None
        return replace(self._unnamed_request(act), by=person or UNKNOWN_PRINCIPAL, incident_id=incident_id)

    def _unnamed_request(self, act: SlackAct) -> Request:
        """The request, its sender not looked up yet."""
        return Request(
            by=UNKNOWN_PRINCIPAL,
            text=act.text,
            channel=self._channel,
            idempotency_key=act.idempotency_key,
            account=act.account,
            private=act.is_private,
            from_button=act.from_button,
            thread=thread_for_updates(act),
        )

    def _refusal(self, act: SlackAct) -> str | None:
        """Why it is refused, None when it is not. Checks that need no call to Slack come first."""
        if self._is_foreign(act):
            return "Denied: your account belongs to another company. Nothing was done."
        if not act.account:
            return _NAMELESS
        if act.by_app:
            return _BY_APP
        if not act.text:
            return _OLD
        room = None if act.in_home_tab else self._membership.channel_refusal(act.channel, shared=act.is_shared)
        return room or self._membership.account_refusal(act.account)

    def _is_foreign(self, act: SlackAct) -> bool:
        """A member of an organisation may come with the organisation's id, E..., as team: that is checked later."""
        return act.team is not None and not act.team.startswith("E") and act.team != self._team_id
