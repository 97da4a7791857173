"""The card of an incident as Slack's blocks, arranged for a phone; and the first line, as its notification cuts it.

The header says what and where, behind a mark that differs by severity while the incident is open, and by state after
that. Then come state, holder and time, what the sender says, the labels, the alerts, and the buttons at the end, where
a channel that is opened on a phone shows them. Each untrusted text is a text object of its own, so that no mark-up in
it reaches another.

There is no coloured bar: it needs `attachments`, whose blocks a phone folds behind "Show more", and which stay when an
update forgets to empty them. The trap: a mention notifies wherever it stands, so only `mentions` makes one, and only
for the first message of an incident (docs/slack-cards.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from bot.core.incident import Incident, Status, what_of, without_what
from bot.core.message import AlertSummary, Card, Contact, Situation
from bot.integrations.slack.blocks import (
    LABEL_LENGTH,
    URL_LENGTH,
    VALUE_LENGTH,
    Block,
    clean,
    context_block,
    escape,
    followable,
    mrkdwn,
    one_line,
    plain_text,
    state_mark,
    with_links,
)
from bot.integrations.slack.payloads import SAY
from bot.lib.code_spans import quoted
from bot.lib.text import spell_duration, spell_list, spell_moment

#: What a phone's notification shows; the place and the holder fit into it.
_FIRST_LINE, _LEAST_WHAT = 100, 60
_HEADER, _FIELDS, _FACT, _ALERT, _SENTENCE, _DESCRIPTION, _NOTES = 150, 10, 120, 90, 300, 600, 5
_DESCRIPTION_LINES = 10
_CONFIRM_TITLE, _CONFIRM_TEXT = 100, 300
_BUTTONS = 25
_CONTACTS = 10
_WHO = 300
_LAST_TIMESTAMP = 2**32
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_ACCOUNT = re.compile(r"[UW][A-Z0-9]{1,30}")
_ON_CALL = "; on call: "  #: as the text of the holder has it, before the names


def incident_blocks(card: Card, told: Situation, number: int, *, call: bool = False) -> list[Block]:
    """`number`: the incident's; `call`: mention whoever is on call."""
    what = _squeezed(what_and_where(card), _HEADER - 2)
    head: Block = {"type": "header", "text": plain_text(f"{state_mark(card)} {what}", _HEADER)}
    if card.status is Status.RESOLVED:
        return [head, *_ended(told), *_links(card, {})]
    return [
        head,
        _section(_state(card, told, call=call)),
        *_said(told),
        *_facts(told),
        *_alerts(told, number),
        *(context_block(note) for note in told.notes[:_NOTES]),
        *_acts(card),
        *_links(card, told.links),
    ]


def first_line(card: Card, told: Situation) -> str:
    """Severity and state, what and where, who has it, and then what happens, where the phone may cut."""
    head = f"{state_mark(card)} {told.headword}"
    who = told.holder.partition(_ON_CALL)[0]
    if card.status is Status.RESOLVED:
        who = f"{_by(told)}{_lasted(told)}"
    room = max(_LEAST_WHAT, _FIRST_LINE - len(head) - len(who) - 4)
    parts = [f"{head} {_squeezed(what_and_where(card), room)}", who, told.summary]
    return quoted(escape(" · ".join(one_line(part) for part in parts if part)))


def line_notice(incident: Incident, card: Card, line: str) -> str:
    """A line of the thread, behind state, what and where."""
    what = what_of(incident.title) if incident.total else ""
    what = one_line(what if " " in what else incident.title)  # a title of a template may begin in another way
    head = f"{state_mark(card)} #{incident.id} {_squeezed(what, _LEAST_WHAT)}"
    return quoted(escape(f"{head} · {one_line(without_what(line, incident.title))}"))


def mentions(contacts: Sequence[Contact]) -> str:
    """Whoever is on call: a mention where they have an account, else the name."""
    return spell_list(
        (
            f"<@{one.account}>" if _ACCOUNT.fullmatch(one.account) else escape(one_line(one.name), LABEL_LENGTH)
            for one in contacts[:_CONTACTS]
        ),
        "and",
    )


def what_and_where(card: Card) -> str:
    """The title without the sentence at its end."""
    summary = card.situation.summary if card.situation else ""
    title, begins = one_line(card.title), f": {one_line(summary)[:12]}"
    return title[: title.rindex(begins)] if summary and begins in title else title or "(no title)"


def _state(card: Card, told: Situation, *, call: bool) -> str:
    who, _, named = told.holder.partition(_ON_CALL)
    word, paren, severity = told.headword.partition(" (")
    lines = [f"*{escape(word)}*{paren}{escape(severity)} · {escape(who, _WHO)}"]
    if card.status is Status.ACKED and told.acknowledged_at:
        lines[0] += f" since {_date(told.acknowledged_at)}"
    if named:
        lines.append(f"On call: {mentions(told.on_call) if call else escape(named, _WHO)}")
    lines.append(" · ".join(filter(None, [f"Began {_date(told.since)}", escape(told.count, _WHO)])))
    return "\n".join(lines)


def _ended(told: Situation) -> Iterator[Block]:
    """What happened, how long it lasted, and who ended it."""
    word, paren, severity = told.headword.partition(" (")
    ended = f", ended {_date(told.resolved_at)}" if told.resolved_at else ""
    lines = [
        f"*{escape(word)}*{paren}{escape(severity)} {escape(_by(told), _WHO)}{_lasted(told)}",
        f"Began {_date(told.since)}{ended}",
    ]
    if told.summary:
        lines.insert(1, escape(one_line(told.summary), _SENTENCE))
    yield _section("\n".join(lines))
    yield from (context_block(note) for note in told.notes[:_NOTES])


def _by(told: Situation) -> str:
    """ "by Ana", behind a word that says already that it is resolved."""
    return told.holder.removeprefix("resolved ")


def _lasted(told: Situation) -> str:
    """ " after 1 h 5 min"; nothing finer than a minute once it is more than one."""
    if told.resolved_at is None or told.resolved_at < told.since:
        return ""
    lasted = told.resolved_at - told.since
    return f" after {spell_duration(lasted - lasted % _MINUTE if lasted > _MINUTE else lasted)}"


def _said(told: Situation) -> Iterator[Block]:
    """The sentence of the title, and the description as a quotation."""
    if told.summary and not one_line(told.description).startswith(one_line(told.summary)):
        yield {"type": "section", "text": plain_text(one_line(told.summary), _SENTENCE)}
    lines = [line for line in clean(told.description).splitlines() if line.strip()]
    shown = "\n".join(lines[:_DESCRIPTION_LINES])
    if len(shown) > _DESCRIPTION or len(lines) > _DESCRIPTION_LINES:
        shown = shown[:_DESCRIPTION].rstrip() + "…"
    quotation = "\n".join(f"> {with_links(line)}" for line in shown.splitlines())
    if quotation:
        yield _section(quotation)


def _facts(told: Situation) -> Iterator[Block]:
    """As code: a value is an identifier, and in code no mark-up of its own is drawn."""
    fields = [mrkdwn(f"*{escape(one_line(name), _FACT)}:* {_code(value, _FACT)}") for name, value in told.facts.items()]
    if fields:
        yield {"type": "section", "fields": fields[:_FIELDS]}


def _alerts(told: Situation, number: int) -> Iterator[Block]:
    lines = [_alert(one) for one in told.alerts]
    if told.more:
        lines.append(f"and {told.more} more: `show {number}`")
    if lines:
        yield _section("\n".join(lines))


def _alert(alert: AlertSummary) -> str:
    value = f" {escape(one_line(alert.value), _ALERT)}" if alert.value else ""
    return f"• {_code(alert.text, _ALERT)}{value}"


def _acts(card: Card) -> Iterator[Block]:
    """A command too long for a button's value gets no button: cut, it would be another command."""
    row = [
        _button(card, label, words) | {"action_id": f"{SAY}:{number}"}
        for number, (label, words) in enumerate(card.buttons.items())
        if 0 < len(words) <= VALUE_LENGTH
    ]
    if row:
        yield {"type": "actions", "elements": row}


def _button(card: Card, label: str, words: str) -> Block:
    button: Block = {"type": "button", "text": plain_text(one_line(label), LABEL_LENGTH), "value": words}
    if label == card.primary:
        button["style"] = "primary"
    if label in card.confirm:
        button["confirm"] = {
            "title": plain_text(f"{label}?", _CONFIRM_TITLE),
            "text": plain_text(card.confirm[label], _CONFIRM_TEXT),
            "confirm": plain_text(label, 30),
            "deny": plain_text("Cancel", 30),
            "style": "danger",
        }
    return button


def _links(card: Card, links: Mapping[str, str]) -> Iterator[Block]:
    """The links of the alert, then the board."""
    shown = {**links, "Open the board": card.link}
    fitting = {label: url for label, url in shown.items() if 0 < len(url) <= URL_LENGTH and followable(url)}
    row: list[Block] = [
        {"type": "button", "text": plain_text(one_line(label), LABEL_LENGTH), "url": url, "action_id": f"open:{place}"}
        for place, (label, url) in enumerate(fitting.items())
    ]
    if row:
        yield {"type": "actions", "elements": row[:_BUTTONS]}


def _section(text: str) -> Block:
    return {"type": "section", "text": mrkdwn(text)}


def _code(text: str, most: int) -> str:
    """As code, in one line; a backtick in it would end the span."""
    shown = one_line(clean(text).replace("`", "'"))
    return f"`{escape(shown, most)}`" if shown else "-"


def _date(moment: datetime) -> str:
    """In the reader's time; Slack takes no moment before 1970."""
    stamp = int(moment.timestamp())
    fallback = spell_moment(moment)
    return f"<!date^{stamp}^{{date_short_pretty}} {{time}}|{fallback}>" if 0 < stamp < _LAST_TIMESTAMP else fallback


def _squeezed(text: str, most: int) -> str:
    """Without its middle where it is too long: its end tells it from others."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 5
    return f"{text[:head]}…{text[head + 1 - most :]}"
