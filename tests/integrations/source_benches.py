"""Each source with a payload as its sender documents it. A source without one here fails the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.core.alert import Severity
from bot.core.source import Source
from bot.integrations.alertmanager.source import AlertmanagerSource
from bot.integrations.sns.source import SnsSource
from tests.fakes.sns import TOPIC, alarm, letter
from tests.integrations.contract import KEY, NOW


@dataclass(frozen=True, kw_only=True)
class SourceBench:
    """One source, and what its sender sends on an ordinary day."""

    build: Callable[[], Source]
    payload: dict[str, Any]
    firing: int  #: how many alerts of the payload fire
    ended: int  #: how many have ended
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @property
    def body(self) -> bytes:
        return json.dumps(self.payload).encode()


def _alert(instance: str, *, status: str, ends_at: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HighLatency", "severity": "critical", "instance": instance},
        "annotations": {"summary": "p99 is above 2 s"},
        "startsAt": "2026-11-23T14:00:00.532508135Z",
        "endsAt": ends_at,
        "generatorURL": "http://prometheus.test/graph?g0.expr=up",
        "fingerprint": f"{sum(instance.encode()):016x}",
    }


BENCHES: dict[str, SourceBench] = {
    "alertmanager": SourceBench(
        build=lambda: AlertmanagerSource(lambda: NOW),
        firing=2,
        ended=1,
        payload={
            "version": "4",
            "groupKey": KEY,
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "vakhta",
            "groupLabels": {"alertname": "HighLatency"},
            "commonLabels": {"alertname": "HighLatency", "severity": "critical"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.test",
            "alerts": [
                _alert("api-1", status="firing", ends_at="0001-01-01T00:00:00Z"),
                _alert("api-2", status="firing", ends_at="0001-01-01T00:00:00Z"),
                _alert("api-3", status="resolved", ends_at="2026-11-23T14:20:00Z"),
            ],
        },
    ),
    "sns": SourceBench(
        build=lambda: SnsSource(lambda: NOW, topics=[TOPIC], severity={"alarms/*": Severity.CRITICAL}),
        firing=1,
        ended=0,
        headers={"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"},
        payload=json.loads(letter(at=NOW, Message=alarm(at=NOW), Subject='ALARM: "api-5xx" in EU (Frankfurt)')),
    ),
}
