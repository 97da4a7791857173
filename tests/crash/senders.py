"""Alertmanager as the bot knows it: sends a group's state, and again after 5xx or no answer, but never after a 4xx."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.running import TOKEN, send

#: (fingerprint, startsAt): one episode.
Episode = tuple[str, datetime]

BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of alerts, which is one incident."""

    name: str

    @property
    def key(self) -> str:
        return f'{{}}:{{alertname="{self.name}"}}'

    @property
    def page_key(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()

    def episodes(self, alerts: Sequence[int]) -> set[Episode]:
        return {(self._fingerprint(number), BEGAN) for number in alerts}

    def body(self, alerts: Sequence[int], *, firing: bool = True, severity: str = "critical") -> bytes:
        """The webhook that tells of these alerts of the group, by their numbers."""
        labels = {"alertname": self.name, "severity": severity}
        told = {
            "version": "4",
            "groupKey": self.key,
            "truncatedAlerts": 0,
            "status": "firing" if firing else "resolved",
            "receiver": "vakhta",
            "groupLabels": {"alertname": self.name},
            "commonLabels": labels,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example:9093",
            "alerts": [self._alert(number, labels, firing=firing) for number in alerts],
        }
        return json.dumps(told).encode()

    def _alert(self, number: int, labels: dict[str, str], *, firing: bool) -> dict[str, object]:
        return {
            "status": "firing" if firing else "resolved",
            "labels": {**labels, "instance": f"host-{number}"},
            "annotations": {},
            "startsAt": BEGAN.isoformat().replace("+00:00", "Z"),
            "endsAt": "0001-01-01T00:00:00Z" if firing else BEGAN.replace(minute=5).isoformat(),
            "generatorURL": "",
            "fingerprint": self._fingerprint(number),
        }

    def _fingerprint(self, number: int) -> str:
        return hashlib.sha256(f"{self.name}/{number}".encode()).hexdigest()[:16]


class Sender:
    """Sends for any number of threads and remembers what was answered 2xx."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self.accepted: set[Episode] = set()
        self.answers: list[int] = []
        self.giving_up = threading.Event()

    def tell(self, group: Group, alerts: Sequence[int], *, firing: bool = True, severity: str = "critical") -> None:
        """Until it is accepted."""
        body = group.body(alerts, firing=firing, severity=severity)
        while not self.giving_up.is_set():
            status = send(f"{self._url}/alerts/alertmanager", body, _HEADERS)
            with self._lock:
                self.answers.append(status)
                if 200 <= status < 300:
                    self.accepted |= group.episodes(alerts)
                    return
            assert status == 0 or status >= 500, f"answered {status}: Alertmanager would give up, and the page is lost"
            self.giving_up.wait(0.05)


_HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
