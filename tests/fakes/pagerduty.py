"""A strict PagerDuty: Events v2, the little of the REST API we use, and a sender of signed webhooks v3.

It keeps alerts as PagerDuty does: a trigger on an open alert folds into it, an acknowledgement or resolution without
an open alert is dropped in silence, a trigger after a resolution opens a new one. All of that is in `story`.
It takes what a real Alertmanager's `pagerduty_configs` sends as well, so that both can be pointed at one fake.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.fakes.calls import Answer, Call
from tests.fakes.pagerduty_rules import read_event
from tests.fakes.server import StrictServer, Window

ROUTING_KEY = "R0VAKHTA7777777777777777777777KEY"[:32]
API_TOKEN = "u+vakhta-rest-token-9"
WEBHOOK_SECRET = "whsec-vakhta-pagerduty-1"

_STATUS = {"acknowledge": "acknowledged", "resolve": "resolved"}
_TRIGGERED_BY = ("unacknowledged", "reopened", "reassigned", "escalated", "delegated")
_ALERTS_OF = re.compile(r"/incidents/([A-Z0-9]+)/alerts")


@dataclass(kw_only=True)
class PdAlert:
    """One alert of PagerDuty's, and with it the incident it opened there."""

    key: str
    pd_id: str
    number: int
    summary: str
    severity: str
    status: str = "triggered"
    triggers: int = 1  #: how many events folded into it, the first one too
    assignees: tuple[tuple[str, str], ...] = (("PANA", "Ana"),)
    priority: str | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """One accepted event and what became of it: opened, opened_again, folded, acknowledged, resolved or dropped."""

    at: float
    action: str
    key: str
    became: str
    event: dict[str, Any]


class FakePagerDuty(StrictServer):
    """One PagerDuty account. `limited=False` switches the 120 events a minute off."""

    def __init__(self, *, keys: tuple[str, ...] = (ROUTING_KEY,), limited: bool = True, per_minute: int = 120) -> None:
        super().__init__()
        self.keys = keys
        self.secrets = [WEBHOOK_SECRET]  #: each webhook is signed with all of them, as in a rotation
        self.alerts: list[PdAlert] = []
        self.story: list[Told] = []
        self.window = Window(per_minute, 60.0)
        self._limited = limited
        self.refusals: dict[str, int] = {}  #: action -> the status that its next event gets, without an effect
        self._merged: set[str] = set()  #: PagerDuty's incidents whose alerts have moved

    def alert(self, key: str) -> PdAlert:
        """The newest alert of that dedup_key."""
        with self._lock:
            found = self._newest(key)
        assert found is not None, f"PagerDuty has no alert {key!r}"
        return found

    def became(self) -> list[str]:
        """What became of each accepted event, in order."""
        with self._lock:
            return [told.became for told in self.story]

    def webhook(
        self,
        event_type: str,
        key: str,
        *,
        agent: tuple[str, str] | None = ("PANA", "Ana"),
        event_id: str = "",
        content: str = "",
        with_key: bool = True,
        occurred_at: datetime | None = None,
        by_integration: bool = False,
        to: tuple[tuple[str, str], ...] | None = None,
        priority: str | None = None,
        merged_into: str = "",
    ) -> tuple[dict[str, str], bytes]:
        """Let it happen in PagerDuty; returns the (headers, body) of the webhook that tells so.

        Args:
            agent: (id, name) of the user who did it; None: PagerDuty itself, by a timer.
            by_integration: an event of the integration did it, whatever `agent` is.
            to: (id, name) of each user that it is assigned to now.
            merged_into: the dedup_key of the alert whose incident goes on; the alerts move there.
        """
        alert = self.alert(key)
        now = event_type.removeprefix("incident.")
        if now in _STATUS.values() or now in _TRIGGERED_BY:
            alert.status = now if now in _STATUS.values() else "triggered"
        alert.assignees = alert.assignees if to is None else to
        alert.priority = priority if now == "priority_updated" else alert.priority
        incident = self._incident(alert, with_key=with_key)
        if merged_into:
            target = self.alert(merged_into)
            about = _reference("incident", target.pd_id, target.summary)
            incident["resolve_reason"] = {"type": "merge_resolve_reason", "incident": about}
            self._merged.add(alert.pd_id)
            alert.pd_id, alert.number, alert.status = target.pd_id, target.number, target.status
        data = _note(incident, content) if now == "annotated" else incident
        at = (occurred_at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {
            "id": event_id or uuid.uuid4().hex.upper()[:26],
            "event_type": event_type,
            "resource_type": event_type.split(".", maxsplit=1)[0],
            "occurred_at": at,
            "agent": _agent(agent, by_integration=by_integration),
            "client": None if agent is None or by_integration else {"name": "PagerDuty"},
            "data": data,
        }
        return self.sign(json.dumps({"event": event}).encode())

    def sign(self, body: bytes) -> tuple[dict[str, str], bytes]:
        """Genuine headers for that body."""
        signed = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in self.secrets]
        headers = {
            "content-type": "application/json",
            "user-agent": "PagerDuty-Webhook/V3.0",
            "x-webhook-id": str(uuid.uuid4()),
            "x-webhook-subscription": "PSUB001",
            "x-pagerduty-signature": ",".join(f"v1={one}" for one in signed),
        }
        return headers, body

    def post_to(self, url: str, sent: tuple[dict[str, str], bytes]) -> int:
        """Send that webhook; returns the status it was answered with."""
        headers, body = sent
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return int(error.code)

    def answer(self, call: Call) -> Answer:
        alerts_of = _ALERTS_OF.fullmatch(call.path)
        if (call.verb, call.path) == ("POST", "/v2/enqueue"):
            return self._enqueue(call)
        if call.verb == "GET" and alerts_of:
            return self._list_alerts(call, alerts_of[1])
        if (call.verb, call.path) == ("GET", "/incidents"):
            return self._list_incidents(call)
        if (call.verb, call.path) == ("PUT", "/incidents"):
            return self._put_incidents(call)
        self.fault(f"{call.verb} {call.path} is not an address of PagerDuty's that we use")
        return Answer.json({"error": {"message": "Not Found", "code": 2100}}, status=404)

    def _enqueue(self, call: Call) -> Answer:
        event, wrong = read_event(call)
        if not wrong and event["routing_key"] not in self.keys:
            wrong = ["Invalid routing key"]
        if wrong:
            self.fault(f"an event that PagerDuty refuses: {'; '.join(wrong)}")
            return _invalid(*wrong)
        if self._limited and self.window.take(event["routing_key"]):
            return Answer.json({"status": "throttle exceeded", "message": "Too many events, retry later"}, status=429)
        refusal = self.refusals.pop(event["event_action"], None)
        if refusal is not None:
            return Answer.json({"status": "error", "message": "Not now", "errors": []}, status=refusal)
        key = event.get("dedup_key") or uuid.uuid4().hex
        with self._lock:
            became = self._move(event, key)
            self.story.append(Told(at=call.at, action=event["event_action"], key=key, became=became, event=event))
        return Answer.json({"status": "success", "message": "Event processed", "dedup_key": key}, status=202)

    def _move(self, event: dict[str, Any], key: str) -> str:
        """One step of the alert `key`; returns what became of the event."""
        action, alert = event["event_action"], self._newest(key)
        is_open = alert is not None and alert.status != "resolved"
        if action == "trigger" and not is_open:
            self._open(event["payload"], key)
            return "opened" if alert is None else "opened_again"
        if alert is None or not is_open:
            return "dropped"
        if action == "trigger":
            alert.triggers += 1
            return "folded"
        alert.status = _STATUS[action]
        return alert.status

    def _open(self, payload: dict[str, Any], key: str) -> None:
        number = len(self.alerts) + 1
        self.alerts.append(
            PdAlert(
                key=key,
                pd_id=f"PDINC{number}",
                number=number,
                summary=payload["summary"],
                severity=payload["severity"],
            )
        )

    def _newest(self, key: str) -> PdAlert | None:
        return next((alert for alert in reversed(self.alerts) if alert.key == key), None)

    def _list_alerts(self, call: Call, pd_id: str) -> Answer:
        refused = self._refuse_token(call)
        if refused:
            return refused
        found = [alert for alert in self.alerts if alert.pd_id == pd_id]
        if not found and pd_id not in self._merged:
            return Answer.json({"error": {"message": "Not Found", "code": 2100}}, status=404)
        rows = [{"id": f"A{a.number}", "type": "alert", "status": a.status, "alert_key": a.key} for a in found]
        return Answer.json({"alerts": rows, "limit": 25, "offset": 0, "more": False, "total": None})

    def _list_incidents(self, call: Call) -> Answer:
        refused = self._refuse_token(call)
        if refused:
            return refused
        if set(call.query) != {"limit"}:
            self.fault(f"GET /incidents with {sorted(call.query)}")
        rows = [{"id": alert.pd_id, "type": "incident"} for alert in self.alerts[: int(call.query.get("limit", 25))]]
        return Answer.json({"incidents": rows, "limit": 1, "offset": 0, "more": False, "total": None})

    def _put_incidents(self, call: Call) -> Answer:
        refused = self._refuse_token(call)
        if refused:
            return refused
        if "@" not in call.headers.get("from", ""):
            self.fault("PUT /incidents needs the e-mail of a user in the header From")
            return Answer.json({"error": {"message": "Requester User Not Found", "code": 1008}}, status=400)
        changed = []
        for row in call.fields.get("incidents") or []:  # type: ignore[attr-defined]  # JSON has no types.
            alert = next((alert for alert in self.alerts if alert.pd_id == row.get("id")), None)
            if alert is None or row.get("status") not in _STATUS.values():
                self.fault(f"PUT /incidents with {row!r}")
                return Answer.json({"error": {"message": "Invalid Input Provided", "code": 2001}}, status=400)
            alert.status = row["status"]
            changed.append(self._incident(alert, with_key=True))
        return Answer.json({"incidents": changed})

    def _refuse_token(self, call: Call) -> Answer | None:
        if call.headers.get("authorization") == f"Token token={API_TOKEN}":
            return None
        self.fault(f"{call.verb} {call.path} without the account's token")
        return Answer.json({"error": {"message": "Unauthorized", "code": 2006}}, status=401)

    def _incident(self, alert: PdAlert, *, with_key: bool) -> dict[str, Any]:
        return {
            "id": alert.pd_id,
            "type": "incident",
            "self": f"{self.url}/incidents/{alert.pd_id}",
            "html_url": f"https://acme.pagerduty.test/incidents/{alert.pd_id}",
            "number": alert.number,
            "status": alert.status,
            "incident_key": alert.key if with_key else None,
            "created_at": "2026-11-01T10:00:00Z",
            "title": alert.summary,
            "service": _reference("service", "PSVC001", "API"),
            "assignees": [_reference("user", *one) for one in alert.assignees],
            "escalation_policy": _reference("escalation_policy", "PESC001", "Default"),
            "teams": [],
            "priority": _reference("priority", "PPRIO1", alert.priority) if alert.priority else None,
            "urgency": "high",
            "conference_bridge": None,
            "resolve_reason": None,
        }


def _invalid(*wrong: str) -> Answer:
    told = {"status": "invalid event", "message": "Event object is invalid", "errors": list(wrong)}
    return Answer.json(told, status=400)


def _agent(user: tuple[str, str] | None, *, by_integration: bool) -> dict[str, str] | None:
    if by_integration:
        return _reference("inbound_integration", "PINT001", "Events API V2")
    return None if user is None else _reference("user", user[0], user[1])


def _reference(kind: str, pd_id: str, name: str) -> dict[str, str]:
    return {
        "html_url": f"https://acme.pagerduty.test/{kind}s/{pd_id}",
        "id": pd_id,
        "self": f"https://api.pagerduty.test/{kind}s/{pd_id}",
        "summary": name,
        "type": f"{kind}_reference",
    }


def _note(incident: dict[str, Any], content: str) -> dict[str, Any]:
    """An `incident_note`: it names its incident without the incident_key."""
    kept = {name: incident[name] for name in ("html_url", "id", "self")}
    about = {**kept, "summary": incident["title"], "type": "incident_reference"}
    return {"incident": about, "id": "PNOTE01", "content": content, "trimmed": False, "type": "incident_note"}
