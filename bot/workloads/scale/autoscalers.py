"""What scales a workload automatically: a HorizontalPodAutoscaler, or KEDA, which creates one of its own.

An autoscaler overrides a manual count within seconds, so the bot changes its bounds instead. The HPA that KEDA creates
is never changed, because KEDA would revert that; its ScaledObject is.
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ObjectRef, ResourceKind
from bot.workloads.objects import kinds
from bot.workloads.objects.status import condition

_KEDA = "autoscaling.keda.sh/"
PAUSED_AT = f"{_KEDA}paused-replicas"
#: KEDA's defaults.
KEDA_FLOOR, KEDA_CEILING = 0, 100
#: Not a fault: an HPA is off while there are no replicas.
_DISABLED = "ScalingDisabled"
#: KEDA continues, with or without its fallback; its HPA shows which.
_TRIGGERS = "TriggerError"


@dataclass(frozen=True, kw_only=True, slots=True)
class Autoscaler:
    """An autoscaler, its bounds, and whether it works now."""

    ref: ObjectRef
    thing: KubernetesObject
    floor: int
    ceiling: int
    paused_at: str | None = None  #: an annotation makes KEDA hold this many replicas
    frozen: bool = False  #: an annotation makes KEDA leave the workload alone
    one_way: str = ""  #: the direction in which KEDA does not scale: "in" or "out"
    missing_metrics: str = ""  #: why it has no metrics: floor and ceiling hold, between them nothing happens
    failure: str = ""  #: why it cannot scale at all: not even floor and ceiling hold
    fallback: int | None = None  #: the replicas that KEDA wants while its triggers fail

    @property
    def keda(self) -> bool:
        return self.ref.kind == kinds.SCALED

    @property
    def pauses_at_zero(self) -> bool:
        """Whether a workload that somebody sets to 0 stays there, because the HPA counts as switched off then.

        A floor of 0 means scaling to zero. From Kubernetes 1.37 on, a condition tells the HPA's own 0 from another's;
        before that, the HPA would scale up again.
        """
        own = condition(self.thing, "ScaledToZero")
        return self.floor > 0 or (bool(own) and own.get("status") != "True")


def autoscaler_of(cluster: Cluster, workload: ObjectRef) -> Autoscaler | None:
    """The autoscaler of that workload; None: it has none.

    Raises:
        Rejected: it has two, so it is unknown whose floor counts.
    """
    keda = [one for one in cluster.find(kinds.SCALED, workload.namespace) if _scales(one, workload, kinds.DEPLOYMENT)]
    hpas = [one for one in cluster.find(kinds.HPA, workload.namespace) if _scales(one, workload, None)]
    mine = [one for one in hpas if not _of_keda(one)]
    if len(keda) + len(mine) > 1:
        names = ", ".join(sorted(one["metadata"]["name"] for one in (*keda, *mine)))
        message = f"{workload} has more than one autoscaler ({names}), which fight each other. Nothing was done."
        raise Rejected(f"{message} Remove all but one.", code="two_autoscalers", status=409)
    if keda:
        return scaled_object(keda[0], workload.namespace, made_by_keda(cluster, keda[0]))
    return hpa(mine[0], workload.namespace) if mine else None


def hpa(thing: KubernetesObject, namespace: str) -> Autoscaler:
    spec = thing["spec"]
    floor = spec.get("minReplicas")
    ref = ObjectRef(kind=kinds.HPA, namespace=namespace, name=thing["metadata"]["name"])
    return Autoscaler(
        ref=ref,
        thing=thing,
        floor=1 if floor is None else floor,
        ceiling=spec["maxReplicas"],
        missing_metrics=_not(thing, "ScalingActive", but=_DISABLED),
        failure=_not(thing, "AbleToScale"),
    )


def scaled_object(thing: KubernetesObject, namespace: str, own: KubernetesObject | None = None) -> Autoscaler:
    """Reads a ScaledObject. `paused` counts unless it is false; `paused-replicas` counts whatever `paused` is.

    `own`: the HPA that KEDA has created for it.
    """
    spec, notes = thing["spec"], thing["metadata"].get("annotations") or {}
    floor, ceiling = spec.get("minReplicaCount"), spec.get("maxReplicaCount")
    at = notes.get(PAUSED_AT)
    ways = [way for way in ("in", "out") if _on(notes.get(f"{_KEDA}paused-scale-{way}"))]
    return Autoscaler(
        ref=ObjectRef(kind=kinds.SCALED, namespace=namespace, name=thing["metadata"]["name"]),
        thing=thing,
        floor=KEDA_FLOOR if floor is None else floor,
        ceiling=KEDA_CEILING if ceiling is None else ceiling,
        paused_at=at,
        frozen=at is None and (_on(notes.get(f"{_KEDA}paused")) or len(ways) > 1),
        one_way=ways[0] if len(ways) == 1 else "",
        missing_metrics=_not(own or {}, "ScalingActive", but=_DISABLED),
        failure=_not(thing, "Ready", but=_TRIGGERS) or _not(own or {}, "AbleToScale"),
        fallback=(spec.get("fallback") or {}).get("replicas") if _falls_back(thing) else None,
    )


def made_by_keda(cluster: Cluster, scaled: KubernetesObject) -> KubernetesObject | None:
    """The HPA that KEDA has created for it."""
    meta = scaled["metadata"]
    name = (scaled.get("status") or {}).get("hpaName") or f"keda-hpa-{meta['name']}"
    return cluster.get(ObjectRef(kind=kinds.HPA, namespace=meta["namespace"], name=name))


def _not(thing: KubernetesObject, kind: str, but: str = "") -> str:
    """The reason of that condition if it is False, unless the reason is `but`; else ""."""
    held = condition(thing, kind)
    reason = str(held.get("reason") or "no reason given")
    return reason if held.get("status") == "False" and reason != but else ""


def _falls_back(thing: KubernetesObject) -> bool:
    return condition(thing, "Fallback").get("status") == "True"


def _on(value: object) -> bool:
    """As KEDA parses it: everything that Go's ParseBool does not read as false counts as true."""
    return value is not None and str(value) not in ("0", "f", "F", "false", "FALSE", "False")


def _scales(thing: KubernetesObject, workload: ObjectRef, default: ResourceKind | None) -> bool:
    target = (thing.get("spec") or {}).get("scaleTargetRef") or {}
    kind = target.get("kind") or (default.title if default else "")
    return (kind, target.get("name")) == (workload.kind.title, workload.name)


def _of_keda(thing: KubernetesObject) -> bool:
    owners = thing["metadata"].get("ownerReferences") or ()
    return any(one.get("kind") == kinds.SCALED.title for one in owners)
