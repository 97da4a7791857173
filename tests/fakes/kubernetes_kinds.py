"""Which resources the fake Kubernetes serves, and what each can: its paths, its subresources, its selectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One kind. `custom`: by a CRD, which takes no strategic merge patch. `scaled`: has /scale."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    custom: bool = False
    status: bool = True
    scaled: bool = False
    selector: str = "spec.selector"  #: of the scale's status.selector: a label selector, or a text at this path

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def generations(self) -> bool:
        """Whether its metadata counts the changes of its spec."""
        counted = ("apps", "policy", "networking.k8s.io")
        return self.custom or (self.group in counted and self.status)

    @property
    def qualified(self) -> str:
        """As Kubernetes names it in messages: "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(plural: str, kind: str, *, namespaced: bool = True, status: bool = True) -> Resource:
    return Resource(group="", version="v1", plural=plural, kind=kind, namespaced=namespaced, status=status)


def _apps(plural: str, kind: str, *, scaled: bool = True, status: bool = True) -> Resource:
    return Resource(group="apps", version="v1", plural=plural, kind=kind, scaled=scaled, status=status)


def _admission(plural: str, kind: str) -> Resource:
    group = "admissionregistration.k8s.io"
    return Resource(group=group, version="v1", plural=plural, kind=kind, namespaced=False, status=False)


def _argo(plural: str, kind: str, *, scaled: bool = False, status: bool = True) -> Resource:
    return Resource(
        group="argoproj.io",
        version="v1alpha1",
        plural=plural,
        kind=kind,
        custom=True,
        scaled=scaled,
        status=status,
        selector="status.selector",
    )


def _velero(plural: str, kind: str, version: str = "v1") -> Resource:
    """Without a status subresource: whoever may write one may write its status."""
    return Resource(group="velero.io", version=version, plural=plural, kind=kind, custom=True, status=False)


def _cnpg(plural: str, kind: str) -> Resource:
    return Resource(group="postgresql.cnpg.io", version="v1", plural=plural, kind=kind, custom=True)


SERVED = (
    _core("namespaces", "Namespace", namespaced=False),
    _core("nodes", "Node", namespaced=False),
    _core("pods", "Pod"),
    _core("events", "Event", status=False),
    _core("secrets", "Secret", status=False),
    _core("configmaps", "ConfigMap", status=False),
    _core("services", "Service"),
    _core("persistentvolumeclaims", "PersistentVolumeClaim"),
    _core("resourcequotas", "ResourceQuota"),
    _core("limitranges", "LimitRange", status=False),
    _apps("deployments", "Deployment"),
    _apps("replicasets", "ReplicaSet"),
    _apps("statefulsets", "StatefulSet"),
    _apps("daemonsets", "DaemonSet", scaled=False),
    _apps("controllerrevisions", "ControllerRevision", scaled=False, status=False),
    Resource(group="autoscaling", version="v2", plural="horizontalpodautoscalers", kind="HorizontalPodAutoscaler"),
    Resource(group="policy", version="v1", plural="poddisruptionbudgets", kind="PodDisruptionBudget"),
    _admission("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    _admission("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
    _admission("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
    Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease", status=False),
    Resource(group="networking.k8s.io", version="v1", plural="ingresses", kind="Ingress"),
    Resource(group="networking.k8s.io", version="v1", plural="networkpolicies", kind="NetworkPolicy", status=False),
    Resource(group="batch", version="v1", plural="jobs", kind="Job"),
    Resource(group="batch", version="v1", plural="cronjobs", kind="CronJob"),
    _argo("rollouts", "Rollout", scaled=True),
    _argo("analysisruns", "AnalysisRun", status=False),
    _argo("analysistemplates", "AnalysisTemplate", status=False),
    _argo("applications", "Application", status=False),
    Resource(group="flagger.app", version="v1beta1", plural="canaries", kind="Canary", custom=True),
    Resource(group="keda.sh", version="v1alpha1", plural="scaledobjects", kind="ScaledObject", custom=True),
    Resource(
        group="kustomize.toolkit.fluxcd.io", version="v1", plural="kustomizations", kind="Kustomization", custom=True
    ),
    Resource(group="helm.toolkit.fluxcd.io", version="v2", plural="helmreleases", kind="HelmRelease", custom=True),
    _core("persistentvolumes", "PersistentVolume", namespaced=False),
    Resource(
        group="storage.k8s.io",
        version="v1",
        plural="storageclasses",
        kind="StorageClass",
        namespaced=False,
        status=False,
    ),
    _velero("backups", "Backup"),
    _velero("restores", "Restore"),
    _velero("schedules", "Schedule"),
    _velero("backupstoragelocations", "BackupStorageLocation"),
    _velero("backuprepositories", "BackupRepository"),
    _velero("downloadrequests", "DownloadRequest"),
    _velero("podvolumerestores", "PodVolumeRestore"),
    _velero("datadownloads", "DataDownload", "v2alpha1"),
    _cnpg("clusters", "Cluster"),
    _cnpg("backups", "Backup"),
    _cnpg("scheduledbackups", "ScheduledBackup"),
    Resource(group="barmancloud.cnpg.io", version="v1", plural="objectstores", kind="ObjectStore", custom=True),
)

#: Beside metadata.name and metadata.namespace, which every kind has.
FIELD_SELECTORS = {
    "pods": ("spec.nodeName", "status.phase", "spec.schedulerName"),
    "events": ("involvedObject.kind", "involvedObject.name", "involvedObject.uid", "reason", "type"),
    "secrets": ("type",),
    "nodes": ("spec.unschedulable",),
}


def served_at(group: str, version: str, plural: str) -> Resource | None:
    found = (one for one in SERVED if (one.group, one.version, one.plural) == (group, version, plural))
    return next(found, None)


def kind_of(kind: str) -> Resource:
    """By its kind; of two with the same, by "Backup.postgresql.cnpg.io"."""
    name, _, group = kind.partition(".")
    return next(one for one in SERVED if one.kind == name and group in ("", one.group))


def resource_of(thing: Mapping[str, Any]) -> Resource:
    """What that object is one of."""
    return next(one for one in SERVED if (one.api_version, one.kind) == (thing["apiVersion"], thing["kind"]))
