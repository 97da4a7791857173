"""A card or a line of the story as Telegram's HTML, within Telegram's limits.

Texts are cut before they are escaped, so no cut can fall into a tag or an entity. Telegram counts UTF-16 units of
what is left after its own parsing, and so does everything here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.message import Card

#: Limits of the Bot API (core.telegram.org/bots/api): a message's text, an answer to a button press, callback_data.
TEXT_UNITS = 4096
FLASH_UNITS = 200
CALLBACK_BYTES = 64

_TITLE_UNITS = 256
_LABEL_UNITS = 64
_TAIL_UNITS = 1024
_BUTTONS_A_ROW = 3

_ICONS = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡", Severity.INFO: "🔵"}
_STANDING = {Status.ACKED: "👀", Status.RESOLVED: "✅"}

#: Control characters but tab and newline, and everything that turns the direction of reading.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")
_NEWLINE = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


@dataclass(frozen=True, kw_only=True, slots=True)
class TelegramText:
    """One message, twice: should Telegram not be able to read the HTML, the plain words are sent."""

    html: str
    plain: str


def render_card(card: Card) -> TelegramText:
    """Title, lines and the link to the board; what does not fit is cut from the end of the lines."""
    icon = _STANDING.get(card.status) or _ICONS[card.severity]
    title = cut(_one_line(card.title) or "(no title)", _TITLE_UNITS)
    tail = "\n".join(_tail(card))
    head_units = utf16_length(f"{icon} {title}\n\n{tail}")
    body = cut("\n".join(_one_line(line) for line in card.lines), TEXT_UNITS - head_units)

    parts = [part for part in (body, tail) if part]
    return TelegramText(
        html="\n".join([f"{icon} <b>{escape(title)}</b>", *map(escape, parts)]),
        plain="\n".join([f"{icon} {title}", *parts]),
    )


def render_line(message: str) -> TelegramText:
    plain = flatten(message, TEXT_UNITS)
    return TelegramText(html=escape(plain), plain=plain)


def render_buttons(card: Card) -> list[list[tuple[str, str]]]:
    """Rows of (label, callback_data).

    Words too long for callback_data make no button, because cut words would be other words; the card's text shows
    them to be typed instead.
    """
    fitting = [(_label(label), words) for label, words in card.buttons.items() if _fits(words)]
    return [fitting[at : at + _BUTTONS_A_ROW] for at in range(0, len(fitting), _BUTTONS_A_ROW)]


def flatten(message: str, limit: int) -> str:
    """Plain text that Telegram takes as it is: never empty, never longer than `limit` units."""
    return cut(clean(message).strip() or "(nothing was said)", limit)


def escape(text: str) -> str:
    """For between tags; outside of attributes nothing else has a meaning (core.telegram.org/bots/api#html-style)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str) -> str:
    """Without what hides, re-orders or pings.

    A word joiner after the @ keeps a name in an alert from calling that person; a lone surrogate cannot be sent.
    """
    seen = _UNSEEN.sub("", _NEWLINE.sub("\n", text))
    return _MENTION.sub("@\u2060", _SURROGATE.sub("\ufffd", seen))


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, with an ellipsis as the last of them where something is missing."""
    if utf16_length(text) <= limit:
        return text
    room = max(limit - 1, 0)
    kept = text.encode("utf-16-le")[: room * 2].decode("utf-16-le", "ignore")
    return (kept.rstrip() + "…")[:limit]


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _tail(card: Card) -> Iterator[str]:
    left = _TAIL_UNITS
    typed = (f"{_label(label)}: {_one_line(words)}" for label, words in card.buttons.items() if not _fits(words))
    for line in (*typed, _link(card.link)):
        size = utf16_length(line) + 1
        if line and size <= left:
            left -= size
            yield line


def _link(link: str) -> str:
    """Shown as it is: Telegram makes a link of a public address and drops one to a private host from an <a>."""
    return clean(link).strip() if link.startswith(("http://", "https://")) else ""


def _label(label: str) -> str:
    return cut(_one_line(label) or "?", _LABEL_UNITS)


def _fits(words: str) -> bool:
    return not _SURROGATE.search(words) and 0 < len(words.encode()) <= CALLBACK_BYTES


def _one_line(text: str) -> str:
    """A newline in an alert must not write a line of the card."""
    return " ".join(clean(text).split())
