"""A card as Slack's blocks, and plain text that cannot ping anybody or pretend to be a link.

Everything in a card is untrusted. `& < >` are escaped in every text, control and bidirectional characters are dropped,
and each limit of Block Kit is kept by cutting between characters, never inside an escape.

Slack draws mark-up in `mrkdwn` texts only, never in headers, buttons and modals. So a line with a link or a code span
is `mrkdwn`, every other line is literal, and where mark-up is not drawn a code span stands in quotes.
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
from bot.lib.code_spans import code_spans, has_code, quoted

Block = dict[str, object]

_HEADER, _SECTION, LABEL_LENGTH, VALUE_LENGTH, URL_LENGTH, _TEXT = 150, 3000, 75, 2000, 3000, 3900
_LINE_BLOCKS = 44  #: of Slack's 50; the others are the header, the note that there is more, and the buttons
_BUTTONS = 24  #: of Slack's 25; one is the link to the board
_JOINERS = {"\u200c", "\u200d"}  #: invisible, but Persian and emoji families fall apart without them
_LINK = re.compile(r"https?://[^\s<>|\"'`]+")
_SEVERITY_MARK = {Severity.CRITICAL: "🔴", Severity.ERROR: "🟠", Severity.WARNING: "🟡", Severity.INFO: "🔵"}
_STATE_MARK = {Status.ACKED: "👀", Status.RESOLVED: "✅"}


def blocks(card: Card, act: str = "say") -> list[Block]:
    """Header, lines, buttons; never more than Slack takes. `act`: how the action ids of the buttons begin."""
    rows: list[Block] = [
        {"type": "header", "text": plain_text(one_line(f"{state_mark(card)} {card.title or '(no title)'}"), _HEADER)},
    ]
    sections = list(islice(_sections(card.lines), _LINE_BLOCKS + 1))
    rows += sections[:_LINE_BLOCKS]
    if len(sections) > _LINE_BLOCKS:
        rows.append(context_block("More is on the board."))
    buttons = _buttons(card, act)
    return [*rows, {"type": "actions", "elements": buttons}] if buttons else rows


def reply_message(reply: Reply) -> Card | None:
    """The card of a reply, headed by the text that the reply has beyond its card, such as what has changed since.

    None: the reply is plain text. A secret always is, so that it never stands beside buttons.
    """
    card = reply.card
    if card is None or reply.secret:
        return None
    above = reply.text.removesuffix("\n".join((card.title, *card.lines))).strip()
    return replace(card, lines=(above, *card.lines)) if above else card


def paragraphs(message: str) -> list[Block]:
    """Text as sections, as much of it as a card has room for."""
    return list(islice(_sections(tuple(message.splitlines())), _LINE_BLOCKS))


def context_block(message: str) -> Block:
    """One line in small print."""
    marked = _marked(message)
    return {"type": "context", "elements": [mrkdwn(marked) if marked else plain_text(message, _SECTION)]}


def plain_text(text: str, limit: int) -> Block:
    """A text object without mark-up, of at most `limit` characters; never empty, which Slack refuses.

    Code spans are quoted after the cut: a cut through a row of backticks makes a pair of what was none.
    """
    return {"type": "plain_text", "text": quoted(escape(text, limit)) or " ", "emoji": False}


def text_message(text: str) -> Block:
    """A message without blocks, for `chat.postMessage`: literal, unless it has a code span to draw."""
    return {"text": escape(text), "mrkdwn": has_code(text)}


def without_buttons(shown: Sequence[object], message: str) -> list[Block]:
    """The blocks of a message, as Slack gives them back, with its outcome in the place of its buttons."""
    kept = [dict(one) for one in shown if isinstance(one, dict) and one.get("type") != "actions"]
    return [*kept[:49], context_block(message)]


def summary(card: Card) -> str:
    """One line: the notification on a phone, and the stand-in where blocks are not drawn."""
    state = card.lines[0] if card.lines else f"{card.severity}, {card.status}"
    return quoted(escape(one_line(f"{state_mark(card)} {card.title} | {state}"), _TEXT))


def text_only(card: Card, called: str = "") -> str:
    """The whole card as literal text, its buttons as commands to type: for when Slack refuses the blocks.

    `called`: mentions of whoever is on call, in Slack's own form.
    """
    typed = [f"{label}: /vakhta {words}" for label, words in card.buttons.items()]
    lines = [f"{state_mark(card)} {one_line(card.title)}", *typed, *filter(None, [card.link]), *card.lines]
    head = f"On call: {called}\n" if called else ""
    return head + quoted(escape("\n".join(lines), _TEXT - len(head)))


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


def one_line(text: str) -> str:
    return " ".join(text.split())


def state_mark(card: Card) -> str:
    """By severity while it is open, by state after that: a phone shows it as the only colour of a card."""
    return _STATE_MARK.get(card.status) or _SEVERITY_MARK[card.severity]


def _sections(lines: tuple[str, ...]) -> Iterator[Block]:
    """Lines, put together while they fit and are of one kind: literal, or with something to draw."""
    held: list[str] = []
    held_marked = False
    for line in lines:
        marked = _marked(line)
        text = marked or quoted(escape(line, _SECTION))
        if not text.strip():
            continue
        if held and (bool(marked) != held_marked or sum(map(len, held)) + len(held) + len(text) > _SECTION):
            yield _section(held, marked=held_marked)
            held = []
        held_marked = bool(marked)
        held.append(text)
    if held:
        yield _section(held, marked=held_marked)


def _section(escaped: list[str], *, marked: bool) -> Block:
    text = "\n".join(escaped)
    return {
        "type": "section",
        "text": mrkdwn(text) if marked else {"type": "plain_text", "text": text, "emoji": False},
    }


def mrkdwn(escaped: str) -> Block:
    """`verbatim`: Slack looks for no names, channels and addresses in it by itself."""
    return {"type": "mrkdwn", "text": escaped, "verbatim": True}


def _marked(line: str) -> str | None:
    """The line with its code spans as code and its web addresses as links that show where they lead.

    None when it has neither, or is too long: then it is drawn as literal text.
    """
    if len(line) > _SECTION or ("http" not in line and "`" not in line):
        return None
    text = clean(line)
    if not has_code(text) and not any(followable(found[0]) for found in _LINK.finditer(text)):
        return None
    pieces = [f"`{escape(piece, _SECTION)}`" if code else with_links(piece) for piece, code in code_spans(text)]
    drawn = "".join(pieces)
    return drawn if len(drawn) <= _SECTION else None


def with_links(text: str) -> str:
    """Escaped, with each web address in angle brackets."""
    pieces: list[str] = []
    end = 0
    for found in _LINK.finditer(text):
        if followable(found[0]):
            pieces += [escape(text[end : found.start()], _SECTION), f"<{escape(found[0], URL_LENGTH)}>"]
            end = found.end()
    return "".join([*pieces, escape(text[end:], _SECTION)])


def followable(url: str) -> bool:
    """Whether it is http(s) with a plain host; `https://bank@evil/` reads as one place and leads to another."""
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError:
        return False
    return split.scheme in {"http", "https"} and bool(host) and url.isascii() and "@" not in split.netloc


def _buttons(card: Card, act: str) -> list[Block]:
    """A command too long for a button's value gets no button: cut, it would be another command."""
    fitting = [(label, words) for label, words in card.buttons.items() if 0 < len(words) <= VALUE_LENGTH]
    row: list[Block] = [
        {"type": "button", "text": plain_text(one_line(label), LABEL_LENGTH), "value": words, "action_id": f"{act}:{n}"}
        for n, (label, words) in enumerate(fitting[:_BUTTONS])
    ]
    if card.link and len(card.link) <= URL_LENGTH and followable(card.link):
        row.append(
            {
                "type": "button",
                "text": plain_text("Open the board", LABEL_LENGTH),
                "url": card.link,
                "action_id": "open",
            }
        )
    return row
