"""Every Prometheus metric of the bot, in a registry of its own; `bot/web/metrics.py` serves them.

The trap: no label may hold a value that a sender can choose (a group's name, a path). Each new value would be a time
series that is never removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

#: The format of `Metrics.text`, for the HTTP header.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_1_0_0

#: Seconds. A commit lasts one sync of the disk: 0.1 ms on NVMe, 10 ms on a busy cloud volume.
_COMMIT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
#: Seconds from the event to the pager's acceptance: milliseconds when idle, minutes when the pager is down.
_PAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
#: Requests that shared one commit.
_BATCH = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxSize:
    """The messages in the outbox for one channel at this moment."""

    channel: str
    count: int
    oldest_s: float  #: age of the oldest in seconds; 0 when there are none
    pause_s: float = 0.0  #: seconds until the pause ends that the provider asked for; 0 when there is none


class Metrics:
    """The metrics of one running bot. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._scraping = Lock()
        self._add_inbound()
        self._add_outbound()
        self._add_audit()
        self._add_backups()

    def text(self, outbox_sizes: Iterable[OutboxSize] | None) -> bytes:
        """All metrics in Prometheus' text format. `outbox_sizes` None: the store did not answer, so those series are
        absent.
        """
        with self._scraping:
            self.store_up.set(0 if outbox_sizes is None else 1)
            self.delivery_owed.clear()
            self.oldest_owed_seconds.clear()
            self.channel_pause_seconds.clear()
            for size in outbox_sizes or ():
                self.delivery_owed.labels(size.channel).set(size.count)
                self.oldest_owed_seconds.labels(size.channel).set(size.oldest_s)
                self.channel_pause_seconds.labels(size.channel).set(size.pause_s)
            return generate_latest(self.registry)

    def _add_inbound(self) -> None:
        self.webhooks_total = self._counter("webhooks", "Requests of alert sources, by answer.", "source", "code")
        self.alerts_total = self._counter("alerts", "Alerts stored durably.", "source")
        self.unknown_severities_total = self._counter("unknown_severities", "New alerts whose severity no rule knows.")
        self.unowned_alerts_total = self._counter("unowned_alerts", "New alerts that match no service of the settings.")
        self.incidents_total = self._counter("incidents", "Events of incidents, by type.", "what")
        self.runs_total = self._counter("runs", "Runs of actions that ended, by their state then.", "state")
        self.commits_total = self._counter("commits", "Commits of the intake.")
        self.commit_seconds = self._histogram(
            "commit_seconds", "Duration of a commit, of the intake or any other.", _COMMIT_S
        )
        self.batch_size = self._histogram("batch_size", "Requests that shared one commit.", _BATCH)
        self.quarantined_total = self._counter("quarantined", "Unreadable bodies of known senders that were kept.")
        self.auth_failures_total = self._counter(
            "auth_failures", "Requests refused because their sender is not authenticated.", "place"
        )
        self.inbound_total = self._counter("inbound", "Requests of chats and pagers, by outcome.", "channel", "outcome")

    def _add_outbound(self) -> None:
        self.deliveries_total = self._counter(
            "deliveries", "Tries to deliver, by outcome.", "channel", "kind", "outcome"
        )
        self.page_latency_seconds = self._histogram(
            "page_latency_seconds", "Time from the event until the pager accepted the page.", _PAGE_S
        )
        self.delivery_owed = self._gauge("delivery_owed", "Messages not delivered yet.", "channel")
        self.oldest_owed_seconds = self._gauge("oldest_owed_seconds", "Age of the oldest of them.", "channel")
        self.channel_pause_seconds = self._gauge(
            "channel_pause_seconds", "Time until the pause ends that the provider asked for; 0 without one.", "channel"
        )
        self.store_up = self._gauge("store_up", "1 when the store answered this scrape.")

    def _add_audit(self) -> None:
        self.audit_entries_total = self._counter("audit_entries", "Audit entries that this process sealed.", "event")
        self.audit_unsealed = self._gauge("audit_unsealed", "Audit entries not sealed at the last check.")
        self.audit_seal_lag_seconds = self._gauge(
            "audit_seal_lag_seconds", "Time since this process last saw every audit entry sealed."
        )
        self.audit_checkpoint_age_seconds = self._gauge(
            "audit_checkpoint_age_seconds", "Age of the audit log's newest signature."
        )
        self.audit_anchor_failures_total = self._counter(
            "audit_anchor_failures",
            "Writes of checkpoints outside of the database that failed and are retried.",
            "sink",
        )

    def _add_backups(self) -> None:
        """`store` is a name of the settings."""
        self.backup_age_seconds = self._gauge(
            "backup_age_seconds", "Age of the newest data that can be restored, as far as known.", "store"
        )
        self.backup_usable = self._gauge(
            "backup_usable", "1 while data as new as the RPO can be restored; 0 also when that is unknown.", "store"
        )
        self.backup_size_ratio = self._gauge(
            "backup_size_ratio", "Size of the newest usable backup over the median of the seven before it.", "store"
        )
        self.backup_duration_ratio = self._gauge("backup_duration_ratio", "The same of the time that it took.", "store")
        self.restore_seconds = self._gauge(
            "restore_seconds", "Median time to usable data over the drills that passed.", "store"
        )
        self.drills_total = self._counter("drills_total", "Drills that ended, missed ones included.", "store", "result")
        self.drill_passed = self._gauge("drill_passed", "1 when the last drill passed.", "store")
        self.drill_age_seconds = self._gauge("drill_age_seconds", "Time since the last drill that passed.", "store")
        self.drill_rpo_seconds = self._gauge("drill_rpo_seconds", "RPO that the last passed drill measured.", "store")
        self.drill_rto_seconds = self._gauge("drill_rto_seconds", "RTO that the last passed drill measured.", "store")

        self.disaster_plan_timestamp_seconds = self._gauge(
            "disaster_plan_timestamp_seconds", "When this process last wrote the plan for a disaster; 0: not yet."
        )

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"vakhta_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"vakhta_{name}", help_text, labels, registry=self.registry)

    def _histogram(self, name: str, help_text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"vakhta_{name}", help_text, buckets=buckets, registry=self.registry)
