"""The section of the settings about the audit log."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from bot.audit import signed_note
from bot.lib.settings_fields import Address, Section

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
        raise ValueError("must be NAME+HASH+KEY, as the bot's log tells it at the start") from None
    return text


_String = WithJsonSchema({"type": "string"})
_SigningKey = Annotated[SecretStr, AfterValidator(_seed)]
_VerifierKey = Annotated[str, AfterValidator(_verifier), _String]


class S3AnchorSettings(Section):
    """A bucket with Object Lock. Credentials come from boto3's own chain."""

    bucket: str = Field(min_length=3)
    prefix: str = Field("vakhta", pattern=r"^[A-Za-z0-9!_.*'()/-]{1,200}$", description="Before SIZE.note in the key.")
    region: str | None = None
    endpoint_url: Address | None = Field(None, description="Of a store that speaks S3 and is not Amazon's.")
    retain_days: int | None = Field(
        None, ge=1, le=36500, description="Days in COMPLIANCE mode; without it the bucket's own default retention."
    )


class ChatAnchorSettings(Section):
    """A chat in which a line with the signed root stands from time to time."""

    channel: Literal["slack", "telegram"] = Field(description="Which of the channels that are set up says it.")
    to: str | None = Field(
        None, min_length=1, description="Another place than the incidents': a channel of Slack's, a chat of Telegram's."
    )
    every_minutes: int = Field(60, ge=1, le=10080, description="How long after one line the next is said.")


class AnchorsSettings(Section):
    """Where checkpoints are put outside of the database."""

    file: str | None = Field(None, min_length=1, description="Each is added to it as a line; best on another machine.")
    s3: S3AnchorSettings | None = None
    chat: ChatAnchorSettings | None = None


class AuditSettings(Section):
    """The log of who asked for what, and what came of it."""

    key: _SigningKey | None = Field(
        None,
        description="Signs the checkpoints: 32 bytes in base64. Without it, on SQLite, a file beside the database.",
    )
    previous_key: _SigningKey | None = Field(
        None, description="The key before audit.key, only while `vakhta audit rotate` hands over from it."
    )
    public_keys: tuple[_VerifierKey, ...] = Field(
        (), description="Whose checkpoints are believed, NAME+HASH+KEY each; two while one key follows another."
    )
    origin: str = Field("vakhta", pattern=r"^[^\s+\x00-\x1f\x7f]{1,200}$", description="The log's own name.")
    stdout: bool = Field(
        default=False, description="Also write every entry to stdout, one JSON line each, for a collector."
    )
    keep_days: int = Field(
        400, ge=90, description="What is younger, `vakhta audit prune` does not take out; without it nothing goes."
    )
    anchors: AnchorsSettings = Field(default_factory=AnchorsSettings)
