"""What there is in RDS to restore from, and what speaks against each.

"available" is not enough: the KMS key of a snapshot may be disabled or gone, and its engine's version no longer be
offered. And a point in time counts only as far as its logs were really stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.core.backup import Backup, Continuity, Inventory, Window
from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.rds_clusters import RdsClusters
from bot.integrations.aws.rds_database import AutomatedBackup, RdsDatabase, RdsSnapshot
from bot.integrations.aws.rds_instances import RdsInstances

RdsKind = RdsInstances | RdsClusters

#: The id of what a restore to a point in time begins from: AWS chooses the snapshot, and replays the logs.
POINT_IN_TIME = "point-in-time"
#: The logs are stored every five minutes; much later, they are not stored at all.
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html
_LOGS_LATE = timedelta(minutes=20)
_DAY = timedelta(days=1)
_NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass
class RdsFindings:
    """One look. Keys and versions are asked for once in each."""

    kind: RdsKind
    kms: AwsService
    rds: AwsService
    now: datetime
    keys: dict[str, str] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)

    def inventory(self, name: str, live: RdsDatabase | None, *, network_set: bool) -> Inventory:
        automated = self.kind.automated(name, live)
        window = window_of(live, automated)
        blockers = tuple(self._blockers(name, live, automated, network_set=network_set))
        backups = [self._judged(one, live) for one in self.kind.snapshots(name)]
        if window is not None:
            problem = self._key_problem(live) if live else ""
            moment = window.latest
            backups.append(Backup(id=POINT_IN_TIME, data_at=moment, finished_at=moment, kind="logs", problem=problem))
        return Inventory(
            backups=tuple(sorted(backups, key=lambda one: one.data_at, reverse=True)),
            window=window,
            continuity=Continuity(ok_until=window.latest, gap=self._gap(live, window)) if window else None,
            blockers=blockers,
            interval=_DAY if live and live.retention_days else None,
        )

    def _blockers(
        self, name: str, live: RdsDatabase | None, automated: AutomatedBackup | None, *, network_set: bool
    ) -> Iterator[str]:
        if live is None:
            if self.kind.word == "cluster" or not network_set:
                yield (
                    f"The {self.kind.word} {name} is not there, and with it the settings that a copy needs. Set "
                    "security_groups and subnet_group of the store, or restore by hand."
                )
        elif not live.retention_days:
            yield (
                f"{name} has no automated backups (BackupRetentionPeriod is 0), so there is no restore to a point in "
                "time. Set a retention period of some days."
            )
        elif window_of(live, automated) is None:
            yield f"AWS tells no moment to which {name} could be restored; its first automated backup is not there yet."

    def _gap(self, live: RdsDatabase | None, window: Window) -> str:
        late = self.now - window.latest
        if live is None or late <= _LOGS_LATE:
            return ""
        why = f", and {live.name} is {live.status}" if live.status != "available" else ""
        return f"no log was stored for {int(late / timedelta(minutes=1))} min{why}"

    def _judged(self, snapshot: RdsSnapshot, live: RdsDatabase | None) -> Backup:
        made = snapshot.made_at
        kept = timedelta(days=live.retention_days) if live and snapshot.kind == "automated" else None
        return Backup(
            id=snapshot.name,
            data_at=made or _NO_TIME,
            finished_at=made if snapshot.status == "available" else None,
            size_bytes=snapshot.size_bytes,
            problem=self.problem_of(snapshot),
            kind=f"{snapshot.kind} snapshot",
            expires_at=made + kept if made and kept else None,
        )

    def problem_of(self, snapshot: RdsSnapshot) -> str:
        if snapshot.status == "creating":
            return f"it is being made, {snapshot.percent or 0} % so far"
        if snapshot.status != "available":
            return f"its status is {snapshot.status}"
        if snapshot.made_at is None:
            return "AWS tells no time of it"
        return self._key_state(snapshot.kms_key) or self._version_problem(snapshot.engine, snapshot.version)

    def _key_problem(self, live: RdsDatabase) -> str:
        return self._key_state(str(live.raw.get("KmsKeyId") or "") if live.raw.get("StorageEncrypted") else "")

    def _key_state(self, key: str) -> str:
        if not key:
            return ""
        if key not in self.keys:
            try:
                state = str(self.kms.read("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"])
                self.keys[key] = "" if state == "Enabled" else f"its KMS key {key} is {state}, not Enabled"
            except Rejected as refused:
                if refused.code == "unreachable":
                    raise
                self.keys[key] = f"whether its KMS key can be used is not known: {refused.message}"
        return self.keys[key]

    def _version_problem(self, engine: str, version: str) -> str:
        asked = (engine, version)
        if asked not in self.versions:
            found = self.rds.read("DescribeDBEngineVersions", Engine=engine, EngineVersion=version)
            offered = any(one.get("Status", "available") == "available" for one in found["DBEngineVersions"])
            self.versions[asked] = "" if offered else f"{engine} {version} is no longer offered by RDS"
        return self.versions[asked]


def window_of(live: RdsDatabase | None, automated: AutomatedBackup | None) -> Window | None:
    """The moments that can be reached, by the automated backups, or by what the live one tells of itself."""
    raw = live.raw if live else {}
    earliest = (automated and automated.earliest) or raw.get("EarliestRestorableTime")
    latest = (automated and automated.latest) or raw.get("LatestRestorableTime")
    if live is not None and not live.retention_days:
        return None
    earliest = earliest or (live.created_at if live else None)
    return Window(earliest=earliest, latest=latest) if earliest and latest and earliest <= latest else None
