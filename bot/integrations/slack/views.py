"""What Slack calls views, which are not messages: the Home tab and forms. One holds 100 blocks and 250 KB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from bot.core.form import Form, FormField
from bot.core.request import Reply
from bot.integrations.slack.blocks import Block, blocks, context_block, escape, paragraphs, plain_text, reply_message
from bot.integrations.slack.payloads import MINE

View = dict[str, object]

#: Characters of one of the two parts of a Home tab. JSON writes a letter of most scripts in six bytes.
_MOST_TEXT = 20_000
_BLOCKS, _HEAD = 100, 4
#: Characters of a title, of a label or hint, of an option, of what may be typed; and how many options.
_TITLE, _LONG, _OPTION, _TYPED, _OPTIONS = 24, 2000, 75, 3000, 100
FILLED = "filled"  #: the action id of every blank


def home_view(found: Reply, answer: Reply | None, *, at: datetime) -> View:
    """`found`: what is somebody's, or why it is not shown. `answer`: to a button that they pressed, on top."""
    proposal: list[Block] = [*_drawn(answer), {"type": "divider"}] if answer else []
    foot = context_block(f"As of {at:%Y-%m-%d %H:%M} UTC. Open this tab again to see it anew.")
    return {"type": "home", "blocks": [*proposal, *_drawn(found), foot]}


def modal_view(wanted: Form, callback: str, kept: str) -> View:
    """A modal whose block ids are the names of the blanks. `kept`: comes back with what was filled in."""
    head = paragraphs("\n".join((f"{wanted.summary}.", *wanted.limits)))
    return {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": kept,
        "title": plain_text(wanted.verb, _TITLE),
        "submit": plain_text("Send", _TITLE),
        "close": plain_text("Cancel", _TITLE),
        "blocks": [*head[:_HEAD], *map(_input, wanted.fields[: _BLOCKS - _HEAD])],
    }


def _input(blank: FormField) -> Block:
    hint = {"hint": plain_text(blank.hint, _LONG)} if blank.hint else {}
    return {
        "type": "input",
        "block_id": blank.name,
        "label": plain_text(blank.label, _LONG),
        "optional": blank.optional,
        "element": _select(blank) if _is_choosable(blank) else _line(blank),
        **hint,
    }


def _is_choosable(blank: FormField) -> bool:
    """More choices than Slack shows, or longer ones, are typed."""
    fit = all(len(escape(one)) <= _OPTION for one in blank.choices)
    return 0 < len(blank.choices) <= _OPTIONS and fit


def _select(blank: FormField) -> Block:
    options = [{"text": plain_text(one, _OPTION), "value": one} for one in blank.choices]
    return {"type": "static_select", "action_id": FILLED, "options": options}


def _line(blank: FormField) -> Block:
    most = {"max_length": min(blank.max_length, _TYPED)} if blank.max_length else {}
    return {"type": "plain_text_input", "action_id": FILLED, "multiline": blank.multiline, **most}


def _drawn(reply: Reply) -> list[Block]:
    """At most 48 blocks."""
    card = reply_message(reply)
    if card is None:
        return paragraphs("\n".join(_fitting(reply.text.splitlines())))
    return blocks(replace(card, lines=tuple(_fitting(card.lines))), MINE)


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many of them as there is room for."""
    lengths = accumulate(map(len, lines))
    kept = [line for line, length in zip(lines, lengths, strict=True) if length <= _MOST_TEXT]
    return kept if len(kept) == len(lines) else [*kept, "There is more than fits here; say `home` in a message."]
