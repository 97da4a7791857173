"""A second opinion from Open Policy Agent: a clear yes is one, and all else is an objection that says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.access.conditions import Context
from bot.access.decision import policy_input
from bot.access.policy import Policy
from bot.core.access import Permission
from bot.core.request import Principal
from bot.integrations.opa.client import OpaClient
from bot.integrations.opa.settings import OpaSettings
from tests.fakes.opa import UNDEFINED, FakeOpa
from tests.running import free_port

ASKED = policy_input(
    Principal(id="ana", roles=frozenset({"ops"})),
    Permission(verb="scale", target="prod/api"),
    Policy(),
    Context(now=datetime(2026, 11, 23, 12, tzinfo=UTC), service="prod/api", environment="production"),
)
NEEDED = "No action is taken unless it allows it."


@pytest.fixture
def fake() -> Iterator[FakeOpa]:
    with FakeOpa() as made:
        yield made


def opa(url: str, *, wait: timedelta = timedelta(seconds=5), **more: object) -> OpaClient:
    section = OpaSettings.model_validate({"url": url, **more})
    return OpaClient(section.model_copy(update={"timeout": wait}))


@pytest.mark.parametrize("result", [True, {"allow": True}, {"allow": True, "reasons": ["ana may"], "more": 1}])
def test_a_clear_yes_is_no_objection(fake: FakeOpa, result: object) -> None:
    fake.policy = lambda _: result

    assert opa(fake.url).denial(ASKED) == ""
    assert fake.asked == [json.loads(json.dumps(ASKED))]


def test_the_policy_sees_who_wants_what_and_what_is_the_case(fake: FakeOpa) -> None:
    fake.policy = lambda given: given["environment"] != "production" or "oncall" in given["person"]["roles"]

    assert opa(fake.url).denial(ASKED) != ""
    assert opa(fake.url).denial({**ASKED, "environment": "staging"}) == ""


def test_a_denial_is_told_with_the_policys_own_reasons_and_its_place_in_the_log(fake: FakeOpa) -> None:
    fake.policy = lambda _: {"allow": False, "reasons": ["prod is closed", "Ask team-core."]}

    assert opa(fake.url).denial(ASKED) == (
        "Open Policy Agent denies it: prod is closed. Ask team-core."
        " See decision 4ca636c1-55e4-417a-b1d8-4aceb67960d1 in its log."
    )


@pytest.mark.parametrize("result", [False, {"allow": False}, {"allow": False, "reasons": [7, "", None]}])
def test_a_denial_without_a_reason_says_that(fake: FakeOpa, result: object) -> None:
    fake.policy = lambda _: result

    assert opa(fake.url).denial(ASKED).startswith("Open Policy Agent denies it: no reason given.")


def test_reasons_are_cleaned_and_cut(fake: FakeOpa) -> None:
    token = "a-token-of-the-test"
    fake.policy = lambda _: {"reasons": [f"bad\n\u202e{token}", "x" * 10_000, "three", "four", "five"]}

    said = opa(fake.url, token=token).denial(ASKED)

    assert said.startswith("Open Policy Agent denies it: bad [redacted]. xxx")
    assert "three. And 2 more." in said
    assert said.isprintable()
    assert len(said) < 600


@pytest.mark.parametrize(
    "result", [None, 1, "true", [True], [], {}, {"allow": 1}, {"allow": "true"}, {"allow": None}, {"allowed": True}]
)
def test_what_is_not_clearly_true_is_an_objection(fake: FakeOpa, result: object) -> None:
    fake.policy = lambda _: result

    said = opa(fake.url).denial(ASKED)

    assert said == f'Open Policy Agent answered neither true nor {{"allow": true}} at vakhta/decision. {NEEDED}'


def test_an_undefined_document_is_an_objection(fake: FakeOpa) -> None:
    fake.policy = lambda _: UNDEFINED

    for asked in (opa(fake.url), opa(fake.url, path="vakhta/decisoin")):
        assert "has nothing defined at vakhta/deci" in asked.denial(ASKED)


GARBAGE = {
    "nothing": (b"", "cannot be read"),
    "no JSON": (b"<html>", "Something between this machine and"),
    "half": (b'{"result": tru', "is not JSON"),
    "a list": (b'[{"result": true}]', "cannot be read"),
    "true": (b"true", "cannot be read"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "endless": (b" " * 300_000 + b'{"result": true}', "is over 262144 bytes"),
}


@pytest.mark.parametrize(("body", "why"), GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_an_objection(fake: FakeOpa, body: bytes, why: str) -> None:
    fake.answer_next(status=200, body=body)

    said = opa(fake.url).denial(ASKED)

    assert why in said
    assert said.endswith(NEEDED)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 429, 500, 503])
def test_a_refusal_or_a_failure_is_an_objection_even_when_it_says_yes(fake: FakeOpa, status: int) -> None:
    fake.answer_next(status=status, body=b'{"result": true, "message": "eval_builtin_error"}', times=2)

    said = opa(fake.url).denial(ASKED)

    assert said.startswith("Open Policy Agent ")
    assert said.endswith(NEEDED)
    assert len(fake.received) == 1


def test_an_answer_that_does_not_come_is_not_waited_for(fake: FakeOpa) -> None:
    fake.answer_next(hang=True)

    said = opa(fake.url, wait=timedelta(seconds=0.05)).denial(ASKED)

    assert said.startswith("Open Policy Agent gave no answer")
    assert said.endswith(NEEDED)


def test_a_cut_or_refused_connection_is_an_objection(fake: FakeOpa) -> None:
    fake.answer_next(reset=True)

    assert opa(fake.url).denial(ASKED).startswith("Open Policy Agent gave no answer")
    assert "could not be reached" in opa(f"http://127.0.0.1:{free_port()}").denial(ASKED)


def test_the_token_goes_along_and_stands_in_no_objection(fake: FakeOpa) -> None:
    fake.answer_next(status=401, body=b'{"code": "unauthorized", "message": "not a-token-of-the-test"}')

    said = opa(fake.url, token="a-token-of-the-test").denial(ASKED)

    assert fake.received[0].headers["authorization"] == "Bearer a-token-of-the-test"
    assert "a-token-of-the-test" not in said
