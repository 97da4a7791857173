"""The settings' sections about AWS: how it is reached, a bucket, and the stores of backups that are there.

No key of an account is among them: credentials come from boto3's own chain (environment, profile, instance role), and
`role` is assumed with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import Field, model_validator

from bot.lib.settings_fields import Address, Mistake, Secret, Section, text_of

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
#: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html
_IDENTIFIER = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,62}(?<!-)")
_ARN = re.compile(r"arn:aws[a-z-]*:\S+")
_DATABASE = re.compile(r"arn:aws[a-z-]*:rds:[a-z0-9-]+:\d{12}:(?:db|cluster):\S+")


class AwsAccess(Section):
    """How AWS, or what speaks its protocol, is reached."""

    region: str | None = Field(None, min_length=1, description="The region; else as boto3 finds it.")
    endpoint_url: Address | None = Field(
        None,
        description="An address in the place of AWS's own, such as MinIO's; S3 is then asked with path-style names.",
    )
    profile: str | None = Field(None, min_length=1, description="A profile of boto3's files, for the credentials.")
    role: str | None = Field(None, min_length=1, description="ARN of a role that is assumed with these credentials.")

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if (role := text_of(given, "role")) and not _ROLE.fullmatch(role):
            yield ("role",), "must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"


class BucketSettings(AwsAccess):
    """A part of a bucket of S3, or of MinIO and others that speak its protocol."""

    bucket: str = Field(min_length=3, description="The bucket's name.")
    prefix: str = Field("", description="What the keys begin with, such as orders/; empty for the whole bucket.")

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from super().mistakes(given)
        if "/" in text_of(given, "bucket") or ":" in text_of(given, "bucket"):
            yield ("bucket",), "must be the bucket's name alone; a path in it is the key prefix"
        if text_of(given, "prefix").startswith("/"):
            yield ("prefix",), "must not begin with a slash, as no key does"


class RdsSettings(AwsAccess):
    """A database of RDS: an instance, or a cluster of Aurora."""

    instance: str | None = Field(None, min_length=1, description="The instance's identifier; or give a cluster.")
    cluster: str | None = Field(None, min_length=1, description="The Aurora cluster's identifier; or give an instance.")
    security_groups: tuple[str, ...] = Field(
        (),
        description="Security groups of drills, which let nobody in but the bot and nothing out; required for a drill.",
    )
    subnet_group: str | None = Field(
        None, min_length=1, description="Subnet group of drills; else that of the live database."
    )
    instance_class: str | None = Field(
        None, min_length=1, description="Instance class of drills; else that of the live database."
    )
    url: Secret | None = Field(
        None,
        description="PostgreSQL address for the checks, with {host} for the copy's: postgresql://user:secret@{host}/db.",
    )

    @property
    def identifier(self) -> str:
        return self.instance or self.cluster or ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.instance is None) == (self.cluster is None):
            raise ValueError("give either instance or cluster")
        return self

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from super().mistakes(given)
        for key in ("instance", "cluster"):
            if (name := text_of(given, key)) and not _IDENTIFIER.fullmatch(name):
                yield (key,), "must be an identifier: small letters, digits and single -, at most 63, a letter first"
        if (url := text_of(given, "url")) and "{host}" not in url:
            yield ("url",), "must have {host} in the place of the host, or the checks would read the live database"


class S3VersionsSettings(BucketSettings):
    """Objects whose old versions the bucket keeps."""

    keep_days: int = Field(30, ge=1, le=3650, description="How many days back a restore must reach.")
    copy_bucket: str | None = Field(
        None, min_length=3, description="Bucket for copies, under restore-RUN/; else the same one."
    )

    @model_validator(mode="after")
    def _copies_beside(self) -> Self:
        if not self.prefix and self.copy_bucket in (None, self.bucket):
            raise ValueError(
                "without a prefix, copies need a copy_bucket of their own, or they would lie among the live"
            )
        return self


class AwsBackupSettings(AwsAccess):
    """A database of RDS or Aurora that AWS Backup saves."""

    vault: str = Field(min_length=1, description="The backup vault's name.")
    resource: str = Field(min_length=1, description="ARN of the database that is saved there.")
    restore_role: str = Field(min_length=1, description="ARN of the role with which AWS Backup restores.")
    metadata: Mapping[str, str] = Field(
        default_factory=dict, description="Restore metadata of AWS Backup in the place of what the backup has."
    )
    security_groups: tuple[str, ...] = Field(
        (), description="Security groups of drills, which let nobody in but the bot and nothing out."
    )
    testing_plan: str | None = Field(
        None, min_length=1, description="ARN of a restore testing plan of AWS Backup, whose restores the bot validates."
    )
    url: Secret | None = Field(
        None,
        description="PostgreSQL address for the checks, with {host} for the copy's: postgresql://user:secret@{host}/db.",
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        yield from super().mistakes(given)
        if (arn := text_of(given, "resource")) and not _DATABASE.fullmatch(arn):
            yield (
                ("resource",),
                "must be the ARN of an instance or a cluster of RDS: arn:aws:rds:REGION:ACCOUNT:db:NAME",
            )
        if (role := text_of(given, "restore_role")) and not _ROLE.fullmatch(role):
            yield ("restore_role",), "must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"
        if (plan := text_of(given, "testing_plan")) and not _ARN.fullmatch(plan):
            yield ("testing_plan",), "must be the ARN of a restore testing plan"
        if (url := text_of(given, "url")) and "{host}" not in url:
            yield ("url",), "must have {host} in the place of the host, or the checks would read the live database"
