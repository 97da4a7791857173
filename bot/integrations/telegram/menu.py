"""The command menu that Telegram shows when somebody types a slash: each verb with its summary. Pure.

A tap sends the command as it is. So commands that need no argument come first: those that are complete in reply to a
card, where the incident's number is left out, and then those that are complete anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.channel import CommandInfo
from bot.lib.code_spans import quoted

#: Limits of `BotCommand` and `setMyCommands` (core.telegram.org/bots/api#setmycommands).
_MOST, _DESCRIPTION = 100, 256
_NAME = re.compile("[a-z0-9_]{1,32}")
#: The parts of a usage that may be left out, in reply to a card or anywhere.
_LEFT_OUT = re.compile(r"\[[^\]]*\]|<incident>")


def menu(verbs: Sequence[CommandInfo]) -> list[tuple[str, str]]:
    """Name and description of each, in the order shown. A verb that Telegram's names cannot spell is left out."""
    named = [(one.verb.replace("-", "_"), quoted(one.summary)) for one in sorted(verbs, key=_effort)]
    return [(name, summary[:_DESCRIPTION]) for name, summary in named if _NAME.fullmatch(name) and summary][:_MOST]


def _effort(one: CommandInfo) -> tuple[bool, bool, str]:
    rest = one.usage.removeprefix(one.verb)
    return bool(_LEFT_OUT.sub("", rest).strip()), "<incident>" not in rest, one.verb
