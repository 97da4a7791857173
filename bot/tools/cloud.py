"""AWS, the only file that knows boto3: one secret out of Secrets Manager.

Credentials and region come from boto3's own chain (environment, profile, instance role), never from our settings.
"""

from __future__ import annotations

import json

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bot.ports import Rejected

_PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


def secret(id_: str, key: str, *, endpoint_url: str | None = None) -> str:
    """The current text of that secret, or of `key` inside it where the secret is a JSON object and `key` is not "".

    Raises:
        Rejected: AWS did not give it, or it holds no such key.
    """
    try:
        client = boto3.client("secretsmanager", endpoint_url=endpoint_url, config=_PATIENCE)
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
