"""A strict Slack: Web API over HTTP, Socket Mode over a real websocket, signed requests as Slack would send them.

It keeps messages by ts, holds the posting limit and Block Kit's limits, grants what the manifest asks for, and faults
on calls that Slack does not have.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer, Window
from tests.fakes.slack_responses import Responses
from tests.fakes.slack_rules import Block, breaches, knows, pings, unknown_fields, unrendered
from tests.fakes.slack_scopes import bot_scopes, needed
from tests.fakes.slack_socket import FakeSocket
from tests.fakes.slack_speech import Spoken, Workspace
from tests.fakes.slack_values import Message, Whisper, decoded, member, object_of, room, rows_of
from tests.fakes.slack_views import Views


class FakeSlack(StrictServer):
    """One workspace T1 with one channel C1, which the bot is in, and one member U1."""

    bot_token = "xoxb-fake-bot"
    app_token = "xapp-1-A1-1-fakeapp"

    def __init__(self, *, limited: bool = False) -> None:
        super().__init__()
        self.workspace = Workspace(
            team_id="T1", app_id="A1", bot_user="UBOT", channel="C1", secret="fake-signing-secret"
        )
        self.limited = limited
        self.window = Window(1, 1.0)
        self.users: dict[str, dict[str, object]] = {"U1": member("U1"), "U2": member("U2")}
        self.groups: dict[str, list[str]] = {}  #: user group -> members
        self.rooms: dict[str, dict[str, object]] = {"C1": room("C1")}  #: the channels that the bot may look at
        self.responses = Responses(fault=self.fault, post=self._show, replace=self._replace)
        self.views = Views(self.workspace, self.fault)
        self.socket = FakeSocket(self.fault)
        self.granted = set(bot_scopes())  #: of the manifest; what a test takes away is refused
        self.may_draw = True  #: False: every message with blocks is refused, as by a stricter Slack
        self._messages: dict[str, Message] = {}
        self._count = itertools.count(1)

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def whispers(self) -> list[Whisper]:
        return self.responses.whispers

    @property
    def messages(self) -> list[Message]:
        with self._lock:
            return list(self._messages.values())

    def message(self, ts: str) -> Message:
        """By its ts, or by our own "channel:ts"."""
        return self._messages[ts.rpartition(":")[2]]

    def say(self, text: str) -> None:
        """Somebody talks in the channel."""
        with self._lock:
            ts = self._ts()
            self._messages[ts] = Message(ts=ts, channel=self.workspace.channel, text=text, blocks=[], metadata={})

    def forget(self, ts: str) -> None:
        """Somebody deleted it."""
        with self._lock:
            del self._messages[ts.rpartition(":")[2]]

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.received if call.path == f"/api/{method}"]

    def refuse_next(self, code: str, method: str = "chat.postMessage", *, times: int = 1) -> None:
        """Slack's own way to say no: HTTP 200 with ok=false."""
        self.answer_next(status=200, body=json.dumps({"ok": False, "error": code}).encode(), path=method, times=times)

    def command(self, command: str, text: str = "", *, user: str = "U1", **other: object) -> Spoken:
        return self.workspace.command(command, text, user=user, response_url=self._response_url(), **other)

    def press(
        self, words: str, *, user: str = "U1", message: str = "1.000001", action_id: str = "say:0", **other: object
    ) -> Spoken:
        """Press the button that says these words; on a message that stands here, only one that it really has."""
        known = self._messages.get(message.rpartition(":")[2])
        other = (known.told() if known else {}) | other
        action: Block = {"action_id": action_id, "value": words}
        if known is not None:
            action = next(button for button in known.buttons.values() if button.get("value") == words)
        return self.workspace.press(
            action, user=user, at=message.rpartition(":")[2], response_url=self._response_url(message), **other
        )

    def mention(self, text: str, *, user: str = "U1", thread: str = "", **event: object) -> Spoken:
        """`text` is what follows the bot's name."""
        told: dict[str, object] = {
            "type": "app_mention",
            "user": user,
            "text": f"<@{self.workspace.bot_user}> {text}",
            "ts": self._ts(),
        }
        if thread:
            told["thread_ts"] = thread.rpartition(":")[2]
        return self.workspace.event(told | event)

    def sign(self, spoken: Spoken, *, at: float | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body of the genuine HTTP request."""
        return self.workspace.sign(spoken.body, spoken.content_type, at=at), spoken.body

    def push(self, spoken: Spoken) -> object:
        """Send it through the newest socket, wait for the ack, and give back the ack's payload."""
        envelope = f"env-{next(self._count)}"
        self.wait(lambda: bool(self.socket.open_ones), "a Socket Mode connection")
        self.socket.send(envelope, spoken)
        self.wait(lambda: envelope in self.socket.acks, f"the ack of {envelope}")
        return self.socket.acks[envelope]

    def ask_to_move(self) -> None:
        """Slack's `disconnect`: the client shall open a new connection, then the old one ends."""
        old, before = self.socket.open_ones[-1], self.socket.opened
        old.send(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))
        self.wait(lambda: self.socket.opened > before, "a new connection")
        old.close()

    def open(self) -> None:
        self.socket.open()

    def close(self) -> None:
        self.socket.close()

    def answer(self, call: Call) -> Answer:
        if call.path.startswith("/respond/"):
            with self._lock:
                return self.responses.take(call)
        method = call.path.removeprefix("/api/")
        if call.verb != "POST" or not knows(method):
            self.fault(f"unexpected {call.verb} {call.path}")
            return Answer(status=404)
        fields = {key: decoded(key, value) for key, value in call.fields.items()}
        strange = unknown_fields(method, fields)
        if strange:
            self.fault(f"{method} has no {', '.join(strange)}")
        wanted = self.app_token if method == "apps.connections.open" else self.bot_token
        told = call.headers.get("authorization", "").removeprefix("Bearer ") or fields.get("token")
        if wanted not in (told, fields.get("app_token"), fields.get("token")):
            return _no("invalid_auth")
        with self._lock:
            return self._ungranted(method, fields) or self._do(method, fields)

    def _ungranted(self, method: str, fields: dict[str, object]) -> Answer | None:
        scope = needed(method, self.rooms.get(str(fields.get("channel"))) or {})
        if scope is None or scope in self.granted:
            return None
        if scope not in bot_scopes():
            self.fault(f"{method} needs {scope}, which the manifest does not ask for")
        told = {"needed": scope, "provided": ",".join(sorted(self.granted))}
        return Answer.json({"ok": False, "error": "missing_scope", **told})

    def _do(self, method: str, fields: dict[str, object]) -> Answer:
        verbs: dict[str, Callable[[dict[str, object]], Answer]] = {
            "auth.test": self._who,
            "apps.connections.open": self._open_socket,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.postEphemeral": self._whisper,
            "conversations.history": self._history,
            "conversations.replies": self._history,
            "conversations.info": self._room,
            "users.info": self._user,
            "usergroups.users.list": self._members,
            "views.publish": self.views.publish,
            "views.open": self.views.open,
        }
        return verbs[method](fields)

    def _who(self, _: dict[str, object]) -> Answer:
        us = self.workspace
        told = {"team_id": us.team_id, "user_id": us.bot_user, "bot_id": "B1", "app_id": us.app_id}
        scopes = {"x-oauth-scopes": ",".join(sorted(self.granted))}
        return Answer.json({"ok": True, **told, "user": "vakhta", "team": "Acme"}, headers=scopes)

    def _open_socket(self, _: dict[str, object]) -> Answer:
        return _yes(url=self.socket.invite())

    def _post(self, fields: dict[str, object]) -> Answer:
        channel = str(fields.get("channel"))
        if channel in self.users:
            channel = f"D{channel}"  # a person's id stands for the direct messages with them
        elif channel not in self.rooms:
            return _no("channel_not_found")
        room_in_s = self.window.take(channel) if self.limited else 0.0
        if room_in_s:
            return Answer.json({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "1"})
        refusal = self._refusal(fields)
        if refusal is not None:
            return refusal
        thread = fields.get("thread_ts")
        if thread is not None and thread not in self._messages:
            return _no("thread_not_found")
        message = Message(
            ts=self._ts(),
            channel=channel,
            text=str(fields["text"]),
            blocks=rows_of(fields.get("blocks") or []),
            metadata=object_of(fields.get("metadata") or {}),
            thread_ts=None if thread is None else str(thread),
            pings=_pings(fields),
        )
        self._messages[message.ts] = message
        return _yes(channel=channel, ts=message.ts, message={"ts": message.ts, "text": message.text})

    def _update(self, fields: dict[str, object]) -> Answer:
        message = self._messages.get(str(fields.get("ts")))
        if fields.get("channel") != self.workspace.channel:
            return _no("channel_not_found")
        if message is None:
            return _no("message_not_found")
        refusal = self._refusal(fields)
        if refusal is not None:
            return refusal
        message.text, message.blocks = str(fields["text"]), rows_of(fields.get("blocks") or [])
        message.edits += 1
        message.pings += _pings(fields)
        return _yes(channel=message.channel, ts=message.ts, text=message.text)

    def _refusal(self, fields: dict[str, object]) -> Answer | None:
        """Why this message is not taken, from its content alone."""
        text, blocks = fields.get("text"), rows_of(fields.get("blocks") or [])
        if not isinstance(text, str) or not text:
            self.fault("a message without text: a phone shows nothing of it")
            return _no("no_text")
        if len(text) > 40_000:
            return _no("msg_too_long")
        if blocks and not self.may_draw:
            return _no("invalid_blocks")
        broken = breaches(blocks)
        if broken:
            self.fault(f"invalid_blocks: {'; '.join(broken)}")
            return _no("invalid_blocks")
        for literal in unrendered(text, blocks, mrkdwn=fields.get("mrkdwn") is not False):
            self.fault(literal)
        return None

    def _whisper(self, fields: dict[str, object]) -> Answer:
        if fields.get("channel") not in self.rooms:
            return _no("channel_not_found")
        for literal in unrendered("", rows_of(fields.get("blocks") or []), mrkdwn=True):
            self.fault(literal)
        told = {key: str(fields.get(key) or "") for key in ("user", "text", "thread_ts")}
        self.responses.whispers.append(Whisper(**told))
        return _yes(message_ts=self._ts())

    def _history(self, fields: dict[str, object]) -> Answer:
        """Newest first for the channel, oldest first for a thread, as Slack has it."""
        root = fields.get("ts")
        oldest = float(str(fields.get("oldest") or 0))
        rows = [
            {"type": "message", "ts": message.ts, "text": message.text}
            | ({"metadata": message.metadata} if fields.get("include_all_metadata") and message.metadata else {})
            for message in self._messages.values()
            if float(message.ts) > oldest
            and (message.thread_ts is None if root is None else root in (message.ts, message.thread_ts))
        ]
        if root is None:
            rows.reverse()
        start, size = int(str(fields.get("cursor") or 0)), int(str(fields.get("limit") or 100))
        more = str(start + size) if start + size < len(rows) else ""
        return _yes(messages=rows[start : start + size], has_more=bool(more), response_metadata={"next_cursor": more})

    def _user(self, fields: dict[str, object]) -> Answer:
        found = self.users.get(str(fields.get("user")))
        return _no("user_not_found") if found is None else _yes(user=found)

    def _room(self, fields: dict[str, object]) -> Answer:
        found = self.rooms.get(str(fields.get("channel")))
        return _no("channel_not_found") if found is None else _yes(channel=found)

    def _members(self, fields: dict[str, object]) -> Answer:
        found = self.groups.get(str(fields.get("usergroup")))
        return _no("no_such_subteam") if found is None else _yes(users=found)

    def _show(self, told: dict[str, object]) -> Answer:
        return self._post({"channel": self.workspace.channel, "text": told.get("text"), "blocks": told.get("blocks")})

    def _replace(self, told: dict[str, object]) -> Answer:
        return self._update({**told, "channel": self.workspace.channel})

    def _ts(self) -> str:
        return f"{time.time():.0f}.{next(self._count):06d}"

    def _response_url(self, message: str = "") -> str:
        return self.url + self.responses.path(message.rpartition(":")[2])


def _yes(**told: object) -> Answer:
    return Answer.json({"ok": True, **told})


def _no(code: str) -> Answer:
    return Answer.json({"ok": False, "error": code})


def _pings(fields: dict[str, object]) -> list[str]:
    parsed = fields.get("parse") != "none" or fields.get("link_names") is not False
    return pings(str(fields["text"]), rows_of(fields.get("blocks") or []), parsed=parsed)
