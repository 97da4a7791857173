"""The JSON of PagerDuty's events, and of its answers to them: pure functions of the channel `pagerduty`.

All texts are untrusted. Texts out are cut to PagerDuty's limits, without invisible characters, and with code spans in
quotes, because PagerDuty shows no mark-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from bot.core.incident import Event, EventType, without_what
from bot.core.message import Notification
from bot.lib.code_spans import quoted
from bot.lib.open_links import can_open
from bot.notifications.alert_texts import name_of
from bot.notifications.places import PLACE_ORDER, placed_labels, where

#: Whoever is woken a second time is told why in the line that their phone shows.
_WITH_REASON = frozenset({EventType.REOPENED, EventType.PAGED_AGAIN, EventType.SEVERITY_RAISED})
_REASON_MOST = 300

_SUMMARY_MOST = 1024  # PagerDuty's own limit, in characters.
_TEXT_MOST, _NAME_MOST = 500, 100
_DESCRIPTION_MOST = 1500
#: Ours: two times so many pairs stay below the 512 KB of an event even if each character is escaped.
_PAIRS_MOST = 30
#: Labels that name a part of a system, and those that name what it is a part of.
_COMPONENTS = ("deployment", "statefulset", "daemonset", "job_name", "service", "job")
_GROUPS = ("cluster", "namespace")
_RETRY_AFTER = timedelta(seconds=30)  # PagerDuty's documentation advises it after a 429 that names no time.
_RETRY_AFTER_MOST = timedelta(hours=24)  # Told as it is; a page is tried again within a minute all the same.

#: Control characters, lone surrogates, and marks that change the direction of the text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def text_of(whole: object, name: str) -> str:
    text = whole.get(name) if isinstance(whole, dict) else None
    return text if isinstance(text, str) else ""


def page_payload(notification: Notification, event: Event) -> dict[str, Any]:
    """The body of a trigger, beside its dedup_key. Field names are those of PagerDuty's Common Event Format."""
    incident, link = notification.incident, notification.card.link
    payload = {
        "summary": _summary(notification, event),
        "severity": incident.severity.value,
        "timestamp": event.at.isoformat(timespec="milliseconds"),
        **_where(notification),
        "custom_details": _details(notification, event),
    }
    shown = notification.card.situation.links if notification.card.situation else {}
    links = [{"href": url, "text": label} for label, url in shown.items()]
    if not can_open(link):
        return {"payload": payload, "client": "Vakhta"} | ({"links": links} if links else {})
    links.append({"href": link, "text": f"Incident {incident.id}"})
    return {"payload": payload, "client": "Vakhta", "client_url": link, "links": links}


def _where(notification: Notification) -> dict[str, str]:
    """PagerDuty's own fields for the place, by which its people filter and route.

    source: what is affected, as narrow as it is known, by the settings' order; component: the service; group: the
    cluster or namespace; class: the alert's name.
    """
    incident, alerts = notification.incident, notification.alerts
    labels = alerts[0].labels if alerts else {}
    placed = placed_labels(labels)
    component = incident.service or next((placed[name] for name in _COMPONENTS if name in placed), "")
    fields = {
        "source": where(labels, notification.place_order or PLACE_ORDER) or incident.service or incident.source,
        "component": component,
        "group": "/".join(placed[name] for name in _GROUPS if name in placed) or incident.source,
        "class": name_of(labels, incident.key) if labels else "",
    }
    shown = {name: _shown(text, _TEXT_MOST) for name, text in fields.items()}
    return {name: text for name, text in shown.items() if text} | {"source": shown["source"] or "vakhta"}


def _summary(notification: Notification, event: Event) -> str:
    """What and where, how many where there are several, and why it pages again where it does.

    A person's page has no alert: its service says where.
    """
    incident = notification.incident
    count = f" ({incident.firing} firing)" if incident.firing > 1 else ""
    title = notification.summary or incident.title
    if not incident.total and incident.service and incident.service not in title:
        title = f"{incident.service}: {title}"
    state = ""
    if event.type in _WITH_REASON:
        state = f". {_shown(without_what(event.text, incident.title), _REASON_MOST)}"
    shown = _shown(title, _SUMMARY_MOST - len(count) - len(state))
    if state or count:
        shown = shown.rstrip(".")
    return (shown or "(no title)") + count + state


def _details(notification: Notification, event: Event) -> dict[str, Any]:
    incident = notification.incident
    situation = notification.card.situation
    details: dict[str, Any] = {
        "incident": incident.id,
        "title": _shown(incident.title, _TEXT_MOST),
    }
    if not event.text.startswith(incident.title):
        details["what happened"] = _shown(event.text, _TEXT_MOST)
    if incident.total:
        details |= {"firing": incident.firing, "alerts so far": incident.total}
    if incident.truncated:
        details["alerts not sent by the source"] = incident.truncated
    if situation is None:
        return details | {"lines": [_shown(line, _TEXT_MOST) for line in notification.card.lines[:_PAIRS_MOST]]}
    if situation.description:
        details["description"] = _shown(situation.description, _DESCRIPTION_MOST)
    if situation.alerts:
        told = [f"{one.text} ({one.value})" if one.value else one.text for one in situation.alerts]
        details["alerts"] = [_shown(text, _TEXT_MOST) for text in told]
    if situation.owner:
        details["owner"] = _shown(situation.owner, _TEXT_MOST)
    if situation.on_call:
        details["on call"] = [_shown(one.name, _TEXT_MOST) for one in situation.on_call]
    if notification.alerts:
        details["labels"] = _pairs(notification.alerts[0].labels)
        details["annotations"] = _pairs(notification.alerts[0].notes)
    return details


def _pairs(texts: Mapping[str, str]) -> dict[str, str]:
    """Of the alert that names the incident, within bounds; secrets were taken out when it was received."""
    pairs = islice(texts.items(), _PAIRS_MOST)
    return {_shown(name, _NAME_MOST): _shown(text, _TEXT_MOST) for name, text in pairs}


def _shown(text: str, most: int) -> str:
    """For a field of a page: on one line, with code spans in quotes."""
    return quoted(one_line(text, most))


def one_line(text: str, most: int) -> str:
    """At most `most` characters, without invisible ones; cut with an ellipsis."""
    line = " ".join(_INVISIBLE.sub("", text).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def retry_after(headers: Mapping[str, str]) -> timedelta:
    seconds = headers.get("Retry-After", "").strip()
    if not (seconds.isascii() and seconds.isdigit()):
        return _RETRY_AFTER
    return min(timedelta(seconds=int(seconds[:9])), _RETRY_AFTER_MOST)


def is_own_answer(answer: Any) -> bool:
    """Whether PagerDuty gave it: the Events API answers with a status or errors, the REST API with an error."""
    body = _json(answer)
    return isinstance(body, dict) and (
        isinstance(body.get("status"), str)
        or isinstance(body.get("errors"), list)
        or isinstance(body.get("error"), dict)
    )


def error_text(answer: Any) -> str:
    """PagerDuty's own explanation: its message and errors where it sent those, else the beginning of the body."""
    body = _json(answer)
    if body is None:
        return one_line(answer.text[:2000], 200) or "no text"
    errors = body.get("errors") if isinstance(body, dict) else None
    listed = [str(one) for one in errors] if isinstance(errors, list) else []
    return one_line(" ".join([text_of(body, "message"), *listed]), 300) or "no text"


def _json(answer: Any) -> object:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None
