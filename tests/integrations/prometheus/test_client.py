"""Whether an expression holds, by a real Prometheus; and that no trouble with it is ever more than "not known"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.integrations.prometheus.client import PrometheusClient
from bot.integrations.prometheus.settings import MetricsSettings
from tests.e2e.monitoring import Prometheus as RealPrometheus
from tests.e2e.monitoring import Shop, why_not
from tests.fakes.prometheus import FakePrometheus
from tests.running import free_port

_WHY_NOT = why_not()


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    with FakePrometheus() as made:
        yield made


def gauge(url: str, **more: object) -> PrometheusClient:
    return PrometheusClient(MetricsSettings.model_validate({"url": url, **more}))


@pytest.mark.e2e
@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
def test_a_real_prometheus_says_what_holds(tmp_path: Path) -> None:
    with Shop() as shop, RealPrometheus(tmp_path, shop, []) as real:
        real.start()
        asked = gauge(f"http://{real.address}/")

        told = {expression: asked.holds(expression) for expression in _HOLDS}

    assert told == _HOLDS


_HOLDS = {
    "vector(1)": True,
    "vector(1) > 0": True,
    "vector(1) > 2": False,
    "vector(0)": False,
    "vector(1) == bool 2": False,
    "1 < bool 2": True,
    "2 < bool 1": False,
    "no_such_metric": False,
    "vector(1) / 0 * 0": None,
    '"text"': None,
    "vector(1)[5m:1m]": None,
    "this is no (expression": None,
    "": None,
}


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        (["1"], True),
        (["-0.5", "+Inf"], True),
        ([], False),
        (["1", "0"], False),
        (["NaN", "0"], False),
        (["NaN", "1"], None),
    ],
)
def test_it_holds_where_there_are_samples_and_none_is_zero(
    fake: FakePrometheus,
    values: list[str],
    holds: bool | None,  # noqa: FBT001 (a row of the table)
) -> None:
    fake.values = values

    assert gauge(fake.url).holds("up") is holds


def test_it_asks_once_with_its_token_and_a_limit_of_time(fake: FakePrometheus) -> None:
    gauge(fake.url, token="a-token-of-the-test").holds('up{job="a b"} > 0')

    (call,) = fake.received
    assert call.query == {"query": 'up{job="a b"} > 0', "timeout": "5s"}
    assert call.headers["authorization"] == "Bearer a-token-of-the-test"


@pytest.mark.parametrize("status", [301, 400, 401, 422, 429, 500, 503])
def test_a_refusal_is_not_known_and_not_asked_again(fake: FakePrometheus, status: int) -> None:
    fake.answer_next(status=status, body=b'{"status":"error"}', times=3)

    assert gauge(fake.url).holds("up") is None
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    "told",
    [None, [], {}, {"data": None}, {"data": {"result": None}}, {"data": {"result": [{}]}}, {"data": {"result": [1]}}],
)
def test_a_strange_answer_is_not_known(fake: FakePrometheus, told: object) -> None:
    fake.answer_next(status=200, body=json.dumps(told).encode())

    assert gauge(fake.url).holds("up") is None


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data":{"result":[{"value":[1,"x"]}]}}'])
def test_what_is_no_number_is_not_known(fake: FakePrometheus, body: bytes) -> None:
    fake.answer_next(status=200, body=body)

    assert gauge(fake.url).holds("up") is None


def test_no_connection_is_not_known(fake: FakePrometheus, caplog: pytest.LogCaptureFixture) -> None:
    fake.answer_next(reset=True)

    assert gauge(fake.url).holds("up") is None
    assert gauge(f"http://127.0.0.1:{free_port()}", token="a-token-of-the-test").holds("up") is None
    assert "a-token-of-the-test" not in caplog.text


def test_it_does_not_wait_longer_than_it_is_told_to(fake: FakePrometheus) -> None:
    fake.answer_next(hang=True)

    assert gauge(fake.url, timeout=1).holds("up") is None
