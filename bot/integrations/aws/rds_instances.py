"""Instances of RDS: found, restored into new ones, renamed, deleted.

The trap: whatever a restore does not name, AWS takes from its defaults, not from the source: the default VPC security
group, the default parameter group, one zone, no IAM login. So everything that can be named is copied.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceToPointInTime.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bot.integrations.aws.client import AwsRefused, AwsService
from bot.integrations.aws.rds_database import GIB, AutomatedBackup, RdsDatabase, RdsSnapshot, as_tags, tags_of
from bot.integrations.aws.rds_drill import DrillPlace

#: Up to these a gp3 volume has them by itself, and for a small one they may not be named.
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
_GP3_IOPS, _GP3_THROUGHPUT = 3000, 125


class RdsInstances:
    word = "instance"
    quotas = MappingProxyType({"DBInstances": "instances"})

    def __init__(self, rds: AwsService) -> None:
        self._rds = rds

    def find(self, name: str) -> RdsDatabase | None:
        found = self._described("DBInstanceNotFound", "DescribeDBInstances", "DBInstances", DBInstanceIdentifier=name)
        return _database(found) if found else None

    def list_all(self) -> Iterator[RdsDatabase]:
        for page in self._rds.pages("DescribeDBInstances"):
            yield from (_database(one) for one in page["DBInstances"] if not one.get("DBClusterIdentifier"))

    def snapshots(self, name: str) -> Iterator[RdsSnapshot]:
        for page in self._rds.pages("DescribeDBSnapshots", DBInstanceIdentifier=name):
            yield from (_snapshot(one) for one in page["DBSnapshots"])

    def find_snapshot(self, snapshot: str) -> RdsSnapshot | None:
        found = self._described(
            "DBSnapshotNotFound", "DescribeDBSnapshots", "DBSnapshots", DBSnapshotIdentifier=snapshot
        )
        return _snapshot(found) if found else None

    def automated(self, name: str, live: RdsDatabase | None) -> AutomatedBackup | None:
        operation, key = "DescribeDBInstanceAutomatedBackups", "DBInstanceAutomatedBackups"
        absent = "DBInstanceAutomatedBackupNotFound"
        found = all_described(self._rds, absent, operation, key, DBInstanceIdentifier=name)
        return automated_of(found, "DbiResourceId", "DBInstanceAutomatedBackupsArn", live)

    def restore_snapshot(self, snapshot: str, target: str, parameters: Mapping[str, Any]) -> None:
        # Storage grows by itself on a restore to a point in time only.
        given = {key: value for key, value in parameters.items() if key != "MaxAllocatedStorage"}
        self._rds.write(
            "RestoreDBInstanceFromDBSnapshot", DBInstanceIdentifier=target, DBSnapshotIdentifier=snapshot, **given
        )

    def restore_time(
        self, source: Mapping[str, str], target: str, at: datetime | None, parameters: Mapping[str, Any]
    ) -> None:
        """`source`: by name, or by the ARN of its automated backups where it is gone. Without `at`, the latest."""
        moment: dict[str, Any] = {"UseLatestRestorableTime": True} if at is None else {"RestoreTime": at}
        self._rds.write(
            "RestoreDBInstanceToPointInTime", TargetDBInstanceIdentifier=target, **source, **moment, **parameters
        )

    def source(self, live: RdsDatabase | None, automated: AutomatedBackup | None) -> Mapping[str, str]:
        if live is not None:
            return {"SourceDBInstanceIdentifier": live.name}
        return {"SourceDBInstanceAutomatedBackupsArn": automated.arn if automated else ""}

    def parameters(self, live: RdsDatabase, drill: DrillPlace | None) -> dict[str, Any]:
        """Everything of the live one that AWS would else take from its defaults. A drill's: in its place, and cheap."""
        raw = live.raw
        given: dict[str, Any] = {
            "DBInstanceClass": raw.get("DBInstanceClass"),
            "Port": raw.get("DbInstancePort") or (raw.get("Endpoint") or {}).get("Port"),
            "DBSubnetGroupName": (raw.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"),
            "VpcSecurityGroupIds": [one["VpcSecurityGroupId"] for one in raw.get("VpcSecurityGroups") or ()],
            "DBParameterGroupName": _own(raw.get("DBParameterGroups"), "DBParameterGroupName"),
            "OptionGroupName": _own(raw.get("OptionGroupMemberships"), "OptionGroupName"),
            "MultiAZ": raw.get("MultiAZ"),
            "PubliclyAccessible": bool(raw.get("PubliclyAccessible")),
            "AutoMinorVersionUpgrade": raw.get("AutoMinorVersionUpgrade"),
            "LicenseModel": raw.get("LicenseModel"),
            "StorageType": raw.get("StorageType"),
            **_speed(raw),
            "MaxAllocatedStorage": raw.get("MaxAllocatedStorage"),
            "EnableIAMDatabaseAuthentication": raw.get("IAMDatabaseAuthenticationEnabled"),
            "EnableCloudwatchLogsExports": raw.get("EnabledCloudwatchLogsExports"),
            "CopyTagsToSnapshot": raw.get("CopyTagsToSnapshot"),
            "CACertificateIdentifier": raw.get("CACertificateIdentifier"),
            "ProcessorFeatures": raw.get("ProcessorFeatures"),
            "NetworkType": raw.get("NetworkType"),
            "DedicatedLogVolume": raw.get("DedicatedLogVolume"),
            # As the live one has it: past the end of standard support, a restore without it fails.
            "EngineLifecycleSupport": raw.get("EngineLifecycleSupport"),
            "BackupRetentionPeriod": raw.get("BackupRetentionPeriod"),
            "PreferredBackupWindow": raw.get("PreferredBackupWindow"),
            "DeletionProtection": False,
        }
        if drill:
            given |= _apart(drill, given)
        return {key: value for key, value in given.items() if value not in (None, "", [], ())}

    def bare(self, place: DrillPlace) -> dict[str, Any]:
        """Where the live one is gone, and with it what could be copied."""
        given: dict[str, Any] = {
            "DBInstanceClass": place.instance_class,
            "DBSubnetGroupName": place.subnet_group,
            "VpcSecurityGroupIds": list(place.security_groups),
            "PubliclyAccessible": False,
            "DeletionProtection": False,
        }
        return {key: value for key, value in given.items() if value not in (None, [])}

    def complete(self, copy: RdsDatabase, live: RdsDatabase | None, drill: DrillPlace | None) -> None:
        """What an instance still lacks once it is there: nothing."""

    def rename(self, name: str, new: str) -> None:
        self._rds.write(
            "ModifyDBInstance", DBInstanceIdentifier=name, NewDBInstanceIdentifier=new, ApplyImmediately=True
        )

    def protect(self, name: str, *, on: bool) -> None:
        self._rds.write("ModifyDBInstance", DBInstanceIdentifier=name, DeletionProtection=on, ApplyImmediately=True)

    def delete(self, name: str, *, final_snapshot: str = "") -> None:
        """With a final snapshot the automated backups stay, too; without, nothing does."""
        self._rds.write("DeleteDBInstance", DBInstanceIdentifier=name, **last_snapshot(final_snapshot))

    def take_snapshot(self, name: str, snapshot: str, tags: Mapping[str, str]) -> None:
        """One of that name that describe does not show yet is left as it is."""
        given = {"DBInstanceIdentifier": name, "DBSnapshotIdentifier": snapshot, "Tags": as_tags(tags)}
        create_once(self._rds, "CreateDBSnapshot", "DBSnapshotAlreadyExists", given)

    def not_restored(self, live: RdsDatabase) -> Iterator[str]:
        raw = live.raw
        if raw.get("PerformanceInsightsEnabled"):
            yield "Performance Insights: enable it again"
        if raw.get("MonitoringInterval"):
            yield "Enhanced Monitoring and its role"
        if replicas := raw.get("ReadReplicaDBInstanceIdentifiers"):
            yield f"the read replicas {', '.join(replicas)}"
        if raw.get("AssociatedRoles"):
            yield "the roles that are associated with the instance"
        if raw.get("MasterUserSecret"):
            yield "the master password that Secrets Manager manages"
        if raw.get("DomainMemberships"):
            yield "the membership in a directory"
        yield "the maintenance window, event subscriptions, CloudWatch alarms, and targets of RDS Proxy"

    def _described(self, absent: str, operation: str, key: str, **named: str) -> Mapping[str, Any] | None:
        return described(self._rds, absent, operation, key, **named)


def last_snapshot(name: str) -> dict[str, Any]:
    """The parameters of a deletion. With a last snapshot of that name the automated backups stay, too."""
    if not name:
        return {"SkipFinalSnapshot": True, "DeleteAutomatedBackups": True}
    return {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": name, "DeleteAutomatedBackups": False}


def create_once(rds: AwsService, operation: str, exists: str, given: Mapping[str, Any]) -> None:
    """What is there already, by AWS's word `exists`, is left as it is."""
    try:
        rds.write(operation, **given)
    except AwsRefused as refused:
        if refused.reason != exists:
            raise


def automated_of(
    found: Sequence[Mapping[str, Any]], id_key: str, arn_key: str, live: RdsDatabase | None
) -> AutomatedBackup | None:
    """Those of the live one; where it is gone, the newest. A name has more than one: of databases that were deleted
    with their automated backups kept, and had it before.
    """
    ends: dict[datetime, AutomatedBackup] = {}
    for one in found:
        window = one.get("RestoreWindow") or {}
        latest = window.get("LatestTime")
        if latest and (live is None or one.get(id_key) == live.resource_id):
            ends[latest] = AutomatedBackup(
                arn=str(one.get(arn_key) or ""), earliest=window.get("EarliestTime"), latest=latest
            )
    return ends[max(ends)] if ends else None


def all_described(rds: AwsService, absent: str, operation: str, key: str, **named: str) -> Sequence[Mapping[str, Any]]:
    """Those that are named; none where AWS answers that there is none, and only then."""
    try:
        return [dict(one) for page in rds.pages(operation, **named) for one in page[key]]
    except AwsRefused as refused:
        if refused.reason.removesuffix("Fault") == absent:
            return ()
        raise


def described(rds: AwsService, absent: str, operation: str, key: str, **named: str) -> Mapping[str, Any] | None:
    """The one that is named; None where AWS answers that there is none, and only then."""
    try:
        found = rds.read(operation, **named)[key]
    except AwsRefused as refused:
        if refused.reason.removesuffix("Fault") == absent:
            return None
        raise
    return dict(found[0]) if found else None


def _apart(drill: DrillPlace, given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "DBInstanceClass": drill.instance_class or given["DBInstanceClass"],
        "DBSubnetGroupName": drill.subnet_group or given["DBSubnetGroupName"],
        "VpcSecurityGroupIds": list(drill.security_groups),
        "MultiAZ": False,
        "PubliclyAccessible": False,
        "BackupRetentionPeriod": 0,
        "PreferredBackupWindow": None,
    }


def _own(named: Any, key: str) -> str | None:
    """The first group that was made by somebody; AWS's own default is what a restore takes by itself."""
    name = str(named[0].get(key) or "") if named else ""
    return None if name.startswith("default") else name


def _speed(raw: Mapping[str, Any]) -> dict[str, Any]:
    iops, throughput = raw.get("Iops") or 0, raw.get("StorageThroughput") or 0
    if raw.get("StorageType") == "gp3" and iops <= _GP3_IOPS and throughput <= _GP3_THROUGHPUT:
        return {}
    return {"Iops": iops or None, "StorageThroughput": throughput or None}


def _database(raw: Mapping[str, Any]) -> RdsDatabase:
    return RdsDatabase(
        name=raw["DBInstanceIdentifier"],
        arn=str(raw.get("DBInstanceArn") or ""),
        resource_id=str(raw.get("DbiResourceId") or ""),
        status=str(raw.get("DBInstanceStatus") or ""),
        engine=str(raw.get("Engine") or ""),
        version=str(raw.get("EngineVersion") or ""),
        created_at=raw.get("InstanceCreateTime"),
        tags=tags_of(raw),
        host=str((raw.get("Endpoint") or {}).get("Address") or ""),
        raw=raw,
    )


def _snapshot(raw: Mapping[str, Any]) -> RdsSnapshot:
    exact = raw.get("FullSnapshotSizeInBytes")
    return RdsSnapshot(
        name=raw["DBSnapshotIdentifier"],
        status=str(raw.get("Status") or ""),
        made_at=raw.get("OriginalSnapshotCreateTime") or raw.get("SnapshotCreateTime"),
        percent=raw.get("PercentProgress"),
        size_bytes=int(exact) if exact else int(raw.get("AllocatedStorage") or 0) * GIB or None,
        kms_key=str(raw.get("KmsKeyId") or "") if raw.get("Encrypted") else "",
        engine=str(raw.get("Engine") or ""),
        version=str(raw.get("EngineVersion") or ""),
        kind=str(raw.get("SnapshotType") or ""),
        tags=tags_of(raw),
    )
