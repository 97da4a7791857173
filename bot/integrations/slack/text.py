"""What somebody typed in Slack, as the words they meant: Slack's mark-up undone, then plain.

The trap: this happens once. What comes out may look like mark-up again and must not be undone a second time.
"""

from __future__ import annotations

import re

from bot.lib.text import normalized

_MARKED = re.compile(r"<([^<>\n]*)>")


def plain_text_of(text: str, *, bot: str = "") -> str:
    """The words. `bot`: the bot's own user id, whose mention is left out."""
    meant = _MARKED.sub(lambda found: _meant(found[1], bot), text)
    meant = meant.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return " ".join(normalized(meant).split()).lstrip("/ ").strip()


def command_text(command: str, text: str) -> str:
    """`/vakhta ack 42` and `/ack 42` are both `ack 42`; nothing at all asks for help."""
    rest = plain_text_of(text)
    verb = command.lstrip("/")
    return (rest if verb == "vakhta" else f"{verb} {rest}".strip()) or "help"


def _meant(inside: str, bot: str) -> str:
    """`@U1|ana` is @U1, `#C1|ops` is #ops, `!here` is @here, and a link is what was seen of it.

    A label is what somebody calls themselves, and could be somebody else's id here; the account is theirs alone.
    """
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        return "" if bot and target[1:] == bot else target
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return label or f"@{target[1:].partition('^')[0]}"
    return label or target.removeprefix("mailto:")
