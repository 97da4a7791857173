"""Amazon SNS: messages signed as it signs them, its certificate over HTTP, and ConfirmSubscription of its API."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from bot.integrations.http import HttpApi
from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer

REGION, ACCOUNT = "eu-central-1", "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
STRANGER = f"arn:aws:sns:us-east-1:{ACCOUNT[::-1]}:spam"
CERTIFICATE = f"https://sns.{REGION}.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOKEN = "2336412f37fb687f5d51e6e2"
_NUMBERS = count(1)
#: As the Developer Guide lists them for each kind, in the order of their bytes.
_SIGNED = {
    "Notification": "Message MessageId Subject Timestamp TopicArn Type",
    "SubscriptionConfirmation": "Message MessageId SubscribeURL Timestamp Token TopicArn Type",
    "UnsubscribeConfirmation": "Message MessageId SubscribeURL Timestamp Token TopicArn Type",
}


@cache
def key_of(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key of "amazon", or of anybody else; made once, because that takes a while."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bytes:
    """A certificate of that key in PEM, signed by itself; valid around now unless said otherwise."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since or now - timedelta(days=30))
        .not_valid_after(until or now + timedelta(days=300))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def unsigned(kind: str = "Notification", *, at: datetime | None = None, **changed: str | None) -> dict[str, str]:
    """The fields of one message; a field of None is left out."""
    number = next(_NUMBERS)
    fields: dict[str, str | None] = {
        "Type": kind,
        "MessageId": f"22b80b92-fdea-4c2c-8f9d-{number:012}",
        "TopicArn": TOPIC,
        "Message": "disk is full",
        "Timestamp": stamp(at or datetime.now(UTC)),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
    }
    if kind != "Notification":
        fields |= {"Token": TOKEN, "SubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription"}
    else:
        fields |= {"UnsubscribeURL": f"https://sns.{REGION}.amazonaws.com/?Action=Unsubscribe"}
    return {name: value for name, value in (fields | changed).items() if value is not None}


def signed(fields: Mapping[str, str], *, by: str = "amazon") -> bytes:
    """The message as it is sent, signed by that name's key."""
    names = [name for name in _SIGNED.get(fields.get("Type", ""), "").split() if name in fields]
    text = "".join(f"{name}\n{fields[name]}\n" for name in names)
    mark = key_of(by).sign(text.encode("utf-8", "surrogatepass"), PKCS1v15(), hashes.SHA256())
    return json.dumps({**fields, "Signature": b64encode(mark).decode()}).encode()


def letter(
    kind: str = "Notification", *, by: str = "amazon", at: datetime | None = None, **changed: str | None
) -> bytes:
    return signed(unsigned(kind, at=at, **changed), by=by)


def alarm(state: str = "ALARM", *, at: datetime, name: str = "api-5xx", **changed: object) -> str:
    """What CloudWatch puts into Message when the state of an alarm changes."""
    told: dict[str, object] = {
        "AlarmName": name,
        "AlarmDescription": "too many errors",
        "AWSAccountId": ACCOUNT,
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint [10.0 (23/11/26 14:30:00)] was greater than 1.0.",
        "StateChangeTime": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000",
        "Region": "EU (Frankfurt)",
        "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}",
        "OldStateValue": "OK",
        "Trigger": {
            "MetricName": "5XXError",
            "Namespace": "AWS/ApiGateway",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": None,
            "Dimensions": [{"value": "shop", "name": "ApiName"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1.0,
        },
    }
    return json.dumps(told | changed)


class FakeSns(StrictServer):
    """Serves `pem` under the path of `CERTIFICATE`, and confirms subscriptions of `TOPIC` with `TOKEN`."""

    def __init__(self) -> None:
        super().__init__()
        self.pem = certificate(key_of("amazon"))
        self.confirmed: list[str] = []

    def fetch(self, address: str) -> bytes:
        """As over the Internet, but from this machine."""
        return HttpApi(f"{self.url}{urlsplit(address).path}", called="Amazon SNS", most=64 * 1024).download()

    def fetched(self) -> int:
        return sum(call.verb == "GET" for call in self.received)

    def answer(self, call: Call) -> Answer:
        if call.verb == "GET" and call.path == urlsplit(CERTIFICATE).path:
            return Answer(body=self.pem)
        if call.verb != "POST" or call.fields.get("Action") != "ConfirmSubscription":
            self.fault(f"{call.verb} {call.path} was not expected")
            return Answer(status=404)
        return self._confirm(call)

    def _confirm(self, call: Call) -> Answer:
        if "authorization" in call.headers:
            self.fault("a confirmation needs no rights, and was signed with somebody's")
        if call.fields.get("TopicArn") != TOPIC:
            self.fault(f"{call.fields.get('TopicArn')} was to be confirmed")
        if call.fields.get("Token") != TOKEN:
            return _xml("<ErrorResponse><Error><Code>InvalidParameter</Code></Error></ErrorResponse>", status=400)
        self.confirmed.append(TOPIC)
        return _xml(
            f"<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>{TOPIC}:1</SubscriptionArn>"
            "</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        )


def _xml(text: str, *, status: int = 200) -> Answer:
    return Answer(status=status, body=text.encode(), headers={"Content-Type": "text/xml"})
