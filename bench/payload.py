"""What an Alertmanager really sends, with room for a number that makes every payload another one.

The number is `TURN` (ten digits) and the group `GROUP` (four digits): both have the width of what replaces them, so a
request keeps its Content-Length whatever is filled in. Token and index of an alert make its labels and fingerprint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

TURN = "@@@@@@@@@@"
GROUP = "$$$$"
_STARTED = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "135Z"


@dataclass(frozen=True, kw_only=True)
class Template:
    """One kind of request, whole, as bytes on the wire."""

    raw: bytes
    alerts: int  #: in each request
    groups: int = 1  #: over how many groups the requests go in turn; 1 with GROUP absent: as the body says
    cycle: int = 0  #: after how many requests the same come again; 0 = never

    def fill(self, turn: int) -> bytes:
        """The request number `turn`; the Lua script does the same."""
        number = turn % self.cycle if self.cycle else turn
        grouped = self.raw.replace(GROUP.encode(), b"%04d" % (number % self.groups))
        return grouped.replace(TURN.encode(), b"%010d" % number)


#: The alert whose name says its group, so that it is recognised in whatever message tells it.
CRITICAL = f"PaymentsDown{GROUP}"


def webhook(alerts: int, *, group: str = TURN, name: str = "HighRequestLatency") -> bytes:
    """A webhook payload, version 4. `group` TURN: every payload is a group of its own. `name` CRITICAL: they are."""
    service = f"svc-{group}"
    members = [_member(index, service=service, name=name) for index in range(alerts)]
    common = {k: v for k, v in _labels(0, service=service, name=name).items() if k not in _OWN}
    told = {
        "receiver": "vakhta",
        "status": "firing",
        "alerts": members,
        "groupLabels": {"service": service},
        "commonLabels": common,
        "commonAnnotations": {"runbook_url": "https://runbooks.example.org/latency"},
        "externalURL": "http://alertmanager.example.org:9093",
        "version": "4",
        "groupKey": group_key(group),
        "truncatedAlerts": 0,
    }
    return _dump(told)


def group_key(group: str) -> str:
    return f'{{}}/{{team="shop"}}:{{service="svc-{group}"}}'


def api_alerts(alerts: int, *, group: str = TURN) -> bytes:
    """The same alerts as a Prometheus posts them to an Alertmanager's `/api/v2/alerts`."""
    kept = ("labels", "annotations", "startsAt", "generatorURL")
    members = [_member(index, service=f"svc-{group}", name="HighRequestLatency") for index in range(alerts)]
    return _dump([{key: member[key] for key in kept} for member in members])


def request(path: str, body: bytes, *, bearer: str = "") -> bytes:
    """A POST with keep-alive."""
    auth = f"Authorization: Bearer {bearer}\r\n" if bearer else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.25.0\r\n"
        f"Content-Type: application/json\r\n{auth}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


#: Labels in which the members of a group differ, and which `commonLabels` therefore lacks.
_OWN = ("instance", "pod")


def _labels(index: int, *, service: str, name: str) -> dict[str, str]:
    return {
        "alertname": name,
        "cluster": "eu-west-1",
        "container": "checkout",
        "environment": "Production",
        "instance": f"{TURN}{index:03d}.shop.internal:9090",
        "job": "kubernetes-pods",
        "namespace": "shop",
        "pod": f"checkout-{TURN}{index:03d}",
        "service": service,
        "severity": "critical" if name == CRITICAL else "warning",
        "team": "shop",
    }


def _member(index: int, *, service: str, name: str) -> dict[str, object]:
    return {
        "status": "firing",
        "labels": _labels(index, service=service, name=name),
        "annotations": {
            "description": (
                "The 99th percentile of request latency of the service has been above 0.5 s for ten minutes "
                "(now 1.27 s). Customers see slow pages; look at the database and at the last deployment first."
            ),
            "runbook_url": "https://runbooks.example.org/latency",
            "summary": f"{service} answers slowly",
        },
        "startsAt": _STARTED,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=job%3Alatency%3Ap99+%3E+0.5&g0.tab=1",
        "fingerprint": f"fed{TURN}{index:03d}",
    }


def _dump(told: object) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
