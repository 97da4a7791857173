"""The settings section of the audit log: keys, anchors, retention."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from bot.audit import signed_note
from bot.lib.settings_fields import FILE, Address, Section

_SEED = 32


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
        "vakhta", pattern=r"^[A-Za-z0-9!_.*'()/-]{1,200}$", description="Object keys are PREFIX/SIZE.note."
    )
    region: str | None = None
    endpoint_url: Address | None = Field(None, description="Address of an S3-compatible store other than Amazon S3.")
    retain_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Days of retention in COMPLIANCE mode; by default the bucket's own default retention.",
    )


class ChatAnchorSettings(Section):
    """A chat to which a line with the signed root is posted at intervals."""

    channel: Literal["slack", "telegram"] = Field(description="The configured channel that posts it.")
    to: str | None = Field(
        None, min_length=1, description="A Slack channel or Telegram chat; by default the one for incidents."
    )
    every_minutes: int = Field(60, ge=1, le=10080, description="Minutes between two lines.")


class AnchorsSettings(Section):
    """Where checkpoints are published outside of the database."""

    file: Annotated[str | None, FILE] = Field(
        None, min_length=1, description="Each checkpoint is appended to it; best on another machine."
    )
    s3: S3AnchorSettings | None = None
    chat: ChatAnchorSettings | None = None


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
        "vakhta", pattern=r"^[^\s+\x00-\x1f\x7f]{1,200}$", description="The log's name, part of each signature."
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
