"""AWS Backup's recovery points, restore jobs and validations, which moto 5.2 does not have. Time is the test's clock.

A job makes its database in moto's RDS. It is as unkind as the real one: the same token is the same job, a job has no
resource before it runs, and a validation after the window is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from tests.fakes.aws import FakeAws, error
from tests.fakes.calls import Answer

VAULT = "arn:aws:backup:eu-west-1:123456789012:backup-vault:main"


class UnkindBackup:
    """`make`: called with the metadata when a job runs; makes the database."""

    def __init__(self, aws: FakeAws, now: Callable[[], datetime], make: Callable[[Mapping[str, str]], None]) -> None:
        self._now, self._make = now, make
        self.points: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.metadata: dict[str, str] = {}
        self.waits = timedelta(minutes=5)  #: before a job runs
        self.fails = ""  #: why the next jobs fail
        self.validation_window = timedelta(hours=1)
        self._tokens: dict[str, str] = {}
        self._asked: dict[str, Mapping[str, str]] = {}
        aws.serve("backup", self._answer)

    def add_point(self, name: str, resource: str, at: datetime, **said: Any) -> str:
        arn = f"arn:aws:rds:eu-west-1:123456789012:snapshot:awsbackup:{name}"
        self.points.append({
            "RecoveryPointArn": arn, "ResourceArn": resource, "Status": "COMPLETED", "CreationDate": at.timestamp(),
            "CompletionDate": at.timestamp() + 300, "BackupSizeInBytes": 10**10, **said,
        })  # fmt: skip
        return arn

    def add_tested(self, job: str, resource: str, created: str, **said: Any) -> dict[str, Any]:
        """A job of a restore testing plan."""
        now = self._now().timestamp()
        self.jobs[job] = {
            "RestoreJobId": job, "RecoveryPointArn": "arn:aws:rds:eu-west-1:1:snapshot:awsbackup:p1",
            "Status": "COMPLETED",
            "CreationDate": now - 1800, "CompletionDate": now - 60, "RecoveryPointCreationDate": now - 5400,
            "SourceResourceArn": resource, "CreatedResourceArn": created, "ValidationStatus": "VALIDATING",
            "CreatedBy": {"RestoreTestingPlanArn": "arn:aws:backup:eu-west-1:123456789012:restore-testing-plan:weekly"},
            **said,
        }  # fmt: skip
        return self.jobs[job]

    def _answer(self, operation: str, told: Mapping[str, Any]) -> Answer:
        verb, path = operation.split(" ", 1)
        if path.startswith("/backup-vaults/") and path.endswith("/recovery-points/"):
            return self._list_points(told)
        if path.endswith("/restore-metadata"):
            return Answer.json({"RestoreMetadata": self.metadata})
        if (verb, path) == ("PUT", "/restore-jobs"):
            return self._start(told)
        if path == "/restore-jobs/":
            return self._list_jobs(told)
        if path.endswith("/validations"):
            return self._validated(unquote(path.split("/")[2]), told)
        return error("backup", "InvalidRequestException", f"{operation} is not known")

    def _list_points(self, told: Mapping[str, Any]) -> Answer:
        parent, resource = told.get("parentRecoveryPointArn"), told.get("resourceArn")
        found = [
            one
            for one in self.points
            if (one.get("ParentRecoveryPointArn") == parent if parent else one["ResourceArn"] == resource)
        ]
        return Answer.json({"RecoveryPoints": found})

    def _start(self, told: Mapping[str, Any]) -> Answer:
        job = self._tokens.setdefault(told["IdempotencyToken"], f"job-{len(self.jobs) + 1}")
        if job not in self.jobs:
            source = next(one for one in self.points if one["RecoveryPointArn"] == told["RecoveryPointArn"])
            self._asked[job] = told["Metadata"]
            self.jobs[job] = {
                "RestoreJobId": job, "RecoveryPointArn": told["RecoveryPointArn"], "Status": "PENDING",
                "CreationDate": self._now().timestamp(), "SourceResourceArn": source["ResourceArn"],
            }  # fmt: skip
        return Answer.json({"RestoreJobId": job})

    def _list_jobs(self, told: Mapping[str, Any]) -> Answer:
        plan = told.get("restoreTestingPlanArn")
        for job, one in self.jobs.items():
            if (
                one["Status"] == "PENDING"
                and self._now().timestamp() - one["CreationDate"] >= self.waits.total_seconds()
            ):
                self._run(job, one)
            late = self._now().timestamp() - one.get("CompletionDate", 0) > self.validation_window.total_seconds()
            if one.get("ValidationStatus") == "VALIDATING" and late:
                one["ValidationStatus"] = "TIMED_OUT"
        found = [one for one in self.jobs.values() if (one.get("CreatedBy", {}).get("RestoreTestingPlanArn") == plan)]
        return Answer.json({"RestoreJobs": found})

    def _run(self, job: str, one: dict[str, Any]) -> None:
        if self.fails:
            one |= {"Status": "FAILED", "StatusMessage": self.fails}
            return
        metadata = self._asked[job]
        self._make(metadata)
        name = metadata["DBInstanceIdentifier"]
        one |= {"Status": "RUNNING", "CreatedResourceArn": f"arn:aws:rds:eu-west-1:123456789012:db:{name}"}

    def _validated(self, job: str, told: Mapping[str, Any]) -> Answer:
        one = self.jobs.get(job)
        if one is None or one.get("ValidationStatus") != "VALIDATING":
            return error("backup", "InvalidRequestException", "The job does not wait for a validation.")
        one |= {
            "ValidationStatus": told["ValidationStatus"],
            "ValidationStatusMessage": told["ValidationStatusMessage"],
        }
        return Answer(status=204)
