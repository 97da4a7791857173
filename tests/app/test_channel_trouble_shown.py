"""A bot whose channels pause or refuse: what health check, metrics and API show, and a start with another key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.app.bot import Bot
from bot.config.settings import Settings
from tests.alerts.alerts_of import alert, payload
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.running import until

pytestmark = pytest.mark.waits

SENDER_TOKEN = "the-token-of-alertmanagers-32-by"


@contextmanager
def running(place: Path, slack: FakeSlack, pagerduty: FakePagerDuty) -> Iterator[Bot]:
    made = Bot(
        Settings.model_validate(
            {
                "server": {"listen": "127.0.0.1:0"},
                "store": {"url": f"sqlite:///{place}/vakhta.db"},
                "sources": {"alertmanager": {"tokens": [SENDER_TOKEN]}},
                "channels": {
                    "slack": {
                        "bot_token": slack.bot_token,
                        "signing_secret": slack.workspace.secret,
                        "team_id": "T1",
                        "channel": "C1",
                        "api_url": slack.api_url,
                        "mode": "http",
                    },
                    "pagerduty": {"routing_key": ROUTING_KEY, "events_url": pagerduty.url, "api_url": pagerduty.url},
                },
                "people": [{"id": "local", "roles": ["admin"]}],
            }
        )
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeSlack() as fake:
        yield fake


@pytest.fixture
def pagerduty() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as fake:
        yield fake


def client(bot: Bot) -> httpx.Client:
    return httpx.Client(base_url=bot.web.url(), trust_env=False, timeout=60)


def fires(http: httpx.Client, name: str) -> None:
    labels = {"alertname": name, "severity": "critical"}
    fired = payload(alert(labels=labels, fingerprint=name), groupKey=f'{{}}:{{alertname="{name}"}}')
    headers = {"Authorization": f"Bearer {SENDER_TOKEN}"}
    answer = http.post("/alerts/alertmanager", json=fired, headers=headers)
    assert answer.status_code == 200, answer.text


def deliveries(http: httpx.Client, number: int, channel: str) -> list[dict[str, Any]]:
    return [one for one in http.get(f"/api/incidents/{number}").json()["deliveries"] if one["channel"] == channel]


def test_a_pause_is_shown_by_the_health_check_by_a_metric_and_on_every_message_behind_it(
    tmp_path: Path, slack: FakeSlack, pagerduty: FakePagerDuty
) -> None:
    slack.answer_next(status=429, retry_after=7200, path="chat.postMessage")
    with running(tmp_path, slack, pagerduty) as bot, client(bot) as http:
        fires(http, "First")
        until(lambda: "asked us to wait" in http.get("/readyz").json()["channels"]["slack"], "the pause")
        fires(http, "Second")

        ready = http.get("/readyz")
        metrics = http.get("/metrics").text
        [behind] = deliveries(http, 2, "slack")
        told = [event["said"] for event in http.get("/api/incidents/1").json()["events"]]

    assert ready.status_code == 200
    said = ready.json()["channels"]["slack"]
    assert said.startswith("Slack asked us to wait until ")
    assert said in told
    assert (behind["state"], behind["why_not"]) == ("owed", said)
    ahead = datetime.fromisoformat(behind["next_try_at"]) - datetime.now(UTC)
    assert timedelta(hours=1) < ahead <= timedelta(hours=2)
    seconds = dict(line.split() for line in metrics.splitlines() if line.startswith("vakhta_channel_pause_seconds"))
    assert 3600 < float(seconds['vakhta_channel_pause_seconds{channel="slack"}']) <= 7200
    assert float(seconds['vakhta_channel_pause_seconds{channel="pagerduty"}']) == 0


def test_after_a_start_with_a_key_that_works_the_pages_that_were_refused_are_sent(
    tmp_path: Path, slack: FakeSlack, pagerduty: FakePagerDuty
) -> None:
    pagerduty.keys = ("another-key",)
    with running(tmp_path, slack, pagerduty) as bot, client(bot) as http:
        fires(http, "DatabaseDown")
        until(lambda: deliveries(http, 1, "pagerduty")[0]["state"] == "dead", "the refusal")
        [dead] = deliveries(http, 1, "pagerduty")
        ill = http.get("/readyz").json()["channels"]["pagerduty"]
    pagerduty.faults.clear()  # the wrong key was meant
    pagerduty.keys = (ROUTING_KEY,)

    with running(tmp_path, slack, pagerduty) as bot, client(bot) as http:
        still_ill = http.get("/readyz").json()["channels"]["pagerduty"]
        bot.scheduler.try_refusing_channels()
        until(lambda: deliveries(http, 1, "pagerduty")[0]["state"] == "sent", "the page")
        until(lambda: http.get("/readyz").json()["channels"]["pagerduty"] == "ok", "health")

    assert dead["next_try_at"] is not None
    assert "refused" in ill
    assert still_ill.startswith("PagerDuty takes no messages since ")
    assert pagerduty.became() == ["opened"]
