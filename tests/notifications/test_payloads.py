"""Real payloads: read by the source, and the title, labels and description of the incident that each opens."""

from __future__ import annotations

import pytest

from bot.core.message import Situation
from bot.integrations.alertmanager.source import read_exactly, read_ordinary
from tests.notifications.payload import NIGHT
from tests.notifications.payloads import PAYLOADS

#: The labels of the card. Not named: all that only say which exporter counted it.
FACTS = {
    "KubeNodeNotReady": {"node": "ip-10-0-1-2", "condition": "Ready", "status": "true"},
    "KubeJobFailed": {"namespace": "batch", "job_name": "report-29412", "condition": "true"},
    "KubePersistentVolumeFillingUp": {"namespace": "db", "persistentvolumeclaim": "data-pg-0", "node": "ip-10-0-1-2"},
    "KubeHpaMaxedOut": {"namespace": "shop", "horizontalpodautoscaler": "cart"},
    "NodeFilesystemAlmostOutOfSpace": {"device": "/dev/nvme0n1p1", "mountpoint": "/var"},
    "TargetDown": {"namespace": "orders", "service": "orders-api"},
    "vmalert": {"cluster": "prod-us", "namespace": "web", "instance": "10.9.8.7:8080"},
    "Grafana": {"cluster": "prod-eu", "service": "checkout"},
    "Grafana: no data": {},
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_title_says_what_and_where(name: str) -> None:
    assert PAYLOADS[name].incident().title == PAYLOADS[name].title


@pytest.mark.parametrize("name", [name for name in PAYLOADS if name != "hand-made, with text that means harm"])
def test_every_payload_is_ordinary_to_the_source(name: str) -> None:
    body = PAYLOADS[name].body()

    assert read_ordinary(body, NIGHT) == read_exactly(body, NIGHT)


@pytest.mark.parametrize("name", FACTS)
def test_the_labels_of_a_card_are_of_what_fires_and_not_of_its_exporter(name: str) -> None:
    assert dict(_situation(name).facts) == FACTS[name]


def test_the_values_of_grafana_are_read_out_of_its_list() -> None:
    assert _situation("Grafana").notes == ("Value: B=4.21, C=1",)


def test_a_message_of_two_sentences_is_a_short_title_and_a_whole_description() -> None:
    assert _situation("Mimir's ruler").description == (
        "An ingester is unhealthy. There are 2 unhealthy ingesters in prod-eu/mimir."
    )


def _situation(name: str) -> Situation:
    told = PAYLOADS[name].card().situation
    assert told is not None
    return told
