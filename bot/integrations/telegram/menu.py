"""What Telegram offers to whoever types a slash: the verbs in its own spelling, with what each does. Pure.

A tap sends the command as it stands. So those come first that are whole without a further word: in reply to a card,
where the incident's number is left out, and then anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bot.core.channel import CommandInfo

#: Limits of `BotCommand` and `setMyCommands` (core.telegram.org/bots/api#setmycommands).
_MOST, _DESCRIPTION = 100, 256
_NAME = re.compile("[a-z0-9_]{1,32}")
#: Of a usage: what may be left out, in reply to a card or at all.
_LEFT_OUT = re.compile(r"\[[^\]]*\]|<incident>")


def menu(verbs: Sequence[CommandInfo]) -> list[tuple[str, str]]:
    """Name and description of each, in the order shown. A verb that Telegram cannot spell is left out: it is typed."""
    named = [(one.verb.replace("-", "_"), one.summary) for one in sorted(verbs, key=_effort)]
    return [(name, says[:_DESCRIPTION]) for name, says in named if _NAME.fullmatch(name) and says][:_MOST]


def _effort(one: CommandInfo) -> tuple[bool, bool, str]:
    rest = one.usage.removeprefix(one.verb)
    return bool(_LEFT_OUT.sub("", rest).strip()), "<incident>" not in rest, one.verb
