"""Telegram's HTML, read as strictly as its server reads it: known tags, closed in order, or an error.

From core.telegram.org/bots/api#html-style; the server's own words for each fault are given back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "blockquote"} | {
    *("a", "span", "tg-spoiler", "tg-emoji"),
}
_PIECE = re.compile(
    r"<(/?)([A-Za-z][A-Za-z0-9-]*)((?:\s[^<>]*)?)>|&(#\d{1,8}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z]+);|[<>&]|[^<>&]+"
)
#: A code span that was not made a <code>: people read its backticks.
_LITERAL_CODE = re.compile(r"(?<!`)`[^`\n]*[^`\s][^`\n]*`(?!`)")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


class Unparsable(ValueError):
    """What Telegram says after "Bad Request: "."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """What is left after parsing."""

    text: str
    tags: tuple[tuple[str, str], ...]  #: (tag, the text in it), in the order of their ends

    @property
    def units(self) -> int:
        """The length as Telegram counts it."""
        return len(self.text.encode("utf-16-le")) // 2


def literal_code(text: str) -> list[str]:
    """Pairs of backticks in a text as people read it."""
    return _LITERAL_CODE.findall(text)


def read_html(html: str) -> Read:
    """The text without its markup.

    Raises:
        Unparsable: a tag that Telegram does not know, or one that is not closed in order.
    """
    text: list[str] = []
    open_tags: list[tuple[str, int]] = []
    closed: list[tuple[str, str]] = []
    for piece in _PIECE.finditer(html):
        closing, tag, attributes, entity = piece.groups()
        if tag is None:
            text.append(_plain(piece.group(), entity, piece.start()))
        elif not closing:
            open_tags.append((_opened(tag, attributes, piece.start()), len(text)))
        else:
            start = _matching(open_tags, tag, piece.start())
            closed.append((tag.lower(), "".join(text[start:])))
    if open_tags:
        raise Unparsable(f"can't parse entities: Can't find end tag corresponding to start tag {open_tags[-1][0]}")
    return Read(text="".join(text), tags=tuple(closed))


def _plain(piece: str, entity: str | None, at: int) -> str:
    if piece == "<":
        raise Unparsable(f'can\'t parse entities: Unsupported start tag "" at byte offset {at}')
    if entity is None:
        return piece
    if entity.startswith("#"):
        number = int(entity[1:]) if entity[1:].isdecimal() else int(f"0{entity[1:]}", 0)
        return chr(number) if 0 < number < 0x110000 else piece
    return _NAMED.get(entity, piece)


def _opened(tag: str, attributes: str, at: int) -> str:
    name = tag.lower()
    if name not in _TAGS:
        raise Unparsable(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {at}')
    if name == "span" and 'class="tg-spoiler"' not in attributes:
        raise Unparsable(f'can\'t parse entities: Tag "span" must have class "tg-spoiler" at byte offset {at}')
    return name


def _matching(open_tags: list[tuple[str, int]], tag: str, at: int) -> int:
    if not open_tags:
        raise Unparsable(f"can't parse entities: Unexpected end tag at byte offset {at}")
    name, start = open_tags.pop()
    if name != tag.lower():
        raise Unparsable(f'can\'t parse entities: Unmatched end tag at byte offset {at}, expected "</{name}>"')
    return start
