"""What people do in Slack, as the payloads and the signed requests that Slack sends for it."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode

_COUNT = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """One thing that somebody did."""

    kind: str  #: the envelope's type: "slash_commands", "interactive", "events_api"
    payload: dict[str, object]

    @property
    def body(self) -> bytes:
        """As it stands in an HTTP request."""
        if self.kind == "events_api":
            return json.dumps(self.payload).encode()
        if self.kind == "interactive":
            return urlencode({"payload": json.dumps(self.payload)}).encode()
        return urlencode({key: str(value) for key, value in self.payload.items()}).encode()

    @property
    def content_type(self) -> str:
        return "application/json" if self.kind == "events_api" else "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Who the app is, and where; the same for every payload."""

    team_id: str
    app_id: str
    bot_user: str
    channel: str
    secret: str
    issued: dict[str, float] = field(default_factory=dict)  #: trigger ids that were not used yet, and when they came

    def command(self, command: str, text: str, *, user: str, response_url: str, **other: object) -> Spoken:
        told: dict[str, object] = {
            "token": "old-style",
            "team_id": self.team_id,
            "team_domain": "acme",
            "channel_id": self.channel,
            "channel_name": "incidents",
            "user_id": user,
            "user_name": user.lower(),
            "command": command,
            "text": text,
            "api_app_id": self.app_id,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": self._trigger(),
        }
        return Spoken(kind="slash_commands", payload=told | other)

    def press(self, action: dict[str, object], *, user: str, at: str, response_url: str, **other: object) -> Spoken:
        told: dict[str, object] = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": self.team_id},
            "api_app_id": self.app_id,
            "token": "old-style",
            "container": {"type": "message", "message_ts": at, "channel_id": self.channel, "is_ephemeral": False},
            "trigger_id": self._trigger(),
            "team": {"id": self.team_id, "domain": "acme"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": self.channel, "name": "incidents"},
            "message": {"type": "message", "ts": at},
            "state": {"values": {}},
            "response_url": response_url,
            "actions": [{"block_id": "b1", "type": "button", "action_ts": f"{next(_COUNT)}.000001"} | action],
        }
        return Spoken(kind="interactive", payload=told | other)

    def submit(self, view: dict[str, object], *, user: str, **other: object) -> Spoken:
        told: dict[str, object] = {
            "type": "view_submission",
            "team": {"id": self.team_id, "domain": "acme"},
            "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": self.team_id},
            "api_app_id": self.app_id,
            "token": "old-style",
            "trigger_id": self._trigger(),
            "view": view,
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }
        return Spoken(kind="interactive", payload=told | other)

    def event(self, event: dict[str, object], **other: object) -> Spoken:
        told: dict[str, object] = {
            "token": "old-style",
            "team_id": self.team_id,
            "api_app_id": self.app_id,
            "event": {"team": self.team_id, "channel": self.channel, "event_ts": "1.1"} | event,
            "type": "event_callback",
            "event_id": f"Ev{next(_COUNT)}",
            "event_time": int(time.time()),
            "authorizations": [{"team_id": self.team_id, "user_id": self.bot_user, "is_bot": True}],
            "is_ext_shared_channel": False,
        }
        return Spoken(kind="events_api", payload=told | other)

    def _trigger(self) -> str:
        trigger = f"{next(_COUNT)}.1.trigger"
        self.issued[trigger] = time.monotonic()
        return trigger

    def sign(self, body: bytes, content_type: str, *, at: float | None = None) -> dict[str, str]:
        """The headers of a genuine request with this body; `at` in seconds since the epoch."""
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(self.secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
        }
