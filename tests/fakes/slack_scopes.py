"""What Slack wants to have been granted for a method or an event, and what the app's manifest asks for.

Source: docs.slack.dev/reference/methods and /reference/events, the facts of each page. Of two scopes that depend on
the channel, the first is a public channel's and the second a private one's; the bot asks nothing of direct messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

MANIFEST = Path(__file__).parents[2] / "deploy/slack/manifest.yaml"

#: Method -> the bot's scopes. `apps.connections.open` takes the app-level token, whose connections:write no manifest
#: can ask for.
METHODS: Mapping[str, tuple[str, ...]] = {
    "apps.connections.open": (),
    "auth.test": (),
    "chat.postEphemeral": ("chat:write",),
    "chat.postMessage": ("chat:write",),
    "chat.update": ("chat:write",),
    "conversations.history": ("channels:history", "groups:history"),
    "conversations.info": ("channels:read", "groups:read"),
    "conversations.replies": ("channels:history", "groups:history"),
    "usergroups.users.list": ("usergroups:read",),
    "users.info": ("users:read",),
    "views.open": (),
    "views.publish": (),
}
#: Event, by the name to subscribe to -> the bot's scopes. `message` is no such name: each kind of channel has one of
#: its own, and a subscription to it sends the bot all that people say there.
EVENTS: Mapping[str, tuple[str, ...]] = {
    "app_home_opened": (),
    "app_mention": ("app_mentions:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
}
COMMANDS = "commands"  #: the scope of slash commands


@cache
def manifest() -> Mapping[str, Any]:
    """As somebody pastes it into Slack."""
    told: Mapping[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return told


def bot_scopes() -> frozenset[str]:
    return frozenset(manifest()["oauth_config"]["scopes"]["bot"])


def needed(method: str, room: Mapping[str, object]) -> str | None:
    """The scope of this call; `room`: the channel it is about, empty where it is about none."""
    scopes = METHODS[method]
    if len(scopes) == 2:
        return scopes[1] if room.get("is_private") else scopes[0]
    return scopes[0] if scopes else None
