"""An incident of pods that crash, and its alerts, for tests of cards and pages."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from bot.core.alert import AlertView, Severity
from bot.core.message import Contact
from bot.incidents import lifecycle
from bot.incidents.transitions import AlertsChanged, LeadAlert
from bot.notifications.card import CardSettings
from tests.house import NOON

LEAD = LeadAlert(
    order="0|2026-11-23T12:00:00+00:00|f-0",
    title="KubePodCrashLooping payments/cart-0: Pod is crash looping.",
    severity=Severity.CRITICAL,
    service="payments",
)
OPEN = lifecycle.opened_by_alerts(
    7, "api", AlertsChanged(source="am", fired=2, lead=LEAD, truncated=900), now=NOON
).incident
ONE = replace(OPEN, firing=1, total=1, truncated=0)
SETTINGS = CardSettings(
    public_url="https://vakhta.example/",
    names={"ana": "Ana Lima"},
    on_call=lambda service, channel: (Contact(id="ana", name="Ana Lima", account=f"{service}@{channel}"),),
)
NOTES = {
    "summary": "Pod is crash looping.",
    "description": "Container app restarts every 40 s.",
    "runbook_url": "https://runbooks.example.com/loop",
}


def pod(number: int, *, firing: bool = True, **notes: str) -> AlertView:
    return AlertView(
        source="am",
        fingerprint=f"f-{number}",
        firing=firing,
        labels={"alertname": "KubePodCrashLooping", "namespace": "payments", "pod": f"cart-{number}", "uid": "u"},
        notes=NOTES | notes,
        starts_at=NOON - timedelta(minutes=number),
        ended_at=None,
        link="http://prometheus-k8s-0:9090/graph",
    )
