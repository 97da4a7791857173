"""Payloads as Alertmanager sends them: by Go's encoder, compact, `&`, `<` and `>` escaped, a newline at the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime

NOW = datetime(2026, 11, 23, 14, 30, 0, 123456, tzinfo=UTC)


def alert(**changed: object) -> dict[str, object]:
    """One firing alert. A keyword replaces a field, None removes it."""
    made: dict[str, object] = {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "service": "api", "severity": "critical"},
        "annotations": {"summary": "API is slow"},
        "startsAt": "2026-11-23T14:00:00.532508999Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": "a3f1c9d2e4b50617",
    }
    return _changed(made, changed)


def payload(*alerts: object, **changed: object) -> dict[str, object]:
    made: dict[str, object] = {
        "receiver": "vakhta",
        "status": "firing",
        "alerts": list(alerts) or [alert()],
        "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": {"alertname": "HighLatency", "service": "api"},
        "commonAnnotations": {"summary": "API is slow"},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": '{}:{alertname="HighLatency"}',
        "truncatedAlerts": 0,
    }
    return _changed(made, changed)


def encoded(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign in "&<>":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "surrogatepass") + b"\n"


def body(*alerts: object, **changed: object) -> bytes:
    return encoded(payload(*alerts, **changed))


def _changed(made: dict[str, object], changed: dict[str, object]) -> dict[str, object]:
    made.update(changed)
    return {name: value for name, value in made.items() if value is not None}
