"""AWS, the only file that knows boto3: the calls of one service, a secret, a locked object, an SNS subscription.

Credentials come from boto3's own chain (environment, profile, instance role), never from our settings. The promise: a
call that changes something is sent once, and its caller learns which of three happened: it was refused or never
arrived (`Rejected`), nobody knows (`OutcomeUnknown`), or it was answered. Reads are repeated where AWS throttles them.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore import UNSIGNED, xform_name
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.aws.settings import AwsAccess
from bot.lib.redact import redact

_TIMEOUTS = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


_MAX_SHOWN = 300
_ACTION = re.compile(r"not authorized to perform:? ([a-zA-Z0-9-]+:[A-Za-z]+)")
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "403", "Forbidden"}
_CREDENTIALS = {
    "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "RequestExpired",
    "SignatureDoesNotMatch", "UnrecognizedClientException", "AuthFailure", "RequestTimeTooSkewed",
}  # fmt: skip
_THROTTLED = {
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "SlowDownWrite", "SlowDownRead",
    "BandwidthLimitExceeded", "PriorRequestNotComplete", "429",
}  # fmt: skip
#: What IAM calls the right to a call of S3, where its name is another.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
_S3_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject and s3:GetObjectVersion",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "CopyObject": "s3:GetObjectVersion and s3:PutObject",
    "UploadPartCopy": "s3:GetObjectVersion and s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
}
#: What a body raises that ends before its time.
CUT_OFF = (ReadTimeoutError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError, FlexibleChecksumError)
#: A request was on its way when these came: whether it had its effect, nobody knows.
_UNKNOWN = (
    ReadTimeoutError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError, ResponseParserError,
)  # fmt: skip


class AwsRefused(Rejected):
    """AWS answered with an error. `reason` is its own word for it: "DBInstanceNotFound"."""

    def __init__(self, message: str, *, reason: str, code: str = "refused") -> None:
        super().__init__(message, code=code)
        self.reason = reason


class AwsService:
    """The calls of one service ("rds"), each with a time limit. Operations have the names of AWS's API. Safe to share
    between threads. `called`: who assumes the role, as CloudTrail shows it.
    """

    def __init__(self, access: AwsAccess, service: str, *, called: str = "vakhta") -> None:
        self._access = access
        self._service = service
        self._called = re.sub(r"[^\w+=,.@-]", "-", called)[:64]
        self._clients: dict[int, Any] = {}
        self._lock = threading.Lock()

    def read(self, operation: str, **parameters: object) -> dict[str, Any]:
        """A call that changes nothing.

        Raises:
            Rejected: with `code` no_entry, too_many, failed or unreachable; `AwsRefused` for what AWS answered.
        """
        try:
            return self._call(operation, parameters, attempts=4)
        except OutcomeUnknown:
            message = (
                f"AWS did not answer {self._service}:{operation} in time. Nothing was done. Try again in a minute."
            )
            raise Rejected(message, code="unreachable") from None

    def pages(self, operation: str, **parameters: object) -> Iterator[dict[str, Any]]:
        """As `read`, page after page, as they come."""
        try:
            paginator = self._client(4).get_paginator(xform_name(operation))
            for page in paginator.paginate(**parameters):
                yield dict(page)
        except (ClientError, BotoCoreError, ValueError, OSError) as error:
            try:
                self._fail(operation, error)
            except OutcomeUnknown as unknown:
                raise Rejected(unknown.message, code="unreachable") from None

    def write(self, operation: str, **parameters: object) -> dict[str, Any]:
        """A call that changes something, sent once.

        Raises:
            Rejected: as `read`; nothing was done.
            OutcomeUnknown: it was sent, and no answer came that says what became of it.
        """
        return self._call(operation, parameters, attempts=1)

    def _call(self, operation: str, parameters: Mapping[str, object], *, attempts: int) -> dict[str, Any]:
        try:
            return dict(getattr(self._client(attempts), xform_name(operation))(**parameters))
        except (ClientError, BotoCoreError, ValueError, OSError) as error:
            self._fail(operation, error)
            raise  # not reached: `_fail` always raises

    def _client(self, attempts: int) -> Any:
        with self._lock:
            if attempts not in self._clients:
                access = self._access
                retries = {"mode": "standard", "total_max_attempts": attempts}
                config = Config(connect_timeout=5, read_timeout=20, retries=retries, max_pool_connections=16)
                if self._service == "s3" and access.endpoint_url:
                    # Others than AWS know neither names of buckets in the host nor checksums in a trailer.
                    config = config.merge(
                        Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
                    )
                self._clients[attempts] = self._session().client(
                    self._service, region_name=access.region, endpoint_url=access.endpoint_url, config=config
                )
            return self._clients[attempts]

    def _session(self) -> boto3.Session:
        own = _core_session(self._access.profile)
        if self._access.role:
            # In the region of the settings: without one STS is asked in us-east-1, whatever else is down there.
            create = _core_session(self._access.profile).create_client
            fetcher = AssumeRoleCredentialFetcher(
                client_creator=partial(create, region_name=self._access.region, config=_TIMEOUTS),
                source_credentials=own.get_credentials(),
                role_arn=self._access.role,
                extra_args={"RoleSessionName": self._called},
            )
            # The only way that botocore has to a session with credentials that renew themselves.
            own._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
                method="assume-role", refresh_using=fetcher.fetch_credentials
            )
        return boto3.Session(botocore_session=own, region_name=self._access.region)

    def _fail(self, operation: str, error: Exception) -> None:
        """Raise what that error means. A ValueError is an address, or a profile, that cannot be one."""
        asked = f"{self._service}:{operation}"
        if isinstance(error, ClientError):
            raise self._refused(operation, error) from None
        if isinstance(error, _UNKNOWN) or type(error) is HTTPClientError:
            raise OutcomeUnknown(f"AWS did not answer {asked} ({type(error).__name__}).") from None
        raise Rejected(
            f"AWS was not asked for {asked}: {_shown(str(error))} Nothing was done. "
            "Check region, endpoint_url, profile and credentials.",
            code="unreachable",
        ) from None

    def _refused(self, operation: str, error: ClientError) -> Exception:
        answer = error.response.get("Error", {})
        reason, said = str(answer.get("Code") or "an error without a code"), str(answer.get("Message") or "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        asked = f"{self._service}:{operation}"
        if reason in _DENIED:
            named = _ACTION.search(said)
            action = named.group(1) if named else _S3_ACTIONS.get(operation, asked) if self._service == "s3" else asked
            told = f"AWS denied {asked}. Nothing was done. Allow the bot {action}. AWS said: {_shown(said)}"
            return AwsRefused(told, reason=reason, code="no_entry")
        if reason in _CREDENTIALS:
            told = f"AWS takes the bot's credentials no longer, or never did ({reason}). Nothing was done. Renew them."
            return AwsRefused(told, reason=reason, code="no_entry")
        if reason in _THROTTLED:
            told = f"AWS throttles {asked} ({reason}). Nothing was done. Try again in a few minutes."
            return AwsRefused(told, reason=reason, code="too_many")
        if status >= _FAILED:
            return OutcomeUnknown(f"AWS failed in {asked} ({reason}: {_shown(said)}).")
        return AwsRefused(f"AWS refused {asked} ({reason}): {_shown(said)} Nothing was done.", reason=reason)


_FAILED = 500
#: Reads botocore's descriptions of the services once for all; they are megabytes.
_LOADER = create_loader()


def _core_session(profile: str | None) -> Any:
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", _LOADER)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return session


def _moment(written: Any) -> datetime:
    """As botocore reads it, whose parser of every form takes ten times as long: a listing is mostly such moments."""
    if isinstance(written, str) and "T" in written:
        try:
            read = datetime.fromisoformat(written)
        except ValueError:
            return _read_by_botocore(written)
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    return _read_by_botocore(written)


def _read_by_botocore(written: Any) -> datetime:
    read: datetime = parse_timestamp(written)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _shown(said: str) -> str:
    text = " ".join(redact(said[:4096]).split())
    text = "".join(one if one.isprintable() else " " for one in text)[:_MAX_SHOWN] or "no reason given."
    return text if text.endswith((".", "!", "?")) else f"{text}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Where objects are put; None: by boto3's own chain."""

    name: str
    region: str | None = None
    endpoint_url: str | None = None


def put_locked_object(bucket: Bucket, key: str, body: bytes, *, until: datetime | None) -> str:
    """Put an object that nobody can delete or overwrite before `until` (S3's Object Lock, COMPLIANCE).

    Without `until` the bucket's default applies. Returns the object's version, or its ETag where it has none.

    Raises:
        Rejected: the put failed, or its result is unknown.
    """
    locked = {} if until is None else {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    config = _TIMEOUTS.merge(Config(s3={"addressing_style": "path"})) if bucket.endpoint_url else _TIMEOUTS
    try:
        client = boto3.client("s3", region_name=bucket.region, endpoint_url=bucket.endpoint_url, config=config)
        answer = client.put_object(Bucket=bucket.name, Key=key, Body=body, ContentType="text/plain", **locked)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error without a code")
        raise Rejected(
            f"S3 answered {code} for {bucket.name}/{key}; check the bucket's Object Lock and rights"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise Rejected(f"S3 was not reached for {bucket.name}/{key}: {type(error).__name__}; {_REMEDY}") from None
    return str(answer.get("VersionId") or answer.get("ETag") or "")


def secret(id_: str, key: str, *, endpoint_url: str | None = None) -> str:
    """The current text of that secret, or of `key` inside it where the secret is a JSON object and `key` is not "".

    Raises:
        Rejected: AWS did not give it, or it holds no such key.
    """
    try:
        client = boto3.client("secretsmanager", endpoint_url=endpoint_url, config=_TIMEOUTS)
        answer = client.get_secret_value(SecretId=id_, VersionStage="AWSCURRENT")
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error without a code")
        raise Rejected(f"AWS Secrets Manager answered {code} for {id_!r}; check name and rights") from None
    except (BotoCoreError, ValueError) as error:
        raise Rejected(f"AWS Secrets Manager was not asked for {id_!r}: {type(error).__name__}; {_REMEDY}") from None
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise Rejected(f"{id_!r} in AWS Secrets Manager is binary; store it as text")
    return _member(text, id_, key) if key else text


def confirm_subscription(topic: str, token: str) -> str:
    """Confirm the subscription of the address that received the token; returns the subscription's ARN.

    AWS needs no other proof than the token, so the call is not signed: the bot needs no rights for it. Confirming with
    the same token again has no further effect.
    https://docs.aws.amazon.com/sns/latest/api/API_ConfirmSubscription.html

    Raises:
        Rejected: the confirmation failed, or its result is unknown.
    """
    region = topic.split(":")[3]
    try:
        unsigned = _TIMEOUTS.merge(Config(signature_version=UNSIGNED))
        with closing(boto3.client("sns", region_name=region, config=unsigned)) as client:
            answer = client.confirm_subscription(TopicArn=topic, Token=token)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error without a code")
        raise Rejected(f"SNS answered {code} to the confirmation for {topic}; subscribe it again") from None
    except (BotoCoreError, ValueError) as error:
        raise Rejected(f"SNS was not reached to confirm {topic}: {type(error).__name__}") from None
    return str(answer.get("SubscriptionArn", ""))


_REMEDY = "check region, credentials and AWS_ENDPOINT_URL"


def _member(text: str, id_: str, key: str) -> str:
    try:
        held = json.loads(text)
    except ValueError:
        raise Rejected(f"{id_!r} in AWS Secrets Manager is not JSON; leave #{key} out or store an object") from None
    value = held.get(key) if isinstance(held, dict) else None
    if not isinstance(value, str):
        raise Rejected(f"{id_!r} in AWS Secrets Manager has no text under the key {key!r}")
    return value
