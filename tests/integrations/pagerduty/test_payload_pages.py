"""Real payloads as PagerDuty gets them: a summary with the place, its own fields, links, labels and annotations."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bot.core.incident import Event, EventType
from bot.core.message import MessageKind
from bot.integrations.pagerduty.channel import PagerDuty
from bot.lib.code_spans import quoted
from tests.fakes.pagerduty import FakePagerDuty
from tests.notifications.payload import CARDS_ON_CALL, NIGHT
from tests.notifications.payloads import PAYLOADS
from tests.notifications.payloads_kube_prometheus import KUBE_PROMETHEUS


def paged(fake: FakePagerDuty, channel: PagerDuty, name: str) -> dict[str, Any]:
    page = PAYLOADS[name].notification("pagerduty", MessageKind.PAGE, CARDS_ON_CALL)
    event = Event(incident_id=42, at=NIGHT, type=EventType.OPENED, by="alertmanager", text=page.incident.title)
    channel.deliver(dataclasses.replace(page, event=event))
    return fake.story[-1].event


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_an_event_that_pagerduty_takes(fake: FakePagerDuty, channel: PagerDuty, name: str) -> None:
    event = paged(fake, channel, name)

    assert event["payload"]["summary"].startswith(quoted(PAYLOADS[name].title.rstrip(".")))
    assert event["payload"]["source"]
    assert all(link["href"].startswith("https://") for link in event.get("links", ()))


@pytest.mark.parametrize("name", KUBE_PROMETHEUS)
def test_the_phone_says_what_and_where(fake: FakePagerDuty, channel: PagerDuty, name: str) -> None:
    event = paged(fake, channel, name)

    assert event["payload"]["summary"].startswith(KUBE_PROMETHEUS[name].title.partition(": ")[0])
    assert event["payload"]["severity"] == KUBE_PROMETHEUS[name].incident().severity
    assert event["payload"]["class"] == name
    runbooks = [url for url in PAYLOADS[name].notes.values() if url.startswith("https://")]
    assert [link["href"] for link in event["links"]][:-1] == runbooks


#: source, component, group
FIELDS = {
    "KubePodCrashLooping": ("prod-eu/payments/checkout-7d9f-x2x9q", "", "prod-eu/payments"),
    "KubeDeploymentReplicasMismatch": ("shop/cart", "cart", "shop"),
    "KubeJobFailed": ("batch/report-29412", "report-29412", "batch"),
    "NodeFilesystemAlmostOutOfSpace": ("10.0.3.7:9100 /dev/nvme0n1p1 /var", "", "alertmanager"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_by_which_people_route_name_what_is_affected_and_not_its_exporter(
    fake: FakePagerDuty, channel: PagerDuty, name: str
) -> None:
    payload = paged(fake, channel, name)["payload"]

    assert tuple(payload.get(key, "") for key in ("source", "component", "group")) == FIELDS[name]
