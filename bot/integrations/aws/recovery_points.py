"""Recovery points of AWS Backup, judged one by one.

A composite point may be COMPLETED while one of its parts is not, so its parts are judged with it. PARTIAL is never
good enough.
https://docs.aws.amazon.com/aws-backup/latest/devguide/API_RecoveryPointByBackupVault.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bot.core.backup import Backup
from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsService

_USABLE = ("COMPLETED", "AVAILABLE")


class RecoveryPoints:
    def __init__(self, backup: AwsService, kms: AwsService, vault: str, resource: str) -> None:
        self._backup = backup
        self._kms = kms
        self._vault = vault
        self._resource = resource

    def judged(self, now: datetime) -> Iterator[tuple[str, Backup]]:
        """Each with its ARN, in no order. Raises `Rejected`."""
        keys: dict[str, str] = {}
        for page in self._pages(ByResourceArn=self._resource):
            for one in page.get("RecoveryPoints", ()):
                if not one.get("ParentRecoveryPointArn"):
                    yield str(one["RecoveryPointArn"]), self._judge(one, now, keys)

    def _judge(self, one: Mapping[str, Any], now: datetime, keys: dict[str, str]) -> Backup:
        life = one.get("CalculatedLifecycle") or {}
        scan = one.get("AggregatedScanResult") or {}
        cold = life.get("MoveToColdStorageAt")
        return Backup(
            id=short_id(str(one["RecoveryPointArn"])),
            data_at=one["CreationDate"],
            finished_at=one.get("CompletionDate"),
            size_bytes=one.get("BackupSizeInBytes"),
            duration=one["CompletionDate"] - one["CreationDate"] if one.get("CompletionDate") else None,
            problem=self._problem(one, now, keys),
            damage="its scan for malware failed" if scan.get("FailedScan") else "",
            kind="recovery point in cold storage" if cold and cold <= now else "recovery point",
            expires_at=life.get("DeleteAt"),
        )

    def _problem(self, one: Mapping[str, Any], now: datetime, keys: dict[str, str]) -> str:
        arn, status = str(one["RecoveryPointArn"]), str(one.get("Status"))
        if status not in _USABLE:
            said = f": {one['StatusMessage']}" if one.get("StatusMessage") else ""
            return f"its status is {status}{said}"
        if ":continuous:" in arn:
            return "it is a continuous backup; use a store of the engine rds for a point in time"
        expires = (one.get("CalculatedLifecycle") or {}).get("DeleteAt")
        if expires and expires <= now:
            return "its lifecycle has ended"
        if "MALWARE" in ((one.get("AggregatedScanResult") or {}).get("Findings") or ()):
            return "malware was found in it"
        if one.get("IsParent") and (bad := self._bad_part(arn)):
            return bad
        return self._key_problem(str(one.get("EncryptionKeyArn") or ""), keys) if one.get("IsEncrypted") else ""

    def _bad_part(self, arn: str) -> str:
        parts = [one for page in self._pages(ByParentRecoveryPointArn=arn) for one in page.get("RecoveryPoints", ())]
        bad = [one for one in parts if one.get("Status") not in _USABLE]
        if bad:
            return f"its part {short_id(bad[0]['RecoveryPointArn'])} is {bad[0].get('Status')}"
        return "" if parts else "it is a composite backup, and has no parts"

    def _key_problem(self, key: str, keys: dict[str, str]) -> str:
        if key and key not in keys:
            try:
                state = str(self._kms.read("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"])
                keys[key] = "" if state == "Enabled" else f"its KMS key {key} is {state}, not Enabled"
            except Rejected as refused:
                if refused.code == "unreachable":
                    raise
                keys[key] = f"whether its KMS key can be used is not known: {refused.message}"
        return keys.get(key, "")

    def _pages(self, **by: str) -> Iterator[dict[str, Any]]:
        return self._backup.pages("ListRecoveryPointsByBackupVault", BackupVaultName=self._vault, **by)


def short_id(arn: str) -> str:
    """What people type of it: the part after the last colon or slash."""
    return arn.replace("/", ":").rpartition(":")[2]
