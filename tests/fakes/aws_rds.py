"""What RDS does and moto does not: statuses that last, a database that is not shown yet, renames during which nobody
has the name, resource ids, windows, quotas, versions and keys. Time is the test's clock.

moto is in this process, so its databases are changed in place. Seen in moto 5.2.5: a restored instance has its source's
resource id and its deletion protection whatever was asked for; a time in the future is taken; snapshots are ready at
once; DescribeDBEngineVersions, DescribeAccountAttributes and DescribeDBClusterAutomatedBackups are not there.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from moto.rds.models import rds_backends

from tests.fakes.aws import FakeAws, error
from tests.fakes.calls import Answer

_RESTORES = (
    "RestoreDBInstanceToPointInTime", "RestoreDBInstanceFromDBSnapshot",
    "RestoreDBClusterToPointInTime", "RestoreDBClusterFromSnapshot",
)  # fmt: skip
_NAMES = ("TargetDBInstanceIdentifier", "DBInstanceIdentifier", "DBClusterIdentifier")


class UnkindRds:
    """Set up on a `FakeAws`. `takes`: from the request to the last of `phases`; then a database is `ends`."""

    def __init__(self, aws: FakeAws, region: str, now: Callable[[], datetime]) -> None:
        self._aws = aws
        self._now = now
        self._world: Any = rds_backends["123456789012"][region]
        self.takes = timedelta(minutes=20)
        self.phases = ("creating", "backing-up", "modifying")
        self.ends = "available"
        self.not_shown = 2  #: so many describes by name find nothing after a request
        self.renames_take = timedelta(minutes=2)
        self.snapshots_take = timedelta(minutes=10)
        self.snapshot_ends = "available"
        self.earliest: datetime | None = None
        self.latest: datetime | None = None
        self.retained: list[tuple[str, datetime, datetime]] = []  #: kept of deleted ones: resource id, window
        self.key_state = "Enabled"
        self.offered = True
        self.quotas = {"DBInstances": (3, 40), "DBClusters": (1, 40), "AllocatedStorage": (1000, 100_000)}
        self._born: dict[int, datetime] = {}
        self._unseen: dict[str, int] = {}
        self._limbo: list[tuple[datetime, str, Any]] = []  #: renamed: when it is shown again, as what
        self._snapped: dict[int, datetime] = {}
        self._set_up()

    @property
    def instances(self) -> Mapping[str, Any]:
        return dict(self._world.databases)

    @property
    def clusters(self) -> Mapping[str, Any]:
        return dict(self._world.clusters)

    @property
    def snapshots(self) -> Mapping[str, Any]:
        return dict(self._world.database_snapshots)

    def set_status(self, name: str, status: str) -> None:
        one = self._world.databases.get(name) or self._world.clusters[name]
        self._born.pop(id(one), None)
        one.status = status

    def _set_up(self) -> None:
        replace = self._aws.replace
        for operation in _RESTORES:
            replace("rds", operation, self._checked)
            self._aws.after("rds", operation, self._restored)
        for operation in ("DescribeDBInstances", "DescribeDBClusters"):
            replace("rds", operation, self._described)
        for operation in ("DescribeDBSnapshots", "DescribeDBClusterSnapshots"):
            replace("rds", operation, self._snapshots)
        for operation in ("ModifyDBInstance", "ModifyDBCluster"):
            self._aws.after("rds", operation, self._modified)
        for operation in ("CreateDBSnapshot", "CreateDBClusterSnapshot"):
            self._aws.after("rds", operation, self._snapped_now)
        self._aws.after("rds", "CreateDBInstance", self._restored)
        replace("rds", "DescribeDBInstanceAutomatedBackups", self._window("DBInstance"))
        replace("rds", "DescribeDBClusterAutomatedBackups", self._window("DBCluster"))
        replace("rds", "DescribeDBEngineVersions", self._versions)
        replace("rds", "DescribeAccountAttributes", self._quotas)
        replace("kms", "DescribeKey", lambda told: Answer.json(
            {"KeyMetadata": {"KeyId": told["KeyId"], "KeyState": self.key_state}}
        ))  # fmt: skip

    def _checked(self, told: Mapping[str, Any]) -> Answer | None:
        """The validation of a moment, which moto leaves out."""
        if "SnapshotIdentifier" in told or "DBSnapshotIdentifier" in told:
            return None
        at = told.get("RestoreTime") or told.get("RestoreToTime")
        if bool(at) == (told.get("UseLatestRestorableTime") == "true"):
            return error("rds", "InvalidParameterCombination", "Specify either RestoreTime or UseLatestRestorableTime")
        if at and self.latest and datetime.fromisoformat(at) > self.latest:
            return error("rds", "InvalidRestoreFault", "The specified instance cannot be restored to a time after")
        if told.get("RestoreType") == "copy-on-write":
            self._aws.fault("a clone of the live volume was asked for")
        return None

    def _restored(self, told: Mapping[str, Any]) -> None:
        name = next(told[key] for key in _NAMES if key in told)
        one = self._world.databases.get(name) or self._world.clusters.get(name)
        if one is None:
            return
        one.dbi_resource_id = f"db-{secrets.token_hex(12).upper()}"
        if "DeletionProtection" in told:
            one.deletion_protection = told["DeletionProtection"] == "true"
        self._born[id(one)] = self._now()
        self._unseen[name] = self.not_shown

    def _described(self, told: Mapping[str, Any]) -> Answer | None:
        self._turn()
        name = told.get("DBInstanceIdentifier") or told.get("DBClusterIdentifier")
        if name and self._unseen.get(name, 0) > 0:
            self._unseen[name] -= 1
            code = "DBInstanceNotFound" if "DBInstanceIdentifier" in told else "DBClusterNotFoundFault"
            return error("rds", code, f"{name} not found.", status=404)
        return None

    def _turn(self) -> None:
        for until, name, one in list(self._limbo):
            if self._now() >= until:
                self._limbo.remove((until, name, one))
                held = self._world.clusters if hasattr(one, "db_cluster_resource_id") else self._world.databases
                held[name] = one
                self._born[id(one)] = self._now() - self.takes + self.renames_take / 2
        for one in (*self._world.databases.values(), *self._world.clusters.values()):
            if (born := self._born.get(id(one))) is None:
                continue
            passed = (self._now() - born) / self.takes
            one.status = self.ends if passed >= 1 else self.phases[int(passed * len(self.phases))]

    def _modified(self, told: Mapping[str, Any]) -> None:
        """A rename: for a while neither name is shown."""
        new = told.get("NewDBInstanceIdentifier") or told.get("NewDBClusterIdentifier")
        if not new:
            return
        held = self._world.clusters if "NewDBClusterIdentifier" in told else self._world.databases
        if new in held:
            one = held.pop(new)
            self._born.pop(id(one), None)
            one.status = "renaming"
            self._limbo.append((self._now() + self.renames_take / 2, new, one))

    def _snapped_now(self, told: Mapping[str, Any]) -> None:
        name = told.get("DBSnapshotIdentifier") or told.get("DBClusterSnapshotIdentifier") or ""
        one = self._world.database_snapshots.get(name) or self._world.cluster_snapshots.get(name)
        if one is not None:
            self._snapped[id(one)] = self._now()
            self._unseen[name] = self.not_shown

    def _snapshots(self, told: Mapping[str, Any]) -> Answer | None:
        for one in (*self._world.database_snapshots.values(), *self._world.cluster_snapshots.values()):
            if (begun := self._snapped.get(id(one))) is not None:
                one.status = self.snapshot_ends if self._now() - begun >= self.snapshots_take else "creating"
        name = told.get("DBSnapshotIdentifier") or told.get("DBClusterSnapshotIdentifier") or ""
        if self._unseen.get(name, 0) > 0:
            self._unseen[name] -= 1
            code = "DBSnapshotNotFound" if "DBSnapshotIdentifier" in told else "DBClusterSnapshotNotFoundFault"
            return error("rds", code, f"{name} not found.", status=404)
        return None

    def _window(self, of: str) -> Callable[[Mapping[str, Any]], Answer]:
        """Those of the database that has the name now, or had it; after those of earlier ones, which were kept."""
        id_key = "DbiResourceId" if of == "DBInstance" else "DbClusterResourceId"

        def answer(told: Mapping[str, Any]) -> Answer:
            live = self._world.databases.get(told.get(f"{of}Identifier")) or self._world.clusters.get(
                told.get(f"{of}Identifier")
            )
            ours = str(getattr(live, "db_cluster_resource_id", None) or getattr(live, "dbi_resource_id", "db-GONE"))
            known = [*self.retained]
            if self.earliest is not None and self.latest is not None:
                known.append((ours, self.earliest, self.latest))
            each = "".join(
                f"<{of}AutomatedBackup><{id_key}>{one}</{id_key}>"
                f"<RestoreWindow><EarliestTime>{_iso(earliest)}</EarliestTime><LatestTime>{_iso(latest)}</LatestTime>"
                f"</RestoreWindow><{of}AutomatedBackupsArn>arn:aws:rds:eu-west-1:123456789012:auto-backup:{one}"
                f"</{of}AutomatedBackupsArn></{of}AutomatedBackup>"
                for one, earliest, latest in known
            )
            return _xml(f"Describe{of}AutomatedBackups", f"<{of}AutomatedBackups>{each}</{of}AutomatedBackups>")

        return answer

    def _versions(self, told: Mapping[str, Any]) -> Answer:
        one = f"<DBEngineVersion><Engine>{told['Engine']}</Engine><Status>available</Status></DBEngineVersion>"
        return _xml("DescribeDBEngineVersions", f"<DBEngineVersions>{one if self.offered else ''}</DBEngineVersions>")

    def _quotas(self, _: Mapping[str, Any]) -> Answer:
        each = "".join(
            f"<AccountQuota><AccountQuotaName>{name}</AccountQuotaName><Used>{used}</Used><Max>{most}</Max></AccountQuota>"
            for name, (used, most) in self.quotas.items()
        )
        return _xml("DescribeAccountAttributes", f"<AccountQuotas>{each}</AccountQuotas>")


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _xml(operation: str, result: str) -> Answer:
    whole = f"<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"
    return Answer(body=whole.encode(), headers={"Content-Type": "text/xml"})
