"""Where an alert fires, by its labels, and what tells the alerts of one incident apart."""

from __future__ import annotations

import pytest

from bot.notifications.places import key_labels, own_service, telling, where

OBJECTS = {
    "job": "kube-state-metrics",
    "instance": "10.2.3.4:8443",
    "service": "kube-state-metrics",
    "endpoint": "http-metrics",
    "prometheus": "monitoring/k8s",
    "severity": "warning",
}
NODES = {
    "job": "node-exporter",
    "namespace": "monitoring",
    "pod": "node-exporter-x7k2p",
    "container": "node-exporter",
    "severity": "critical",
}

#: Labels as the rules of kube-prometheus and hand-made ones give them -> the place.
PLACES = {
    "a pod": (OBJECTS | {"namespace": "payments", "pod": "checkout-7d9", "container": "app"}, "payments/checkout-7d9"),
    "a pod of a cluster": (
        OBJECTS | {"cluster": "prod-eu", "namespace": "payments", "pod": "checkout-7d9"},
        "prod-eu/payments/checkout-7d9",
    ),
    "a deployment": (OBJECTS | {"namespace": "shop", "deployment": "cart"}, "shop/cart"),
    "a job": (OBJECTS | {"namespace": "batch", "job_name": "report-29"}, "batch/report-29"),
    "a volume": (
        {"job": "kubelet", "instance": "10.0.1.2:10250", "node": "ip-10-0-1-2", "namespace": "db"}
        | {"persistentvolumeclaim": "data-pg-0", "service": "kubelet"},
        "db/data-pg-0",
    ),
    "a node": (OBJECTS | {"node": "ip-10-0-1-2"}, "ip-10-0-1-2"),
    "a disk of a node": (
        NODES | {"instance": "10.0.3.7:9100", "device": "/dev/nvme0n1p1", "mountpoint": "/var", "fstype": "ext4"},
        "10.0.3.7:9100 /dev/nvme0n1p1 /var",
    ),
    "an exporter's target": ({"job": "orders", "namespace": "orders", "service": "orders-api"}, "orders/orders-api"),
    "a service": ({"service": "checkout", "namespace": "shop", "job": "checkout"}, "shop/checkout"),
    "a member of etcd": ({"job": "etcd", "instance": "10.0.0.1:2379"}, "10.0.0.1:2379"),
    "a whole etcd": ({"job": "etcd"}, "etcd"),
    "what the exporter said, beside what Prometheus set": (
        {"job": "kube-state-metrics", "namespace": "monitoring", "exported_namespace": "shop", "pod": "ksm-0"}
        | {"exported_pod": "cart-1"},
        "shop/cart-1",
    ),
    "a node, counted by an exporter whose own pod is in the labels": (
        OBJECTS | {"namespace": "monitoring", "pod": "kps-kube-state-metrics-7b9-x2", "node": "ip-10-0-1-2"},
        "ip-10-0-1-2",
    ),
    "the exporter's own pod": (
        OBJECTS
        | {"namespace": "monitoring", "pod": "kps-kube-state-metrics-7b9-x2", "container": "kube-state-metrics"},
        "monitoring/kps-kube-state-metrics-7b9-x2",
    ),
    "nothing": ({"alertname": "Watchdog", "severity": "none"}, ""),
}


@pytest.mark.parametrize("name", PLACES)
def test_where_is_said_in_a_few_words_without_the_exporters_own_labels(name: str) -> None:
    labels, place = PLACES[name]

    assert where(labels) == place


def test_the_settings_choose_which_labels_are_a_place() -> None:
    assert where({"rack": "b7", "namespace": "shop"}, ("rack",)) == "b7"


def test_a_long_value_and_a_long_place_are_cut() -> None:
    long = where({"cluster": "c" * 90, "namespace": "n" * 90, "pod": "p" * 90})

    assert len(long) == 100
    assert long.startswith("c" * 59 + "…/n")


def test_the_exporter_is_no_fact_though_the_order_of_the_settings_does_not_name_its_labels() -> None:
    labels = OBJECTS | {"namespace": "shop", "pod": "cart-0", "rack": "r7", "team": "cart"}

    order = ("rack", "namespace", "pod")
    facts = key_labels(telling([labels], order).common, order)

    assert facts == {"rack": "r7", "namespace": "shop", "pod": "cart-0", "team": "cart"}


def test_alerts_of_one_incident_are_told_apart_by_what_differs() -> None:
    pods = [OBJECTS | {"alertname": "X", "namespace": "shop", "pod": f"cart-{n}", "code": f"50{n}"} for n in range(2)]

    told = telling(pods)

    assert told.each == ("cart-0 code=500", "cart-1 code=501")
    assert key_labels(told.common) == {"namespace": "shop"}


def test_a_group_of_several_names_says_which_alert_it_is() -> None:
    both = [{"alertname": "Slow", "instance": "a:1"}, {"alertname": "Down", "instance": "a:1"}]

    assert telling(both).each == ("Slow", "Down")
    assert telling(both).common == {"instance": "a:1"}


def test_alerts_of_one_place_stay_apart_beside_an_alert_of_another() -> None:
    pods = [
        {"alertname": "Looping", "cluster": "eu", "namespace": "prod", "deployment": "api", "pod": f"api-{number}"}
        for number in range(2)
    ]
    other = {"alertname": "NotReady", "namespace": "stage", "pod": "x"}

    assert telling([*pods, other]).each == ("Looping api-0", "Looping api-1", "NotReady stage x")


def test_a_single_alert_needs_nothing_to_tell_it_apart() -> None:
    assert telling([{"alertname": "Down", "instance": "a:1"}]).each == ("",)
    assert telling([]).each == ()


def test_a_service_is_the_alerts_own_and_not_its_exporters() -> None:
    assert own_service({"service": "checkout", "job": "checkout", "pod": "checkout-1"}) == "checkout"
    assert own_service(OBJECTS | {"deployment": "cart"}) is None
    assert own_service(NODES | {"service": "node-exporter"}) is None
    assert own_service(OBJECTS | {"exported_service": "cart"}) == "cart"
    assert own_service({}) is None
