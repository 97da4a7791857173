"""AWS, the only file that knows boto3: read a secret, put a locked object into S3, confirm an SNS subscription.

Credentials and region come from boto3's own chain (environment, profile, instance role), never from our settings.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bot.core.errors import Rejected

_TIMEOUTS = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


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
