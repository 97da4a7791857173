"""Real payloads as Slack shows them: the first line of a phone's notification, the header, labels, alerts, buttons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bot.integrations.slack.channel import Slack
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import object_of, rows_of
from tests.notifications.payload import CARDS_ON_CALL
from tests.notifications.payloads import PAYLOADS
from tests.notifications.payloads_kube_prometheus import KUBE_PROMETHEUS

_ACTS = ["Acknowledge", "Resolve"]
_HERE = "Open the board"


@dataclass(frozen=True, kw_only=True)
class InSlack:
    """The parts of a message by which a person knows what to do."""

    line: str  #: the message's text
    header: str
    fields: tuple[str, ...] = ()
    quote: str = ""
    alerts: tuple[str, ...] = ()
    buttons: tuple[str, ...] = (*_ACTS, "Silence 2h", "Runbook", _HERE)


SLACK = {
    "KubePodCrashLooping": InSlack(
        line="🟡 WARNING #42 KubePodCrashLooping prod-eu/payments/checkout-7d9f-x2x9q · nobody has it yet"
        " · A pod keeps crashing.",
        header="🟡 #42 KubePodCrashLooping prod-eu/payments/checkout-7d9f-x2x9q",
        fields=(
            "*cluster:* `prod-eu`",
            "*namespace:* `payments`",
            "*pod:* `checkout-7d9f-x2x9q`",
            "*container:* `app`",
            "*reason:* `CrashLoopBackOff`",
        ),
        quote='> Container "app" of payments/checkout-7d9f-x2x9q waits in CrashLoopBackOff.',
    ),
    "NodeFilesystemAlmostOutOfSpace": InSlack(
        line="🔴 CRITICAL #42 NodeFilesystemAlmostOutOfSpace 10.0.3.7:9100 /dev/nvme0n1p1 /var · nobody has it yet"
        " · Less than 3% of a disk is free.",
        header="🔴 #42 NodeFilesystemAlmostOutOfSpace 10.0.3.7:9100 /dev/nvme0n1p1 /var",
        fields=("*device:* `/dev/nvme0n1p1`", "*mountpoint:* `/var`"),
        quote="> /dev/nvme0n1p1 at /var of 10.0.3.7:9100 has only 2.41% of its space left.",
        alerts=("• `10.0.3.7:9100`", "• `10.0.3.8:9100`"),
    ),
    "KubeNodeNotReady": InSlack(
        line="🟡 WARNING #42 KubeNodeNotReady ip-10-0-1-2 · nobody has it yet · A node is not ready.",
        header="🟡 #42 KubeNodeNotReady ip-10-0-1-2",
        fields=("*node:* `ip-10-0-1-2`", "*condition:* `Ready`", "*status:* `true`"),
        quote="> ip-10-0-1-2 has not been ready for more than 15 minutes.",
    ),
    "TargetDown": InSlack(
        line="🟡 WARNING #42 TargetDown orders/orders-api · nobody has it yet · Some targets cannot be reached.",
        header="🟡 #42 TargetDown orders/orders-api",
        fields=("*namespace:* `orders`", "*service:* `orders-api`"),
        quote="> 33.33% of the targets orders-api/orders-api in the namespace orders are down.",
    ),
    "KubePersistentVolumeFillingUp": InSlack(
        line="🔴 CRITICAL #42 KubePersistentVolumeFillingUp db/data-pg-0 · nobody has it yet · A volume is filling up.",
        header="🔴 #42 KubePersistentVolumeFillingUp db/data-pg-0",
        fields=("*namespace:* `db`", "*persistentvolumeclaim:* `data-pg-0`", "*node:* `ip-10-0-1-2`"),
        quote="> The volume claimed by data-pg-0 in the namespace db is only 2.8% free.",
    ),
    "KubeJobFailed": InSlack(
        line="🟡 WARNING #42 KubeJobFailed batch/report-29412 · nobody has it yet · A job did not complete.",
        header="🟡 #42 KubeJobFailed batch/report-29412",
        fields=("*namespace:* `batch`", "*job_name:* `report-29412`", "*condition:* `true`"),
        quote="> Job batch/report-29412 failed. Delete the failed job to end this alert.",
    ),
    "KubeDeploymentReplicasMismatch": InSlack(
        line="🟡 WARNING #42 KubeDeploymentReplicasMismatch shop/cart · nobody has it yet"
        " · A deployment lacks replicas.",
        header="🟡 #42 KubeDeploymentReplicasMismatch shop/cart",
        fields=("*namespace:* `shop`", "*deployment:* `cart`"),
        quote="> Deployment shop/cart has not had its number of replicas for more than 15 minutes.",
    ),
    "CPUThrottlingHigh": InSlack(
        line="🔵 INFO #42 CPUThrottlingHigh search/indexer-0 · nobody has it yet · Processes are throttled.",
        header="🔵 #42 CPUThrottlingHigh search/indexer-0",
        fields=("*namespace:* `search`", "*pod:* `indexer-0`", "*container:* `indexer`"),
        quote="> 61.2% of the processor time of container indexer in search/indexer-0 is throttled.",
    ),
    "etcdInsufficientMembers": InSlack(
        line="🔴 CRITICAL #42 etcdInsufficientMembers kube-etcd · nobody has it yet"
        " · The etcd cluster has too few members.",
        header="🔴 #42 etcdInsufficientMembers kube-etcd",
        fields=("*job:* `kube-etcd`",),
        quote='> etcd cluster "kube-etcd": insufficient members (1).',
        buttons=(*_ACTS, "Silence 2h", _HERE),
    ),
    "KubeAPIErrorBudgetBurn": InSlack(
        line="🔴 CRITICAL #42 KubeAPIErrorBudgetBurn prod-eu · nobody has it yet"
        " · The API server burns its error budget.",
        header="🔴 #42 KubeAPIErrorBudgetBurn prod-eu",
        fields=("*cluster:* `prod-eu`", "*long:* `1h`", "*short:* `5m`"),
        quote="> The API server burns too much of its error budget.",
    ),
    "PrometheusRuleFailures": InSlack(
        line="🔴 CRITICAL #42 PrometheusRuleFailures monitoring/prometheus-kps-0 · nobody has it yet"
        " · Rules cannot be evaluated.",
        header="🔴 #42 PrometheusRuleFailures monitoring/prometheus-kps-0",
        fields=(
            "*namespace:* `monitoring`",
            "*pod:* `prometheus-kps-0`",
            "*container:* `prometheus`",
            "*rule_group:* `/etc/prometheus/rules/k8s.rules.yaml;k8s.rules`",
        ),
        quote="> Prometheus monitoring/prometheus-kps-0 failed to evaluate 12 rules in the last 5m.",
    ),
    "KubeHpaMaxedOut": InSlack(
        line="🟡 WARNING #42 KubeHpaMaxedOut shop/cart · nobody has it yet · An autoscaler runs at its maximum.",
        header="🟡 #42 KubeHpaMaxedOut shop/cart",
        fields=("*namespace:* `shop`", "*horizontalpodautoscaler:* `cart`"),
        quote="> HPA shop/cart has been running at max replicas for longer than 15 minutes.",
    ),
    "vmalert": InSlack(
        line="🟠 ERROR #42 TooManyErrors prod-us/web 10.9.8.7:8080 · nobody has it yet"
        " · 7% of the requests to web fail.",
        header="🟠 #42 TooManyErrors prod-us/web 10.9.8.7:8080",
        fields=("*cluster:* `prod-us`", "*namespace:* `web`", "*instance:* `10.9.8.7:8080`"),
        buttons=(*_ACTS, "Silence 2h", "Dashboard", _HERE),
    ),
    "Mimir's ruler": InSlack(
        line="🔴 CRITICAL #42 MimirIngesterUnhealthy prod-eu/mimir · nobody has it yet · An ingester is unhealthy.",
        header="🔴 #42 MimirIngesterUnhealthy prod-eu/mimir",
        fields=("*cluster:* `prod-eu`", "*namespace:* `mimir`"),
        quote="> An ingester is unhealthy. There are 2 unhealthy ingesters in prod-eu/mimir.",
        buttons=(*_ACTS, "Silence 2h", "Runbook", "Query", _HERE),
    ),
    "Thanos' ruler": InSlack(
        line="🟡 WARNING #42 ThanosCompactHalted prod-eu/thanos/thanos-compact-0 · nobody has it yet"
        " · Compaction has stopped.",
        header="🟡 #42 ThanosCompactHalted prod-eu/thanos/thanos-compact-0",
        fields=(
            "*cluster:* `prod-eu`",
            "*namespace:* `thanos`",
            "*pod:* `thanos-compact-0`",
            "*container:* `thanos-compact`",
            "*tenant:* `platform`",
        ),
        quote="> Thanos Compact thanos-compact-0 has halted.",
        buttons=(*_ACTS, "Silence 2h", "Query", _HERE),
    ),
    "Grafana": InSlack(
        line="🔴 CRITICAL #42 Checkout p99 latency prod-eu checkout · nobody has it yet · p99 of checkout is 4.2 s.",
        header="🔴 #42 Checkout p99 latency prod-eu checkout",
        fields=("*cluster:* `prod-eu`", "*service:* `checkout`"),
        buttons=(*_ACTS, "Runbook", "Rule", _HERE),
    ),
    "Grafana: no data": InSlack(
        line="🔴 CRITICAL #42 Checkout p99 latency, no data (DatasourceNoData) · nobody has it yet"
        " · The checkout must answer in 2 s.",
        header="🔴 #42 Checkout p99 latency, no data (DatasourceNoData)",
        buttons=(*_ACTS, "Silence 2h", "Rule", _HERE),
    ),
    "Grafana: error of the data source": InSlack(
        line="🔴 CRITICAL #42 Checkout p99 latency, the data source failed (DatasourceError) · nobody has it yet"
        " · [sse.dataQueryError] failed to execute query [A]: connection refused",
        header="🔴 #42 Checkout p99 latency, the data source failed (DatasourceError)",
        buttons=(*_ACTS, "Silence 2h", "Rule", _HERE),
    ),
    "hand-made, with a message alone": InSlack(
        line="🔴 CRITICAL #42 env=prod, service=billing · nobody has it yet · Invoices are not sent since 02:40.",
        header="🔴 #42 env=prod, service=billing",
        fields=("*service:* `billing`", "*env:* `prod`"),
        buttons=(*_ACTS, _HERE),
    ),
    "hand-made, with a name and a host": InSlack(
        line="🔴 CRITICAL #42 backup-failed db-7.example.com · nobody has it yet"
        " · Backup of orders failed with code 2.",
        header="🔴 #42 backup-failed db-7.example.com",
        fields=("*host:* `db-7.example.com`", "*name:* `backup-failed`"),
        quote="> Backup of orders failed with code 2.\n> Last good one: yesterday 02:00.",
        buttons=(*_ACTS, _HERE),
    ),
    "hand-made, with labels alone": InSlack(
        line="🟡 WARNING #42 instance=10.1.1.1:9100, job=gateway · nobody has it yet",
        header="🟡 #42 instance=10.1.1.1:9100, job=gateway",
        fields=("*instance:* `10.1.1.1:9100`",),
        buttons=(*_ACTS, _HERE),
    ),
    "hand-made, with nothing": InSlack(
        line="🟡 WARNING #42 team=core · nobody has it yet",
        header="🟡 #42 team=core",
        fields=("*team:* `core`",),
        buttons=(*_ACTS, _HERE),
    ),
    "hand-made, with text that means harm": InSlack(
        line="🔴 CRITICAL #42 &lt;!channel&gt; *urgent* prod/&lt;@U1&gt; · nobody has it yet"
        ' · &lt;https://evil.test|Your bank&gt; @here "rm -rf" _now_',
        header="🔴 #42 &lt;!channel&gt; *urgent* prod/&lt;@U1&gt;",
        fields=("*namespace:* `prod`", "*pod:* `&lt;@U1&gt;`"),
        quote="> First line\n> &gt; &lt;!here&gt; &amp; &lt;b&gt;bold&lt;/b&gt;\n> ```\n> unclosed",
        buttons=(*_ACTS, _HERE),
    ),
    "a storm with long labels": InSlack(
        line="🔴 CRITICAL #42 HighRequestLatencyOnIng…ingress-nginx-controller-6d8f7c9b5d-00000 · nobody has it yet"
        " · Requests wait longer than the objective allows.",
        header="🔴 #42 HighRequestLatencyOnIngressController"
        " prod-eu-west-1-blue/customer-facing-edge-gateways/ingress-nginx-controller-6d8f7c9b5d-00000",
        fields=(
            "*cluster:* `prod-eu-west-1-blue`",
            "*namespace:* `customer-facing-edge-gateways`",
            "*path:* `/api/v2/customers/{customerId}/orders/{orderId}/shipments/{…`",
        ),
        alerts=(
            *(f"• `ingress-nginx-controller-6d8f7c9b5d-{n:05}` {2.5 + n / 10:.1f} s" for n in range(5)),
            "and 35 more: `show 42`",
        ),
        buttons=(*_ACTS, "Silence 2h", _HERE),
    ),
}


def test_every_payload_has_its_card() -> None:
    assert SLACK.keys() == PAYLOADS.keys()


@pytest.mark.parametrize("name", SLACK)
def test_a_real_payload_is_a_card_that_says_what_where_and_what_to_do(fake: FakeSlack, slack: Slack, name: str) -> None:
    ref = slack.deliver(PAYLOADS[name].notification("slack", settings=CARDS_ON_CALL))

    message = fake.message(str(ref))
    head, state, *rest = message.blocks
    texts = [str(object_of(block["text"])["text"]) for block in rest if "text" in block]
    assert (
        InSlack(
            line=message.text,
            header=_text(head),
            fields=tuple(str(one["text"]) for block in rest if "fields" in block for one in rows_of(block["fields"])),
            quote=next((text for text in texts if text.startswith("> ")), ""),
            alerts=tuple(next((text for text in texts if text.startswith("• ")), "").splitlines()),
            buttons=tuple(message.buttons),
        )
        == SLACK[name]
    )
    assert "nobody has it yet\nOn call: <@U1>\nBegan <!date^" in _text(state)
    assert message.pings == ["<@U1>"]


@pytest.mark.parametrize("name", KUBE_PROMETHEUS)
def test_who_has_it_is_said_before_a_phone_cuts_the_line(name: str) -> None:
    line = SLACK[name].line

    assert line.index("nobody has it yet") + len("nobody has it yet") <= 105


def _text(block: dict[str, Any]) -> str:
    return str(object_of(block["text"])["text"])
