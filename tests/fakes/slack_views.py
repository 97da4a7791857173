"""Slack's views, which are not messages: who has which Home tab, and what people do there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes.server import Answer
from tests.fakes.slack_rules import Block, breaches, pings
from tests.fakes.slack_speech import Spoken, Workspace
from tests.fakes.slack_values import rows_of

_HOME = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
_MOST_BLOCKS = 100


@dataclass(kw_only=True)
class View:
    """One as it stands now."""

    id: str
    hash: str
    told: dict[str, object]  #: as it was sent
    user: str = ""
    pings: list[str] = field(default_factory=list)

    @property
    def blocks(self) -> list[Block]:
        return rows_of(self.told["blocks"])

    @property
    def buttons(self) -> dict[str, Block]:
        """Label -> the button as it was sent."""
        rows = [row for block in self.blocks if block["type"] == "actions" for row in rows_of(block["elements"])]
        return {str(_text(row["text"])): row for row in rows}

    @property
    def shown(self) -> str:
        """What is read on the screen but for the labels of buttons, from the top."""
        told = [[block["text"]] if "text" in block else block.get("elements") or [] for block in self.blocks]
        rows = [row for holders in told for row in rows_of(holders) if isinstance(row.get("text"), str)]
        return "\n".join(map(_text, rows))


class Views:
    """Of one workspace. Used under the lock of the fake that it is a part of."""

    def __init__(self, workspace: Workspace, fault: Callable[[str], None]) -> None:
        self.homes: dict[str, View] = {}  #: user -> their Home tab
        self.published: list[str] = []  #: whose, each time
        self._workspace = workspace
        self._fault = fault
        self._count = itertools.count(1)

    def publish(self, fields: dict[str, object]) -> Answer:
        view = _object(fields.get("view"))
        broken = sorted(view.keys() - _HOME) + self._breaches(view)
        if view.get("type") != "home" or broken:
            self._fault(f"invalid view: {broken or view.get('type')}")
            return Answer.json({"ok": False, "error": "invalid_arguments"})
        user = str(fields.get("user_id"))
        known = self.homes.get(user)
        made = View(id=known.id if known else self._id("V"), hash=self._id("1."), told=view, user=user)
        if known and fields.get("hash") not in (None, known.hash):
            return Answer.json({"ok": False, "error": "hash_conflict"})
        self.homes[user] = made
        self.published.append(user)
        return Answer.json({"ok": True, "view": self._told(made)})

    def opened(self, user: str = "U1", *, tab: str = "home", **other: object) -> Spoken:
        """Somebody opens a tab of the bot's. The event does not say of which workspace the user is."""
        event: dict[str, object] = {"type": "app_home_opened", "user": user, "channel": f"D{user}", "tab": tab}
        if tab == "home" and user in self.homes:
            event["view"] = self._told(self.homes[user])
        spoken = self._workspace.event(event)
        said = _object(spoken.payload["event"])
        del said["team"]
        return Spoken(kind=spoken.kind, payload=spoken.payload | {"event": said} | other)

    def press(self, words: str, *, user: str = "U1", **other: object) -> Spoken:
        """Press a button that stands in the user's Home tab: of no channel, no message, no response_url."""
        home = self.homes[user]
        action = next(button for button in home.buttons.values() if button.get("value") == words)
        told = self._workspace.press(action, user=user, at="", response_url="").payload
        for absent in ("channel", "message", "response_url", "state"):
            del told[absent]
        view = self._told(home) | {"state": {"values": {}}}
        told |= {"container": {"type": "view", "view_id": home.id}, "view": view}
        return Spoken(kind="interactive", payload=told | other)

    def _breaches(self, view: Mapping[str, object]) -> list[str]:
        blocks = rows_of(view.get("blocks") or [])
        found = breaches(blocks, most=_MOST_BLOCKS) + pings("-", blocks, parsed=False)
        if len(json.dumps(view)) > 250_000:
            found.append("a view of more than 250 KB")
        return found

    def _told(self, view: View) -> dict[str, object]:
        us = self._workspace
        known = {"private_metadata": "", "callback_id": "", "external_id": "", "title": None, "submit": None}
        ids = {"id": view.id, "hash": view.hash, "team_id": us.team_id, "app_id": us.app_id, "root_view_id": view.id}
        return known | view.told | ids | {"app_installed_team_id": us.team_id, "bot_id": "B1", "previous_view_id": None}

    def _id(self, start: str) -> str:
        return f"{start}{next(self._count)}"


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _text(value: object) -> str:
    return str(_object(value)["text"])
