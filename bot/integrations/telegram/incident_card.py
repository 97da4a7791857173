"""The card of an incident as a Telegram message: what an engineer who was asleep needs first comes first.

The first line is what a phone's notification shows: how bad, what, where. Each part is cut for itself, and a part that
no longer fits is left out whole, the description first, so that the rest is never cut in the middle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from bot.core.incident import Incident, Status
from bot.core.message import Card, Contact, Situation
from bot.integrations.telegram.html import (
    ICONS,
    STATUS_ICONS,
    TEXT_UNITS,
    TelegramText,
    clean,
    cut,
    escape,
    one_line,
    render_buttons,
    render_card,
    render_links,
    render_text,
    utf16_length,
    with_code,
)
from bot.lib.code_spans import quoted
from bot.lib.text import spell_duration

_TITLE_UNITS, _STATE_UNITS, _LINE_UNITS, _NAME_UNITS, _DESCRIPTION_UNITS = 280, 300, 200, 60, 900
_WHAT_UNITS = 100
_FOLDED = 240  #: units of a description from which on it is folded

_Part = tuple[str, str]  #: the same as HTML and as plain text


def render_incident(card: Card, situation: Situation, *, mention: bool) -> TelegramText:
    """`mention`: whoever is on call and has an account here is mentioned, which makes their phone ring."""
    icon = STATUS_ICONS.get(card.status) or ICONS[card.severity]
    title = quoted(cut(one_line(f"{icon} {situation.headword} {card.title}"), _TITLE_UNITS))
    parts: list[_Part] = [(f"<b>{escape(title)}</b>", title), _state(situation, mention=mention)]
    parts += [_line(line) for line in _times(card, situation)]
    body = [*_facts(situation), *_alerts(card, situation), *map(_line, situation.notes)]
    description = _description(situation.description) if card.status is not Status.RESOLVED else None
    room = TEXT_UNITS - sum(utf16_length(plain) + 1 for _, plain in (*parts, *body))
    if description and utf16_length(description[1]) < room:
        parts.append(description)
    for part in body:
        parts += [part] if _fits([*parts, part]) else []
    return TelegramText(html="\n".join(html for html, _ in parts), plain="\n".join(plain for _, plain in parts))


def render_line(incident: Incident, message: str) -> TelegramText:
    """A line of the timeline, behind state, what and where: a phone's notification does not show what it replies to."""
    icon = STATUS_ICONS.get(incident.status) or ICONS[incident.severity]
    what = cut(one_line(incident.title.partition(": ")[0]), _WHAT_UNITS)
    return render_text(f"{icon} #{incident.id} {what}: {message}")


def card_as_text(card: Card) -> str:
    """The message as plain text, its buttons in brackets below."""
    text = render_incident(card, card.situation, mention=True) if card.situation else render_card(card)
    rows = [*render_buttons(card), *render_links(card)]
    return "\n".join([text.plain, *(" ".join(f"[{label}]" for label, _ in row) for row in rows)])


def _fits(parts: Iterable[_Part]) -> bool:
    return sum(utf16_length(plain) + 1 for _, plain in parts) <= TEXT_UNITS


def _line(text: str) -> _Part:
    line = cut(one_line(text), _LINE_UNITS)
    return with_code(line), quoted(line)


def _state(situation: Situation, *, mention: bool) -> _Part:
    plain = quoted(cut(one_line(situation.holder), _STATE_UNITS))
    html = escape(plain)
    for contact in situation.on_call if mention else ():
        html = html.replace(escape(one_line(contact.name)), _mention(contact), 1) if _has_account(contact) else html
    return html, plain


def _has_account(contact: Contact) -> bool:
    return contact.account.isascii() and contact.account.isdecimal() and bool(one_line(contact.name))


def _mention(contact: Contact) -> str:
    return f'<a href="tg://user?id={contact.account}">{escape(one_line(contact.name))}</a>'


def _times(card: Card, situation: Situation) -> Iterator[str]:
    count = f"{situation.count}, " if situation.count and card.status is not Status.RESOLVED else ""
    if situation.resolved_at and card.status is Status.RESOLVED:
        lasted = spell_duration(situation.resolved_at - min(situation.since, situation.resolved_at))
        yield f"{_at(situation.since)} to {_at(situation.resolved_at)}, {lasted}"
        return
    yield f"{count}since {_at(situation.since)}"
    if situation.acknowledged_at:
        yield f"Acknowledged {_at(situation.acknowledged_at)}"


def _at(moment: datetime) -> str:
    return f"{moment:%-d %b %H:%M} UTC"


def _description(text: str) -> _Part | None:
    plain = quoted(cut(clean(text).strip(), _DESCRIPTION_UNITS))
    if not plain:
        return None
    fold = " expandable" if utf16_length(plain) > _FOLDED else ""
    return f"<blockquote{fold}>{escape(plain)}</blockquote>", plain


def _facts(situation: Situation) -> Iterator[_Part]:
    """A label's value as code: a tap copies it."""
    for name, value in situation.facts.items():
        label, text = (part.replace("`", "'") for part in (one_line(name), one_line(value)))
        label, text = cut(label, _NAME_UNITS), cut(text, _LINE_UNITS)
        if label and text:
            yield f"{escape(label)}: <code>{escape(text)}</code>", f"{label}: {text}"


def _alerts(card: Card, situation: Situation) -> Iterator[_Part]:
    for one in situation.alerts:
        yield _line(f"• {one.text}{f' ({one.value})' if one.value else ''}")
    if situation.more:
        yield _line(f"and {situation.more} more: `show {card.title.partition(' ')[0].lstrip('#')}`")
