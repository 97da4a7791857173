"""Who may send through SNS: real signatures, a certificate over HTTP, a confirmation through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bot.core.errors import Rejected
from bot.integrations.aws import client
from bot.integrations.sns.certificates import CertificateCache
from bot.integrations.sns.verification import SnsVerification
from tests.fakes.sns import (
    CERTIFICATE,
    STRANGER,
    TOPIC,
    FakeSns,
    certificate,
    key_of,
    letter,
    signed,
    unsigned,
)

KINDS = ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSns]:
    with FakeSns() as fake:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", fake.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-own-secret")
        yield fake


def machines() -> datetime:
    return datetime.now(UTC)


def topics(amazon: FakeSns, *, now: Callable[[], datetime] = machines) -> SnsVerification:
    return SnsVerification(
        [TOPIC], certificates=CertificateCache(amazon.fetch), confirm=client.confirm_subscription, now=now
    )


def refusal(of: SnsVerification, body: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        of.verify(body)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_what_sns_has_signed_is_let_in(amazon: FakeSns, kind: str) -> None:
    topics(amazon).verify(letter(kind))

    assert amazon.fetched() == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SignatureVersion": "1"}, "old_signature"),
        ({"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"}, "foreign_certificate"),
        ({"SigningCertURL": CERTIFICATE.replace("https", "http")}, "foreign_certificate"),
        ({"SigningCertURL": "https://sns.s3.amazonaws.com/evil.pem"}, "foreign_certificate"),
        ({"TopicArn": STRANGER}, "topic_not_listed"),
        ({"Timestamp": "2020-01-01T00:00:00.000Z"}, "stale"),
        ({"Type": "Hello"}, "not_signed"),
    ],
)
def test_row_80_nothing_is_fetched_for_what_cannot_be_genuine(
    amazon: FakeSns, changed: dict[str, str], code: str
) -> None:
    refused = refusal(topics(amazon), signed({**unsigned(), **changed}))

    assert (refused.status, refused.code) == (403, code)
    assert "othing was stored" in refused.message
    assert amazon.received == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_that_somebody_else_has_signed_is_forged(amazon: FakeSns, kind: str) -> None:
    refused = refusal(topics(amazon), letter(kind, by="mallory"))

    assert (refused.status, refused.code) == (403, "forged")
    assert amazon.confirmed == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_message_with_one_field_changed_is_forged(amazon: FakeSns, kind: str) -> None:
    genuine = json.loads(letter(kind, Subject="why" if kind == "Notification" else None))
    signed_fields = {"Message", "MessageId", "Timestamp", "Type", "Subject", "Token", "SubscribeURL"} & set(genuine)
    here = topics(amazon)

    for name in sorted(signed_fields - {"Type", "Timestamp"}):
        assert refusal(here, json.dumps({**genuine, name: genuine[name] + "x"}).encode()).code == "forged"
    later = {**genuine, "Timestamp": genuine["Timestamp"].replace("Z", "1Z")}
    assert refusal(here, json.dumps(later).encode()).code == "forged"
    here.verify(json.dumps(genuine).encode())


def test_a_notification_is_not_a_confirmation_by_another_name(amazon: FakeSns) -> None:
    genuine = json.loads(letter())

    refused = refusal(topics(amazon), json.dumps({**genuine, "Type": "SubscriptionConfirmation"}).encode())

    assert refused.status == 403
    assert amazon.received == []


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "QUJD" * 200])
def test_a_signature_that_is_none_is_refused(amazon: FakeSns, signature: str) -> None:
    body = json.dumps({**json.loads(letter()), "Signature": signature}).encode()

    assert refusal(topics(amazon), body).status == 403


def test_the_certificate_is_fetched_once_for_as_many_as_come_at_the_same_time(amazon: FakeSns) -> None:
    here, gate = topics(amazon), Barrier(8)
    bodies = [letter() for _ in range(8)]

    def come(body: bytes) -> None:
        gate.wait(60)
        here.verify(body)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(come, bodies))
    here.verify(letter())

    assert amazon.fetched() == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 500},
        {"status": 404},
        {"reset": True},
        {"status": 200, "body": b"<html>"},
        {"status": 200, "body": b"-----BEGIN CERTIFICATE-----\n" + b"A" * 70_000},
        {"status": 302},
    ],
)
def test_while_the_certificate_cannot_be_had_the_sender_is_to_try_again(
    amazon: FakeSns, trouble: dict[str, object]
) -> None:
    here, body = topics(amazon), letter()
    amazon.answer_next(**trouble)  # type: ignore[arg-type]  # one trouble each

    refused = refusal(here, body)

    assert (refused.status, refused.code) == (503, "no_certificate")
    assert "Send it again" in refused.message
    here.verify(body)
    assert amazon.fetched() == 2


@pytest.mark.parametrize(
    "pem",
    [certificate(key_of("small", 1024)), certificate(ec.generate_private_key(ec.SECP256R1()))],
    ids=["1024 bits", "ECDSA"],
)
def test_a_key_that_is_too_small_or_not_rsa_proves_nothing(amazon: FakeSns, pem: bytes) -> None:
    amazon.pem = pem

    assert refusal(topics(amazon), letter(by="small")).code == "no_certificate"


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
def test_a_certificate_outside_of_its_dates_proves_nothing(amazon: FakeSns, days: tuple[int, int]) -> None:
    since, until = (machines() + timedelta(days=day) for day in days)
    amazon.pem = certificate(key_of("amazon"), since=since, until=until)

    refused = refusal(topics(amazon), letter())

    assert (refused.status, refused.code) == (403, "forged")


def test_a_certificate_that_runs_out_while_it_is_held_proves_nothing_any_more(amazon: FakeSns) -> None:
    clock = [machines()]
    amazon.pem = certificate(key_of("amazon"), until=clock[0] + timedelta(days=1))
    here = topics(amazon, now=lambda: clock[0])
    here.verify(letter(at=clock[0]))
    clock[0] += timedelta(days=2)

    refused = refusal(here, letter(at=clock[0]))

    assert refused.code == "forged"


def test_a_listed_topic_is_confirmed_by_its_token_without_any_rights(amazon: FakeSns) -> None:
    topics(amazon).verify(letter("SubscriptionConfirmation", SubscribeURL=f"{amazon.url}/fetch-me"))

    assert amazon.confirmed == [TOPIC]
    assert [call.path for call in amazon.received if call.verb == "GET"] == [CERTIFICATE.partition(".com")[2]]


@pytest.mark.parametrize("trouble", [{"status": 500, "times": 2}, {"reset": True, "times": 2}])
def test_a_confirmation_that_did_not_work_is_to_be_sent_again(amazon: FakeSns, trouble: dict[str, object]) -> None:
    here, body = topics(amazon), letter("SubscriptionConfirmation")
    amazon.answer_next(path="/", **trouble)  # type: ignore[arg-type]  # one trouble each

    refused = refusal(here, body)

    assert (refused.status, refused.code) == (503, "not_confirmed")
    assert TOPIC in refused.message
    here.verify(body)
    assert amazon.confirmed == [TOPIC]


def test_a_token_that_aws_does_not_know_is_told_without_the_token(
    amazon: FakeSns, caplog: pytest.LogCaptureFixture
) -> None:
    refused = refusal(topics(amazon), letter("SubscriptionConfirmation", Token="an-old-token"))

    assert "InvalidParameter" in refused.message
    assert "an-old-token" not in refused.message + caplog.text


def test_row_81_a_topic_that_is_not_listed_is_not_confirmed(amazon: FakeSns) -> None:
    topics(amazon).verify(letter("SubscriptionConfirmation", TopicArn=STRANGER))

    assert amazon.confirmed == []
    assert [call.verb for call in amazon.received] == ["GET"]


def test_row_81_a_forged_request_of_a_topic_that_is_not_listed_is_refused(amazon: FakeSns) -> None:
    assert refusal(topics(amazon), letter("SubscriptionConfirmation", TopicArn=STRANGER, by="mallory")).status == 403


def test_strangers_that_ask_again_and_again_are_kept_no_longer(amazon: FakeSns) -> None:
    clock = [machines()]
    here = topics(amazon, now=lambda: clock[0])
    for _ in range(20):
        here.verify(letter("SubscriptionConfirmation", TopicArn=STRANGER))

    refused = refusal(here, letter("SubscriptionConfirmation", TopicArn=STRANGER))
    here.verify(letter("SubscriptionConfirmation"))
    clock[0] += timedelta(hours=1)
    here.verify(letter("SubscriptionConfirmation", TopicArn=STRANGER, at=clock[0]))

    assert (refused.status, refused.code) == (403, "too_many")
    assert amazon.confirmed == [TOPIC]


def test_certificates_are_held_in_a_small_number(amazon: FakeSns) -> None:
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return amazon.pem

    held = CertificateCache(fetch)
    for number in range(40):
        held.get(f"https://sns.eu-central-1.amazonaws.com/{number}.pem")
    held.get("https://sns.eu-central-1.amazonaws.com/39.pem")
    held.get("https://sns.eu-central-1.amazonaws.com/0.pem")

    assert len(asked) == 41


def test_a_fault_while_fetching_leaves_nobody_waiting(amazon: FakeSns) -> None:
    def fetch(address: str) -> bytes:
        raise ZeroDivisionError(address)

    held = CertificateCache(fetch)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            held.get(CERTIFICATE)
