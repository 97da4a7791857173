"""Whether a bucket keeps its old versions, for how long, and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.core.errors import Rejected
from bot.integrations.aws.client import AwsRefused, AwsService
from bot.integrations.aws.s3_plan import ARCHIVED, ASKED_FOR, storage_of

_SAMPLES = 5
_NO_RULES = ("NoSuchLifecycleConfiguration", "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError")
#: Of MinIO and others, where they do not have that call.
_NOT_THERE = ("NotImplemented", "MethodNotAllowed", "XNotImplemented")


def versioning_problem(s3: AwsService, bucket: str) -> str:
    status = s3.read("GetBucketVersioning", Bucket=bucket).get("Status", "off")
    if status == "Enabled":
        return ""
    off = str(status).lower()
    return f"Versioning of the bucket {bucket} is {off}: what is overwritten or deleted is gone. Enable it."


def kept_days(s3: AwsService, bucket: str, prefix: str) -> int | None:
    """The days after which a rule removes old versions under that prefix; None where none does."""
    rules = _optional(s3, "GetBucketLifecycleConfiguration", bucket).get("Rules", ())
    days = [
        int(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
        for rule in rules
        if rule.get("Status") == "Enabled"
        and rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
        and _overlap(_prefix_of(rule), prefix)
    ]
    return min(days) if days else None


def lock_of(s3: AwsService, bucket: str) -> str:
    """What Object Lock keeps by default: "COMPLIANCE"; "" for nothing."""
    found = _optional(s3, "GetObjectLockConfiguration", bucket).get("ObjectLockConfiguration", {})
    return str(found.get("Rule", {}).get("DefaultRetention", {}).get("Mode", ""))


def unreadable_sample(s3: AwsService, bucket: str, prefix: str) -> str:
    """Why one of some old versions cannot be read; "" where all of these can. The first byte of each is read: a HEAD
    does not tell that a key of KMS is disabled.
    """
    page = s3.read("ListObjectVersions", Bucket=bucket, Prefix=prefix, MaxKeys=1000, **ASKED_FOR)
    old = [one for one in page.get("Versions", ()) if not one["IsLatest"]] or page.get("Versions", [])
    for one in old[:: max(1, len(old) // _SAMPLES)][:_SAMPLES]:
        if (storage := storage_of(one)) in ARCHIVED:
            return f"{one['Key']} is in {storage}, from which it has to be restored first"
        try:
            wanted = {"Range": "bytes=0-0"} if one["Size"] else {}
            s3.read("GetObject", Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"], **wanted)["Body"].close()
        except AwsRefused as refused:
            return f"an old version of {one['Key']} cannot be read: {refused.message}"
    return ""


def notified_prefixes(s3: AwsService, bucket: str, prefix: str) -> Iterator[str]:
    """Who is told of each object that is made under that prefix, and may act on it."""
    found = _optional(s3, "GetBucketNotificationConfiguration", bucket)
    if "EventBridgeConfiguration" in found:
        yield "EventBridge"
    for kind, arn in (("Topic", "TopicArn"), ("Queue", "QueueArn"), ("LambdaFunction", "LambdaFunctionArn")):
        for one in found.get(f"{kind}Configurations", ()):
            rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            begins = next((rule["Value"] for rule in rules if rule["Name"].lower() == "prefix"), "")
            if _overlap(begins, prefix):
                yield str(one[arn])


def _optional(s3: AwsService, operation: str, bucket: str) -> Mapping[str, Any]:
    try:
        return s3.read(operation, Bucket=bucket)
    except AwsRefused as refused:
        if refused.reason in (*_NO_RULES, *_NOT_THERE):
            return {}
        raise
    except Rejected as refused:
        if refused.code == "unreachable" and "NotImplemented" in refused.message:
            return {}
        raise


def _prefix_of(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    return str(chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
