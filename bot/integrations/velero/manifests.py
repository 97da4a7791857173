"""The objects that a restore by Velero is made of. Pure.

What is restored is a list of kinds, not everything but a few: a copy must not take traffic (Ingresses), call back into
the cluster (webhooks), grow (autoscalers), fetch secrets, or make operators start databases of their own. Its
NetworkPolicies would let it out again, because policies add up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bot.core.backup import DRILL_LABEL, OWNER_LABEL, RestoreTask
from bot.core.kubernetes import KubernetesObject
from bot.integrations.velero.facts import RestoreFacts, copy_of, restore_name
from bot.integrations.velero.settings import VeleroSettings

#: On a namespace: the store whose copy it is, and when a drill's leftovers may be removed.
STORE_NOTE, EXPIRES_NOTE = "vakhta.dev/store", "vakhta.dev/expires"
#: The NetworkPolicy that keeps a copy to itself.
ISOLATION = "vakhta-isolation"
#: Cloned volumes, snapshots and data uploads are among them because Velero's own steps need them.
RESTORED = (
    *("namespaces", "persistentvolumes", "persistentvolumeclaims", "configmaps", "secrets", "serviceaccounts"),
    *("services", "deployments.apps", "statefulsets.apps", "replicasets.apps", "cronjobs.batch", "pods"),
    *("volumesnapshots.snapshot.storage.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io"),
    *("volumesnapshotclasses.snapshot.storage.k8s.io", "datauploads.velero.io"),
)
_ONLY_OF_LOAD_BALANCERS = (
    *("loadBalancerIP", "loadBalancerClass", "loadBalancerSourceRanges", "allocateLoadBalancerNodePorts"),
    *("externalTrafficPolicy", "healthCheckNodePort", "externalIPs"),
)
_TIME_LIMIT = "4h0m0s"


def labels(task: RestoreTask) -> Mapping[str, str]:
    return {OWNER_LABEL: task.run} | ({DRILL_LABEL: task.run} if task.drill else {})


def namespace(task: RestoreTask, where: VeleroSettings, live: str) -> KubernetesObject:
    notes = {STORE_NOTE: task.store} | ({EXPIRES_NOTE: task.expires_at.isoformat()} if task.expires_at else {})
    meta = {
        "name": copy_of(live, task.short_run),
        "labels": {**where.namespace_labels, **labels(task)},
        "annotations": notes,
    }
    return {"metadata": meta}


def isolation(task: RestoreTask) -> KubernetesObject:
    """Nothing gets in, and nothing gets out, names included."""
    meta = {"name": ISOLATION, "labels": dict(labels(task))}
    return {"metadata": meta, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}


def modifiers(task: RestoreTask, where: VeleroSettings, facts: RestoreFacts) -> KubernetesObject:
    """The ConfigMap with the changes that Velero makes to each object on its way."""
    rules = {"version": "v1", "resourceModifierRules": list(_rules(task, where, facts))}
    meta = {"name": restore_name(task.run), "labels": dict(labels(task))}
    return {"metadata": meta, "data": {"rules.yaml": json.dumps(rules)}}  # JSON is valid YAML.


def restore(task: RestoreTask, where: VeleroSettings, facts: RestoreFacts) -> KubernetesObject:
    """By the name of a backup, never of a schedule: that would be resolved anew, and to another backup."""
    kinds = [one for one in (*RESTORED, *where.also_restored) if facts.pods or one != "pods"]
    spec = {
        "backupName": task.point.backup_id,
        "includedNamespaces": list(where.included),
        "namespaceMapping": {one: copy_of(one, task.short_run) for one in where.included},
        "includedResources": kinds,
        "existingResourcePolicy": "none",
        "restorePVs": True,
        "preserveNodePorts": False,
        "itemOperationTimeout": _TIME_LIMIT,
        "resourceModifier": {"kind": "ConfigMap", "name": restore_name(task.run)},
    }
    return {"metadata": {"name": restore_name(task.run), "labels": dict(labels(task))}, "spec": spec}


def _rules(task: RestoreTask, where: VeleroSettings, facts: RestoreFacts) -> Iterator[Mapping[str, Any]]:
    """`namespaces` are the names before they are mapped."""
    yield _rule(where, "**", {"metadata": {"labels": dict(labels(task))}})
    if not facts.pods:
        for plural in ("deployments", "statefulsets", "replicasets"):
            yield _rule(where, f"{plural}.apps", {"spec": {"replicas": 0}})
    yield _rule(where, "cronjobs.batch", {"spec": {"suspend": True}})
    inside = {"spec": {"type": "ClusterIP", **dict.fromkeys(_ONLY_OF_LOAD_BALANCERS)}}
    for kind in ("LoadBalancer", "NodePort"):
        yield _rule(where, "services", inside, {"path": "/spec/type", "value": kind})
    for old, new in where.storage_classes.items():
        same = {"path": "/spec/storageClassName", "value": old}
        yield _rule(where, "persistentvolumeclaims", {"spec": {"storageClassName": new}}, same)


def _rule(where: VeleroSettings, kind: str, patch: Mapping[str, Any], *matches: Mapping[str, str]) -> Mapping[str, Any]:
    conditions: dict[str, Any] = {"groupResource": kind, "namespaces": list(where.included)}
    conditions |= {"matches": list(matches)} if matches else {}
    return {"conditions": conditions, "mergePatches": [{"patchData": json.dumps(patch)}]}
