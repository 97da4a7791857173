"""What the fake Slack keeps: messages, whispers, and members of the workspace; and how forms carry values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fakes.slack_rules import Block


@dataclass(kw_only=True)
class Message:
    """One message as it stands in the channel now."""

    ts: str
    channel: str
    text: str
    blocks: list[Block]
    metadata: dict[str, object]
    thread_ts: str | None = None
    edits: int = 0
    pings: list[str] = field(default_factory=list)  #: whom it notified, and links under another name

    @property
    def buttons(self) -> dict[str, Block]:
        """Label -> the button as it was sent."""
        rows = [row for block in self.blocks if block["type"] == "actions" for row in rows_of(block["elements"])]
        return {str(object_of(row["text"])["text"]): row for row in rows}

    def told(self) -> dict[str, object]:
        """The parts of a press on it that show it, with the ids that Slack gives to blocks."""
        blocks = [{"block_id": f"b{at}", **block} for at, block in enumerate(self.blocks)]
        where = {"message_ts": self.ts, "channel_id": self.channel, "is_ephemeral": False, "type": "message"}
        return {
            "message": {"type": "message", "ts": self.ts, "text": self.text, "blocks": blocks},
            "container": where | ({"thread_ts": self.thread_ts} if self.thread_ts else {}),
        }

    @property
    def said(self) -> str:
        """What is read of a line in the thread: its blocks, or its text where it has none."""
        told = [object_of(block["text"])["text"] for block in self.blocks if "text" in block]
        return "\n".join(map(str, told)) or self.text

    @property
    def shown(self) -> str:
        """All of its text, fallback and blocks."""
        return self.text + "\n" + json.dumps(self.blocks, ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class Whisper:
    """What one person alone was shown."""

    text: str
    user: str = ""  #: "" where it went to a response_url
    thread_ts: str = ""
    response_url: str = ""


def member(user: str, **other: object) -> dict[str, object]:
    """A full member as users.info shows one."""
    plain = {"deleted": False, "is_bot": False, "is_restricted": False, "is_ultra_restricted": False}
    return {"id": user, "team_id": "T1", "name": user.lower(), **plain, **other}


def room(channel: str, **other: object) -> dict[str, object]:
    """A channel of our own as conversations.info shows one."""
    plain = {"is_channel": True, "is_im": False, "is_shared": False, "is_ext_shared": False, "is_org_shared": False}
    plain |= {"is_member": True, "is_archived": False}
    return {"id": channel, "name": channel.lower(), **plain, **other}


def rows_of(value: object) -> list[Block]:
    assert isinstance(value, Sequence)
    return [object_of(row) for row in value]


def object_of(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def decoded(key: str, value: object) -> object:
    """Forms carry objects as JSON text, and truth as 0 or 1."""
    if key in {"blocks", "metadata"} and isinstance(value, str):
        return json.loads(value)
    return (
        {"0": False, "1": True}.get(value, value)
        if key.startswith(("include", "unfurl", "link")) and isinstance(value, str)
        else value
    )
