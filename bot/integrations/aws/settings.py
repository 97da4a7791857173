"""The settings' sections about AWS: how it is reached, a bucket, and the stores of backups that are there.

No key of an account is among them: credentials come from boto3's own chain (environment, profile, instance role), and
`role` is assumed with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import Field

from bot.lib.settings_fields import Address, Mistake, Section, text_of

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")
_ARN = re.compile(r"arn:aws[a-z-]*:\S+")


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
