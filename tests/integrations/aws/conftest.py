"""moto's server for the session, and the unkind AWS in front of it for each test. Credentials are those of one test."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.fakes.aws import FakeAws
from tests.fakes.aws_rds import UnkindRds
from tests.integrations.aws.virtual import VirtualClock

REGION = "eu-west-1"


class Admin:
    """What the test does itself, straight to moto."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._clients: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self._url,
                region_name=REGION,
                aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="example",
            )
        return self._clients[service]


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="session")
def _admin(moto_port: int) -> Admin:
    return Admin(moto_port)


@pytest.fixture
def admin(aws: FakeAws, _admin: Admin) -> Admin:
    return _admin


@pytest.fixture
def aws(moto_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeAws(moto_port) as fake:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{moto_port}/moto-api/reset", method="POST"))
        yield fake


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def rds(aws: FakeAws, clock: VirtualClock) -> UnkindRds:
    made = UnkindRds(aws, REGION, clock.now)
    made.earliest, made.latest = clock.at - timedelta(days=7), clock.at - timedelta(minutes=4)
    return made
