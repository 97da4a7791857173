"""The cards that docs/slack-cards.md shows, as the messages that the bot sends to Slack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from msgspec import structs

from bot.core.alert import AlertView
from bot.core.incident import Course, Coverage, Incident, Status
from bot.core.run_state import RunStatus, State
from bot.incidents import lifecycle
from bot.incidents.transitions import OpenIncident
from bot.integrations.slack.incident_blocks import first_line, incident_blocks
from bot.notifications.card import incident_card
from tests.docs.papers import ROOT
from tests.notifications.payload import CARDS_ON_CALL, NIGHT, Firing, Payload
from tests.notifications.payloads import PAYLOADS

#: The messages as JSON, and a picture of each.
PICTURES = ROOT / "docs/pictures"
MESSAGES = PICTURES / "slack-cards.json"

_VOLUME = PAYLOADS["KubePersistentVolumeFillingUp"]
_FILLING = replace(
    _VOLUME,
    labels={**_VOLUME.labels, "cluster": "prod-eu"},
    notes={**_VOLUME.notes, "dashboard_url": "https://grafana.example.com/d/volumes", "value": "2.8%"},
    generator="https://prometheus.example.com/graph?g0.expr=kubelet_volume_stats_available_bytes",
)
_PODS = PAYLOADS["KubePodCrashLooping"]
_EIGHT = replace(
    _PODS,
    labels={**_PODS.labels, "severity": "critical"},
    firing=tuple(
        Firing(
            labels={"pod": f"checkout-7d9f-{name}"},
            notes={"description": f'Container "app" of payments/checkout-7d9f-{name} waits in CrashLoopBackOff.'},
            minutes=9 - number,
        )
        for number, name in enumerate(("x2x9q", "8kq2z", "p7c4d", "m4n8b", "t6r2w", "z9v3k", "h5j7s", "q2w4e"))
    ),
)
_RUN = RunStatus(
    run="1a2b3c4d" * 4, command="scale prod/orders-api 6", by="ana", target="prod/orders-api", state=State.RUNNING,
    reason="", began_at=NIGHT,
)  # fmt: skip


def _message(
    incident: Incident, alerts: list[AlertView], runs: tuple[RunStatus, ...] = (), *, first: bool = True
) -> Mapping[str, Any]:
    card = incident_card(incident, CARDS_ON_CALL, channel="slack", alerts=alerts, runs=runs)
    assert card.situation is not None
    return {
        "text": first_line(card, card.situation),
        "blocks": incident_blocks(card, card.situation, incident.id, call=first),
    }


def _first(payload: Payload) -> Mapping[str, Any]:
    return _message(payload.incident(), payload.alerts())


def _acknowledged() -> Mapping[str, Any]:
    course = Course(covered=Coverage(at=NIGHT + timedelta(minutes=3), firing=8))
    held = structs.replace(_EIGHT.incident(), status=Status.ACKED, owner="ana", course=course)
    return _message(held, _EIGHT.alerts(), first=False)


def _with_notes() -> Mapping[str, Any]:
    payload = PAYLOADS["TargetDown"]
    incident = structs.replace(payload.incident(), status=Status.ACKED, owner="bo", truncated=120)
    return _message(incident, payload.alerts(), (_RUN,), first=False)


def _resolved() -> Mapping[str, Any]:
    over = structs.replace(
        _EIGHT.incident(),
        status=Status.RESOLVED,
        owner="ana",
        firing=0,
        resolved_at=NIGHT + timedelta(minutes=68),
        resolved_by="alertmanager",
    )
    return _message(over, [structs.replace(one, firing=False) for one in _EIGHT.alerts()], first=False)


def _by_a_person() -> Mapping[str, Any]:
    asked = OpenIncident(
        by="bo", name="Bo", via="slack", title="Customers cannot pay by card: the bank answers 503", service="payments"
    )
    return _message(lifecycle.opened_by_person(43, asked, now=NIGHT).incident, [])


def pictures() -> Mapping[str, Mapping[str, Any]]:
    """Name of a picture -> text and blocks of the message."""
    return {
        "critical": _first(_FILLING),
        "eight-alerts": _first(_EIGHT),
        "acknowledged": _acknowledged(),
        "with-notes": _with_notes(),
        "resolved": _resolved(),
        "long-labels": _first(PAYLOADS["a storm with long labels"]),
        "by-a-person": _by_a_person(),
    }
