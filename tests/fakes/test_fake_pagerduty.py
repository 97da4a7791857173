"""The fake PagerDuty is as strict as it says: a lenient one would let everything above it pass for right."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.fakes.pagerduty import API_TOKEN, ROUTING_KEY, FakePagerDuty

PAYLOAD = {"summary": "HighLatency: 3 firing", "source": "api", "severity": "critical"}
TRIGGER = {"routing_key": ROUTING_KEY, "event_action": "trigger", "dedup_key": "k", "payload": PAYLOAD}
REST = {"Authorization": f"Token token={API_TOKEN}", "Content-Type": "application/json"}
#: As Alertmanager 0.25 sends it, recorded.
OF_ALERTMANAGER = {
    "routing_key": ROUTING_KEY,
    "dedup_key": "25fb0bff77cf7f8850f1cb3aeea9e63be0fbd3e78a8c0ef038392ade26e7d3a6",
    "event_action": "trigger",
    "payload": {
        "summary": "[FIRING:1] X (critical)",
        "source": "Alertmanager",
        "severity": "critical",
        "custom_details": {"firing": "Labels:\n - alertname = X\n", "num_firing": "1", "num_resolved": "0"},
    },
    "client": "Alertmanager",
    "client_url": "http://vm:9093/#/alerts?receiver=pd",
    "links": [{"href": "http://wiki.test", "text": "runbook"}],
}


@pytest.fixture
def fake() -> Iterator[FakePagerDuty]:
    """Open, and its faults are the test's to look at."""
    with FakePagerDuty() as fake:
        yield fake
        fake.faults.clear()


def send(
    fake: FakePagerDuty, verb: str, path: str, told: Any, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=60)
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    connection.request(verb, path, body, headers or {"Content-Type": "application/json"})
    answer = connection.getresponse()
    status, got = answer.status, json.loads(answer.read() or b"null")
    connection.close()
    return status, got


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (TRIGGER | {"routing_key": "short"}, "routing_key"),
        (TRIGGER | {"routing_key": "X" * 32}, "Invalid routing key"),
        (TRIGGER | {"event_action": "page"}, "event_action"),
        (TRIGGER | {"dedup_key": "k" * 256}, "dedup_key"),
        (TRIGGER | {"payload": None}, "'payload' is missing"),
        (TRIGGER | {"payload": PAYLOAD | {"summary": " "}}, "payload.summary"),
        (TRIGGER | {"payload": PAYLOAD | {"summary": "s" * 1025}}, "longer than 1024"),
        (TRIGGER | {"payload": PAYLOAD | {"severity": "page"}}, "payload.severity"),
        (TRIGGER | {"payload": PAYLOAD | {"source": None}}, "payload.source"),
        (TRIGGER | {"payload": PAYLOAD | {"timestamp": "now"}}, "payload.timestamp"),
        (TRIGGER | {"payload": PAYLOAD | {"custom_details": ["x"]}}, "custom_details"),
        (TRIGGER | {"payload": PAYLOAD | {"colour": "red"}}, "unknown field 'payload.colour'"),
        (TRIGGER | {"links": [{"text": "no address"}]}, "'links' is invalid"),
        (TRIGGER | {"incident_key": "of version 1"}, "unknown field 'incident_key'"),
        ({"routing_key": ROUTING_KEY, "event_action": "resolve"}, "'dedup_key' is missing"),
        (TRIGGER | {"payload": PAYLOAD | {"custom_details": {"x": "y" * 530_000}}}, "bytes"),
        (b"{", "not JSON"),
        ([], "no object"),
    ],
)
def test_an_event_that_pagerduty_would_refuse_is_refused_and_is_a_fault(
    fake: FakePagerDuty, event: Any, why: str
) -> None:
    status, told = send(fake, "POST", "/v2/enqueue", event)

    assert status == 400
    assert why in " ".join(told["errors"])
    assert len(fake.faults) == 1
    assert not fake.story


def test_what_alertmanager_sends_is_taken(fake: FakePagerDuty) -> None:
    status, told = send(fake, "POST", "/v2/enqueue", OF_ALERTMANAGER)

    assert status == 202
    assert told["dedup_key"] == OF_ALERTMANAGER["dedup_key"]
    assert not fake.faults


def test_events_without_an_open_alert_are_dropped_in_silence_and_remembered_as_that(fake: FakePagerDuty) -> None:
    for action in ("acknowledge", "resolve", "trigger", "resolve", "acknowledge", "trigger"):
        status, _ = send(fake, "POST", "/v2/enqueue", TRIGGER | {"event_action": action})
        assert status == 202

    assert fake.became() == ["dropped", "dropped", "opened", "resolved", "dropped", "opened_again"]
    assert len(fake.alerts) == 2


def test_the_limit_is_of_each_key_and_what_is_over_it_is_not_taken() -> None:
    other = "S" * 32
    with FakePagerDuty(keys=(ROUTING_KEY, other), per_minute=2) as fake:
        statuses = [send(fake, "POST", "/v2/enqueue", TRIGGER)[0] for _ in range(3)]
        elsewhere = send(fake, "POST", "/v2/enqueue", TRIGGER | {"routing_key": other})[0]

    assert statuses == [202, 202, 429]
    assert elsewhere == 202
    assert fake.window.refused == 1
    assert len(fake.story) == 3


def test_an_address_that_we_do_not_use_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="/v1/enqueue is not an address"), FakePagerDuty() as fake:
        send(fake, "POST", "/v1/enqueue", {})


def test_the_rest_api_wants_its_token_and_changes_want_a_person(fake: FakePagerDuty) -> None:
    send(fake, "POST", "/v2/enqueue", TRIGGER)
    change = {"incidents": [{"id": "PDINC1", "type": "incident_reference", "status": "acknowledged"}]}

    without_token = send(fake, "GET", "/incidents/PDINC1/alerts", b"")[0]
    without_from = send(fake, "PUT", "/incidents", change, REST)[0]
    unknown = send(fake, "GET", "/incidents/PDINC9/alerts", b"", REST)[0]
    changed, told = send(fake, "PUT", "/incidents", change, REST | {"From": "bot@acme.test"})

    assert (without_token, without_from, unknown, changed) == (401, 400, 404, 200)
    assert told["incidents"][0]["incident_key"] == "k"
    assert fake.alert("k").status == "acknowledged"
    assert len(fake.faults) == 2


def test_a_webhook_is_posted_as_pagerduty_posts_it(fake: FakePagerDuty) -> None:
    send(fake, "POST", "/v2/enqueue", TRIGGER)
    got: list[tuple[str, bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["X-PagerDuty-Signature"], body))
            self.send_response(503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
            """Silence."""

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        serving = Thread(target=hook.handle_request)
        serving.start()
        headers, body = fake.webhook("incident.resolved", "k", agent=None)
        status = fake.post_to(f"http://127.0.0.1:{hook.server_port}/in/pagerduty", (headers, body))
        serving.join(60)

    event = json.loads(body)["event"]
    assert status == 503
    assert got == [(headers["x-pagerduty-signature"], body)]
    assert (event["resource_type"], event["agent"], event["data"]["status"]) == ("incident", None, "resolved")
    assert fake.alert("k").status == "resolved"
