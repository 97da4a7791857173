"""The validator of AWS Backup's own restore testing: AWS restores and deletes, the bot checks and tells AWS the result.

No right to restore or to delete is needed. The trap: where no result comes within the validation window, the job is
TIMED_OUT and AWS deletes the copy all the same: that is a drill that was missed, not one that passed.
https://docs.aws.amazon.com/aws-backup/latest/devguide/restore-testing-validation.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.backup import Check, CheckResult, Drill, DrillPhase, DrillResult, EngineParts
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.client import AwsService
from bot.integrations.aws.rds_clusters import RdsClusters
from bot.integrations.aws.rds_instances import RdsInstances
from bot.integrations.aws.rds_verify import verify_database
from bot.integrations.aws.settings import AwsBackupSettings

_SINCE = timedelta(days=7)
_MOST_SAID = 500
#: By AWS's word for how a validation ended: the drill's result, and what is said of it where AWS's own message is not.
_ENDED = {
    "TIMED_OUT": (DrillResult.MISSED, "AWS got no result within the validation window"),
    "SUCCESSFUL": (DrillResult.PASSED, ""),
    "FAILED": (DrillResult.DAMAGED, ""),
}
_METHOD = "restore testing of AWS Backup"


class RestoreTestingValidator:
    """Of one store with a `testing_plan`. `tick` is called every few minutes, and by one process at a time."""

    def __init__(self, where: AwsBackupSettings, parts: EngineParts, checks: Sequence[Check]) -> None:
        called = f"vakhta-{parts.store}"
        self._where = where
        self._parts = parts
        self._checks = checks
        self._backup = AwsService(where, "backup", called=called)
        rds = AwsService(where, "rds", called=called)
        self._kind: RdsClusters | RdsInstances = (
            RdsClusters(rds) if ":cluster:" in where.resource else RdsInstances(rds)
        )
        self._told: set[tuple[str, str]] = set()
        #: By job, where AWS has not taken the result yet: what was found, and from when to when it was checked.
        self._checked: dict[str, tuple[list[CheckResult], datetime, datetime]] = {}

    def tick(self, report: Callable[[str], None] = lambda _: None) -> Sequence[Drill]:
        """Validate what waits for it, and return a row for each job that has ended since the last call; after a restart
        those of the last seven days again, under the same `run`. Events of EventBridge come twice and out of order; so
        a job is known by its id and status, whatever is heard of it.

        Raises:
            Rejected: the jobs cannot be listed.
        """
        return list(self._ended(report))

    def _ended(self, report: Callable[[str], None]) -> Iterator[Drill]:
        since = self._parts.now() - _SINCE
        plan = self._where.testing_plan
        for page in self._backup.pages("ListRestoreJobs", ByRestoreTestingPlanArn=plan, ByCreatedAfter=since):
            for job in page["RestoreJobs"]:
                if job.get("SourceResourceArn") not in (None, self._where.resource) or job.get("IsParent"):
                    continue
                status = str(job.get("ValidationStatus") or job["Status"])
                if (job["RestoreJobId"], status) in self._told:
                    continue
                drill = self._row(job, report)
                if drill is not None:
                    self._told.add((job["RestoreJobId"], status))
                    yield drill

    def _row(self, job: Mapping[str, Any], report: Callable[[str], None]) -> Drill | None:
        status, validation = job["Status"], job.get("ValidationStatus")
        said = str(job.get("ValidationStatusMessage") or job.get("StatusMessage") or "")
        if status in ("FAILED", "ABORTED"):
            return self._drill(job, DrillResult.FAILED, f"the restore job is {status}: {said or 'no reason given'}")
        if status != "COMPLETED":
            return None
        if validation in _ENDED:
            result, words = _ENDED[validation]
            return self._drill(job, result, words or said)
        if job.get("DeletionStatus") and job["RestoreJobId"] not in self._checked:
            return self._drill(job, DrillResult.MISSED, "AWS has removed the copy before it was checked")
        return self._validate(job, report)

    def _validate(self, job: Mapping[str, Any], report: Callable[[str], None]) -> Drill | None:
        id_ = job["RestoreJobId"]
        try:
            if id_ not in self._checked:
                begun = self._parts.now()
                self._checked[id_] = (self._check(job, report), begun, self._parts.now())
            found, begun, ended = self._checked[id_]
            bad = [one for one in found if not one.ok]
            said = f"{bad[0].name}: {bad[0].got}" if bad else f"{len(found)} checks passed"
            self._backup.write(
                "PutRestoreValidationResult",
                RestoreJobId=id_,
                ValidationStatus="FAILED" if bad else "SUCCESSFUL",
                ValidationStatusMessage=said[:_MOST_SAID],
            )
        except (Rejected, OutcomeUnknown) as error:
            report(f"restore job {id_} was not validated: {error.message}")
            return None  # The next tick sees whether it was, and reads nothing twice.
        del self._checked[id_]
        result = DrillResult.DAMAGED if bad else DrillResult.PASSED
        self._told.add((id_, "FAILED" if bad else "SUCCESSFUL"))
        return self._drill(job, result, said, checks=tuple(found), verified=(begun, ended))

    def _check(self, job: Mapping[str, Any], report: Callable[[str], None]) -> list[CheckResult]:
        name = str(job.get("CreatedResourceArn") or "").rpartition(":")[2]
        copy = self._kind.find(name) if name else None
        if copy is None:
            return [CheckResult(name="the copy is there", expected="available", got="nothing", ok=False)]
        live = self._kind.find(self._where.resource.rpartition(":")[2])
        at = job.get("RecoveryPointCreationDate")
        return verify_database(self._where.url, copy, live, self._checks, report, data_at=at)

    def _drill(
        self,
        job: Mapping[str, Any],
        result: DrillResult,
        message: str,
        *,
        checks: tuple[CheckResult, ...] = (),
        verified: tuple[datetime, datetime] | None = None,
    ) -> Drill:
        created, completed = job["CreationDate"], job.get("CompletionDate")
        phases = [DrillPhase(name="restore", start=created, end=completed, size_bytes=job.get("BackupSizeInBytes"))]
        if verified is not None:
            phases.append(DrillPhase(name="verify", start=verified[0], end=verified[1]))
        at = job.get("RecoveryPointCreationDate")
        took = (completed - created) + (verified[1] - verified[0] if verified else timedelta(0)) if completed else None
        return Drill(
            run=f"aws-{job['RestoreJobId']}",
            store=self._parts.store,
            engine="aws-backup",
            began_at=created,
            result=result,
            message=message,
            backup_id=str(job["RecoveryPointArn"]).replace("/", ":").rpartition(":")[2],
            data_at=at,
            size_bytes=job.get("BackupSizeInBytes"),
            restored_at=completed,
            finished_at=verified[1] if verified else completed or self._parts.now(),
            phases=tuple(phases),
            rpo=created - at if at else None,
            rto=took if result in (DrillResult.PASSED, DrillResult.DAMAGED) else None,
            checks=checks,
            method=_METHOD,
        )
