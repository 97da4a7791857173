"""Alerts of vmalert, of the rulers of Mimir and Thanos, of Grafana's own rules, and hand-made ones."""

from __future__ import annotations

from collections.abc import Mapping

from tests.notifications.payload import Firing, Payload

#: What Grafana writes beside a rule's own annotations, when it sends to an Alertmanager that is not its own.
_GRAFANA_LABELS = {"__alert_rule_uid__": "ae3f0a", "grafana_folder": "Checkout", "__grafana_receiver__": "vakhta"}
_GRAFANA_NOTES = {"__dashboardUid__": "d81", "__panelId__": "4", "__orgId__": "1"}
_GRAFANA = "https://grafana.example.com/alerting/grafana/ae3f0a/view?orgId=1"

OTHERS: Mapping[str, Payload] = {
    "vmalert": Payload(
        title="TooManyErrors prod-us/web 10.9.8.7:8080: 7% of the requests to web fail.",
        labels={"alertname": "TooManyErrors", "alertgroup": "web", "severity": "error", "cluster": "prod-us"}
        | {"job": "web", "instance": "10.9.8.7:8080", "vmagent": "vmagent-0", "namespace": "web"},
        notes={
            "summary": "7% of the requests to web fail.",
            "dashboard": "https://grafana.example.com/d/web?var-instance=10.9.8.7:8080",
        },
        generator="http://vmalert-0:8880/vmalert/alert?group_id=31&alert_id=9",
    ),
    "Mimir's ruler": Payload(
        title="MimirIngesterUnhealthy prod-eu/mimir: An ingester is unhealthy.",
        labels={"alertname": "MimirIngesterUnhealthy", "severity": "critical", "cluster": "prod-eu"}
        | {"namespace": "mimir", "tenant_id": "acme"},
        notes={
            "message": "An ingester is unhealthy. There are 2 unhealthy ingesters in prod-eu/mimir.",
            "runbook_url": "https://grafana.com/docs/mimir/latest/runbooks/#mimiringesterunhealthy",
        },
        generator="https://grafana.example.com/explore?left=%7B%22queries%22%3A%5B%5D%7D",
        external="https://mimir.example.com/alertmanager",
    ),
    "Thanos' ruler": Payload(
        title="ThanosCompactHalted prod-eu/thanos/thanos-compact-0: Compaction has stopped.",
        labels={"alertname": "ThanosCompactHalted", "severity": "warning", "cluster": "prod-eu", "replica": "rule-1"}
        | {"job": "thanos-compact", "namespace": "thanos", "pod": "thanos-compact-0", "instance": "10.2.8.1:10902"}
        | {"container": "thanos-compact", "endpoint": "http", "service": "thanos-compact", "tenant": "platform"},
        notes={"summary": "Compaction has stopped.", "description": "Thanos Compact thanos-compact-0 has halted."},
        generator="https://thanos.example.com/graph?g0.expr=thanos_compact_halted",
    ),
    "Grafana": Payload(
        title="Checkout p99 latency prod-eu checkout: p99 of checkout is 4.2 s.",
        labels=_GRAFANA_LABELS
        | {"alertname": "Checkout p99 latency", "severity": "critical", "cluster": "prod-eu", "service": "checkout"},
        notes=_GRAFANA_NOTES
        | {"summary": "p99 of checkout is 4.2 s.", "runbook_url": "https://wiki.example.com/checkout"}
        | {"__value_string__": "[ var='B' labels={service=checkout} value=4.21 ], [ var='C' labels={} value=1 ]"},
        grouped_by=("alertname", "grafana_folder"),
        generator=_GRAFANA,
    ),
    "Grafana: no data": Payload(
        title="Checkout p99 latency, no data (DatasourceNoData): The checkout must answer in 2 s.",
        labels=_GRAFANA_LABELS
        | {"alertname": "DatasourceNoData", "rulename": "Checkout p99 latency", "severity": "critical"}
        | {"datasource_uid": "P1809F7", "ref_id": "A"},
        notes=_GRAFANA_NOTES | {"description": "The checkout must answer in 2 s."},
        grouped_by=("alertname", "grafana_folder"),
        generator=_GRAFANA,
    ),
    "Grafana: error of the data source": Payload(
        title="Checkout p99 latency, the data source failed (DatasourceError):"
        " [sse.dataQueryError] failed to execute query [A]: connection refused",
        labels=_GRAFANA_LABELS
        | {"alertname": "DatasourceError", "rulename": "Checkout p99 latency", "severity": "critical"}
        | {"datasource_uid": "P1809F7", "ref_id": "A"},
        notes=_GRAFANA_NOTES | {"Error": "[sse.dataQueryError] failed to execute query [A]: connection refused"},
        grouped_by=("alertname", "grafana_folder"),
        generator=_GRAFANA,
    ),
    "hand-made, with a message alone": Payload(
        title="env=prod, service=billing: Invoices are not sent since 02:40.",
        labels={"service": "billing", "env": "prod", "severity": "page"},
        notes={"message": "Invoices are not sent since 02:40."},
        grouped_by=("service", "env"),
        generator="",
    ),
    "hand-made, with a name and a host": Payload(
        title="backup-failed db-7.example.com: Backup of orders failed with code 2.",
        labels={"name": "backup-failed", "host": "db-7.example.com", "level": "critical"},
        notes={"description": "Backup of orders failed with code 2.\n\nLast good one: yesterday 02:00."},
        grouped_by=("name",),
        generator="",
    ),
    "hand-made, with labels alone": Payload(
        title="instance=10.1.1.1:9100, job=gateway",
        labels={"job": "gateway", "instance": "10.1.1.1:9100"},
        grouped_by=("job", "instance"),
        generator="",
    ),
    "hand-made, with nothing": Payload(title="team=core", labels={"team": "core"}, grouped_by=(), generator=""),
    "hand-made, with text that means harm": Payload(
        title="<!channel> *urgent* prod/<@U1>: <https://evil.test|Your bank> @here `rm -rf` _now_",
        labels={"alertname": "<!channel> *urgent*", "namespace": "prod", "pod": "<@U1>", "severity": "critical"},
        notes={
            "summary": "<https://evil.test|Your bank> @here `rm -rf` _now_",
            "description": "First line\n> <!here> & <b>bold</b>\n```\nunclosed",
            "runbook_url": "https://bank.test@evil.test/",
            "dashboard": "javascript:alert(1)",
        },
    ),
    "a storm with long labels": Payload(
        title="HighRequestLatencyOnIngressController"
        " prod-eu-west-1-blue/customer-facing-edge-gateways/ingress-nginx-controller-6d8f7c9b5d-00000:"
        " Requests wait longer than the objective allows.",
        labels={"alertname": "HighRequestLatencyOnIngressController", "severity": "critical"}
        | {"cluster": "prod-eu-west-1-blue", "namespace": "customer-facing-edge-gateways"}
        | {"path": "/api/v2/customers/{customerId}/orders/{orderId}/shipments/{shipmentId}/events"},
        notes={"summary": "Requests wait longer than the objective allows."},
        firing=tuple(
            Firing(
                labels={
                    "pod": f"ingress-nginx-controller-6d8f7c9b5d-{number:05}",
                    "instance": f"10.4.0.{number}:10254",
                },
                notes={"value": f"{2.5 + number / 10:.1f} s"},
            )
            for number in range(40)
        ),
    ),
}
