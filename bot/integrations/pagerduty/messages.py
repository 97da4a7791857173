"""The JSON of PagerDuty's events, and of its answers to them: pure functions of the channel `pagerduty`.

All texts are untrusted. Texts out are cut to PagerDuty's limits, without invisible characters, and with code spans in
quotes, because PagerDuty shows no mark-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.incident import Event, EventType, Incident
from bot.core.message import Notification
from bot.lib.code_spans import quoted

#: Whoever is woken a second time is told why in the line that their phone shows.
_WITH_REASON = frozenset({EventType.REOPENED, EventType.PAGED_AGAIN})
_REASON_MOST = 300

_SUMMARY_MOST = 1024  # PagerDuty's own limit, in characters.
_TEXT_MOST = 500  # Ours: 36 such texts stay below the 512 KB of an event even if each character is escaped.
_LINES_MOST = 30
_RETRY_AFTER = timedelta(seconds=30)  # PagerDuty's documentation advises it after a 429 that names no time.
_RETRY_AFTER_MOST = timedelta(minutes=10)  # One broken header must not delay a page for a day.

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
        "summary": _summary(incident, event),
        "source": _shown(incident.service or incident.source, _TEXT_MOST) or "vakhta",
        "severity": incident.severity.value,
        "timestamp": event.at.isoformat(timespec="milliseconds"),
        "group": _shown(incident.source, _TEXT_MOST),
        "custom_details": _details(notification, event),
    }
    if incident.service:
        payload["component"] = _shown(incident.service, _TEXT_MOST)
    if not link.startswith(("https://", "http://")):
        return {"payload": payload, "client": "Vakhta"}
    links = [{"href": link, "text": f"Incident {incident.id}"}]
    return {"payload": payload, "client": "Vakhta", "client_url": link, "links": links}


def _summary(incident: Incident, event: Event) -> str:
    states = {EventType.REOPENED: "reopened, ", EventType.SEVERITY_RAISED: f"now {incident.severity.value}, "}
    states[EventType.PAGED_AGAIN] = "paged again, "
    state = f": {states.get(event.type, '')}{incident.firing} firing"
    if event.type in _WITH_REASON:
        state += f". {_shown(event.text, _REASON_MOST)}"
    return (_shown(incident.title, _SUMMARY_MOST - len(state)) or "(no title)") + state


def _details(notification: Notification, event: Event) -> dict[str, Any]:
    incident = notification.incident
    details: dict[str, Any] = {
        "incident": incident.id,
        "title": _shown(incident.title, _TEXT_MOST),
        "what happened": _shown(event.text, _TEXT_MOST),
        "firing": incident.firing,
        "alerts so far": incident.total,
        "lines": [_shown(line, _TEXT_MOST) for line in notification.card.lines[:_LINES_MOST]],
    }
    if incident.truncated:
        details["alerts not sent by the source"] = incident.truncated
    return details


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
