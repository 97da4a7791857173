"""What is seen of a message of SNS before anybody is asked for a key."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import Rejected
from bot.integrations.sns.message import AHEAD, OLDEST, check_message, parse_message
from tests.fakes.sns import CERTIFICATE, STRANGER, TOPIC, unsigned
from tests.house import NOON


def sent(kind: str = "Notification", *, at: datetime = NOON, **changed: str | None) -> bytes:
    """A message whose signature is nobody's: it is not looked at here."""
    return json.dumps({**unsigned(kind, at=at, **changed), "Signature": "AAAA"}).encode()


def refusal(body: bytes, *, now: datetime = NOON) -> Rejected:
    with pytest.raises(Rejected) as caught:
        check_message(parse_message(body), {TOPIC}, now)
    return caught.value


def passes(body: bytes, *, now: datetime = NOON) -> bool:
    try:
        check_message(parse_message(body), {TOPIC}, now)
    except Rejected:
        return False
    return True


def test_a_notification_signs_its_fields_in_the_order_of_their_names() -> None:
    letter = parse_message(
        sent(MessageId="m-1", Message="two\nlines", Subject="why", Timestamp="2026-11-23T12:00:00.000Z")
    )

    assert letter.signed.decode() == (
        "Message\ntwo\nlines\nMessageId\nm-1\nSubject\nwhy\nTimestamp\n2026-11-23T12:00:00.000Z\n"
        f"TopicArn\n{TOPIC}\nType\nNotification\n"
    )


def test_without_a_subject_none_is_signed() -> None:
    letter = parse_message(sent(MessageId="m-1", Message="text", Timestamp="2026-11-23T12:00:00.000Z"))

    assert b"Subject" not in letter.signed


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_what_is_said_of_a_subscription_signs_its_token_and_no_subject(kind: str) -> None:
    fields: dict[str, Any] = {
        "MessageId": "m-1",
        "Message": "x",
        "Token": "t",
        "SubscribeURL": "https://u",
        "Subject": "ignored",
    }

    letter = parse_message(sent(kind, Timestamp="2026-11-23T12:00:00.000Z", **fields))

    assert letter.signed.decode() == (
        "Message\nx\nMessageId\nm-1\nSubscribeURL\nhttps://u\nTimestamp\n2026-11-23T12:00:00.000Z\nToken\nt\n"
        f"TopicArn\n{TOPIC}\nType\n{kind}\n"
    )


_CHECKED = ["Type", "TopicArn", "Timestamp", "SignatureVersion", "SigningCertURL"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, None) for field in [*_CHECKED, "MessageId", "Message"]),
        *((field, value) for field in _CHECKED for value in ("", "no")),
    ],
)
def test_a_message_with_a_field_missing_or_wrong_is_not_let_in(field: str, value: str | None) -> None:
    changed: dict[str, Any] = {field: value}

    refused = refusal(sent(**changed))

    assert refused.status == 403
    assert "othing was stored" in refused.message


@pytest.mark.parametrize("version", ["1", "3", "02", " 2", "2.0"])
def test_only_the_second_version_of_the_signature_is_believed(version: str) -> None:
    refused = refusal(sent(SignatureVersion=version))

    assert (refused.status, refused.code) == (403, "old_signature")
    assert "Set the topic's attribute SignatureVersion to 2" in refused.message


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/a.pem",
        "http://sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://me@sns.eu-central-1.amazonaws.com/a.pem",
        "https://evil.example#@sns.eu-central-1.amazonaws.com/a.pem",
        "https://evil.example\\@sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com/a.pem?x=1",
        "https://sns.eu-central-1.amazonaws.com/a.pem#x",
        "https://sns.eu-central-1.amazonaws.com/?Action=x.pem",
        "https://sns.eu-central-1.amazonaws.com/../a.pem",
        "https://sns.eu-central-1.amazonaws.com//evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com/a.pem\n",
        "https://sns.eu-central-1.amazonaws.com/a.crt",
        "https://sns.eu-central-1.amazonaws.com/.pem",
        "https://xsns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.s3.amazonaws.com/a.pem",
        "https://sns.s3-eu-west-1.amazonaws.com/a.pem",
        "https://sns.s3-website-eu-west-1.amazonaws.com/a.pem",
        "https://sns.amazonaws.com/a.pem",
        "https://sns.a.b.amazonaws.com/a.pem",
        "https://169.254.169.254/latest.pem",
        "HTTPS://SNS.eu-central-1.amazonaws.com/a.pem",
        "",
    ],
)
def test_a_certificate_from_anywhere_but_sns_is_refused(address: str) -> None:
    refused = refusal(sent(SigningCertURL=address))

    assert (refused.status, refused.code) == (403, "foreign_certificate")
    assert "evil" not in refused.message


@pytest.mark.parametrize(
    "host", ["us-east-1.amazonaws.com", "us-gov-west-1.amazonaws.com", "cn-north-1.amazonaws.com.cn"]
)
def test_a_certificate_from_sns_in_any_region_is_asked_for(host: str) -> None:
    assert passes(sent(SigningCertURL=f"https://sns.{host}/SimpleNotificationService-0123abcd.pem"))


@pytest.mark.parametrize("kind", ["Notification", "UnsubscribeConfirmation"])
@pytest.mark.parametrize("topic", [STRANGER, TOPIC + "x", TOPIC.upper(), "", "*"])
def test_a_topic_that_is_not_listed_is_refused_unless_it_asks(kind: str, topic: str) -> None:
    refused = refusal(sent(kind, TopicArn=topic))

    assert (refused.status, refused.code) == (403, "topic_not_listed")
    assert passes(sent("SubscriptionConfirmation", TopicArn=topic))


def test_a_message_is_believed_for_as_long_as_sns_repeats_it_and_no_longer() -> None:
    body = sent()

    verdicts = [passes(body, now=NOON + age) for age in (OLDEST, OLDEST + timedelta(seconds=1))]
    ahead = [passes(body, now=NOON - age) for age in (AHEAD, AHEAD + timedelta(seconds=1))]

    assert timedelta(hours=1) < OLDEST
    assert verdicts == [True, False]
    assert ahead == [True, False]
    assert refusal(body, now=NOON + timedelta(days=1)).code == "stale"


@given(at=st.integers(0, len(CERTIFICATE)), cut=st.integers(0, 3), more=st.text("s3e-.:@/#?\\ \n", max_size=3))
def test_no_address_that_passes_leads_to_anybody_but_amazon(at: int, cut: int, more: str) -> None:
    address = CERTIFICATE[:at] + more + CERTIFICATE[at + cut :]

    if passes(sent(SigningCertURL=address)):
        where = urlsplit(address)
        assert (where.scheme, where.query, where.fragment) == ("https", "", "")
        assert where.netloc == where.hostname
        assert re.fullmatch(r"sns\.[a-z][a-z]-[a-z-]+-[0-9]+\.amazonaws\.com", where.netloc)


def test_the_certificate_of_the_tests_is_one_that_would_be_asked_for() -> None:
    assert passes(sent(SigningCertURL=CERTIFICATE))
