"""A message of Slack as plain text: what `vakhta check --payload` prints of a card. Pure.

Mark-up stays as it is written. Dates stand with their fallback, in UTC, because the reader's zone is not known here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_DATE = re.compile(r"<!date\^[^|>]*\|([^>]*)>")
_MENTION = re.compile(r"<@(\w+)>")


def message_as_text(text: str, blocks: Sequence[Mapping[str, Any]]) -> str:
    """The first line, as a phone's notification shows it, then the card from the top."""
    return "\n".join(_read(line) for line in (f"notification: {text}", *_lines(blocks)))


def _lines(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        if block["type"] == "actions":
            yield " ".join(_button(one) for one in block["elements"])
            continue
        texts = [block["text"]] if "text" in block else block.get("fields") or block.get("elements") or []
        yield from (str(one["text"]) for one in texts)


def _button(button: Mapping[str, Any]) -> str:
    link = f": {button['url']}" if "url" in button else ""
    return f"[{button['text']['text']}{link}]"


def _read(line: str) -> str:
    return html.unescape(_MENTION.sub(r"@\1", _DATE.sub(r"\1", line)))
