"""What scales a workload by itself: a HorizontalPodAutoscaler, or KEDA, which makes one of its own.

Whoever scales such a workload by hand is overruled within seconds, so it is they who are asked: for another floor, or
ceiling. The HPA that KEDA makes is never touched, KEDA puts it back; its ScaledObject is.
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
#: KEDA's own, where a ScaledObject does not say.
KEDA_FLOOR, KEDA_CEILING = 0, 100
#: No fault: an HPA is off while there are no replicas.
_DISABLED = "ScalingDisabled"
#: KEDA goes on, without or with its fallback; its HPA says which.
_TRIGGERS = "TriggerError"


@dataclass(frozen=True, kw_only=True, slots=True)
class Autoscaler:
    """Who scales, between what, and whether they do just now."""

    ref: ObjectRef
    thing: KubernetesObject
    floor: int
    ceiling: int
    paused_at: str | None = None  #: KEDA holds it at that many, by an annotation
    frozen: bool = False  #: KEDA leaves it alone, by an annotation
    one_way: str = ""  #: KEDA does not scale "in", or "out"
    missing_metrics: str = ""  #: why it has no metrics: its floor and ceiling hold, and between them it does nothing
    failure: str = ""  #: why it cannot scale at all, so that not even those hold
    fallback: int | None = None  #: what KEDA asks for while its triggers fail

    @property
    def keda(self) -> bool:
        return self.ref.kind == kinds.SCALED

    @property
    def pauses_at_zero(self) -> bool:
        """Whether a workload that somebody sets to 0 stays there, because the HPA takes it for switched off.

        A floor of 0 is for scaling to zero. From 1.37 on the HPA has a condition by which it tells its own 0 from
        another's; before that it would not.
        """
        own = condition(self.thing, "ScaledToZero")
        return self.floor > 0 or (bool(own) and own.get("status") != "True")


def autoscaler_of(cluster: Cluster, workload: ObjectRef) -> Autoscaler | None:
    """Who scales it; None: nobody.

    Raises:
        Rejected: two do, so that nobody knows whose floor counts.
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
    """Of the annotations `paused` counts unless it says false, and `paused-replicas` whatever `paused` says.

    `own`: the HPA that KEDA has for it now.
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
    """The HPA that KEDA has for it now."""
    meta = scaled["metadata"]
    name = (scaled.get("status") or {}).get("hpaName") or f"keda-hpa-{meta['name']}"
    return cluster.get(ObjectRef(kind=kinds.HPA, namespace=meta["namespace"], name=name))


def _not(thing: KubernetesObject, kind: str, but: str = "") -> str:
    """The reason of that condition where it is False, for another reason than that; "" else."""
    held = condition(thing, kind)
    reason = str(held.get("reason") or "it does not say why")
    return reason if held.get("status") == "False" and reason != but else ""


def _falls_back(thing: KubernetesObject) -> bool:
    return condition(thing, "Fallback").get("status") == "True"


def _on(said: object) -> bool:
    """Whatever is no boolean counts as true. Go's ParseBool knows these for false."""
    return said is not None and str(said) not in ("0", "f", "F", "false", "FALSE", "False")


def _scales(thing: KubernetesObject, workload: ObjectRef, default: ResourceKind | None) -> bool:
    target = (thing.get("spec") or {}).get("scaleTargetRef") or {}
    kind = target.get("kind") or (default.title if default else "")
    return (kind, target.get("name")) == (workload.kind.title, workload.name)


def _of_keda(thing: KubernetesObject) -> bool:
    owners = thing["metadata"].get("ownerReferences") or ()
    return any(one.get("kind") == kinds.SCALED.title for one in owners)
