"""Clusters of Aurora: as `rds_instances`, and one instance more.

Two traps. A restored cluster has no instance, so nobody can read it, and AWS takes the request for one only when the
cluster is available. And a "copy-on-write" restore is a clone that reads the live volume: it proves no backup, so it is
never asked for.
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterToPointInTime.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from bot.core.backup import CopyState, CopyStatus
from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsRefused, AwsService
from bot.integrations.aws.rds_database import AutomatedBackup, RdsDatabase, RdsSnapshot, as_tags, tags_of
from bot.integrations.aws.rds_drill import DrillPlace
from bot.integrations.aws.rds_instances import all_described, automated_of, create_once, described, last_snapshot
from bot.integrations.aws.rds_status import is_over, status_of


class RdsClusters:
    word = "cluster"
    #: A cluster without an instance, which AWS refuses hours later, is no copy.
    quotas = MappingProxyType({"DBClusters": "clusters", "DBInstances": "instances"})

    def __init__(self, rds: AwsService) -> None:
        self._rds = rds

    def find(self, name: str) -> RdsDatabase | None:
        found = described(self._rds, "DBClusterNotFound", "DescribeDBClusters", "DBClusters", DBClusterIdentifier=name)
        return _database(found) if found else None

    def list_all(self) -> Iterator[RdsDatabase]:
        for page in self._rds.pages("DescribeDBClusters"):
            yield from (_database(one) for one in page["DBClusters"])

    def snapshots(self, name: str) -> Iterator[RdsSnapshot]:
        for page in self._rds.pages("DescribeDBClusterSnapshots", DBClusterIdentifier=name):
            yield from (_snapshot(one) for one in page["DBClusterSnapshots"])

    def find_snapshot(self, snapshot: str) -> RdsSnapshot | None:
        operation, key = "DescribeDBClusterSnapshots", "DBClusterSnapshots"
        found = described(self._rds, "DBClusterSnapshotNotFound", operation, key, DBClusterSnapshotIdentifier=snapshot)
        return _snapshot(found) if found else None

    def automated(self, name: str, live: RdsDatabase | None) -> AutomatedBackup | None:
        """Of a cluster, describe of the cluster itself tells the window; a deleted one is found by its backups."""
        operation, key = "DescribeDBClusterAutomatedBackups", "DBClusterAutomatedBackups"
        found = all_described(self._rds, "DBClusterAutomatedBackupNotFound", operation, key, DBClusterIdentifier=name)
        return automated_of(found, "DbClusterResourceId", "DbClusterResourceId", live)

    def restore_snapshot(self, snapshot: str, target: str, parameters: Mapping[str, Any]) -> None:
        self._rds.write(
            "RestoreDBClusterFromSnapshot", DBClusterIdentifier=target, SnapshotIdentifier=snapshot, **parameters
        )

    def restore_time(
        self, source: Mapping[str, str], target: str, at: datetime | None, parameters: Mapping[str, Any]
    ) -> None:
        moment: dict[str, Any] = {"UseLatestRestorableTime": True} if at is None else {"RestoreToTime": at}
        # The engine is the source's; only a restore from a snapshot is told it.
        given = {key: value for key, value in parameters.items() if key not in ("Engine", "EngineVersion")}
        self._rds.write(
            "RestoreDBClusterToPointInTime",
            DBClusterIdentifier=target,
            RestoreType="full-copy",
            **source,
            **moment,
            **given,
        )

    def source(self, live: RdsDatabase | None, automated: AutomatedBackup | None) -> Mapping[str, str]:
        if live is not None:
            return {"SourceDBClusterIdentifier": live.name}
        return {"SourceDbClusterResourceId": automated.arn if automated else ""}

    def parameters(self, live: RdsDatabase, drill: DrillPlace | None) -> dict[str, Any]:
        raw = live.raw
        if not live.engine.startswith("aurora"):
            raise Rejected(
                f"{live.name} is a Multi-AZ cluster of {live.engine}, and only Aurora's are restored. Nothing was done."
            )
        if not ((drill and drill.instance_class) or self._writer(live)):
            raise Rejected(
                f"{live.name} has no instance now, so nobody knows of which class that of the copy should be. Nothing "
                "was done. Add an instance to the live cluster, or for a drill set instance_class of the store."
            )
        group = str(raw.get("DBClusterParameterGroup") or "")
        given: dict[str, Any] = {
            "Engine": live.engine,
            "EngineVersion": live.version,
            "Port": raw.get("Port"),
            "DBSubnetGroupName": raw.get("DBSubnetGroup"),
            "VpcSecurityGroupIds": [one["VpcSecurityGroupId"] for one in raw.get("VpcSecurityGroups") or ()],
            "DBClusterParameterGroupName": None if group.startswith("default") else group,
            "EnableIAMDatabaseAuthentication": raw.get("IAMDatabaseAuthenticationEnabled"),
            "EnableCloudwatchLogsExports": raw.get("EnabledCloudwatchLogsExports"),
            "CopyTagsToSnapshot": raw.get("CopyTagsToSnapshot"),
            "ServerlessV2ScalingConfiguration": _scaling(raw),
            "StorageType": raw.get("StorageType") if raw.get("StorageType") == "aurora-iopt1" else None,
            "NetworkType": raw.get("NetworkType"),
            "EngineLifecycleSupport": raw.get("EngineLifecycleSupport"),
            "BackupRetentionPeriod": raw.get("BackupRetentionPeriod"),
            "PreferredBackupWindow": raw.get("PreferredBackupWindow"),
            "DeletionProtection": False,
        }
        if drill:
            given |= {
                "DBSubnetGroupName": drill.subnet_group or given["DBSubnetGroupName"],
                "VpcSecurityGroupIds": list(drill.security_groups),
                "BackupRetentionPeriod": 1,  # the least that Aurora has
                "PreferredBackupWindow": None,
            }
        return {key: value for key, value in given.items() if value not in (None, "", [], (), {})}

    def bare(self, place: DrillPlace) -> dict[str, Any]:
        raise Rejected(
            "The cluster is gone, and with it the settings that a copy needs. Nothing was done. "
            f"Restore it by hand into {place.subnet_group or 'its subnet group'}."
        )

    def complete(self, copy: RdsDatabase, live: RdsDatabase | None, drill: DrillPlace | None) -> CopyStatus | None:
        """Ask for the instance of a cluster that is available and has none. Returns how that one stands; None once one
        is available. Asked for again, the name makes it the same one. After a cutover the cluster has another name and
        the same instance: so its members are looked at, and not the name.
        """
        members = [one["DBInstanceIdentifier"] for one in copy.raw.get("DBClusterMembers") or ()]
        name = members[0] if members else f"{copy.name}-1"
        shown = [one for one in (self._instance(member) for member in members or [name]) if one is not None]
        statuses = [str(one.get("DBInstanceStatus") or "") for one in shown]
        if not members and any(one.get("DBClusterIdentifier") != copy.name for one in shown):
            return CopyStatus(
                state=CopyState.FAILED, message=f"{copy.name} has no instance, and {name} is one of another database."
            )
        if "available" in statuses:
            return None
        if statuses and all(is_over(one) for one in statuses):
            why = status_of(statuses[0], name).message
            return CopyStatus(state=CopyState.FAILED, message=f"The instance of {copy.name} cannot be read: {why}")
        if not shown:
            self._add_instance(name, copy, live, drill)
        told = f"its instance {name} is {statuses[0]}" if statuses else f"its instance {name} was asked for"
        return CopyStatus(state=CopyState.RUNNING, phase="waiting for an instance", message=told)

    def _instance(self, name: str) -> Mapping[str, Any] | None:
        operation = "DescribeDBInstances"
        return described(self._rds, "DBInstanceNotFound", operation, "DBInstances", DBInstanceIdentifier=name)

    def _add_instance(self, name: str, copy: RdsDatabase, live: RdsDatabase | None, drill: DrillPlace | None) -> None:
        writer = self._writer(live) if live else {}
        kind = (drill.instance_class if drill else None) or writer.get("DBInstanceClass")
        groups = writer.get("DBParameterGroups") or ()
        group = str(groups[0].get("DBParameterGroupName") or "") if groups else ""
        given = {
            "DBInstanceClass": kind,
            "DBParameterGroupName": None if group.startswith("default") else group,
            "CACertificateIdentifier": writer.get("CACertificateIdentifier"),
            "AutoMinorVersionUpgrade": writer.get("AutoMinorVersionUpgrade"),
        }
        try:
            self._rds.write(
                "CreateDBInstance",
                DBInstanceIdentifier=name,
                DBClusterIdentifier=copy.name,
                Engine=copy.engine,
                PubliclyAccessible=bool(writer.get("PubliclyAccessible")) and drill is None,
                Tags=as_tags(copy.tags),
                **{key: value for key, value in given.items() if value not in (None, "")},
            )
        except AwsRefused as refused:
            if refused.reason != "DBInstanceAlreadyExists":
                raise

    def _writer(self, live: RdsDatabase) -> Mapping[str, Any]:
        members = live.raw.get("DBClusterMembers") or ()
        name = next((one["DBInstanceIdentifier"] for one in members if one.get("IsClusterWriter")), "")
        return (self._instance(name) or {}) if name else {}

    def rename(self, name: str, new: str) -> None:
        self._rds.write("ModifyDBCluster", DBClusterIdentifier=name, NewDBClusterIdentifier=new, ApplyImmediately=True)

    def protect(self, name: str, *, on: bool) -> None:
        self._rds.write("ModifyDBCluster", DBClusterIdentifier=name, DeletionProtection=on, ApplyImmediately=True)

    def delete(self, name: str, *, final_snapshot: str = "") -> None:
        """Its instances first, or AWS refuses."""
        found = self.find(name)
        for one in (found.raw.get("DBClusterMembers") or ()) if found else ():
            member = one["DBInstanceIdentifier"]
            shown = self._instance(member)
            if shown and shown.get("DBInstanceStatus") != "deleting":
                self._rds.write("DeleteDBInstance", DBInstanceIdentifier=member, SkipFinalSnapshot=True)
        self._rds.write("DeleteDBCluster", DBClusterIdentifier=name, **last_snapshot(final_snapshot))

    def take_snapshot(self, name: str, snapshot: str, tags: Mapping[str, str]) -> None:
        given = {"DBClusterIdentifier": name, "DBClusterSnapshotIdentifier": snapshot, "Tags": as_tags(tags)}
        create_once(self._rds, "CreateDBClusterSnapshot", "DBClusterSnapshotAlreadyExistsFault", given)

    def not_restored(self, live: RdsDatabase) -> Iterator[str]:
        raw = live.raw
        members = [one["DBInstanceIdentifier"] for one in raw.get("DBClusterMembers") or ()]
        if len(members) > 1:
            yield f"the readers: the copy has one instance, the live cluster has {', '.join(members)}"
        if raw.get("CustomEndpoints"):
            yield "the custom endpoints"
        if raw.get("AssociatedRoles"):
            yield "the roles that are associated with the cluster"
        if raw.get("BacktrackWindow"):
            yield "the backtrack window"
        if raw.get("MasterUserSecret"):
            yield "the master password that Secrets Manager manages"
        yield "the maintenance window, autoscaling, event subscriptions, CloudWatch alarms, and targets of RDS Proxy"


def _scaling(raw: Mapping[str, Any]) -> dict[str, Any]:
    told = raw.get("ServerlessV2ScalingConfiguration") or {}
    return {key: told[key] for key in ("MinCapacity", "MaxCapacity", "SecondsUntilAutoPause") if key in told}


def _database(raw: Mapping[str, Any]) -> RdsDatabase:
    return RdsDatabase(
        name=raw["DBClusterIdentifier"],
        arn=str(raw.get("DBClusterArn") or ""),
        resource_id=str(raw.get("DbClusterResourceId") or ""),
        status=str(raw.get("Status") or ""),
        engine=str(raw.get("Engine") or ""),
        version=str(raw.get("EngineVersion") or ""),
        created_at=raw.get("ClusterCreateTime"),
        tags=tags_of(raw),
        host=str(raw.get("Endpoint") or ""),
        raw=raw,
    )


def _snapshot(raw: Mapping[str, Any]) -> RdsSnapshot:
    return RdsSnapshot(
        name=raw["DBClusterSnapshotIdentifier"],
        status=str(raw.get("Status") or ""),
        made_at=raw.get("SnapshotCreateTime"),
        percent=raw.get("PercentProgress"),
        size_bytes=int(raw.get("AllocatedStorage") or 0) * 2**30 or None,
        kms_key=str(raw.get("KmsKeyId") or "") if raw.get("StorageEncrypted") else "",
        engine=str(raw.get("Engine") or ""),
        version=str(raw.get("EngineVersion") or ""),
        kind=str(raw.get("SnapshotType") or ""),
        tags=tags_of(raw),
    )
