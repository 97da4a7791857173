"""What the fake Telegram keeps and says: messages, answers to presses, refusals, and parameters as they come."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A message of the bot as it now stands."""

    chat_id: int
    message_id: int
    text: str  #: after parsing
    html: str  #: as sent; "" where it came without parse_mode
    buttons: dict[str, str] = field(default_factory=dict)  #: label -> callback_data
    links: dict[str, str] = field(default_factory=dict)  #: label -> address, of the buttons that open a page
    topic_id: int | None = None
    reply_to: int | None = None
    edits: int = 0

    @property
    def ref(self) -> str:
        return f"{self.chat_id}:{self.message_id}"


@dataclass(frozen=True, kw_only=True)
class Flash:
    """An answer to a button press."""

    press_id: str
    text: str
    alert: bool


class Refused(Exception):
    """One answer with ok=false."""

    def __init__(self, status: int, said: str, **parameters: int) -> None:
        super().__init__(said)
        self.status, self.said, self.parameters = status, said, parameters


def from_form(raw: object) -> object:
    """A parameter that is no text: in a form field it is JSON."""
    return json.loads(raw) if isinstance(raw, str) else raw


def as_int(value: object) -> int:
    if not isinstance(value, int):
        raise Refused(400, f"Bad Request: {value!r} is not an integer")
    return value
