"""The twelve most usual alerts of kube-prometheus, with the labels that its exporters and its Helm chart give them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.notifications.payload import Firing, Payload

_RUNBOOKS = "https://runbooks.prometheus-operator.dev/runbooks"
_PROMETHEUS = {"prometheus": "monitoring/kps-prometheus"}
#: kube-state-metrics as the Helm chart scrapes it: what is not said by a metric is the exporter's own.
_OBJECTS = _PROMETHEUS | {
    "job": "kube-state-metrics",
    "instance": "10.2.3.4:8080",
    "service": "kps-kube-state-metrics",
    "endpoint": "http",
    "container": "kube-state-metrics",
    "namespace": "monitoring",
    "pod": "kps-kube-state-metrics-7b9f4d5c8-x2x9q",
}
_NODE_EXPORTER = _PROMETHEUS | {
    "job": "node-exporter",
    "service": "kps-prometheus-node-exporter",
    "endpoint": "http-metrics",
    "container": "node-exporter",
    "namespace": "monitoring",
    "pod": "kps-prometheus-node-exporter-8kq2z",
    "instance": "10.0.3.7:9100",
}
_KUBELET = _PROMETHEUS | {
    "job": "kubelet",
    "service": "kps-kubelet",
    "endpoint": "https-metrics",
    "instance": "10.0.1.2:10250",
    "metrics_path": "/metrics",
    "node": "ip-10-0-1-2",
}


def _notes(page: str, summary: str, description: str) -> Mapping[str, str]:
    return {"summary": summary, "description": description, "runbook_url": f"{_RUNBOOKS}/{page}"}


KUBE_PROMETHEUS: Mapping[str, Payload] = {
    "KubePodCrashLooping": Payload(
        title="KubePodCrashLooping prod-eu/payments/checkout-7d9f-x2x9q: A pod keeps crashing.",
        labels=_OBJECTS
        | {"alertname": "KubePodCrashLooping", "severity": "warning", "cluster": "prod-eu", "namespace": "payments"}
        | {"pod": "checkout-7d9f-x2x9q", "container": "app", "reason": "CrashLoopBackOff", "uid": "5e0c-11"},
        notes=_notes(
            "kubernetes/kubepodcrashlooping",
            "A pod keeps crashing.",
            'Container "app" of payments/checkout-7d9f-x2x9q waits in CrashLoopBackOff.',
        ),
    ),
    "NodeFilesystemAlmostOutOfSpace": Payload(
        title="NodeFilesystemAlmostOutOfSpace 10.0.3.7:9100 /dev/nvme0n1p1 /var: Less than 3% of a disk is free.",
        labels=_NODE_EXPORTER
        | {"alertname": "NodeFilesystemAlmostOutOfSpace", "severity": "critical", "fstype": "ext4"}
        | {"device": "/dev/nvme0n1p1", "mountpoint": "/var"},
        notes=_notes(
            "node/nodefilesystemalmostoutofspace",
            "Less than 3% of a disk is free.",
            "/dev/nvme0n1p1 at /var of 10.0.3.7:9100 has only 2.41% of its space left.",
        ),
        firing=(
            Firing(minutes=44),
            Firing(
                labels={"instance": "10.0.3.8:9100", "pod": "kps-prometheus-node-exporter-p7c4d"},
                notes={"description": "/dev/nvme0n1p1 at /var of 10.0.3.8:9100 has only 1.03% of its space left."},
            ),
        ),
    ),
    "KubeNodeNotReady": Payload(
        title="KubeNodeNotReady ip-10-0-1-2: A node is not ready.",
        labels=_OBJECTS
        | {"alertname": "KubeNodeNotReady", "severity": "warning", "node": "ip-10-0-1-2"}
        | {"condition": "Ready", "status": "true"},
        notes=_notes(
            "kubernetes/kubenodenotready",
            "A node is not ready.",
            "ip-10-0-1-2 has not been ready for more than 15 minutes.",
        ),
    ),
    "TargetDown": Payload(
        title="TargetDown orders/orders-api: Some targets cannot be reached.",
        labels=_PROMETHEUS
        | {"alertname": "TargetDown", "severity": "warning", "namespace": "orders"}
        | {"job": "orders-api", "service": "orders-api"},
        notes=_notes(
            "general/targetdown",
            "Some targets cannot be reached.",
            "33.33% of the targets orders-api/orders-api in the namespace orders are down.",
        ),
    ),
    "KubePersistentVolumeFillingUp": Payload(
        title="KubePersistentVolumeFillingUp db/data-pg-0: A volume is filling up.",
        labels=_KUBELET
        | {"alertname": "KubePersistentVolumeFillingUp", "severity": "critical", "namespace": "db"}
        | {"persistentvolumeclaim": "data-pg-0"},
        notes=_notes(
            "kubernetes/kubepersistentvolumefillingup",
            "A volume is filling up.",
            "The volume claimed by data-pg-0 in the namespace db is only 2.8% free.",
        ),
    ),
    "KubeJobFailed": Payload(
        title="KubeJobFailed batch/report-29412: A job did not complete.",
        labels=_OBJECTS
        | {"alertname": "KubeJobFailed", "severity": "warning", "namespace": "batch"}
        | {"job_name": "report-29412", "condition": "true"},
        notes=_notes(
            "kubernetes/kubejobfailed",
            "A job did not complete.",
            "Job batch/report-29412 failed. Delete the failed job to end this alert.",
        ),
    ),
    "KubeDeploymentReplicasMismatch": Payload(
        title="KubeDeploymentReplicasMismatch shop/cart: A deployment lacks replicas.",
        labels=_OBJECTS
        | {"alertname": "KubeDeploymentReplicasMismatch", "severity": "warning", "namespace": "shop"}
        | {"deployment": "cart"},
        notes=_notes(
            "kubernetes/kubedeploymentreplicasmismatch",
            "A deployment lacks replicas.",
            "Deployment shop/cart has not had its number of replicas for more than 15 minutes.",
        ),
    ),
    "CPUThrottlingHigh": Payload(
        title="CPUThrottlingHigh search/indexer-0: Processes are throttled.",
        labels=_PROMETHEUS
        | {"alertname": "CPUThrottlingHigh", "severity": "info", "namespace": "search"}
        | {"pod": "indexer-0", "container": "indexer"},
        notes=_notes(
            "kubernetes/cputhrottlinghigh",
            "Processes are throttled.",
            "61.2% of the processor time of container indexer in search/indexer-0 is throttled.",
        ),
    ),
    "etcdInsufficientMembers": Payload(
        title="etcdInsufficientMembers kube-etcd: The etcd cluster has too few members.",
        labels=_PROMETHEUS | {"alertname": "etcdInsufficientMembers", "severity": "critical", "job": "kube-etcd"},
        notes={
            "summary": "The etcd cluster has too few members.",
            "description": 'etcd cluster "kube-etcd": insufficient members (1).',
        },
    ),
    "KubeAPIErrorBudgetBurn": Payload(
        title="KubeAPIErrorBudgetBurn prod-eu: The API server burns its error budget.",
        labels=_PROMETHEUS
        | {"alertname": "KubeAPIErrorBudgetBurn", "severity": "critical", "cluster": "prod-eu"}
        | {"long": "1h", "short": "5m"},
        notes=_notes(
            "kubernetes/kubeapierrorbudgetburn",
            "The API server burns its error budget.",
            "The API server burns too much of its error budget.",
        ),
    ),
    "PrometheusRuleFailures": Payload(
        title="PrometheusRuleFailures monitoring/prometheus-kps-0: Rules cannot be evaluated.",
        labels=_PROMETHEUS
        | {"alertname": "PrometheusRuleFailures", "severity": "critical", "namespace": "monitoring"}
        | {"pod": "prometheus-kps-0", "container": "prometheus", "job": "kps-prometheus", "service": "kps-prometheus"}
        | {"instance": "10.2.1.9:9090", "endpoint": "http-web"}
        | {"rule_group": "/etc/prometheus/rules/k8s.rules.yaml;k8s.rules"},
        notes=_notes(
            "prometheus/prometheusrulefailures",
            "Rules cannot be evaluated.",
            "Prometheus monitoring/prometheus-kps-0 failed to evaluate 12 rules in the last 5m.",
        ),
    ),
    "KubeHpaMaxedOut": Payload(
        title="KubeHpaMaxedOut shop/cart: An autoscaler runs at its maximum.",
        labels=_OBJECTS
        | {"alertname": "KubeHpaMaxedOut", "severity": "warning", "namespace": "shop"}
        | {"horizontalpodautoscaler": "cart"},
        notes=_notes(
            "kubernetes/kubehpamaxedout",
            "An autoscaler runs at its maximum.",
            "HPA shop/cart has been running at max replicas for longer than 15 minutes.",
        ),
    ),
}
