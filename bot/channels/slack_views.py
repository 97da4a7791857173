"""What Slack calls views, which are not messages: the Home tab. A view has room for 100 blocks and for 250 KB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from bot.channels.slack_acts import MINE
from bot.channels.slack_blocks import Block, blocks, paragraphs, small, whole
from bot.model import Reply

View = dict[str, object]

#: Characters of one of the two parts of a Home tab. JSON writes a letter of most scripts in six bytes.
_MOST_TEXT = 20_000


def home(found: Reply, answer: Reply | None, *, at: datetime) -> View:
    """`found`: what is somebody's, or why it is not shown. `answer`: to a button that they pressed, on top."""
    drawn: list[Block] = [*_drawn(answer), {"type": "divider"}] if answer else []
    foot = small(f"As of {at:%Y-%m-%d %H:%M} UTC. Open this tab again to see it anew.")
    return {"type": "home", "blocks": [*drawn, *_drawn(found), foot]}


def _drawn(reply: Reply) -> list[Block]:
    """At most 48 blocks."""
    card = whole(reply)
    if card is None:
        return paragraphs("\n".join(_fitting(reply.said.splitlines())))
    return blocks(replace(card, lines=tuple(_fitting(card.lines))), MINE)


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many of them as there is room for."""
    lengths = accumulate(map(len, lines))
    kept = [line for line, length in zip(lines, lengths, strict=True) if length <= _MOST_TEXT]
    return kept if len(kept) == len(lines) else [*kept, "There is more than fits here; say `home` in a message."]
