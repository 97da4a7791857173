"""One message of Amazon SNS over HTTP: its fields, what it signs, and what must hold before anybody is asked for a key.

The trap: whoever writes the message names the certificate that shall prove it. Many check its address for
`sns.<word>.amazonaws.com`, and `sns.s3.amazonaws.com` is the bucket of anybody who owns the name "sns"; so the word has
to have the form of a region. Facts: "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notification
JSON format" in the Amazon SNS Developer Guide.
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
#: SNS repeats what was not taken for an hour at most, under the time at which it was published.
OLDEST = timedelta(minutes=75)
AHEAD = timedelta(minutes=15)

_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_OF_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_TOPIC = re.compile(r"arn:aws[a-z-]{0,20}:sns:([a-z0-9-]{1,32}):([0-9]{12}):([A-Za-z0-9_-]{1,256})")
#: A region is such as us-east-1, us-gov-west-1, ap-southeast-2. No user, no port, no query: nothing else would match.
_CERTIFICATE = re.compile(
    r"https://sns\.[a-z]{2}(-[a-z]{1,16}){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?/[A-Za-z0-9_-]{1,128}\.pem"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SnsMessage:
    """What was sent, as it was sent: whether it is genuine is not known yet."""

    kind: str
    topic: str  #: its ARN
    message: str
    message_id: str
    sent_at: datetime  #: when it was published; the same for every repeat
    subject: str = ""
    token: str = ""  #: confirms a subscription: a secret
    version: str
    certificate: str  #: where the certificate of the key that signed it is said to be
    signature: bytes
    signed: bytes  #: what was signed


def parse_message(body: bytes) -> SnsMessage:
    """Raises `Rejected`: it is no message of SNS."""
    told = decode(body)
    kind = told.get("Type")
    if kind not in (NOTIFICATION, SUBSCRIBE, UNSUBSCRIBE):
        raise _no_letter("Type")
    names = _SIGNED if kind == NOTIFICATION else _SIGNED_OF_SUBSCRIPTION
    texts = {name: _text(told, name) for name in names if name != "Subject" or told.get("Subject") is not None}
    sent_at = parse_time(texts["Timestamp"])
    if sent_at is None:
        raise _no_letter("Timestamp")
    try:
        signature = b64decode(_text(told, "Signature"), validate=True)
    except ValueError:
        raise _no_letter("Signature") from None
    return SnsMessage(
        kind=kind,
        topic=texts["TopicArn"],
        message=texts["Message"],
        message_id=texts["MessageId"],
        sent_at=sent_at,
        subject=texts.get("Subject", ""),
        token=texts.get("Token", ""),
        version=_text(told, "SignatureVersion"),
        certificate=_text(told, "SigningCertURL"),
        signature=signature,
        signed="".join(f"{name}\n{text}\n" for name, text in texts.items()).encode("utf-8", "surrogatepass"),
    )


def check_message(letter: SnsMessage, topics: Collection[str], now: datetime) -> None:
    """What needs no key to be seen. Raises `Rejected` (403): no key is to be asked for, and nothing is to be kept."""
    if letter.version != "2":
        message = "Only SignatureVersion 2 (SHA-256) is believed. Nothing was stored."
        raise _refused(f"{message} Set the topic's attribute SignatureVersion to 2.", "old_signature")
    if not _CERTIFICATE.fullmatch(letter.certificate):
        message = (
            "SigningCertURL is not an address of Amazon SNS. Nothing was fetched from there, and nothing was stored."
        )
        raise _refused(message, "foreign_certificate")
    if letter.topic not in topics and letter.kind != SUBSCRIBE:
        message = "This topic may not send alerts. Nothing was stored. List its ARN under sources.sns.topics."
        raise _refused(message, "topic_not_listed")
    if not -AHEAD <= now - letter.sent_at <= OLDEST:
        message = "Timestamp is too long ago, or ahead: SNS repeats a message for an hour at most. Nothing was stored."
        raise _refused(f"{message} Is the clock of the bot's machine right?", "stale")


def place_of(topic: str) -> tuple[str, str, str]:
    """Region, account and name in a topic's ARN; where it is none, all of it is the name."""
    read = _TOPIC.fullmatch(topic)
    return (read[1], read[2], read[3]) if read else ("", "", topic)


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise _no_letter(name)
    return value


def _no_letter(name: str) -> Rejected:
    return _refused(f"This is no signed message of Amazon SNS: look at {name}. Nothing was stored.", "not_signed")


def _refused(message: str, code: str) -> Rejected:
    return Rejected(message, code=code, status=403)
