"""An Alertmanager to silence, the strict fake or the real one, spoken to over HTTP in the same way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydantic import SecretStr

from bot.core.action import Tools
from bot.core.silences import Matcher
from bot.integrations.alertmanager.client import AlertmanagerClient
from bot.integrations.alertmanager.settings import AlertmanagerSettings
from tests.e2e.monitoring import Alertmanager as RealAlertmanager
from tests.e2e.monitoring import why_not
from tests.fakes.alertmanager import FakeAlertmanager
from tests.late import GO_IS_BEHIND

_WHY_NOT = why_not() or GO_IS_BEHIND

#: As the parameters of a fixture.
WORLDS = ["fake", pytest.param("real", marks=[pytest.mark.e2e, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)])]


class World:
    """Alerts are fired and ended by the API, as Prometheus does it."""

    def __init__(self, url: str, fake: FakeAlertmanager | None = None) -> None:
        self.url = url
        self._fake = fake
        self.tool = silences(url)
        self.tools = Tools(now=lambda: datetime.now(UTC), silences=self.tool)

    @property
    def fake(self) -> FakeAlertmanager:
        assert self._fake is not None, "only the fake goes wrong when told to"
        return self._fake

    def fire(self, name: str, *, ended: bool = False, **labels: str) -> None:
        alert: dict[str, object] = {"labels": {"alertname": name, **labels}}
        if ended:
            alert["endsAt"] = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        self.call("POST", "/alerts", [alert])

    def call(self, verb: str, path: str, body: object = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(
            Request(f"{self.url}/api/v2{path}", data=sent, method=verb, headers=headers), timeout=60
        ) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def standing(self) -> list[Mapping[str, Any]]:
        return [one for one in self.call("GET", "/silences") if one["status"]["state"] != "expired"]


def silences(url: str, **more: object) -> AlertmanagerClient:
    section = AlertmanagerSettings.model_validate({"tokens": [SecretStr("x")], "api_url": url, **more})
    return AlertmanagerClient(section, lambda labels: labels.get("service"))


def equal(name: str, value: str) -> Matcher:
    return Matcher(name=name, op="=", value=value)


@contextmanager
def world_of(kind: str, place: Path) -> Iterator[World]:
    if kind == "fake":
        with FakeAlertmanager() as fake:
            yield World(fake.url, fake)
        return
    with RealAlertmanager(place, None) as real:
        real.start()
        yield World(f"http://{real.address}")
