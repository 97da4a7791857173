"""ScaledObjects, as KEDA keeps them: an HPA of its own for each, and three annotations that stop it.

Read in controllers/keda/scaledobject_controller.go and pkg/scaling/executor/scale_scaledobjects.go of kedacore/keda.
https://keda.sh/docs/latest/concepts/scaling-deployments/#pausing-autoscaling
"""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import Controller, changed, condition_of, made, told, with_condition
from tests.fakes.kubernetes_controllers_hpa import scaled, target_of
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing

_PAUSED = "autoscaling.keda.sh/paused"
_COUNT = "autoscaling.keda.sh/paused-replicas"
_HPA = "HorizontalPodAutoscaler"
_MANAGER = "keda"


class ScaledObjects(Controller):
    """Whoever patches its HPA finds it put back. Paused, there is none, and the count is frozen or the annotation's."""

    kind = "ScaledObject"
    owns = (_HPA,)

    def keep(self, fake: Insides, thing: Thing) -> None:
        notes = thing["metadata"].get("annotations") or {}
        target = target_of(fake, thing)
        if target is None:
            self.again(thing)
            return
        count = notes.get(_COUNT)
        paused = count is not None or notes.get(_PAUSED, "false").lower() not in ("false", "f", "0")
        if count is not None and target["spec"].get("replicas") != int(count):
            scaled(fake, target, int(count), by=_MANAGER)
        name = f"keda-hpa-{thing['metadata']['name']}"
        held = fake.objects.find(kind_of(_HPA), thing["metadata"]["namespace"], name)
        if paused and held is not None:
            fake.objects.delete(kind_of(_HPA), held)
        elif not paused:
            self._scale_by(fake, thing, name, held)
            floor = thing["spec"].get("minReplicaCount") or 0
            if not target["spec"].get("replicas") and floor and thing["spec"].get("idleReplicaCount") is None:
                scaled(fake, target, floor, by=_MANAGER)  # An HPA is off while there are none; KEDA's own loop is not.
        if count is not None:
            self.again(thing)  # Whoever scales its target meanwhile is put back too.
        told(fake, thing, self._status(fake, thing, name, count, paused=paused), by=_MANAGER)

    @staticmethod
    def _scale_by(fake: Insides, thing: Thing, name: str, held: Thing | None) -> None:
        wanted = _autoscaler(thing)
        if held is None:
            made(fake, thing, _HPA, {"metadata": {"name": name}, "spec": wanted}, by=_MANAGER)
        else:
            behavior = {"behavior": wanted.get("behavior")}
            changed(fake, held, {"spec": {**wanted, **behavior}}, by=_MANAGER)

    @staticmethod
    def _status(fake: Insides, thing: Thing, name: str, count: str | None, *, paused: bool) -> Thing:
        status = {key: value for key, value in (thing.get("status") or {}).items() if key != "pausedReplicaCount"}
        said = [_readiness(fake, thing), _fallback(fake, thing)]
        if paused:
            said += [("Paused", "True", "ScaledObjectPaused", "ScaledObject is paused")]
        elif condition_of(thing, "Paused").get("status") == "True":
            said += [("Paused", "False", "ScaledObjectUnpaused", "pause annotation removed for ScaledObject")]
        held = list(status.get("conditions") or ())
        for kind, word, reason, message in said:
            new = {"type": kind, "status": word, "reason": reason, "message": message}
            held = with_condition(held, new, fake.clock.stamp)
        ref = thing["spec"]["scaleTargetRef"]
        whom = f"{ref.get('apiVersion', 'apps/v1')}.{ref.get('kind', 'Deployment')}"
        fixed = {} if count is None else {"pausedReplicaCount": int(count)}
        return {**status, **fixed, "conditions": held, "hpaName": name, "scaleTargetKind": whom}


def _fails(fake: Insides, thing: Thing) -> bool:
    return thing["metadata"]["name"] in fake.no_metrics


def _readiness(fake: Insides, thing: Thing) -> tuple[str, str, str, str]:
    if _fails(fake, thing):
        return "Ready", "False", "TriggerError", "Triggers defined in ScaledObject are not working correctly"
    return "Ready", "True", "ScaledObjectReady", "ScaledObject is defined correctly and is ready for scaling"


def _fallback(fake: Insides, thing: Thing) -> tuple[str, str, str, str]:
    """Its HPA gets the number of the fallback as its metric; without one it gets none."""
    name = f"keda-hpa-{thing['metadata']['name']}"
    fallback = thing["spec"].get("fallback")
    fake.no_metrics.discard(name)
    if _fails(fake, thing) and fallback:
        fake.hpa_wants[name] = fallback["replicas"]
        return "Fallback", "True", "FallbackExists", "At least one trigger is falling back on this scaled object"
    if _fails(fake, thing):
        fake.no_metrics.add(name)
    return "Fallback", "False", "NoFallbackFound", "No fallbacks are active on this scaled object"


def _autoscaler(thing: Thing) -> Thing:
    """The spec of its HPA: an HPA's floor is 1 at least, as KEDA itself goes to 0."""
    spec, ref = thing["spec"], thing["spec"]["scaleTargetRef"]
    whom = {"apiVersion": ref.get("apiVersion") or "apps/v1", "kind": ref.get("kind") or "Deployment"}
    metric = {"metric": {"name": "s0-cron"}, "target": {"type": "AverageValue", "averageValue": "1"}}
    notes = thing["metadata"].get("annotations") or {}
    stopped = {
        side: {"selectPolicy": "Disabled"}
        for side, way in (("scaleDown", "in"), ("scaleUp", "out"))
        if notes.get(f"autoscaling.keda.sh/paused-scale-{way}", "false").lower() != "false"
    }
    return {
        "scaleTargetRef": {**whom, "name": ref["name"]},
        "minReplicas": max(1, spec.get("minReplicaCount") or 0),
        "maxReplicas": spec.get("maxReplicaCount") or 100,
        "metrics": [{"type": "External", "external": metric}],
    } | ({"behavior": stopped} if stopped else {})
