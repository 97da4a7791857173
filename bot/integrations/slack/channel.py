"""Slack, both directions: cards and lines out through the Web API; commands, buttons and mentions in through Bolt.

The traps: the SDK's own retries can post twice and sleep, so they are off; and Bolt would acknowledge before anything
is stored, so every listener runs to its end first, or as long as Slack waits. Both transports end in one `dispatch`.
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
from bot.integrations.slack.home_tab import HomeTab
from bot.integrations.slack.membership import Membership
from bot.integrations.slack.messages import SlackMessages
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
from bot.integrations.slack.replies import STILL_RUNNING, SlackReplies
from bot.integrations.slack.requests import SlackRequests
from bot.integrations.slack.settings import SlackSettings
from bot.integrations.slack.signature import check_shape, check_workspace, read, verify
from bot.integrations.slack.user_groups import SlackUserGroups

#: Seconds for a call as a whole: of a delivery, and of one of the two looks (who, where) while Slack waits 3 s for us;
#: 1 s more may go to the answer. Who is in a group is read while nobody waits.
_POST_S, _LOOK_S, _READ_S = 10.0, 0.9, 5.0
_ANYTHING = re.compile("")


class Slack:
    """One workspace, one channel where incidents are told. People speak to the bot there, in the further channels of
    the settings, and in direct messages."""

    name = "slack"
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

    def __init__(self, section: SlackSettings, patience_s: float = ACK_TIMEOUT_S) -> None:
        settings = self._settings = section
        token = settings.bot_token.get_secret_value()
        self._posting = SlackMessages(SlackWebApi(token, settings.api_url, _POST_S).call, settings.channel)
        quick = self._quick = SlackWebApi(token, settings.api_url, _LOOK_S)
        standing = self._standing = Membership(
            quick.call, team_id=settings.team_id, rooms={settings.channel, *settings.hears_in}
        )
        self._telling = SlackReplies(quick.call, respond_to_url)
        self._hearing = SlackRequests(
            place=self.name, team_id=settings.team_id, standing=standing, replies=self._telling
        )
        self._home = HomeTab(quick.call, self._hearing)
        self._forms = SlackModals(quick.call, self._hearing, self._telling)
        self._groups = SlackUserGroups(SlackWebApi(token, settings.api_url, _READ_S).call)
        self._patience = AckTimeout(patience_s)
        self._line = SlackConnection(settings)
        self._app: App | None = None

    def deliver(self, notification: Notification) -> str | None:
        """Returns "channel:ts" for a card, None for a line, which nobody needs to find again."""
        if notification.kind is MessageKind.LINE:
            self._posting.post_line(notification)
            return None
        return self._posting.post_card(notification)

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        return self._posting.post_text(text, to, instead_of)

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
        self._hearing.connect(gateway)
        self._app = self._listeners()
        self._groups.open()
        self._line.open(self._answer)

    def stop(self) -> None:
        self._line.close()
        self._patience.close()
        self._groups.close()

    def watch_groups(self, groups: Collection[str]) -> None:
        self._groups.watch(groups)

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        return self._groups.of(account)

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        self._groups.read(self._quick.call)
        return {account: self._standing.recheck_account(account) for account in accounts}

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - every incident is told in the channel
        return True

    def health_problem(self) -> str | None:
        """None when all is well, else what is wrong; for readiness."""
        return self._line.health_problem()

    def _listeners(self) -> App:
        """Bolt as the dispatcher only: sender, freshness and workspace are settled before it sees anything."""

        def authorize(team_id: str | None) -> AuthorizeResult:
            """Who the bot is; Bolt would ask Slack on the first request, while that request waits."""
            return AuthorizeResult(enterprise_id=None, team_id=team_id, bot_user_id=self._line.bot_user or None)

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
        app.action("open")(self._on_link)
        app.view(CALLBACK)(self._on_form)
        app.event(_ANYTHING)(self._on_event)
        app.error(self._on_unknown)
        return app

    def _answer(self, payload: dict[str, object]) -> str:
        """What goes back in a Socket Mode envelope, as JSON; "" for nothing."""
        return self._dispatch(payload).body

    def _dispatch(self, payload: dict[str, object]) -> BoltResponse:
        """Bolt is given the payload as we read it and no headers, so that nothing unsigned can steer it."""
        assert self._app is not None, "receive before start"
        check_shape(payload)
        check_workspace(payload, team_id=self._settings.team_id, app_id=self._line.app_id)
        return self._app.dispatch(BoltRequest(body=payload, mode="socket_mode"))

    def _on_command(self, ack: Ack, body: Payload) -> None:
        act = parse_command(body)
        asked = self._patience.run(lambda: self._ask(act), lambda late: self._telling.send_late(act, late, _itself))
        reply = STILL_RUNNING if asked is None else asked.result()
        if reply is None:
            ack()
        else:
            ack(dict(self._telling.response_body(act, reply)))

    def _ask(self, act: SlackAct) -> Reply | None:
        """None where the asker has a form before them instead of an answer."""
        return None if self._forms.open_modal(act) else self._hearing.handle(act)

    def _on_press(self, ack: Ack, body: Payload) -> None:
        act = parse_press(body)
        self._do(act, lambda: self._home.answer(act) if act.in_home_tab else self._hearing.handle_and_reply(act))
        ack()

    def _on_form(self, ack: Ack, body: Payload) -> None:
        act, values = self._forms.read(body)
        asked = self._patience.run(
            lambda: self._forms.submit(act, values), lambda late: self._forms.finish_late(act, late)
        )
        wrong = {} if asked is None else asked.result()
        if wrong:
            ack(response_action="errors", errors=dict(wrong))
        else:
            ack()

    def _do(self, act: SlackAct, work: Callable[[], None]) -> None:
        """For what tells its own answer; Slack hears only that it has arrived."""
        done = self._patience.run(work, lambda late: self._telling.send_late(act, late, _itself))
        if done is not None:
            done.result()

    def _on_link(self, ack: Ack) -> None:
        """Slack tells that somebody followed the link to the board; there is nothing to do but to say yes."""
        ack()

    def _on_event(self, body: Payload) -> None:
        opened = parse_home_opened(body)
        if opened is not None:
            self._do(opened, lambda: self._home.publish(opened))
            return
        act = parse_mention(body, self._line.bot_user)
        if act is not None:
            self._do(act, lambda: self._hearing.handle_and_reply(act))

    def _on_unknown(self, error: Exception, body: Payload) -> BoltResponse:
        """Nothing stays without an answer; what broke in a listener goes on to the path's edge."""
        if not isinstance(error, BoltUnhandledRequestError):
            raise error
        self._hearing.reply_outdated(body)
        return BoltResponse(status=200)


def _itself(reply: Reply | None) -> Reply | None:
    return reply
