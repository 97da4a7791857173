"""What the house counts about itself: every Prometheus metric, in a registry of its own.

Lower floors count without knowing the web; `web/metrics.py` shows the result. No label may hold what a sender
made up (a group's name, a path): each new value would be a time series that is never forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

#: What `Meters.text` speaks, for the answer's header.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

#: Seconds. A commit lasts one sync of the disk: 0.1 ms on NVMe, 10 ms on a busy cloud volume.
_COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
#: Seconds from what opened the incident to the pager's yes: milliseconds when idle, minutes when the pager is down.
_PAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
#: Requests that shared one commit.
_BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxSize:
    """What one channel still owes at this moment."""

    channel: str
    count: int
    oldest_s: float  #: age of the oldest of them in seconds; 0 when nothing is owed


class Metrics:
    """One set of metrics for one running bot. Safe to count from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._scraping = Lock()
        self._count_what_comes_in()
        self._count_what_goes_out()
        self._count_what_is_recorded()

    def text(self, outbox_sizes: Iterable[OutboxSize] | None) -> bytes:
        """Everything, as Prometheus reads it. `outbox_sizes` None: the store could not say, so those series are
        absent.
        """
        with self._scraping:
            self.store_up.set(0 if outbox_sizes is None else 1)
            self.delivery_owed.clear()
            self.oldest_owed_seconds.clear()
            for debt in outbox_sizes or ():
                self.delivery_owed.labels(debt.channel).set(debt.count)
                self.oldest_owed_seconds.labels(debt.channel).set(debt.oldest_s)
            return generate_latest(self.registry)

    def _count_what_comes_in(self) -> None:
        self.webhooks_total = self._counter("webhooks", "Requests of alert sources, by answer.", "source", "code")
        self.alerts_total = self._counter("alerts", "Alerts taken, durable.", "source")
        self.incidents_total = self._counter("incidents", "Events of incidents, by what happened.", "what")
        self.runs_total = self._counter("runs", "Runs of actions that ended, by how they stood then.", "state")
        self.commits_total = self._counter("commits", "Commits of the intake.")
        self.commit_seconds = self._histogram(
            "commit_seconds", "How long a commit took, of the intake or any other.", _COMMIT_S
        )
        self.batch_size = self._histogram("batch_size", "Requests that shared one commit.", _BATCH)
        self.quarantined_total = self._counter("quarantined", "Bodies of known senders kept because unreadable.")
        self.auth_failures_total = self._counter("auth_failures", "Requests refused for who sent them.", "place")
        self.inbound_total = self._counter("inbound", "Requests of chats and pagers, by outcome.", "channel", "outcome")

    def _count_what_goes_out(self) -> None:
        self.deliveries_total = self._counter(
            "deliveries", "Tries to deliver, by outcome.", "channel", "kind", "outcome"
        )
        self.page_latency_seconds = self._histogram(
            "page_latency_seconds", "From the event to the pager having taken the page.", _PAGE_S
        )
        self.delivery_owed = self._gauge("delivery_owed", "Deliveries not yet made.", "channel")
        self.oldest_owed_seconds = self._gauge("oldest_owed_seconds", "Age of the oldest of them.", "channel")
        self.store_up = self._gauge("store_up", "1 when the store answered this scrape.")

    def _count_what_is_recorded(self) -> None:
        self.audit_entries_total = self._counter("audit_entries", "Audit entries that this process sealed.", "event")
        self.audit_unsealed = self._gauge("audit_unsealed", "Audit entries left unsealed by the last look.")
        self.audit_seal_lag_seconds = self._gauge(
            "audit_seal_lag_seconds", "Since this process last saw every audit entry sealed."
        )
        self.audit_checkpoint_age_seconds = self._gauge(
            "audit_checkpoint_age_seconds", "Age of the audit log's newest signature."
        )
        self.audit_anchor_failures_total = self._counter(
            "audit_anchor_failures", "What was not taken outside of the database.", "sink"
        )

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"vakhta_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"vakhta_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"vakhta_{name}", says, buckets=buckets, registry=self.registry)
