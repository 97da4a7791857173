"""A card as Slack's blocks, and plain text that cannot ping anybody or pretend to be a link.

Everything in a card is untrusted. `& < >` are escaped in every text, control and bidirectional characters are dropped,
and each limit of Block Kit is kept by cutting between characters, never inside an escape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from urllib.parse import urlsplit

from bot.core.alert import Severity
from bot.core.incident import Status
from bot.core.message import Card
from bot.core.request import Reply

Block = dict[str, object]

_HEADER, _SECTION, _LABEL, _VALUE, _URL, _TEXT = 150, 3000, 75, 2000, 3000, 3900
_LINE_BLOCKS = 44  #: of Slack's 50; the others are the header, the word of more, and the buttons
_BUTTONS = 24  #: of Slack's 25; one is the link to the board
_JOINERS = {"\u200c", "\u200d"}  #: invisible, but Persian and emoji families fall apart without them
_LINK = re.compile(r"https?://[^\s<>|\"'`]+")
_MARK = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡", Severity.INFO: "🔵"}
_DONE = "✅"


def blocks(card: Card, act: str = "say") -> list[Block]:
    """Header, lines, buttons; never more than Slack takes. `act`: how the action ids of the buttons begin."""
    proposal: list[Block] = [
        {"type": "header", "text": plain_text(_one_line(f"{_mark(card)} {card.title or '(no title)'}"), _HEADER)},
    ]
    lines = list(islice(_sections(card.lines), _LINE_BLOCKS + 1))
    proposal += lines[:_LINE_BLOCKS]
    if len(lines) > _LINE_BLOCKS:
        proposal.append(context_block("More is on the board."))
    buttons = _buttons(card, act)
    return [*proposal, {"type": "actions", "elements": buttons}] if buttons else proposal


def reply_message(reply: Reply) -> Card | None:
    """The card of an answer with what the answer says besides above it, such as what has moved since.

    None where there is none to draw; a secret is told in words, and nowhere with buttons.
    """
    card = reply.card
    if card is None or reply.secret:
        return None
    above = reply.text.removesuffix("\n".join((card.title, *card.lines))).strip()
    return replace(card, lines=(above, *card.lines)) if above else card


def paragraphs(message: str) -> list[Block]:
    """Plain text as it stands, as much of it as a card has room for."""
    return list(islice(_sections(tuple(message.splitlines())), _LINE_BLOCKS))


def context_block(message: str) -> Block:
    """One line in small print."""
    return {"type": "context", "elements": [plain_text(message, _SECTION)]}


def plain_text(text: str, limit: int) -> Block:
    """A text object without markup, of at most so many characters; never empty, which Slack refuses."""
    return {"type": "plain_text", "text": escape(text, limit) or " ", "emoji": False}


def without_buttons(shown: Sequence[object], message: str) -> list[Block]:
    """The blocks of a message, as Slack tells them, with what became of it in the place of its buttons."""
    kept = [dict(one) for one in shown if isinstance(one, dict) and one.get("type") != "actions"]
    return [*kept[:49], context_block(message)]


def summary(card: Card) -> str:
    """One line: what a phone shows, and what stands in where blocks cannot be drawn."""
    standing = card.lines[0] if card.lines else f"{card.severity}, {card.status}"
    return escape(_one_line(f"{_mark(card)} {card.title} | {standing}"), _TEXT)


def text_only(card: Card) -> str:
    """The whole card without blocks, its buttons as words to type: for when Slack refuses the blocks."""
    typed = [f"{label}: /vakhta {words}" for label, words in card.buttons.items()]
    return escape("\n".join([f"{_mark(card)} {_one_line(card.title)}", *typed, card.link, *card.lines]), _TEXT)


def escape(text: str, limit: int = _TEXT) -> str:
    """Plain text as Slack wants it, of at most `limit` characters with the escapes counted."""
    kept: list[str] = []
    room = limit
    for char in filter(_visible, text):
        piece = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char, char)
        kept.append(piece)
        room -= len(piece)
        if room < 0:
            return _cut(kept, limit)
    return "".join(kept)


def clean(text: str) -> str:
    """Without control, bidirectional and invisible characters and half surrogates; line breaks and tabs stay."""
    return "".join(filter(_visible, text))


def _visible(char: str) -> bool:
    if char in "\n\t" or char in _JOINERS:
        return True
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _cut(pieces: list[str], limit: int) -> str:
    """Drop whole pieces from the end until an ellipsis fits."""
    length = sum(map(len, pieces))
    while length > limit - 1:
        length -= len(pieces.pop())
    return "".join(pieces) + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mark(card: Card) -> str:
    return _DONE if card.status is Status.RESOLVED else _MARK[card.severity]


def _sections(lines: tuple[str, ...]) -> Iterator[Block]:
    """Lines as literal text, put together while they fit; a line with a link is drawn so that it can be followed."""
    held: list[str] = []
    for line in lines:
        message = escape(line, _SECTION)
        if not message.strip():
            continue
        linked = _linked(line)
        if held and (linked or sum(map(len, held)) + len(held) + len(message) > _SECTION):
            yield _section(held)
            held = []
        if linked:
            yield {"type": "section", "text": {"type": "mrkdwn", "text": linked, "verbatim": True}}
        else:
            held.append(message)
    if held:
        yield _section(held)


def _section(escaped: list[str]) -> Block:
    return {"type": "section", "text": {"type": "plain_text", "text": "\n".join(escaped), "emoji": False}}


def _linked(line: str) -> str | None:
    """The line with its web addresses as links that show where they lead; None when it has none, or is too long."""
    proposal: list[str] = []
    end = 0
    text = clean(line) if "http" in line and len(line) <= _SECTION else ""
    for found in _LINK.finditer(text):
        if not _followable(found[0]):
            continue
        proposal += [escape(text[end : found.start()], _SECTION), f"<{escape(found[0], _URL)}>"]
        end = found.end()
    whole = "".join([*proposal, escape(text[end:], _SECTION)])
    return whole if end and len(whole) <= _SECTION else None


def _followable(url: str) -> bool:
    """http(s) with a plain host; `https://bank@evil/` reads as one place and leads to another."""
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError:
        return False
    return split.scheme in {"http", "https"} and bool(host) and url.isascii() and "@" not in split.netloc


def _buttons(card: Card, act: str) -> list[Block]:
    """Words too long for a button's value are left out rather than cut: cut words would be another command."""
    fitting = [(label, words) for label, words in card.buttons.items() if 0 < len(words) <= _VALUE]
    proposal: list[Block] = [
        {"type": "button", "text": plain_text(_one_line(label), _LABEL), "value": words, "action_id": f"{act}:{n}"}
        for n, (label, words) in enumerate(fitting[:_BUTTONS])
    ]
    if card.link and len(card.link) <= _URL and _followable(card.link):
        proposal.append(
            {"type": "button", "text": plain_text("Open the board", _LABEL), "url": card.link, "action_id": "open"}
        )
    return proposal
