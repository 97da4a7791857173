"""Slack's views, which are not messages: who has which Home tab, which form is open, and what people do there."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.calls import Answer
from tests.fakes.slack_rules import Block, breaches, pings, text_breaches, unrendered
from tests.fakes.slack_speech import Spoken, Workspace
from tests.fakes.slack_values import rows_of

_COUNT = itertools.count(1)
_HOME = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
_MODAL = _HOME | {"title", "submit", "close", "clear_on_close", "notify_on_close"}
_MOST_BLOCKS = 100
_TRIGGER_S = 30  #: seconds for which a trigger_id may be used, once; 3 at Slack, and what a busy machine needs


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
    def fields(self) -> dict[str, Block]:
        """Label -> the field as it was sent."""
        return {_text(block["label"]): block for block in self.blocks if block["type"] == "input"}

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
        self.modals: list[View] = []  #: the forms that are open, the newest last
        self._workspace = workspace
        self._fault = fault

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

    def open(self, fields: dict[str, object]) -> Answer:
        issued = self._workspace.issued.pop(str(fields.get("trigger_id")), None)
        if issued is None or time.monotonic() - issued > _TRIGGER_S:
            code = "invalid_trigger_id" if issued is None else "expired_trigger_id"
            return Answer.json({"ok": False, "error": code})
        view = _object(fields.get("view"))
        broken = sorted(view.keys() - _MODAL) + self._breaches(view) + _modal_breaches(view)
        if broken:
            self._fault(f"invalid view: {broken}")
            return Answer.json({"ok": False, "error": "invalid_arguments"})
        made = View(id=self._id("V"), hash=self._id("1."), told=view)
        self.modals.append(made)
        return Answer.json({"ok": True, "view": self._told(made)})

    def submit(self, values: Mapping[str, str], *, user: str = "U1", **view: Any) -> Spoken:
        """Send the newest form, with these values by their labels. `view`: what else its payload shall be."""
        modal = self.modals[-1]
        inputs = modal.fields
        assert values.keys() <= inputs.keys(), f"{values.keys()} are not all of {inputs.keys()}"
        state = {str(block["block_id"]): _state(block, values.get(label)) for label, block in inputs.items()}
        return self._workspace.submit(self._told(modal) | {"state": {"values": state}} | view, user=user)

    def answered(self, body: bytes | str) -> Mapping[str, str]:
        """What stands under the fields of the newest form after such an answer, by label; it is closed if nothing."""
        if not body:
            self.modals.pop()
            return {}
        told = json.loads(body)
        inputs = {block["block_id"]: label for label, block in self.modals[-1].fields.items()}
        assert told.keys() == {"response_action", "errors"}, told
        assert told["response_action"] == "errors", told
        assert told["errors"], "errors that say nothing"
        assert told["errors"].keys() <= inputs.keys(), f"errors at blocks that the form does not have: {told}"
        return {inputs[name]: said for name, said in told["errors"].items()}

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
        found += unrendered("-", blocks, mrkdwn=True)
        if len(json.dumps(view)) > 250_000:
            found.append("a view of more than 250 KB")
        return found

    def _told(self, view: View) -> dict[str, object]:
        us = self._workspace
        known = {"private_metadata": "", "callback_id": "", "external_id": "", "title": None, "submit": None}
        ids = {"id": view.id, "hash": view.hash, "team_id": us.team_id, "app_id": us.app_id, "root_view_id": view.id}
        return known | view.told | ids | {"app_installed_team_id": us.team_id, "bot_id": "B1", "previous_view_id": None}

    def _id(self, start: str) -> str:
        return f"{start}{next(_COUNT)}"


def _modal_breaches(view: Mapping[str, object]) -> list[str]:
    found = text_breaches(view.get("title"), 24, plain=True, what="title")
    inputs = [block for block in rows_of(view["blocks"]) if block["type"] == "input"]
    for name in ("submit", "close"):
        if name in view or (name == "submit" and inputs):
            found += text_breaches(view.get(name), 24, plain=True, what=name)
    kept, called = view.get("private_metadata", ""), view.get("callback_id", "")
    found += ["private_metadata over 3000"] if not isinstance(kept, str) or len(kept) > 3000 else []
    found += ["callback_id over 255"] if not isinstance(called, str) or len(called) > 255 else []
    return found + ([] if view.get("type") == "modal" else ["no modal"])


def _state(block: Block, value: str | None) -> dict[str, object]:
    """What one field holds when it is sent. Slack lets nobody send a required one empty, nor more than it takes."""
    element = _object(block["element"])
    assert value or block.get("optional"), f"{_text(block['label'])} is required"
    told: dict[str, object] = {"type": element["type"]}
    if element["type"] == "static_select":
        options = {option["value"]: option for option in rows_of(element["options"])}
        return {str(element["action_id"]): told | {"selected_option": options[value] if value else None}}
    most = element.get("max_length", 3000)
    assert isinstance(most, int)
    assert len(value or "") <= most, f"{_text(block['label'])} takes at most {most}"
    return {str(element["action_id"]): told | {"value": value}}


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _text(value: object) -> str:
    return str(_object(value)["text"])
