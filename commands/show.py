"""show: one incident for a person in a chat: its alerts, what they say, links, who was notified, the last events, runs.

The promise: it is one message in every chat, whatever the alerts contain. Each section has its own limit, and what has
no room is said to be on the board.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Annotated

from bot.chatops.arguments import IncidentNumber
from bot.core import run_state
from bot.core.alert import AlertView
from bot.core.command import CommandContext
from bot.core.incident import Incident
from bot.core.incident_detail import IncidentDetail
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request
from bot.lib.text import spell_at, spell_duration
from bot.notifications.alert_texts import description_of, first_sentence, links_of, name_of, value_of
from bot.notifications.places import cut, telling

#: Characters of a whole answer: Slack's limit is 3900 and Telegram's 4096, escapes counted.
_ROOM = 3500
_TITLE, _DESCRIPTION, _LINE, _RUN, _URL = 250, 600, 180, 300, 240
_DEPENDENCIES = 5
_ALERTS, _MORE_ALERTS, _LABELS, _LINKS, _DESCRIPTION_LINES = 8, 700, 6, 6, 8


@dataclass(frozen=True, kw_only=True)
class ShowArgs:
    incident: Annotated[int, IncidentNumber()]


_MANUAL = Manual(
    topic=Topic.INCIDENTS,
    examples=("show {incident}", "show"),
    details="In an incident's thread the number may be left out.",
)


@dataclass(frozen=True)
class ShowCommand:
    verb: str = "show"
    usage: str = "show <incident>"
    summary: str = "show an incident: alerts, links, who was notified"
    manual: Manual = _MANUAL
    args: type[ShowArgs] = ShowArgs
    read_only: bool = True

    def run(self, request: Request, args: ShowArgs, context: CommandContext) -> Reply:
        one = context.incidents.get(args.incident)
        detail = replace(context.get_detail(one), dependencies=context.catalog.dependencies_in_trouble(one.service))
        return Reply(text=shown(one, detail))


def shown(one: Incident, detail: IncidentDetail) -> str:
    return _fitted(_sections(one, detail), one)


def _sections(one: Incident, detail: IncidentDetail) -> list[list[str]]:
    """The most important first; each is a heading and its lines, or lines alone."""
    return [
        list(_head(one, detail)),
        list(_texts(detail)),
        [cut(line, _LINE) for line in detail.dependencies[:_DEPENDENCIES]],
        list(_alerts(one, detail)),
        list(_links(detail)),
        _headed("Notified:", detail.notified or ("nobody: no chat and no pager is set up",)),
        _headed("Runs:", [cut(run_state.describe_run(run), _RUN) for run in detail.runs]),
        _headed("Last events (UTC):", [f"{spell_at(event.at, detail.now)} {event.text}" for event in detail.events]),
    ]


def _head(one: Incident, detail: IncidentDetail) -> Iterator[str]:
    now = detail.situation
    yield cut(f"#{one.id} {' '.join(one.title.split())}", _TITLE)
    yield cut(f"{now.headword}: {now.holder}", _TITLE)
    since = f"since {spell_at(now.since, detail.now)} UTC"
    if now.resolved_at is not None:
        yield f"{now.count or 'No alerts'}, {since} until {spell_at(now.resolved_at, detail.now)} UTC"
    else:
        yield f"{now.count + ', s' if now.count else 'S'}{since[1:]} ({_age(detail.now - now.since)})"
    yield from (note for note in now.notes if not note.startswith("Runs:"))


def _age(long: timedelta) -> str:
    minutes = long // timedelta(minutes=1) * timedelta(minutes=1)
    return f"{spell_duration(minutes)} ago" if minutes > timedelta(0) else "just now"


def _texts(detail: IncidentDetail) -> Iterator[str]:
    if detail.situation.description:
        lines = filter(str.strip, cut(detail.situation.description, _DESCRIPTION).splitlines())
        yield from islice(lines, _DESCRIPTION_LINES)
    labels = list(detail.situation.facts.items())[:_LABELS]
    if labels:
        yield ", ".join(f"{name}: {value}" for name, value in labels)


def _alerts(one: Incident, detail: IncidentDetail) -> Iterator[str]:
    """What tells each apart; its value and its own text where these differ. One alone is in the head already."""
    shown = detail.alerts
    if len(shown) <= 1:
        return
    told = [text or name_of(alert.labels) for text, alert in _told(detail)]
    texts = [first_sentence(description_of(alert.notes, one.title)) for alert in shown]
    differ = len({_pattern(text, alert) for text, alert in zip(texts, shown, strict=True)}) > 1
    yield "Firing:" if shown[0].firing else "Ended:"
    for alert, name, text in list(zip(shown, told, texts, strict=True))[:_ALERTS]:
        yield cut(f"- {name}{_value(alert)}, {_when(alert, detail)}", _LINE)
        if text and differ:
            yield cut(f"  {text}", _LINE)
    rest = told[_ALERTS:]
    listed = _joined(rest)
    if listed:
        yield f"and {', '.join(listed)}"
    hidden = max(one.firing if shown[0].firing else one.total, len(shown)) - _ALERTS - len(listed)
    if hidden > 0:
        yield f"and {hidden} more"


def _pattern(text: str, alert: AlertView) -> str:
    """The text without what is the alert's own: many rules say the same of each pod."""
    own = {value for value in (*alert.labels.values(), value_of(alert.notes)) if value}
    return re.sub("|".join(map(re.escape, sorted(own, key=len, reverse=True))), "*", text) if own else text


def _told(detail: IncidentDetail) -> list[tuple[str, AlertView]]:
    each = telling([alert.labels for alert in detail.alerts], detail.place_order).each
    return list(zip(each, detail.alerts, strict=True))


def _value(alert: AlertView) -> str:
    value = value_of(alert.notes)
    return f" ({value})" if value else ""


def _when(alert: AlertView, detail: IncidentDetail) -> str:
    if alert.ended_at is not None and not alert.firing:
        return f"ended {spell_at(alert.ended_at, detail.now)}"
    return f"since {spell_at(alert.starts_at, detail.now)}"


def _joined(names: Sequence[str]) -> list[str]:
    """As many of the names as have room in one line."""
    listed: list[str] = []
    for name in names:
        if sum(map(len, listed)) + 2 * len(listed) + len(name) > _MORE_ALERTS:
            break
        listed.append(name)
    return listed


def _links(detail: IncidentDetail) -> Iterator[str]:
    """Each address once; that of another kind of alert with the alert's name. A very long one is for the board."""
    found: dict[str, str] = {}  # address -> label
    names = {name_of(alert.labels) for alert in detail.alerts}
    for alert in detail.alerts:
        for label, url in links_of(alert.labels, alert.notes, alert.link).items():
            if label != "Silence" and len(url) <= _URL:
                found.setdefault(url, f"{label} ({name_of(alert.labels)})" if len(names) > 1 else label)
    for label, url in detail.situation.links.items():  # those of its service are among them
        if label != "Silence" and len(url) <= _URL:
            found.setdefault(url, label)
    yield from (f"{label}: {url}" for url, label in list(found.items())[:_LINKS])
    if detail.link:
        yield f"Board: {detail.link}"


def _headed(heading: str, lines: Sequence[str]) -> list[str]:
    return (
        [heading, *(cut(" ".join(line.split()), _LINE if heading != "Runs:" else _RUN) for line in lines)]
        if lines
        else []
    )


def _fitted(sections: list[list[str]], one: Incident) -> str:
    """All sections in one message: where there is no room, the longest section loses its last lines."""
    cut_off = False
    while sum(map(_cost, (line for section in sections for line in section))) > _ROOM and any(sections[1:]):
        longest = max(sections[1:], key=lambda section: sum(map(_cost, section)))
        longest.pop()
        cut_off = True
    if cut_off:
        sections.append([f"There is more than fits here: the board has all of #{one.id}."])
    return "\n\n".join("\n".join(section) for section in sections if section)


def _cost(line: str) -> int:
    """What a chat counts of it: UTF-16 units, and the escapes of characters that are mark-up."""
    return len(line.encode("utf-16-le", "surrogatepass")) // 2 + 4 * sum(map(line.count, "&<>@")) + 1


command = ShowCommand()
