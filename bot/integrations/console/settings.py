"""The settings' section about the console."""

from __future__ import annotations

from bot.section import Section


class ConsoleSettings(Section):
    """The embedded chat on the board; loopback only."""

    enabled: bool = True
