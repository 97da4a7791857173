"""An instance or a cluster of RDS, and a snapshot of one, as describe shows them, in one shape for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.core.backup import RestoreTask

GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class RdsDatabase:
    """`resource_id` is what no renaming changes; `raw` is what describe answered."""

    name: str
    arn: str
    resource_id: str
    status: str
    engine: str
    version: str
    created_at: datetime | None  #: None while it is being created
    tags: Mapping[str, str]
    host: str
    raw: Mapping[str, Any]

    @property
    def port(self) -> int:
        endpoint = self.raw.get("Endpoint")
        named = endpoint.get("Port") if isinstance(endpoint, Mapping) else None
        return int(named or self.raw.get("DbInstancePort") or self.raw.get("Port") or 0)

    @property
    def allocated_bytes(self) -> int:
        return int(self.raw.get("AllocatedStorage") or 0) * GIB

    @property
    def retention_days(self) -> int:
        return int(self.raw.get("BackupRetentionPeriod") or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RdsSnapshot:
    name: str
    status: str
    made_at: datetime | None  #: of the original, where it is a copy; None while it is being made
    percent: int | None
    size_bytes: int | None
    kms_key: str  #: "" for one that is not encrypted
    engine: str
    version: str
    kind: str  #: automated, manual, awsbackup
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class AutomatedBackup:
    """What a restore to a point in time reads from. It may outlive its database."""

    arn: str
    earliest: datetime | None
    latest: datetime | None


def tags_of(raw: Mapping[str, Any]) -> Mapping[str, str]:
    return {one["Key"]: one.get("Value", "") for one in raw.get("TagList") or ()}


def as_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def copy_name(live: str, task: RestoreTask) -> str:
    """The identifier of the copy of that run: 63 characters at most, which ends with the run's short id."""
    word = "drill" if task.drill else "restore"
    return f"{live[:40].rstrip('-')}-{word}-{task.short_run}"
