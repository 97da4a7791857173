"""Slack's Web API and its Socket Mode connection: the one file that knows slack_sdk.

The traps: the SDK retries by itself and reconnects for ever on a bad token, so both are off here. Below WARNING its log
holds what people typed. No error of this file holds a token, an address or a body.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException
from urllib.request import Request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.webhook import WebhookClient, WebhookResponse

from bot.core.errors import Rejected, Undelivered
from bot.integrations.slack.api_errors import api_error, no_answer_error
from bot.integrations.slack.http_deadline import CallDeadline
from bot.integrations.slack.messages import Answer
from bot.integrations.slack.settings import SlackSettings

logger = logging.getLogger(__name__)

PayloadHandler = Callable[[dict[str, object]], str]

_RESPOND_S = 1  #: seconds for a reply to the asker, while Slack waits 3 s for us
#: Seconds for `auth.test` or for a Socket Mode address, and for the connection's thread to end.
_OPEN_S, _CLOSE_S = 5, 15
_PING_S, _WATCH_S = 10, 0.5  #: seconds between Socket Mode's heartbeats, and between checks of the connection
_PAUSES = (0.2, 30.0)  #: seconds before connecting again: at first, and at most
_TCP_ESTABLISHED = b"\x01"


class SlackWebApi:
    """Slack's Web API; its failures are `Undelivered`. No error text holds a token, an address or a body."""

    def __init__(self, token: str, api_url: str, within_s: float) -> None:
        """`within_s`: seconds for a whole call."""
        self._token, self._api_url, self._within_s = token, api_url, within_s

    def call(self, method: str, fields: Mapping[str, object]) -> Answer:
        """`chat.*` and `views.*` take JSON; the methods that read take forms only."""
        return self.call_with_headers(method, fields)[0]

    def call_with_headers(self, method: str, fields: Mapping[str, object]) -> tuple[Answer, Mapping[str, str]]:
        """The same, with the headers of the answer, whose names are in small letters."""
        as_json = method.startswith(("chat.", "views."))
        with CallDeadline(self._within_s) as deadline:
            client = _Deadlined(deadline, self._token, self._api_url)
            try:
                answer = client.api_call(
                    method, json=dict(fields) if as_json else None, params=None if as_json else dict(fields)
                )
            except (SlackClientError, OSError, HTTPException, ValueError) as error:
                if deadline.has_passed:
                    raise Undelivered(f"Slack did not answer {method} within {self._within_s:g} s.") from None
                if isinstance(error, SlackApiError):
                    raise api_error(method, error.response) from None
                raise no_answer_error(method, error) from None
        headers = {name.lower(): str(value) for name, value in answer.headers.items()}
        return answer.data if isinstance(answer.data, dict) else {}, headers


class _Deadlined(WebClient):
    """The SDK's client, for one call, with that call's deadline in place of a time-out for each read."""

    def __init__(self, deadline: CallDeadline, token: str, api_url: str) -> None:
        super().__init__(token, base_url=api_url, retry_handlers=[], logger=sdk_logger())
        self._deadline = deadline

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, object]:  # noqa: ARG002
        with self._deadline.open(req, proxy=self.proxy, tls=self.ssl) as answer:
            body = answer.read().decode(answer.headers.get_content_charset() or "utf-8")
            return {"status": answer.status, "headers": answer.headers, "body": body}


class _DeadlinedHook(WebhookClient):
    """The same for a reply to one interaction."""

    def __init__(self, deadline: CallDeadline, url: str) -> None:
        super().__init__(url, retry_handlers=[], logger=sdk_logger())
        self._deadline = deadline

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        with self._deadline.open(req, proxy=self.proxy, tls=self.ssl) as answer:
            body = answer.read().decode(answer.headers.get_content_charset() or "utf-8")
            return WebhookResponse(url=url, status_code=answer.status, body=body, headers=dict(answer.headers))


def respond_to_url(response_url: str, message: Mapping[str, object]) -> None:
    """Reply to one interaction, to the people that the message names; Slack takes five replies within 30 min."""
    with CallDeadline(_RESPOND_S) as deadline:
        try:
            hook = _DeadlinedHook(deadline, response_url)
            answer = hook.send_dict(dict(message))
        except (SlackClientError, OSError, HTTPException, ValueError) as error:
            raise Undelivered(f"Slack did not accept a reply ({type(error).__name__}).") from None
    if deadline.has_passed:  # Headers that were cut off read like complete ones.
        raise Undelivered(f"Slack did not accept a reply within {_RESPOND_S} s.")
    if answer.status_code != HTTPStatus.OK:
        raise Undelivered(f"Slack did not accept a reply (HTTP {answer.status_code}).")


def client_without_token(api_url: str) -> WebClient:
    """For SDK parts that need a client and bring the token themselves, or need none."""
    return WebClient(base_url=api_url, timeout=_OPEN_S, retry_handlers=[], logger=sdk_logger())


def sdk_logger() -> logging.Logger:
    """The SDK's own log, never below WARNING: there it holds what people typed."""
    quiet = logging.getLogger(f"{__name__}.sdk")
    quiet.setLevel(logging.WARNING)
    return quiet


class SlackConnection:
    """Looks up the bot's own ids in Slack and, in Socket Mode, keeps the connection on one thread of its own.

    The SDK's own reconnecting is off: it never gives up on a bad token, and does not notice that the peer is gone.
    """

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self.bot_user = ""  #: the bot's user id, "" until it is known
        self.app_id = app_id_of(settings.app_token.get_secret_value())  #: None: not known yet
        self.problem: str | None = "Slack: not connected yet."
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def open(self, answer: PayloadHandler) -> None:
        """`answer` takes one payload of Socket Mode and returns the payload of its acknowledgement, as JSON or ""."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep, args=(answer,), name="slack-connection", daemon=True)
        self._thread.start()

    def health_problem(self) -> str | None:
        """What is wrong, None when all is well."""
        if self.problem is None and self._settings.mode == "socket" and not (self._thread and self._thread.is_alive()):
            return "Slack: the connection's thread has ended, so commands are not received. Restart the bot."
        return self.problem

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _keep(self, answer: PayloadHandler) -> None:
        """Until stopped, or until Slack refuses for good: then readiness reports it, and trying again is of no use."""
        pause = _PAUSES[0]
        while not self._stop.is_set():
            failed = self._once(answer)
            if failed is None and self._settings.mode == "http":
                return
            if failed is None:
                pause = _PAUSES[0]
            elif failed.permanent:
                logger.error(
                    "Slack is given up; correct the settings and restart",
                    extra={"error": failed.message},
                )
                return
            else:
                logger.warning("Slack is not reachable; trying again", extra={"error": failed.message})
                pause = failed.retry_after.total_seconds() if failed.retry_after else min(pause * 2, _PAUSES[1])
            self._stop.wait(pause)

    def _once(self, answer: PayloadHandler) -> Undelivered | None:
        """Look up the bot's ids and keep one connection to its end; what failed, or None."""
        try:
            self._look_up_ids()
            if self._settings.mode == "http":
                self.problem = None
                return None
            self._hold(answer)
        except (OSError, SlackClientError) as error:
            failed = Undelivered(f"Slack's Socket Mode connection broke ({type(error).__name__}).")
            self.problem = failed.message
            return failed
        except Undelivered as error:
            self.problem = error.message
            return error
        return None

    def _look_up_ids(self) -> None:
        if self.bot_user:
            return
        token = self._settings.bot_token.get_secret_value()
        found = SlackWebApi(token, self._settings.api_url, _OPEN_S).call("auth.test", {})
        if found.get("team_id") != self._settings.team_id:
            message = f"The bot token is of workspace {found.get('team_id')}, not {self._settings.team_id}."
            raise Undelivered(f"{message} Correct channels.slack.team_id or the token.", permanent=True)
        self.app_id = self.app_id or (str(found["app_id"]) if found.get("app_id") else None)
        self.bot_user = str(found.get("user_id") or "")

    def _hold(self, answer: PayloadHandler) -> None:
        """Connect, and return when the connection is gone or the channel is stopped."""
        token = self._settings.app_token.get_secret_value()
        url = SlackWebApi(token, self._settings.api_url, _OPEN_S).call("apps.connections.open", {}).get("url")
        client = _client(token, self._settings.api_url, answer)
        try:
            client.wss_uri = str(url)
            client.on_close_listeners.append(lambda _code, _reason: self._wake.set())
            client.on_error_listeners.append(lambda _error: self._wake.set())
            client.connect()
            if not client.is_connected():
                raise Undelivered("Slack's Socket Mode connection could not be opened.")
            self.problem = None
            self._watch(client)
        finally:
            _hang_up(client)
        if not self._stop.is_set():
            self.problem = "Slack's Socket Mode connection was lost; connecting again."

    def _watch(self, client: SocketModeClient) -> None:
        """Return once the connection is stopped, ended, or silent for four heartbeats."""
        # The SDK takes the time of a heartbeat from the wall clock; here only whether it is a new one counts.
        session, beat, since = client.current_session, None, time.monotonic()
        while not self._stop.is_set():
            self._wake.wait(_WATCH_S)
            self._wake.clear()
            with client.connect_operation_lock:  # Slack asks now and then to reconnect: not in the middle of that.
                if client.current_session is not session:
                    session, beat, since = client.current_session, None, time.monotonic()
            if session is None or session.sock is None or not _established(session.sock):
                return
            if session.last_ping_pong_time != beat:
                beat, since = session.last_ping_pong_time, time.monotonic()
            if time.monotonic() - since > 4 * _PING_S:
                return


class _SocketClient(SocketModeClient):
    """Closes the old session before it opens another one, when Slack asks it to move.

    The SDK closes it afterwards, which fails where the session's reader closes the same socket at that moment; the new
    session is then open, and read by nobody. What Slack sends in between it sends again.
    """

    def connect(self) -> None:
        old = self.current_session
        if old is not None:
            self.current_session_state.terminated = True
            with contextlib.suppress(AttributeError, OSError):
                old.close()
        super().connect()


def _client(app_token: str, api_url: str, answer: PayloadHandler) -> SocketModeClient:
    """A Socket Mode client that acknowledges each envelope after its payload was handled."""
    client = _SocketClient(
        app_token=app_token,
        logger=sdk_logger(),
        web_client=client_without_token(api_url),
        auto_reconnect_enabled=False,
        ping_interval=_PING_S,
        receive_buffer_size=65536,  # The client reads a message by recursion, once a buffer.
        concurrency=4,
    )

    def take(_: BaseSocketModeClient, envelope: SocketModeRequest) -> None:
        try:
            body = answer(envelope.payload)
        except Rejected as error:
            logger.warning("refused a payload from Slack", extra={"code": error.code})
            body = ""
        payload = json.loads(body) if body.startswith("{") else None
        client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope.envelope_id, payload=payload))

    client.socket_mode_request_listeners.append(take)
    return client


def _established(sock: socket.socket) -> bool:
    """False once the peer has closed the connection; the SDK would go on reading nothing, in a busy loop."""
    if not hasattr(socket, "TCP_INFO"):
        return True  # Not Linux: four missing heartbeats show it.
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _TCP_ESTABLISHED
    except OSError:
        return False


def _hang_up(client: SocketModeClient) -> None:
    """Close at once, after the reader has ended.

    The client's own `close` waits 3 s for the reader and 1 s for the queue, and fails if the reader closes the same
    socket at that moment.
    """
    client.closed = True
    client.message_queue.put(None)
    reader, session = client.current_session_runner, client.current_session
    reader.event.set()
    if session is not None and session.sock is not None:
        with contextlib.suppress(OSError):
            session.sock.shutdown(socket.SHUT_RDWR)
    while reader.is_alive():
        client.current_session_state.terminated = True  # Again each time: the reader clears it as it starts.
        reader.thread.join(0.05)
    monitor = client.current_app_monitor
    monitor.event.set()
    if monitor.is_alive():
        monitor.thread.join()
    client.close()


def app_id_of(app_token: str) -> str | None:
    """The app id inside an app-level token: xapp-1-<app id>-<number>-<secret>."""
    found = re.match(r"xapp-\d+-(A[A-Z0-9]+)-", app_token)
    return found[1] if found else None
