"""The settings' section about the console."""

from __future__ import annotations

from typing import ClassVar

from bot.lib.settings_fields import ChannelSection


class ConsoleSettings(ChannelSection):
    """The embedded chat on the board; loopback only."""

    called: ClassVar[str] = "the console"

    enabled: bool = True

    @property
    def on(self) -> bool:
        return self.enabled
