"""The settings section of the audit log: keys, anchors, retention."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from bot.audit import signed_note
from bot.integrations.slack.settings import channel_fault
from bot.lib.settings_fields import FILE, Address, Mistake, Section, text_of

_SEED = 32
_CHAT = re.compile(r"-?[0-9]+(?::[0-9]+)?")
_REGION = re.compile(r"[a-z]+(?:-[a-z]+)+-[0-9]+")
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and what old names may have
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")


def _seed(secret: SecretStr) -> SecretStr:
    try:
        raw = b64decode(secret.get_secret_value().strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _SEED:
        raise ValueError("must be 32 bytes in base64; make one with `openssl rand -base64 32`")
    return secret


def _verifier(text: str) -> str:
    try:
        signed_note.public_of(text)
    except ValueError:
        raise ValueError("must be NAME+HASH+KEY, as the bot logs it at startup") from None
    return text


_String = WithJsonSchema({"type": "string"})
_SigningKey = Annotated[SecretStr, AfterValidator(_seed)]
_VerifierKey = Annotated[str, AfterValidator(_verifier), _String]


class S3AnchorSettings(Section):
    """A bucket with Object Lock. Credentials come from boto3's own chain."""

    bucket: str = Field(min_length=3)
    prefix: str = Field(
        "vakhta",
        pattern=r"^[A-Za-z0-9!_.*'()/-]{1,200}$",
        description="Object keys are PREFIX/SIZE.note.",
        json_schema_extra={"patternErrorMessage": "must be 1 to 200 letters, digits and !_.*'()/-"},
    )
    region: str | None = None
    endpoint_url: Address | None = Field(None, description="Address of an S3-compatible store other than Amazon S3.")
    retain_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Days of retention in COMPLIANCE mode; by default the bucket's own default retention.",
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        bucket = text_of(given, "bucket")
        region = text_of(given, "region")
        if region and not text_of(given, "endpoint_url") and not _REGION.fullmatch(region):
            yield ("region",), "must be a region of AWS, such as eu-central-1"
        if bucket.startswith(("s3://", "arn:", "https://", "http://")):
            yield ("bucket",), "must be the bucket's name alone, without s3://, arn: or an address"
        elif bucket and not text_of(given, "endpoint_url") and not _BUCKET.fullmatch(bucket):
            yield ("bucket",), "must be 3 to 63 small letters, digits, dots and -, as Amazon S3 names buckets"


class ChatAnchorSettings(Section):
    """A chat to which a line with the signed root is posted at intervals."""

    channel: Literal["slack", "telegram"] = Field(description="The configured channel that posts it.")
    to: str | None = Field(
        None, min_length=1, description="A Slack channel or Telegram chat; by default the one for incidents."
    )
    every_minutes: int = Field(60, ge=1, le=10080, description="Minutes between two lines.")

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        to = text_of(given, "to")
        if to and given.get("channel") == "slack" and (fault := channel_fault(to.partition(":")[0])):
            yield ("to",), fault
        if to and given.get("channel") == "telegram" and not _CHAT.fullmatch(to):
            yield ("to",), 'must be the chat\'s numeric id in quotes, such as "-1001234567890"'


class AnchorsSettings(Section):
    """Where checkpoints are published outside of the database."""

    file: Annotated[str | None, FILE] = Field(
        None, min_length=1, description="Each checkpoint is appended to it; best on another machine."
    )
    s3: S3AnchorSettings | None = None
    chat: ChatAnchorSettings | None = None

    @classmethod
    def missing_here(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if text_of(given, "file") and Path(text_of(given, "file")).is_dir():
            yield ("file",), "is a folder; name a file in it"


class AuditSettings(Section):
    """The audit log: who requested what, and the result."""

    key: _SigningKey | None = Field(
        None,
        description="Signs the checkpoints: 32 bytes in base64. By default, on SQLite, a file beside the database.",
    )
    previous_key: _SigningKey | None = Field(
        None, description="The key before audit.key; set it only while `vakhta audit rotate` hands over from it."
    )
    public_keys: tuple[_VerifierKey, ...] = Field(
        (), description="Keys whose checkpoints are trusted, NAME+HASH+KEY each; two during a key handover."
    )
    origin: str = Field(
        "vakhta",
        pattern=r"^[^\s+\x00-\x1f\x7f]{1,200}$",
        description="The log's name, part of each signature.",
        json_schema_extra={"patternErrorMessage": "must be 1 to 200 characters without spaces and +"},
    )
    stdout: bool = Field(
        default=False, description="Also write every entry to stdout, one JSON line each, for a collector."
    )
    keep_days: int = Field(
        400,
        ge=90,
        description="Days that `vakhta audit prune` keeps; nothing is removed without that command.",
    )
    anchors: AnchorsSettings = Field(default_factory=AnchorsSettings)
