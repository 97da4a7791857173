"""Redaction: what counts as a secret, what does not, and the quick check of raw bytes never misses one."""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.lib.redact import SECRET_PATTERNS, looks_secret, redact

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
    "basic": ("dXNlcjpwYXNzd29yZA==", "Authorization: Basic {}"),
    "basic in json": ("dXNlcjpwYXNzd29yZA==", '{{"authorization": "Basic {}"}}'),
    "github": ("ghp_" + "a1B2" * 9, "remote {}: denied"),
    "github app": ("ghs_" + "a1B2" * 9, "token {}"),
    "github oauth": ("gho_" + "a1B2" * 9, "({})"),
    "github user": ("ghu_" + "a1B2" * 9, "{}"),
    "github refresh": ("ghr_" + "a1B2" * 9, "{}"),
    "github fine grained": ("github_pat_" + "11AB_c" * 12, "export GH={}"),
    "gitlab": ("glpat-" + "abcdefghij1234567890", "got {} from"),
    "slack webhook": ("T00000000/B00000000/" + "X" * 24, "https://hooks.slack.com/services/{}"),
    "google": ("AIza" + "SyA1" * 9, "key {}"),
    "npm": ("npm_" + "a" * 36, "//registry/:{}"),
    "stripe": ("sk_live_" + "a1" * 12, "key {} used"),
    "stripe restricted": ("rk_live_" + "a1" * 12, "key {} used"),
    "password": ("hunter2;x", "host=x user=u password={}"),
    "password in quotes": ("correct horse", 'PGPASSWORD="{}" psql'),
    "password in single quotes": ("a,b & c", "passwd='{}' psql"),
    "client secret": ("abc", "client_secret={}, scope=x"),
    "token in a url": ("abcdefgh12345678", "https://x.example/?a=b&token={}&c=d"),
    "api key": ("k1", "api_key={} sent"),
    "routing key": ("0123456789abcdef0123456789abcdef", "routing_key={}"),
    "password with @ and /": ("u:p@ss/w", "postgres://{}@h/db"),
    "password of digits": ("u:1234", "postgres://{}@h/db"),
    "password and a query": ("u:p", "postgres://{}@h/db?mail=ana@example.com"),
    "password alone": (":p/q", "redis://{}@h:6379/0"),
    "pgp": (
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----",
        "found {} in the pod",
    ),
    "jwt after an escape": (JWT, "Bearer%20{}"),
}
INNOCENT = (
    "image registry.example.com:5000/api@sha256:" + "0123456789abcdef" * 4,
    "sha256:" + "0123456789abcdef" * 4,
    "bearer authentication is required",
    "https://grafana.example.com/d/abc?var-pod=api-7d9f8b6c5-x2x4z&from=1700000000000",
    "ana@example.com said so at 12:34:56",
    '{}/{severity="critical"}:{alertname="HighErrorRate"}',
    "pod api-6b8f9c7d5-abcde restarted 5 times; see xoxo",
    "the token could not be refreshed, the password is wrong: no secret was found, basic auth is off",
    "see https://docs.example.com/a?x=1&y=2 or ask ana@example.com",
    "http://prometheus:9090/graph?g0.expr=up%3D%3D0&mail=ana@example.com and http://[::1]:9090/?m=a@b.c",
    "glpat is the prefix, eyJ the head, AIza too; sk_live_ is empty, token= too",
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

    assert looks_secret(body.encode())


def test_a_secret_spelled_in_escapes_is_suspect() -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in "AKIA" + "IOSFODNN7EXAMPLE")

    assert looks_secret(f'{{"a": "{escaped}"}}'.encode())
    assert not looks_secret(b'{"a": "\\u043f\\u0440"}')


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*(f for _, f in SECRETS.values()), *(s for s, _ in SECRETS.values())]) | st.text()))
def test_whatever_redact_would_change_is_suspect(parts: list[str]) -> None:
    text = " ".join(parts)

    body = json.dumps({"a": text}).encode()

    assert redact(text) == text or looks_secret(body)


@settings(max_examples=200)
@given(st.text(alphabet=string.ascii_letters + ":@-./_ 0123456789", max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


#: Texts that make a pattern of that kind start again and again without ever finishing.
HARD = {
    "private key": ("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY "),
    "aws key id": ("AKIA", "AKIAAAAA.ASIA"),
    "aws secret": ("secret_access_key=====", "SecretAccessKey====aaaa"),
    "slack": ("xoxb-", "xoxb-a.", "xapp"),
    "slack webhook": ("://hooks.slack.com/services/", "://hooks.slack.com/services/."),
    "telegram": ("1:", "1234567890123456", "123:" + "a" * 33 + "."),
    "jwt": ("eyJ", "eyJaaaaaa.", "eyJaaaaaa.eyJaaaaaa!", "-eyJaaaaaa"),
    "github": ("ghp_", "ghp_aaaa.", "github_pat_"),
    "gitlab": ("glpat-", "glpat-a."),
    "google": ("AIza", "AIzaaa."),
    "npm": ("npm_", "npm_a."),
    "stripe": ("sk_live_", "sk_live_a."),
    "basic": ("Authorization: Basic ", "uthorization    :    "),
    "bearer": ("bearer ", "bearer a", "bearer 1.bearer"),
    "named": ("token=", "token='", 'token="a', "token=\"'", "token='\n"),
    "userinfo": ("://", "://a", "://a:", "://a:b@", "@", "://a:b/", ":b@c", "://a@b:c?@"),
}


def test_no_shape_is_without_a_proof_of_its_cost() -> None:
    assert set(HARD) == set(SECRET_PATTERNS)


@pytest.mark.parametrize(("shape", "unit"), [(shape, unit) for shape, units in HARD.items() for unit in units])
@pytest.mark.parametrize("end", ["", " token=' @"])
def test_the_cost_grows_with_the_length_only(shape: str, unit: str, end: str) -> None:
    few = 6_000 // len(unit)
    short, long = unit * few + end, unit * few * 4 + end

    ratio = min(_cpu_s(shape, long) / max(_cpu_s(shape, short), 50e-6) for _ in range(3))

    assert ratio < 6


@pytest.mark.parametrize("unit", sorted({unit for units in HARD.values() for unit in units}))
def test_the_quick_look_costs_no_more_than_the_length_either(unit: str) -> None:
    few = 6_000 // len(unit)
    short, long = (unit * few + " @").encode(), (unit * few * 4 + " @").encode()

    ratio = min(
        _cpu_of(lambda: looks_secret(long)) / max(_cpu_of(lambda: looks_secret(short)), 50e-6) for _ in range(3)
    )

    assert ratio < 6


def test_the_largest_body_of_the_worst_texts_costs_no_more_than_its_length() -> None:
    quarter, whole = "eyJ" * 175_000, "eyJ" * 700_000

    ratio = min(_cpu_of(lambda: redact(whole)) / _cpu_of(lambda: redact(quarter)) for _ in range(3))

    assert ratio < 6


@pytest.mark.parametrize("text", [text for text in INNOCENT if "eyJ" not in text and "bearer" not in text])
def test_an_ordinary_text_is_not_suspect(text: str) -> None:
    assert not looks_secret(text.encode())


def _cpu_s(shape: str, text: str) -> float:
    pattern = SECRET_PATTERNS[shape].pattern
    return _cpu_of(lambda: pattern.sub("", text))


def _cpu_of(work: Callable[[], object]) -> float:
    """The least of three, in seconds of CPU and not of the clock, so that a busy machine is no failure."""
    costs = []
    for _ in range(3):
        begun = time.process_time()
        work()
        costs.append(time.process_time() - begun)
    return min(costs)
