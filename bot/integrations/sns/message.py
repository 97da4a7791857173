"""One message of Amazon SNS over HTTP: its fields, its signed text, and the checks that come before its signature.

The trap: the message itself names the certificate that is to verify it. A check for `sns.<word>.amazonaws.com` is not
enough, because `sns.s3.amazonaws.com` is an S3 bucket that anybody could own; so the word must have the form of a
region. Format: "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notification JSON format" in the
Amazon SNS Developer Guide.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.errors import Rejected
from bot.integrations.payload import decode, parse_time

NOTIFICATION = "Notification"
SUBSCRIBE = "SubscriptionConfirmation"
UNSUBSCRIBE = "UnsubscribeConfirmation"
#: SNS retries a message for an hour at most, with the time at which it was published.
OLDEST = timedelta(minutes=75)
AHEAD = timedelta(minutes=15)

_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_OF_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_TOPIC = re.compile(r"arn:aws[a-z-]{0,20}:sns:([a-z0-9-]{1,32}):([0-9]{12}):([A-Za-z0-9_-]{1,256})")
#: Regions are us-east-1, us-gov-west-1, ap-southeast-2 and so on. An address with a user, port or query does not match.
_CERTIFICATE = re.compile(
    r"https://sns\.[a-z]{2}(-[a-z]{1,16}){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?/[A-Za-z0-9_-]{1,128}\.pem"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SnsMessage:
    """A message whose signature is not checked yet."""

    kind: str
    topic: str  #: its ARN
    message: str
    message_id: str
    sent_at: datetime  #: when it was published; the same at every retry
    subject: str = ""
    token: str = ""  #: confirms a subscription: a secret
    version: str
    certificate: str  #: address of the certificate, as the message names it
    signature: bytes
    signed: bytes  #: the text under the signature


def parse_message(body: bytes) -> SnsMessage:
    """Raises `Rejected`: it is not a message of SNS."""
    fields = decode(body)
    kind = fields.get("Type")
    if kind not in (NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE):
        raise _not_signed("Type")
    names = _SIGNED if kind == NOTIFICATION else _SIGNED_OF_SUBSCRIPTION
    texts = {name: _text(fields, name) for name in names if name != "Subject" or fields.get("Subject") is not None}
    sent_at = parse_time(texts["Timestamp"])
    if sent_at is None:
        raise _not_signed("Timestamp")
    try:
        signature = b64decode(_text(fields, "Signature"), validate=True)
    except ValueError:
        raise _not_signed("Signature") from None
    return SnsMessage(
        kind=kind,
        topic=texts["TopicArn"],
        message=texts["Message"],
        message_id=texts["MessageId"],
        sent_at=sent_at,
        subject=texts.get("Subject", ""),
        token=texts.get("Token", ""),
        version=_text(fields, "SignatureVersion"),
        certificate=_text(fields, "SigningCertURL"),
        signature=signature,
        signed="".join(f"{name}\n{text}\n" for name, text in texts.items()).encode("utf-8", "surrogatepass"),
    )


def check_message(message: SnsMessage, topics: Collection[str], now: datetime) -> None:
    """Checks that need no certificate. Raises `Rejected` (403): fetch no certificate, and store nothing."""
    if message.version != "2":
        reason = "Only SignatureVersion 2 (SHA-256) is accepted. Nothing was stored."
        raise _refused(f"{reason} Set the topic's attribute SignatureVersion to 2.", "old_signature")
    if not _CERTIFICATE.fullmatch(message.certificate):
        reason = (
            "SigningCertURL is not an address of Amazon SNS. Nothing was fetched from there, and nothing was stored."
        )
        raise _refused(reason, "foreign_certificate")
    if message.topic not in topics and message.kind != SUBSCRIBE:
        reason = "This topic may not send alerts. Nothing was stored. List its ARN under sources.sns.topics."
        raise _refused(reason, "topic_not_listed")
    if not -AHEAD <= now - message.sent_at <= OLDEST:
        reason = (
            "Timestamp is too old, or in the future: SNS retries a message for an hour at most. Nothing was stored."
        )
        raise _refused(f"{reason} Check the clock of the bot's machine.", "stale")


def place_of(topic: str) -> tuple[str, str, str]:
    """Region, account and name in a topic's ARN; for any other text, all of it is the name."""
    read = _TOPIC.fullmatch(topic)
    return (read[1], read[2], read[3]) if read else ("", "", topic)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise _not_signed(name)
    return value


def _not_signed(name: str) -> Rejected:
    return _refused(
        f"This is not a signed message of Amazon SNS: {name} is missing or wrong. Nothing was stored.", "not_signed"
    )


def _refused(message: str, code: str) -> Rejected:
    return Rejected(message, code=code, status=403)
