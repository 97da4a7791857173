"""Databases of RDS and Aurora that AWS Backup saves: restored from a recovery point into a new one beside.

The promise: the run is the idempotency token of the restore job and stands whole in the copy's name, so a run has one
job. AWS Backup puts no tag of ours on what it makes; whose a copy is, its list of restore jobs says.
The trap: a job that is COMPLETED says that AWS is done, not that the data is there. So the copy is read, as in RDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.backup import (
    Backup,
    Check,
    CheckResult,
    Copy,
    CopyState,
    CopyStatus,
    Drill,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.rds_clusters import RdsClusters
from bot.integrations.aws.rds_database import RdsDatabase
from bot.integrations.aws.rds_drill import DrillPlace
from bot.integrations.aws.rds_instances import RdsInstances
from bot.integrations.aws.rds_inventory import RdsKind
from bot.integrations.aws.rds_isolation import leak_of, refuse_without_groups
from bot.integrations.aws.rds_status import status_of
from bot.integrations.aws.rds_verify import verify_database
from bot.integrations.aws.recovery_points import RecoveryPoints
from bot.integrations.aws.restore_testing import RestoreTestingValidator
from bot.integrations.aws.settings import AwsBackupSettings

_COPY = re.compile(r".*-(restore|drill)-([0-9a-f]{32})")
#: Jobs are looked for so far back.
_JOBS_SINCE = timedelta(days=30)
#: AWS's clock and the bot's, at most.
_CLOCKS_DIFFER = timedelta(minutes=1)


class AwsBackupEngine:
    """One database in one vault."""

    title = "AWS Backup"

    def __init__(self, where: AwsBackupSettings, parts: EngineParts) -> None:
        called = f"vakhta-{parts.store}"
        self._where = where
        self._parts = parts
        self._backup = AwsService(where, "backup", called=called)
        self._ec2 = AwsService(where, "ec2", called=called)
        rds = AwsService(where, "rds", called=called)
        kind, _, self._name = where.resource.split(":", 5)[5].partition(":")
        self._kind: RdsKind = RdsClusters(rds) if kind == "cluster" else RdsInstances(rds)
        self._points = RecoveryPoints(
            self._backup, AwsService(where, "kms", called=called), where.vault, where.resource
        )
        self._validator: RestoreTestingValidator | None = None
        self._begun: dict[str, str] = {}  #: run -> the restore job that this process was answered
        self._place = DrillPlace(security_groups=where.security_groups, subnet_group=None, instance_class=None)

    def validate_drills(self, checks: Sequence[Check]) -> Sequence[Drill]:
        if self._where.testing_plan is None:
            return ()
        if self._validator is None:
            self._validator = RestoreTestingValidator(self._where, self._parts, checks)
        return self._validator.tick()

    def inventory(self) -> Inventory:
        found = [one for _, one in self._points.judged(self._parts.now())]
        return Inventory(backups=tuple(sorted(found, key=lambda one: one.data_at, reverse=True)))

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        if point.at is not None:
            raise Rejected("AWS Backup restores recovery points, not moments. Nothing was done. Use `from <backup>`.")
        arn, backup = self._chosen(point)
        live = self._kind.find(self._name)
        if drill:
            refuse_without_groups(self._where.security_groups, live)
        self._metadata(arn, "check", drill=drill)
        word = "drill" if drill else "restore"
        return RestorePreview(
            backup_id=backup.id,
            data_at=backup.data_at,
            copy_name=f"{self._name[:20].rstrip('-')}-{word}-{{run}}",
            effect=(f"AWS Backup restores {backup.id} of {self._name} into a new {self._kind.word} beside it",),
            preconditions={"recovery point": arn},
            not_restored=tuple(self._kind.not_restored(live)) if live else (),
            size_bytes=backup.size_bytes,
            expires_at=backup.expires_at,
            facts={
                "arn": arn,
                "data_at": backup.data_at.isoformat(),
                "resource_id": live.resource_id if live else "",
                "asked_at": self._parts.now().isoformat(),
            },
        )

    def begin(self, task: RestoreTask) -> None:
        """The same token gives the same job, so a second request starts nothing."""
        if self._kind.find(self._copy_name(task)) is not None:
            return
        self._chosen(RestorePoint(backup_id=task.point.backup_id))
        arn = task.facts["arn"]
        answer = self._backup.write(
            "StartRestoreJob",
            RecoveryPointArn=arn,
            Metadata=self._metadata(arn, self._copy_name(task), drill=task.drill),
            IamRoleArn=self._where.restore_role,
            IdempotencyToken=task.run,
            ResourceType="Aurora" if self._kind.word == "cluster" else "RDS",
            CopySourceTagsToRestoredResource=False,
        )
        self._begun[task.run] = str(answer.get("RestoreJobId") or "")

    def look(self, task: RestoreTask) -> CopyStatus:
        copy = self._kind.find(self._copy_name(task))
        if copy is not None:
            return self._look_at(copy, task)
        jobs = list(self._jobs_of(task))
        ours = next((one for one in jobs if _created(one) == self._copy_name(task)), None)
        if ours is not None and ours["Status"] in ("FAILED", "ABORTED"):
            why = str(ours.get("StatusMessage") or "AWS gives no reason")
            return CopyStatus(state=CopyState.FAILED, message=f"the restore job is {ours['Status']}: {why}")
        # A job has no name before it has made something: it may be this one.
        unnamed = [one for one in jobs if not _created(one) and one["Status"] != "COMPLETED"]
        if ours is not None or any(one["Status"] in ("PENDING", "RUNNING") for one in unnamed):
            return CopyStatus(state=CopyState.WAITING, message="AWS Backup has a restore job of that recovery point")
        if unnamed:
            why = str(unnamed[0].get("StatusMessage") or "AWS gives no reason")
            return CopyStatus(state=CopyState.FAILED, message=f"the restore job is {unnamed[0]['Status']}: {why}")
        if self._begun.get(task.run):
            return CopyStatus(
                state=CopyState.WAITING, message="AWS Backup has taken the request, and shows no copy yet"
            )
        return CopyStatus(state=CopyState.ABSENT)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        copy = self._kind.find(self._copy_name(task))
        if copy is None:
            return [CheckResult(name="the copy is there", expected="available", got="nothing", ok=False)]
        live = self._kind.find(self._name)
        at = datetime.fromisoformat(task.facts["data_at"])
        return verify_database(self._where.url, copy, live, checks, report, data_at=at)

    def isolation_leak(self, task: RestoreTask) -> str:
        copy = self._kind.find(self._copy_name(task))
        if copy is None:
            return "the copy is not there, so its isolation cannot be tried"
        return leak_of(copy, self._kind.find(self._name), self._where.security_groups, self._ec2)

    def copies(self) -> Sequence[Copy]:
        """What restore jobs of this database have made under names of ours, and still is there."""
        found = []
        for job in self._jobs():
            name = _created(job)
            named = _COPY.fullmatch(name)
            if named and (copy := self._kind.find(name)) is not None:
                drill = named.group(1) == "drill"
                found.append(Copy(run=named.group(2), name=name, created_at=copy.created_at, drill=drill))
        return found

    def remove(self, copy: Copy) -> None:
        found = self._kind.find(copy.name)
        if found is None or found.status == "deleting":
            return
        live = self._kind.find(self._name)
        named = _COPY.fullmatch(copy.name)
        made = any(_created(one) == copy.name for one in self._jobs())
        if not named or named.group(2) != copy.run or not made:
            raise Rejected(f"No restore job of {self._name} has made {copy.name} for that run. Nothing was removed.")
        if live is not None and live.resource_id == found.resource_id:
            raise Rejected(f"{copy.name} is the live {self._name}. Nothing was removed.")
        if copy.created_at and found.created_at != copy.created_at:
            raise Rejected(f"{copy.name} was created at another time than the copy of that run. Nothing was removed.")
        if found.raw.get("DeletionProtection"):
            self._kind.protect(found.name, on=False)
        self._kind.delete(found.name)

    def _look_at(self, copy: RdsDatabase, task: RestoreTask) -> CopyStatus:
        status = status_of(copy.status, copy.name)
        if status.state is not CopyState.RESTORED:
            return status
        place = self._place if task.drill else None
        if self._kind.word == "cluster" and (waits := self._kind.complete(copy, self._kind.find(self._name), place)):
            return waits
        at = datetime.fromisoformat(task.facts["data_at"])
        return CopyStatus(state=CopyState.RESTORED, message=status.message, data_at=at)

    def _chosen(self, point: RestorePoint) -> tuple[str, Backup]:
        found = sorted(self._points.judged(self._parts.now()), key=lambda one: one[1].data_at, reverse=True)
        if not point.backup_id:
            found = [one for one in found if one[1].usable]
        chosen = next((one for one in found if point.backup_id in ("", one[1].id)), None)
        if chosen is None:
            raise Rejected(f"There is no recovery point {point.backup_id or 'that can be used'}. Nothing was done.")
        if chosen[1].problem:
            raise Rejected(f"{chosen[1].id} cannot be restored from: {chosen[1].problem}. Nothing was done.")
        return chosen

    def _metadata(self, arn: str, name: str, *, drill: bool) -> Mapping[str, str]:
        """What the recovery point has, under the copy's name; of a drill, in its network."""
        answer = self._backup.read(
            "GetRecoveryPointRestoreMetadata", BackupVaultName=self._where.vault, RecoveryPointArn=arn
        )
        key = "DBClusterIdentifier" if self._kind.word == "cluster" else "DBInstanceIdentifier"
        given = (
            dict(answer["RestoreMetadata"]) | dict(self._where.metadata) | {key: name, "DeletionProtection": "false"}
        )
        if drill:
            given["VpcSecurityGroupIds"] = json.dumps(list(self._where.security_groups))
            if self._kind.word == "instance":
                given |= {"PubliclyAccessible": "false", "MultiAZ": "false"}
        return given

    def _jobs_of(self, task: RestoreTask) -> Iterator[Mapping[str, Any]]:
        """Those that may be this run's. A job that made nothing has neither its name nor its token: so it is known by
        the id that AWS has answered, and to another process by when it was asked for.
        """
        known, asked_at = self._begun.get(task.run), task.facts.get("asked_at")
        since = datetime.fromisoformat(asked_at) - _CLOCKS_DIFFER if asked_at else None
        for one in self._jobs():
            if one["RecoveryPointArn"] != task.facts["arn"] or (known and one["RestoreJobId"] != known):
                continue
            if known or since is None or one["CreationDate"] >= since:
                yield one

    def _jobs(self) -> Iterator[Mapping[str, Any]]:
        since = self._parts.now() - _JOBS_SINCE
        for page in self._backup.pages("ListRestoreJobs", ByCreatedAfter=since):
            yield from (
                one for one in page["RestoreJobs"] if one.get("SourceResourceArn") in (None, self._where.resource)
            )

    def _copy_name(self, task: RestoreTask) -> str:
        return f"{self._name[:20].rstrip('-')}-{'drill' if task.drill else 'restore'}-{task.run}"


def _created(job: Mapping[str, Any]) -> str:
    return str(job.get("CreatedResourceArn") or "").rpartition(":")[2]
