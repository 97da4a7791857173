"""Behind real proxies that pass upgrades on: they and the bot find the same requests in the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot.core.channel import WebhookResponse
from tests.alerts.alerts_of import alert, body
from tests.web.edge_house import TOKEN, EdgeHouse
from tests.web.edges import Ears
from tests.web.proxies import NAMES, Proxy, why_not
from tests.web.test_framing_over_http import SMUGGLED, UPGRADES, told
from tests.web.web_house import WebHouse

LAST = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Street:
    """A proxy, and the servers behind it."""

    port: int
    house: WebHouse
    edge: EdgeHouse
    slack: Ears


@pytest.fixture(scope="module", params=NAMES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    name = request.param
    if missing := why_not(name):
        pytest.skip(missing)
    place: Path = tmp_path_factory.mktemp(name)
    slack = Ears("slack")
    with (
        WebHouse(place, channels={"slack": slack}) as house,
        EdgeHouse() as edge,
        Proxy(name, place, web=house.port, edge=edge.port) as proxy,
    ):
        proxy.start()
        yield Street(proxy.port, house, edge, slack)


@pytest.fixture
def street(running: Street) -> Street:
    """The servers with an empty ledger, and a chat that has received nothing."""
    vars(running.edge.ledger).update(vars(type(running.edge.ledger)()))
    running.slack.heard.clear()
    running.slack.next = WebhookResponse(body=b"taken")
    return running


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("lines", [0, 500, 150_000])
def test_a_request_in_the_body_of_another_is_never_one_behind_a_proxy(
    street: Street, upgrade: bytes, lines: int
) -> None:
    hidden = b"\r\n" * lines + SMUGGLED
    head = b"POST /nothing HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (upgrade, len(hidden))

    answers = told(street.port, head + hidden + LAST)
    after = httpx.get(f"http://127.0.0.1:{street.port}/livez", trust_env=False)

    assert street.slack.heard == []
    assert answers.startswith(b"HTTP/1.1 404 ")
    assert after.text == "alive\n"


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("chunked", [False, True])
def test_an_alert_that_offers_another_protocol_is_stored_behind_a_proxy(
    street: Street, upgrade: bytes, *, chunked: bool
) -> None:
    sent = body()
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(sent)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent) if chunked else sent
    head = (
        b"POST /alerts/alertmanager HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\n%b%b\r\n\r\n" % (TOKEN.encode(), upgrade, length)
    )

    answers = told(street.port, head + framed + LAST)

    assert answers.startswith(b"HTTP/1.1 200 ")
    assert [one.body for one in street.edge.ledger.taken] == [sent]
    assert street.edge.ledger.kept == []


def test_many_alerts_over_the_same_connections_are_each_stored_once_also_between_refusals(street: Street) -> None:
    sent = [body(alert(fingerprint=f"{number:016x}")) for number in range(40)]
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{street.port}", headers=headers, trust_env=False) as sender:
        told = []
        for number, one in enumerate(sent):
            refused = {"X": "y", "Host": "a@b"} if number % 5 == 0 else {"Authorization": "Bearer no"}
            sender.post("/alerts/alertmanager", content=b"{", headers=refused)
            told.append(sender.post("/alerts/alertmanager", content=one).status_code)

    assert told == [200] * 40
    assert [one.body for one in street.edge.ledger.taken] == sent
