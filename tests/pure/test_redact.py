"""What is taken for a secret, what is not, and that the quick look at raw bytes never misses one."""

from __future__ import annotations

import json
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.redact import redact, suspect

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAAA\n-----END RSA PRIVATE KEY-----"
BOT_TOKEN = "123456789:" + "AbC-_" * 7
SECRETS = {
    "aws key id": ("AKIA" + "IOSFODNN7EXAMPLE", "key {} leaked"),
    "aws session key id": ("ASIA" + "IOSFODNN7EXAMPLE", "({})"),
    "aws secret in ini": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = {}"),
    "aws secret in environment": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SECRET_ACCESS_KEY={} ./run"),
    "aws secret in json": ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", '{{"SecretAccessKey": "{}"}}'),
    "slack bot": ("xoxb-" + "1234567890-abcdefghij", "token {}"),
    "slack rotating": ("xoxe.xoxb-" + "1-abcdefghijk", "token {}"),
    "slack app": ("xapp-" + "1-A0-123-abcdef", "token={}"),
    "telegram": (BOT_TOKEN, "token {} is bad"),
    "telegram in a url": (BOT_TOKEN, "https://api.telegram.org/bot{}/sendMessage"),
    "jwt": (JWT, "cookie={};"),
    "pem": (PEM, "found {} in the pod"),
    "pem cut short": ("-----BEGIN PRIVATE KEY-----\nMIIEow", "found {}"),
    "userinfo": ("ana:hunter2", "postgresql://{}@db/x refused"),
    "token as userinfo": ("ghp_abcdef", "https://{}@git.example.com/x"),
    "bearer": ("abcdef123456", "Authorization: Bearer {}"),
    "bearer of letters": ("local-only-token", "authorization: bearer {}"),
}
INNOCENT = (
    "image registry.example.com:5000/api@sha256:" + "0123456789abcdef" * 4,
    "sha256:" + "0123456789abcdef" * 4,
    "bearer authentication is required",
    "https://grafana.example.com/d/abc?var-pod=api-7d9f8b6c5-x2x4z&from=1700000000000",
    "ana@example.com said so at 12:34:56",
    '{}/{severity="critical"}:{alertname="HighErrorRate"}',
    "pod api-6b8f9c7d5-abcde restarted 5 times; see xoxo",
    "10.0.0.1:9090 550e8400-e29b-41d4-a716-446655440000",
)


@pytest.mark.parametrize(("secret", "around"), SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_taken_out_and_the_rest_stays(secret: str, around: str) -> None:
    before, after = around.format("\0").split("\0")

    said = redact(before + secret + after)

    assert secret not in said
    assert said.startswith(before.rstrip(' =:"'))
    assert said.endswith("[redacted]" + after)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    said = redact(text)

    assert said == text


@pytest.mark.parametrize(("secret", "around"), SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("slashes", ["/", "\\/"])
def test_a_body_with_a_secret_is_suspect(secret: str, around: str, slashes: str) -> None:
    body = json.dumps({"annotations": {"description": around.format(secret)}}).replace("/", slashes)

    assert suspect(body.encode())


def test_a_secret_spelled_in_escapes_is_suspect() -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in "AKIA" + "IOSFODNN7EXAMPLE")

    assert suspect(f'{{"a": "{escaped}"}}'.encode())
    assert not suspect(b'{"a": "\\u043f\\u0440"}')


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*(f for _, f in SECRETS.values()), *(s for s, _ in SECRETS.values())]) | st.text()))
def test_whatever_redact_would_change_is_suspect(parts: list[str]) -> None:
    text = " ".join(parts)

    body = json.dumps({"a": text}).encode()

    assert redact(text) == text or suspect(body)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=string.ascii_letters + ":@-./_ 0123456789", max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    "unit", ["://", "eyJaaaaaa.", "A", "1", "-----BEGIN PRIVATE KEY-----", "bearer ", "xoxb", "1:"]
)
def test_the_cost_grows_with_the_length_only(unit: str) -> None:
    short, long = unit * 4_000, unit * 32_000

    cost = [min(_cpu_s(text) for _ in range(5)) for text in (short, long)]

    assert cost[1] < max(cost[0], 0.001) * 8 * 4


def _cpu_s(text: str) -> float:
    """CPU and not wall time, so that a busy machine is no failure."""
    begun = time.process_time()
    redact(text)
    return time.process_time() - begun
