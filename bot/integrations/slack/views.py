"""Slack's views, which are not messages: the Home tab and modals. A view holds at most 100 blocks and 250 KB."""

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
#: Characters of a title, of a label or hint, of an option, of a typed value; and the number of options.
_TITLE, _LONG, _OPTION, _TYPED, _OPTIONS = 24, 2000, 75, 3000, 100
FILLED = "filled"  #: the action id of every input


def home_view(found: Reply, answer: Reply | None, *, at: datetime) -> View:
    """`found`: the reply to `home`, or a refusal. `answer`: the reply to a button that they pressed, shown on top."""
    head: list[Block] = [*_blocks_of(answer), {"type": "divider"}] if answer else []
    foot = context_block(f"As of {at:%Y-%m-%d %H:%M} UTC. Open this tab again to refresh it.")
    return {"type": "home", "blocks": [*head, *_blocks_of(found), foot]}


def modal_view(wanted: Form, callback: str, kept: str) -> View:
    """A modal whose block ids are the names of the fields. `kept`: Slack sends it back with the submission."""
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


def _input(field: FormField) -> Block:
    hint = {"hint": plain_text(field.hint, _LONG)} if field.hint else {}
    return {
        "type": "input",
        "block_id": field.name,
        "label": plain_text(field.label, _LONG),
        "optional": field.optional,
        "element": _select(field) if _is_choosable(field) else _line(field),
        **hint,
    }


def _is_choosable(field: FormField) -> bool:
    """Whether Slack can offer the choices; more of them, or longer ones, have to be typed."""
    fit = all(len(escape(one)) <= _OPTION for one in field.choices)
    return 0 < len(field.choices) <= _OPTIONS and fit


def _select(field: FormField) -> Block:
    options = [{"text": plain_text(one, _OPTION), "value": one} for one in field.choices]
    return {"type": "static_select", "action_id": FILLED, "options": options}


def _line(field: FormField) -> Block:
    limit = {"max_length": min(field.max_length, _TYPED)} if field.max_length else {}
    return {"type": "plain_text_input", "action_id": FILLED, "multiline": field.multiline, **limit}


def _blocks_of(reply: Reply) -> list[Block]:
    """At most 48 blocks."""
    card = reply_message(reply)
    if card is None:
        return paragraphs("\n".join(_fitting(reply.text.splitlines())))
    return blocks(replace(card, lines=tuple(_fitting(card.lines))), MINE)


def _fitting(lines: Sequence[str]) -> list[str]:
    """As many lines as there is room for."""
    lengths = accumulate(map(len, lines))
    more = "There is more than fits here. For all of it, send `home` to the bot in a direct message."
    kept = [line for line, length in zip(lines, lengths, strict=True) if length <= _MOST_TEXT]
    return kept if len(kept) == len(lines) else [*kept, more]
