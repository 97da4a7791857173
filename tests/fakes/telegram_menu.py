"""The command menu of the fake Telegram, for all chats and languages, as strict as the Bot API is about it."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fakes.telegram_values import Refused


class Menu:
    """`fault` is told of what a right client never sends."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        self.shown: list[tuple[str, str]] = []  #: name and description
        self._fault = fault

    def tell(self, _: dict[str, object]) -> object:
        return [{"command": name, "description": said} for name, said in self.shown]

    def take(self, fields: dict[str, object]) -> object:
        given = fields.get("commands")
        rows = given if isinstance(given, list) else []
        if not 1 <= len(rows) <= 100:
            raise self._wrong("BOT_COMMANDS_TOO_MUCH")
        if any(row.keys() != {"command", "description"} for row in rows):
            raise self._wrong("can't parse BotCommand")
        if not all(re.fullmatch("[a-z0-9_]{1,32}", row["command"]) for row in rows):
            raise self._wrong("BOT_COMMAND_INVALID")
        if not all(1 <= len(row["description"]) <= 256 for row in rows):
            raise self._wrong("BOT_COMMAND_DESCRIPTION_INVALID")
        self.shown = [(row["command"], row["description"]) for row in rows]
        return True

    def _wrong(self, said: str) -> Refused:
        self._fault(f"setMyCommands: {said}")
        return Refused(400, f"Bad Request: {said}")
