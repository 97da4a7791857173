"""The kinds of objects that the bot reads or writes, with their places in the API."""

from __future__ import annotations

from bot.core.kubernetes import ResourceKind


def _core(plural: str, title: str) -> ResourceKind:
    return ResourceKind(group="", version="v1", plural=plural, title=title)


def _apps(plural: str, title: str) -> ResourceKind:
    return ResourceKind(group="apps", version="v1", plural=plural, title=title)


def _argo(plural: str, title: str) -> ResourceKind:
    return ResourceKind(group="argoproj.io", version="v1alpha1", plural=plural, title=title)


DEPLOYMENT = _apps("deployments", "Deployment")
STATEFULSET = _apps("statefulsets", "StatefulSet")
DAEMONSET = _apps("daemonsets", "DaemonSet")
REPLICASET = _apps("replicasets", "ReplicaSet")
REVISION = _apps("controllerrevisions", "ControllerRevision")
ROLLOUT = _argo("rollouts", "Rollout")
ANALYSIS = _argo("analysisruns", "AnalysisRun")
APPLICATION = _argo("applications", "Application")
POD = _core("pods", "Pod")
POD_TEMPLATE = _core("podtemplates", "PodTemplate")
EVENT = _core("events", "Event")
NAMESPACE = _core("namespaces", "Namespace")
NODE = _core("nodes", "Node")
SECRET = _core("secrets", "Secret")
SERVICE = _core("services", "Service")
CONFIG = _core("configmaps", "ConfigMap")
CLAIM = _core("persistentvolumeclaims", "PersistentVolumeClaim")
QUOTA = _core("resourcequotas", "ResourceQuota")
LIMITS = _core("limitranges", "LimitRange")
HPA = ResourceKind(
    group="autoscaling", version="v2", plural="horizontalpodautoscalers", title="HorizontalPodAutoscaler"
)
PDB = ResourceKind(group="policy", version="v1", plural="poddisruptionbudgets", title="PodDisruptionBudget")
SCALED = ResourceKind(group="keda.sh", version="v1alpha1", plural="scaledobjects", title="ScaledObject")
CANARY = ResourceKind(group="flagger.app", version="v1beta1", plural="canaries", title="Canary")
KUSTOMIZATION = ResourceKind(
    group="kustomize.toolkit.fluxcd.io", version="v1", plural="kustomizations", title="Kustomization"
)
HELMRELEASE = ResourceKind(group="helm.toolkit.fluxcd.io", version="v2", plural="helmreleases", title="HelmRelease")
INGRESS = ResourceKind(group="networking.k8s.io", version="v1", plural="ingresses", title="Ingress")

#: The kinds that `workload` of a service may name, by the word before the slash.
WORKLOADS = {"deployment": DEPLOYMENT, "statefulset": STATEFULSET, "daemonset": DAEMONSET, "rollout": ROLLOUT}
