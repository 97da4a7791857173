"""Commands and names in messages, written between backticks: "Say `ack 42`." Pure.

Each channel draws such a span in its own way, and where it has no mark-up the span stands in quotes: a literal
backtick is noise to most people. The trap: an alert may hold backticks as well, so a span proves nothing about who
wrote it, and both its parts are still escaped by the channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: One pair on one line. Two or three backticks in a row are somebody's Markdown and stay as they are. Any text counts
#: between a pair, also blanks: so the backticks that are left cannot pair up with each other.
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def code_spans(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, each with whether it is code; the backticks of a code piece are left out."""
    end = 0
    for found in _SPAN.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], False
        yield found[1], True
        end = found.end()
    if end < len(text):
        yield text[end:], False


def has_code(text: str) -> bool:
    """Whether any piece of it is code."""
    return _SPAN.search(text) is not None


def quoted(text: str) -> str:
    """For a place without mark-up: each code span in quotes. The length stays the same."""
    return "".join(_quotes(piece) if is_code else piece for piece, is_code in code_spans(text))


def _quotes(code: str) -> str:
    mark = "'" if '"' in code else '"'
    return f"{mark}{code}{mark}"
