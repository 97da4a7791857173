"""Slack, both directions: cards and lines out through the Web API; commands, buttons and mentions in through Bolt.

The traps: the SDK's own retries can post twice and sleep, so they are off. Bolt would acknowledge before anything is
stored, so every listener runs to its end first, or as long as Slack waits. Both transports end in `_dispatch`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from slack_bolt import Ack, App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import Reply
from bot.integrations.slack.ack_timeout import ACK_TIMEOUT_S, AckTimeout
from bot.integrations.slack.api import SlackConnection, SlackWebApi, client_without_token, respond_to_url, sdk_logger
from bot.integrations.slack.api_errors import refusal_of
from bot.integrations.slack.home_tab import HomeTab
from bot.integrations.slack.membership import Membership
from bot.integrations.slack.messages import SlackApiError, SlackMessages, draw_card
from bot.integrations.slack.modals import CALLBACK, SlackModals
from bot.integrations.slack.payloads import (
    MINE,
    SAY,
    Payload,
    SlackAct,
    parse_command,
    parse_home_opened,
    parse_mention,
    parse_press,
)
from bot.integrations.slack.preview import message_as_text
from bot.integrations.slack.replies import STILL_RUNNING, SlackReplies
from bot.integrations.slack.requests import SlackRequests
from bot.integrations.slack.settings import SlackSettings
from bot.integrations.slack.signature import check_shape, check_workspace, read, verify
from bot.integrations.slack.user_groups import SlackUserGroups

#: Seconds for a whole call: for a delivery; for one of the two look-ups (account, channel) while Slack waits 3 s for
#: us, of which 1 s may go to the answer; and for reading a user group while nobody waits.
_POST_S, _LOOK_UP_S, _READ_S = 10.0, 0.9, 5.0
_ANYTHING = re.compile("")


class Slack:
    """One workspace and one channel where incidents are posted.

    Commands are accepted there, in the further channels of the settings, and in direct messages.
    """

    name = "slack"
    title = "Slack"
    kinds = frozenset({MessageKind.CARD, MessageKind.LINE})
    event_types = frozenset(EventType)
    limits: tuple[RateLimit, ...] = (
        RateLimit(count=1, per=timedelta(seconds=1.02)),
    )  #: chat.postMessage, "about one a second and channel"
    threads = 1
    accounts = True
    pages = False
    local = False
    ignores_above: int | None = None

    def __init__(self, section: SlackSettings, ack_timeout_s: float = ACK_TIMEOUT_S) -> None:
        settings = self._settings = section
        token = settings.bot_token.get_secret_value()
        self._messages = SlackMessages(SlackWebApi(token, settings.api_url, _POST_S).call, settings.channel)
        quick = self._quick = SlackWebApi(token, settings.api_url, _LOOK_UP_S)
        self._membership = Membership(
            quick.call, team_id=settings.team_id, rooms={settings.channel, *settings.hears_in}
        )
        self._replies = SlackReplies(quick.call, respond_to_url)
        self._requests = SlackRequests(
            channel=self.name, team_id=settings.team_id, membership=self._membership, replies=self._replies
        )
        self._home = HomeTab(quick.call, self._requests)
        self._modals = SlackModals(quick.call, self._requests, self._replies)
        self._groups = SlackUserGroups(SlackWebApi(token, settings.api_url, _READ_S).call)
        self._ack_timeout = AckTimeout(ack_timeout_s)
        self._connection = SlackConnection(settings)
        self._app: App | None = None

    def deliver(self, notification: Notification) -> str | None:
        """Returns "channel:ts" for a card, None for a line, which is never edited."""
        try:
            if notification.kind is MessageKind.LINE:
                self._messages.post_line(notification)
                return None
            return self._messages.post_card(notification)
        except SlackApiError as error:
            raise refusal_of(error) from None

    def preview(self, notification: Notification) -> str:
        return message_as_text(*draw_card(notification, call=False))

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._messages.post_text(text, to, instead_of)

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        lower = {name.lower(): value for name, value in headers.items()}
        secret = self._settings.signing_secret.get_secret_value()
        payload = read(verify(lower, body, secret=secret, now=time.time()), lower.get("content-type", ""))
        if payload.get("type") == "url_verification":
            return WebhookResponse(body=str(payload.get("challenge", "")).encode())
        if payload.get("ssl_check") == "1":
            return WebhookResponse()
        answer = self._dispatch(payload)
        kind = answer.first_headers().get("content-type", "text/plain")
        return WebhookResponse(status=answer.status, body=answer.body.encode(), content_type=kind)

    def start(self, gateway: Gateway) -> None:
        self._requests.connect(gateway)
        self._app = self._listeners()
        self._groups.open()
        self._connection.open(self._answer)

    def stop(self) -> None:
        self._connection.close()
        self._ack_timeout.close()
        self._groups.close()

    def watch_groups(self, groups: Collection[str]) -> None:
        self._groups.watch(groups)

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        return self._groups.of(account)

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        self._groups.read(self._quick.call)
        return {account: self._membership.recheck_account(account) for account in accounts}

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is posted in the channel
        return True

    def health_problem(self) -> str | None:
        """None when all is well, else what is wrong."""
        return self._connection.health_problem()

    def _listeners(self) -> App:
        """Bolt as the dispatcher only: sender, freshness and workspace are checked before it sees anything."""

        def authorize(team_id: str | None) -> AuthorizeResult:
            """Who the bot is; Bolt would ask Slack on the first request, while that request waits."""
            return AuthorizeResult(enterprise_id=None, team_id=team_id, bot_user_id=self._connection.bot_user or None)

        app = App(
            name="vakhta",
            logger=sdk_logger(),
            client=client_without_token(self._settings.api_url),
            authorize=authorize,
            process_before_response=True,
            request_verification_enabled=False,
            url_verification_enabled=False,
            ssl_check_enabled=False,
            raise_error_for_unhandled_request=True,
        )
        app.command(_ANYTHING)(self._on_command)
        app.action(re.compile(rf"^(?:{SAY}|{MINE}):\d+$"))(self._on_press)
        app.action(re.compile(r"^open(?::\d+)?$"))(self._on_link)
        app.view(CALLBACK)(self._on_form)
        app.event(_ANYTHING)(self._on_event)
        app.error(self._on_unknown)
        return app

    def _answer(self, payload: dict[str, object]) -> str:
        """The payload of the acknowledgement of a Socket Mode envelope, as JSON; "" for none."""
        return self._dispatch(payload).body

    def _dispatch(self, payload: dict[str, object]) -> BoltResponse:
        """Bolt gets the payload as we parsed it and no headers, so that nothing unsigned reaches it."""
        assert self._app is not None, "receive before start"
        check_shape(payload)
        check_workspace(payload, team_id=self._settings.team_id, app_id=self._connection.app_id)
        return self._app.dispatch(BoltRequest(body=payload, mode="socket_mode"))

    def _on_command(self, ack: Ack, body: Payload) -> None:
        act = parse_command(body)
        handled = self._ack_timeout.run(
            lambda: self._modal_or_reply(act), lambda late: self._replies.send_late(act, late, _same)
        )
        reply = STILL_RUNNING if handled is None else handled.result()
        if reply is None:
            ack()
        else:
            ack(dict(self._replies.response_body(act, reply)))

    def _modal_or_reply(self, act: SlackAct) -> Reply | None:
        """None: a form was opened for the asker, instead of a reply."""
        return None if self._modals.open_modal(act) else self._requests.handle(act)

    def _on_press(self, ack: Ack, body: Payload) -> None:
        act = parse_press(body)
        self._do(act, lambda: self._home.answer(act) if act.in_home_tab else self._requests.handle_and_reply(act))
        ack()

    def _on_form(self, ack: Ack, body: Payload) -> None:
        act, values = self._modals.read(body)
        handled = self._ack_timeout.run(
            lambda: self._modals.submit(act, values), lambda late: self._modals.finish_late(act, late)
        )
        errors = {} if handled is None else handled.result()
        if errors:
            ack(response_action="errors", errors=dict(errors))
        else:
            ack()

    def _do(self, act: SlackAct, work: Callable[[], None]) -> None:
        """For work that sends its own reply; Slack gets only the acknowledgement."""
        done = self._ack_timeout.run(work, lambda late: self._replies.send_late(act, late, _same))
        if done is not None:
            done.result()

    def _on_link(self, ack: Ack) -> None:
        """Somebody followed the link to the board; Slack expects an acknowledgement, and there is nothing to do."""
        ack()

    def _on_event(self, body: Payload) -> None:
        opened = parse_home_opened(body)
        if opened is not None:
            self._do(opened, lambda: self._home.publish(opened))
            return
        act = parse_mention(body, self._connection.bot_user)
        if act is not None:
            self._do(act, lambda: self._requests.handle_and_reply(act))

    def _on_unknown(self, error: Exception, body: Payload) -> BoltResponse:
        """Answer what no listener handles; an error of a listener goes on to the edge of the path."""
        if not isinstance(error, BoltUnhandledRequestError):
            raise error
        self._requests.reply_outdated(body)
        return BoltResponse(status=200)


def _same(reply: Reply | None) -> Reply | None:
    return reply
