"""Cards and other texts as Telegram's HTML, within Telegram's limits; code spans become <code>, which a tap copies.

Texts are cut before they are escaped, so no cut can fall into a tag or an entity. Telegram counts UTF-16 units of the
text after its own parsing, and so does everything here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.message import Card
from bot.lib.code_spans import code_spans, quoted
from bot.lib.open_links import can_open

#: Limits of the Bot API (core.telegram.org/bots/api): a message's text, an answer to a button press, callback_data.
TEXT_UNITS = 4096
ALERT_UNITS = 200
CALLBACK_BYTES = 64

_TITLE_UNITS = 256
_LABEL_UNITS = 64
_TAIL_UNITS = 1024
_BUTTONS_A_ROW = 3
_URL_LENGTH = 2048

#: Begins the callback_data of a button that asks before its command counts.
CONFIRM = "?"

ICONS = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡", Severity.INFO: "🔵"}
STATUS_ICONS = {Status.ACKED: "👀", Status.RESOLVED: "✅"}

#: Control characters except tab and newline, and marks that change the direction of the text.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]")
_NEWLINE = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


@dataclass(frozen=True, kw_only=True, slots=True)
class TelegramText:
    """One message, twice: if Telegram cannot parse the HTML, the plain text is sent."""

    html: str
    plain: str


def render_card(card: Card) -> TelegramText:
    """Title, lines and the link to the board; lines are cut at their end until the message fits."""
    icon = STATUS_ICONS.get(card.status) or ICONS[card.severity]
    title = quoted(cut(one_line(card.title) or "(no title)", _TITLE_UNITS))  # Nothing can be code inside <b>.
    tail = "\n".join(_tail(card))
    head_units = utf16_length(f"{icon} {title}\n\n{tail}")
    body = cut("\n".join(one_line(line) for line in card.lines), TEXT_UNITS - head_units)

    parts = [part for part in (body, tail) if part]
    return TelegramText(
        html="\n".join([f"{icon} <b>{escape(title)}</b>", *map(with_code, parts)]),
        plain="\n".join([f"{icon} {title}", *map(quoted, parts)]),
    )


def render_text(message: str) -> TelegramText:
    """Any text that is not a card: a line, a reply."""
    text = flatten(message, TEXT_UNITS)
    return TelegramText(html=with_code(text), plain=quoted(text))


def render_buttons(card: Card) -> list[list[tuple[str, str]]]:
    """Rows of (label, callback_data).

    A command too long for callback_data gets no button, because cut it would be another command; the card's text
    shows it instead, to be typed. One that has to be confirmed is marked with `CONFIRM`.
    """
    marked = {label: CONFIRM * (label in card.confirm) + command for label, command in card.buttons.items()}
    return _in_rows([(_label(label), data) for label, data in marked.items() if _fits(data)])


def render_links(card: Card) -> list[list[tuple[str, str]]]:
    """Rows of (label, address), for buttons that open a page; only addresses that a reader can open.

    Telegram refuses the whole message for one address that it does not take, so those are left out.
    """
    links = {**(card.situation.links if card.situation else {}), "Board": card.link}
    return _in_rows([(_label(label), url) for label, url in links.items() if can_open(url) and len(url) <= _URL_LENGTH])


def _in_rows(buttons: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    return [buttons[at : at + _BUTTONS_A_ROW] for at in range(0, len(buttons), _BUTTONS_A_ROW)]


def flatten(message: str, limit: int) -> str:
    """Text that Telegram accepts: never empty, never longer than `limit` units."""
    return cut(clean(message).strip() or "(no text)", limit)


def render_alert(message: str) -> str:
    """The answer to a button press, which Telegram shows as plain text."""
    return quoted(flatten(message, ALERT_UNITS))


def escape(text: str) -> str:
    """For text between tags; only attributes need more (core.telegram.org/bots/api#html-style)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str) -> str:
    """Without characters that hide or reorder text, and without mentions.

    A word joiner after the @ keeps a name in an alert from notifying that person; a lone surrogate cannot be sent.
    """
    seen = _UNSEEN.sub("", _NEWLINE.sub("\n", text))
    return _MENTION.sub("@\u2060", _SURROGATE.sub("\ufffd", seen))


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units; the last is an ellipsis where text was cut."""
    if utf16_length(text) <= limit:
        return text
    room = max(limit - 1, 0)
    kept = text.encode("utf-16-le")[: room * 2].decode("utf-16-le", "ignore")
    return (kept.rstrip() + "…")[:limit]


def utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _tail(card: Card) -> Iterator[str]:
    left = _TAIL_UNITS
    long = {label: command for label, command in card.buttons.items() if not _fits(command) and label not in card.spare}
    typed = (f"{_label(label)}: {one_line(command)}" for label, command in long.items())
    for line in (*typed, _link(card.link)):
        size = utf16_length(line) + 1
        if line and size <= left:
            left -= size
            yield line


def _link(link: str) -> str:
    """The bare address: Telegram links a public one by itself, and would drop an <a> to a private host."""
    return clean(link).strip() if link.startswith(("http://", "https://")) else ""


def _label(label: str) -> str:
    return quoted(cut(one_line(label) or "?", _LABEL_UNITS))


def _fits(command: str) -> bool:
    return not _SURROGATE.search(command) and 0 < len(command.encode()) <= CALLBACK_BYTES


def with_code(text: str) -> str:
    return "".join(f"<code>{escape(piece)}</code>" if code else escape(piece) for piece, code in code_spans(text))


def one_line(text: str) -> str:
    """A newline in an alert must not start a line of the card."""
    return " ".join(clean(text).split())
