"""What the statuses of RDS say about a copy. botocore's waiters are not enough: they give up after 30 minutes, and know
five of the statuses from which a database never becomes available.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html#Overview.DBInstance.Status
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/accessing-monitoring.html#Aurora.Status
"""

from __future__ import annotations

from bot.core.backup import CopyState, CopyStatus

#: Of the two tables: from these it does not come by itself to where its data can be read.
_ENDS = {
    "deleting": "it is being deleted",
    "deleted": "it was deleted",
    "failed": "RDS cannot recover it",
    "inaccessible-encryption-credentials": "its KMS key cannot be used; RDS cannot recover it",
    "inaccessible-encryption-credentials-recoverable": "its KMS key cannot be used; enable the key, then start it",
    "incompatible-create": "it could not be created with these settings",
    "incompatible-credentials": "RDS cannot use its credentials",
    "incompatible-network": "the VPC does not allow it, for example because a subnet has no free address",
    "incompatible-option-group": "its option group cannot be applied",
    "incompatible-parameters": "it does not start with the parameters of its parameter group",
    "incompatible-restore": "RDS cannot restore it to a point in time, for example because of MyISAM tables",
    "insufficient-capacity": "AWS has no capacity for its class in that zone; use another class, or try in some hours",
    "restore-error": "RDS met an error while it restored it",
    "storage-full": "its storage is full",
    "unsupported-configuration": "its configuration is not supported",
    "cloning-failed": "the clone failed",
    "migration-failed": "the migration failed",
    "stopped": "it was stopped",
}
#: Its data can be read although RDS still works on it. Optimizing may last more than 24 hours.
_READABLE = {"available", "storage-optimization", "storage-config-upgrade", "storage-initialization"}
_PHASES = {
    "creating": "creating and restoring",
    "backing-up": "making its first backup",
    "modifying": "applying its settings",
    "rebooting": "rebooting",
    "renaming": "renaming",
    "starting": "starting",
    "configuring-enhanced-monitoring": "applying its settings",
    "configuring-iam-database-auth": "applying its settings",
    "configuring-log-exports": "applying its settings",
    "resetting-master-credentials": "applying its settings",
    "upgrading": "upgrading its version",
    "maintenance": "under maintenance",
}


def status_of(status: str, name: str) -> CopyStatus:
    """How the copy of that name stands by the status that describe shows. One that is in no table is waited for."""
    if status in _READABLE:
        return CopyStatus(state=CopyState.RESTORED, message=f"{name} is {status}")
    if why := _ENDS.get(status):
        return CopyStatus(state=CopyState.FAILED, message=f"{name} is {status}: {why}.")
    phase = _PHASES.get(status, status)
    return CopyStatus(state=CopyState.RUNNING, phase=phase, message=f"{name} is {status}")


def is_over(status: str) -> bool:
    """Whether nothing more is to be waited for."""
    return status in _ENDS
