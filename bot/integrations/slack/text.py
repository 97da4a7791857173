"""Undoes Slack's mark-up in what somebody typed, and normalizes the text.

The trap: it must be done exactly once. The result may look like mark-up again.
"""

from __future__ import annotations

import re

from bot.lib.text import normalized

_MARKED = re.compile(r"<([^<>\n]*)>")


def plain_text_of(text: str, *, bot: str = "") -> str:
    """The text as typed. `bot`: the bot's own user id, whose mention is left out."""
    plain = _MARKED.sub(lambda found: _resolved(found[1], bot), text)
    plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return " ".join(normalized(plain).split()).lstrip("/ ").strip()


def command_text(command: str, text: str) -> str:
    """`/vakhta ack 42` and `/ack 42` are both `ack 42`; an empty text is `help`."""
    rest = plain_text_of(text)
    verb = command.lstrip("/")
    return (rest if verb == "vakhta" else f"{verb} {rest}".strip()) or "help"


def _resolved(inside: str, bot: str) -> str:
    """`@U1|ana` is @U1, `#C1|ops` is #ops, `!here` is @here, and a link is its visible text.

    Of a person the id is taken and not the label: people choose their labels, and one could be another person's id.
    """
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        return "" if bot and target[1:] == bot else target
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return label or f"@{target[1:].partition('^')[0]}"
    return label or target.removeprefix("mailto:")
