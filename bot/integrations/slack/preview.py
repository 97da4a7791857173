"""A card's blocks as text, for people who try a template at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.core.message import Card
from bot.integrations.slack.blocks import blocks, summary


def card_as_text(card: Card) -> str:
    """The line of the phone's notification, then the blocks from top to bottom."""
    return "\n".join([summary(card), "", *_texts(blocks(card))])


def _texts(shown: object) -> Iterator[str]:
    """Every text of a block and of what is in it, in order; buttons in brackets."""
    if isinstance(shown, list):
        for one in shown:
            yield from _texts(one)
        return
    if not isinstance(shown, Mapping):
        return
    if shown.get("type") in ("plain_text", "mrkdwn"):
        yield str(shown.get("text", ""))
    elif shown.get("type") == "actions":
        yield " ".join(f"[{text}]" for one in shown["elements"] for text in _texts(one.get("text")))
    else:
        for name in ("text", "fields", "elements", "blocks", "attachments"):
            yield from _texts(shown.get(name))
