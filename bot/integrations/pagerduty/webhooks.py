"""PagerDuty's webhooks v3: read, and turned into the command that a person would type. Pure.

All texts are untrusted, and only fields of the expected type are used. The traps: a merge looks like a resolution by
the person who merged, and the events of our own integration come back as webhooks too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.integrations.pagerduty.messages import one_line, text_of

#: Events, by their type without "incident.", that a verb says: the verb, and what follows the incident's number.
_VERBS = {
    "acknowledged": ("ack", ""),
    "resolved": ("resolve", ""),
    "reopened": ("reopen", "because reopened in PagerDuty"),
}
#: Events that change nothing here and are told.
_REMARKS = frozenset({"annotated", "priority_updated", "merged"})
_ASSIGNED = frozenset({"reassigned", "escalated", "delegated"})
_HEARD = _VERBS.keys() | _REMARKS - {"merged"} | _ASSIGNED | {"unacknowledged"}
#: What events of an integration can do.
_STATES = frozenset({"acknowledged", "resolved"})
_MERGED = "merge_resolve_reason"
_NAMED_MOST = 5  # People in one line of a timeline.
_NAME_MOST = 100
_NOTE_MOST = 4000
_BODY_MOST = 256 * 1024  # PagerDuty drops a webhook above this itself, so a genuine one is never longer.

_PD_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PagerDutyWebhook:
    """One webhook that may concern us."""

    what: str  #: the event's type without "incident.", or "merged"
    idempotency_key: str
    sent_at: datetime | None  #: None where it is missing or not readable
    key: str  #: the dedup_key, "" where it is missing
    pd_incident: str  #: PagerDuty's id of its incident, "" where it is not readable
    account: str  #: the user's id, "" for automation
    display_name: str
    #: An event of the integration did it: ours, or that of a sender beside us. Its cause is known here already.
    is_echo: bool = False
    note: str = ""  #: of an annotation, on one line
    assignees: tuple[tuple[str, str], ...] = ()  #: the users' ids and names, for whom it is now
    policy: str = ""  #: the name of the escalation policy
    priority: str = ""  #: "" when it has none
    merged_into: str = ""  #: the incident that goes on, as people are shown it

    def command(self, incident_id: int, assignees: Sequence[str], assigned: str | None) -> str:
        """What a person would type here for it.

        Args:
            assignees: their names as they are called here.
            assigned: the id of the person here who has to acknowledge it now; None where that is not one person, or
                nobody who is known here.
        """
        if self.what in _VERBS:
            verb, rest = _VERBS[self.what]
        elif self.what == "unacknowledged":
            verb, rest = "unack", "" if self.account else "because the acknowledgement in PagerDuty timed out"
        elif self.what in _REMARKS:
            verb, rest = "note", self._remark()
        else:
            verb, rest = "assign" if assigned else "unack", f"because {self._assignment(assignees)}"
        about = f"{incident_id} {assigned}" if verb == "assign" else str(incident_id)
        return f"{verb} {about} {rest}".strip()

    def _remark(self) -> str:
        if self.what == "annotated":
            return self.note
        if self.what == "merged":
            goes_on = "This incident is not resolved by that: its page goes on there."
            return f"merged the page in PagerDuty into {self.merged_into}. {goes_on}"
        return f"set the priority in PagerDuty to {self.priority}" if self.priority else "removed PagerDuty's priority"

    def _assignment(self, assignees: Sequence[str]) -> str:
        more = [f"{len(assignees) - _NAMED_MOST} more"] if len(assignees) > _NAMED_MOST else []
        whom = ", ".join([*assignees[:_NAMED_MOST], *more]) or "nobody by name"
        if self.what == "delegated" and self.policy:
            whom = f"the escalation policy {self.policy} ({whom})"
        late = "" if self.account or self.what != "escalated" else ", because nobody acknowledged it in time"
        return f"{self.what} in PagerDuty to {whom}{late}"


def parse_webhook(body: bytes) -> PagerDutyWebhook | str:
    """A genuine webhook, or one word on why it is ignored.

    Shape: https://developer.pagerduty.com/docs/webhooks-overview (webhook payload).
    """
    if len(body) > _BODY_MOST:
        return "too_big"
    try:
        event = _part(json.loads(body), "event")
    except (ValueError, RecursionError):
        return "unreadable"
    subject, _, what = text_of(event, "event_type").partition(".")
    if subject != "incident" or what not in _HEARD:
        return "other_event"
    data = _part(event, "data")
    if text_of(event, "resource_type") != "incident" or not data:
        return "other_resource"
    note = one_line(text_of(data, "content"), _NOTE_MOST) if what == "annotated" else ""
    if what == "annotated" and not note:
        return "empty_note"
    agent, incident = _part(event, "agent"), _part(data, "incident") or data
    human = text_of(agent, "type") in ("user_reference", "user")
    resolved = _part(data, "resolve_reason")
    # The person who merged is the agent of a merge, so it looks like any resolution by a person.
    merged = what == "resolved" and text_of(resolved, "type") == _MERGED
    return PagerDutyWebhook(
        what="merged" if merged else what,
        idempotency_key=_idempotency_key(event, body),
        sent_at=_time(text_of(event, "occurred_at")),
        key=text_of(incident, "incident_key"),
        pd_incident=_id(incident),
        account=_id(agent) if human else "",
        display_name=one_line(text_of(agent, "summary"), _NAME_MOST),
        is_echo=what in _STATES and "integration" in text_of(agent, "type"),
        note=note,
        assignees=_people(data.get("assignees")),
        policy=_name(_part(data, "escalation_policy")),
        priority=_name(_part(data, "priority")),
        merged_into=_incident_name(_part(resolved, "incident")) if merged else "",
    )


def _people(rows: object) -> tuple[tuple[str, str], ...]:
    people = [(_id(row), _name(row)) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple((account, name or account) for account, name in people if account or name)


def _name(resource: Mapping[str, Any]) -> str:
    """How PagerDuty calls it, without quotes, which a command would take for its own."""
    return one_line(text_of(resource, "summary").replace('"', "'"), _NAME_MOST)


def _incident_name(resource: Mapping[str, Any]) -> str:
    name, pd_id = _name(resource), _id(resource)
    return f"{name} ({pd_id})" if name and pd_id else name or pd_id or "another incident"


def _idempotency_key(event: Mapping[str, Any], body: bytes) -> str:
    """The event's own id, which is signed and the same on every retry; the header X-Webhook-Id is not signed."""
    event_id = text_of(event, "id")
    return event_id if _EVENT_ID.fullmatch(event_id) else hashlib.sha256(body).hexdigest()


def _id(resource: Mapping[str, Any]) -> str:
    pd_id = text_of(resource, "id")
    return pd_id if _PD_ID.fullmatch(pd_id) else ""


def _part(whole: object, name: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
