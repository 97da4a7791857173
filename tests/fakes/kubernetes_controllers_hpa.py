"""HorizontalPodAutoscalers, as pkg/controller/podautoscaler/horizontal.go of Kubernetes keeps them.

A count outside of its bounds is brought inside; inside, whatever the metrics ask for stands (`hpa_wants`), and who
scales by hand is overwritten. No replicas at all is left alone, which is how people turn an HPA off. Where its metrics
cannot be had, the bounds are kept all the same, and inside of them nothing is done.
"""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import MANAGER, Controller, condition_of, event, told, with_condition
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing


class Autoscalers(Controller):
    """Looked at in every step, as metrics come and go without anything being written."""

    kind = "HorizontalPodAutoscaler"

    def keep(self, fake: Insides, thing: Thing) -> None:
        self.again(thing)
        target = target_of(fake, thing)
        if target is None:
            return
        current, spec = target["spec"].get("replicas", 1), thing["spec"]
        least, most = spec["minReplicas"], spec["maxReplicas"]
        held = (thing.get("status") or {}).get("desiredReplicas")
        asked = fake.hpa_wants.get(thing["metadata"]["name"], held or current)
        off = current == 0 and least != 0
        inside = least <= current <= most
        why_not = _without_metrics(fake, thing) if inside and not off else {}
        if why_not:
            self._say_nothing(fake, thing, current, why_not)
            return
        wanted = 0 if off else min(max(asked if inside else current, least), most)
        if wanted != current:
            scaled(fake, target, wanted, by=MANAGER)
            event(
                fake, thing, "SuccessfulRescale", f"New size: {wanted}; reason: {_why(thing, current)}", warning=False
            )
        limit = _limit(asked, least, most) if inside else None
        conditions = _conditions(fake, thing, off=off, limit=limit, to=None if wanted == current else wanted)
        status = {**(thing.get("status") or {}), **({"lastScaleTime": fake.clock.stamp} if wanted != current else {})}
        status |= {"currentReplicas": current, "desiredReplicas": wanted, "conditions": conditions}
        told(fake, thing, status if current else {name: status[name] for name in status if name != "currentReplicas"})

    @staticmethod
    def _say_nothing(fake: Insides, thing: Thing, current: int, why_not: Thing) -> None:
        status = thing.get("status") or {}
        able = {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale"}
        able["message"] = "the HPA controller was able to get the target's current scale"
        held = with_condition(list(status.get("conditions") or ()), able, fake.clock.stamp)
        held = with_condition(held, why_not, fake.clock.stamp)
        said = f"invalid metrics (1 invalid out of 1), first error is: {why_not['message']}"
        if condition_of(thing, "ScalingActive").get("reason") != why_not["reason"]:
            event(fake, thing, "FailedComputeMetricsReplicas", said)
        told(fake, thing, {"desiredReplicas": 0, **status, "currentReplicas": current, "conditions": held})


def _without_metrics(fake: Insides, thing: Thing) -> Thing:
    """Its condition ScalingActive where a metric cannot be had; empty else. KEDA serves those that it has named."""
    named = [one["external"]["metric"]["name"] for one in thing["spec"].get("metrics") or () if "external" in one]
    unknown = [one for one in named if not one.startswith("s0-")]
    if not unknown and thing["metadata"]["name"] not in fake.no_metrics:
        return {}
    if named:
        name, group = named[0], "external.metrics.k8s.io"
        why = f"failed to get {name} external metric value: unable to get external metric {name}"
        why += ": unable to fetch metrics from external metrics API"
        reason = "FailedGetExternalMetric"
    else:
        group, reason = "metrics.k8s.io", "FailedGetResourceMetric"
        why = "failed to get cpu utilization: unable to get metrics for resource cpu"
        why += ": unable to fetch metrics from resource metrics API"
    missing = f"{why}: the server could not find the requested resource (get pods.{group})"
    said = f"the HPA was unable to compute the replica count: {missing}"
    return {"type": "ScalingActive", "status": "False", "reason": reason, "message": said}


def target_of(fake: Insides, thing: Thing) -> Thing | None:
    """What an HPA or a ScaledObject scales."""
    ref = thing["spec"]["scaleTargetRef"]
    resource = kind_of(ref.get("kind") or "Deployment")
    return fake.objects.find(resource, thing["metadata"]["namespace"], ref["name"])


def scaled(fake: Insides, target: Thing, count: int, *, by: str) -> None:
    """Through /scale."""
    new = {**target, "spec": {**target["spec"], "replicas": count}}
    fake.objects.write(kind_of(target["kind"]), target, new, by=by, sub="scale")


def _why(thing: Thing, current: int) -> str:
    if current > thing["spec"]["maxReplicas"]:
        return "Current number of replicas above Spec.MaxReplicas"
    if current < thing["spec"]["minReplicas"]:
        return "Current number of replicas below Spec.MinReplicas"
    return "cpu resource utilization (percentage of request) above target"


def _limit(asked: int, least: int, most: int) -> tuple[str, str, str]:
    if asked > most:
        return "True", "TooManyReplicas", "the desired replica count is more than the maximum replica count"
    if asked < least:
        return "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count"
    return "False", "DesiredWithinRange", "the desired count is within the acceptable range"


def _conditions(
    fake: Insides, thing: Thing, *, off: bool, limit: tuple[str, str, str] | None, to: int | None
) -> list[Thing]:
    held = list((thing.get("status") or {}).get("conditions") or ())
    said = {"AbleToScale": ("True", "ReadyForNewScale", "recommended size matches current size")}
    if to is not None:
        told_so = f"the HPA controller was able to update the target scale to {to}"
        said["AbleToScale"] = ("True", "SucceededRescale", told_so)
    if off:
        why = "scaling is disabled since the replica count of the target is zero"
        said["ScalingActive"] = ("False", "ScalingDisabled", why)
    elif limit is not None:
        why = "the HPA was able to successfully calculate a replica count from cpu resource utilization"
        said |= {"ScalingActive": ("True", "ValidMetricFound", why), "ScalingLimited": limit}
    for kind, (status, reason, message) in said.items():
        new = {"type": kind, "status": status, "reason": reason, "message": message}
        held = with_condition(held, new, fake.clock.stamp)
    return held
