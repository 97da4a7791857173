"""A canary by ingress-nginx: a second Ingress sends a share of the traffic to a Deployment, by one annotation.

Nothing judges or promotes it automatically; the bot sets one weight after the other, and its undo is the old weight.
The value is a text. ingress-nginx is being retired, so this is for existing setups.
https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.objects import kinds, run_markers, target
from bot.workloads.objects.owners import UNMANAGED, ManagedBy, owner_of
from bot.workloads.objects.status import WorkloadStatus, status_of
from bot.workloads.objects.strategy import STRATEGY, StrategyRequest
from bot.workloads.objects.wait import wait_until_ready

_PREFIX = "nginx.ingress.kubernetes.io/"
_CANARY, _WEIGHT, _TOTAL = f"{_PREFIX}canary", f"{_PREFIX}canary-weight", f"{_PREFIX}canary-weight-total"
_STRONGER = tuple(f"{_PREFIX}canary-by-{name}" for name in ("header", "header-value", "header-pattern", "cookie"))
_STEPS = (10, 25, 50, 100)
_PATIENCE = timedelta(minutes=2)


class NginxWeightPromotion:
    """From weight to weight: 10, 25, 50, 100 percent, or the requested one."""

    name = "nginx"

    def plan(self, request: StrategyRequest) -> Plan:
        found = _lasting(request)
        name, now = found["metadata"]["name"], weight_of(found)
        wanted = _wanted(request, now)
        self._check(request, found)
        ready = status_of(kinds.DEPLOYMENT, request.workload)
        if wanted > now and not ready.done:
            message = f"{request.site.workload} is not ready for more traffic: {ready.message}. Nothing was done."
            raise Rejected(f"{message} Wait for its pods.", code="not_available", status=409)
        undo = f"promote {request.service} {now}%"
        change, *notes = _effect(request, found, now, wanted)
        return Plan(
            target=request.service,
            effect=(change, f"Undo: `{undo}`.", *notes),
            blast_radius=f"Ingress {request.site.workload.namespace}/{name} on cluster {request.site.cluster.name}",
            preconditions={STRATEGY: self.name, "uid": found["metadata"]["uid"], "ingress": name, "weight": f"{now}%"},
            hidden=(STRATEGY, "uid"),
            undo_command=undo,
            check=request.site.check,
            check_duration=request.site.check_duration,
        )

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        found = _lasting(request)
        now = weight_of(found)
        if (found["metadata"]["uid"], f"{now}%") != (plan.preconditions["uid"], plan.preconditions["weight"]):
            raise Conflict(f"weight: {plan.preconditions['weight']} -> {now}%")
        wanted = _wanted(request, now)
        notes = {**run_markers.annotation(run), _WEIGHT: _written(found, wanted)}
        patch = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"], "annotations": notes}}
        request.site.cluster.patch(_ref(request, found), patch, how=PatchType.MERGE, by=run_markers.field_manager(run))
        return self._watched(request, wanted)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        found = _canary(request)
        now, wanted = weight_of(found), _wanted(request, int(plan.preconditions["weight"].rstrip("%")))
        if run_markers.written_by(found, run):
            return self._watched(request, wanted)
        if f"{now}%" == plan.preconditions["weight"]:
            return Outcome(result=Result.FAILED, message="The weight is as the plan saw it. Nothing was changed.")
        return Outcome(
            result=Result.UNKNOWN, message=f"The weight is {now}%; it is unknown who set it. Check the Ingress."
        )

    def _watched(self, request: StrategyRequest, wanted: int) -> Outcome:
        reason = wait_until_ready(
            request.site, request.tools, lambda thing: self._holds(request, thing, wanted), timeout=_PATIENCE
        )
        message = f"{wanted}% of the traffic goes to {request.site.workload.name}."
        return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state={"weight": f"{wanted}%"})

    def _check(self, request: StrategyRequest, found: KubernetesObject) -> None:
        ref = _ref(request, found)
        owner = owner_of(found, ref)
        if owner.by in (ManagedBy.ARGOCD, ManagedBy.FLUX) and owner.is_certain:
            message = f"{ref} is managed by {owner}, which would revert that. Nothing was done."
            raise Rejected(f"{message} Change the weight in git.", code="owned", status=409)
        target.check_rights(request.site, [target.patch_access(ref)])

    def _holds(self, request: StrategyRequest, thing: KubernetesObject, wanted: int) -> WorkloadStatus:
        now = weight_of(_canary(request))
        if now != wanted:
            return WorkloadStatus(message="overwritten", failed=f"Somebody has set the weight to {now}% since.")
        pods = status_of(kinds.DEPLOYMENT, thing)
        return WorkloadStatus(message=f"{wanted}% of the traffic; {pods.message}", done=pods.done, failed=pods.failed)


def canary_of(request: StrategyRequest) -> KubernetesObject | None:
    """The canary Ingress that sends traffic to this Deployment."""
    cluster, namespace = request.site.cluster, request.site.workload.namespace
    ingresses = [one for one in cluster.find(kinds.INGRESS, namespace) if _note(one, _CANARY) == "true"]
    if not ingresses:
        return None
    labels = (request.workload["spec"]["template"].get("metadata") or {}).get("labels") or {}
    services = {
        one["metadata"]["name"]
        for one in cluster.find(kinds.SERVICE, namespace)
        if (one["spec"].get("selector") or {}).items() and (one["spec"]["selector"]).items() <= labels.items()
    }
    return next((one for one in ingresses if services & set(_backends(one))), None)


def weight_of(ingress: KubernetesObject) -> int:
    """In percent, whatever `canary-weight-total` is."""
    message, total = _note(ingress, _WEIGHT), _note(ingress, _TOTAL)
    return round(100 * int(message) / _total(total)) if message.isdigit() else 0


def _canary(request: StrategyRequest) -> KubernetesObject:
    found = canary_of(request)
    if found is None:
        message = f"No canary Ingress sends traffic to {request.site.workload} any more. Nothing was done."
        raise Rejected(message, code="no_canary", status=404)
    if _kept(request, found):
        message = f"Ingress {found['metadata']['name']} belongs to {_kept(request, found)}, which sets its weight."
        raise Rejected(f"{message} Nothing was done. Promote that.", code="owned", status=409)
    return found


def _lasting(request: StrategyRequest) -> KubernetesObject:
    """As `_canary`, if neither it nor the workload is being deleted."""
    found = _canary(request)
    target.check_not_deleting(request.site, request.workload)
    target.check_not_going(_ref(request, found), found)
    return found


def _kept(request: StrategyRequest, found: KubernetesObject) -> str:
    """The Rollout or Canary that writes this annotation itself; "" if there is none."""
    owners = found["metadata"].get("ownerReferences") or ()
    for one in owners:
        if one.get("kind") in ("Rollout", "Canary"):
            return f"{one['kind']} {one['name']}"
    owner = owner_of(found, _ref(request, found))
    return str(owner) if owner is not UNMANAGED and owner.by is ManagedBy.OPERATOR else ""


def _wanted(request: StrategyRequest, now: int) -> int:
    if request.wanted.endswith("%"):
        wanted = int(request.wanted.rstrip("%"))
        if wanted == now:
            raise Rejected(f"It has {now}% of the traffic already. Nothing was done.", code="same_weight", status=409)
        return wanted
    if now >= _STEPS[-1]:
        message = f"The canary of {request.service} has all of the traffic already. Nothing was done."
        raise Rejected(f"{message} `promote {request.service} 0%` sets it to 0%.", code="not_updating", status=409)
    return _STEPS[-1] if request.wanted else next(one for one in _STEPS if one > now)


def _effect(request: StrategyRequest, found: KubernetesObject, now: int, wanted: int) -> Iterator[str]:
    name = found["metadata"]["name"]
    yield f"{request.site.workload.name} gets {wanted}% of the traffic instead of {now}%, by the canary Ingress {name}."
    following = [f"{one}%" for one in _STEPS if one > wanted]
    if following and wanted > now:
        yield f"The next weights: {', '.join(following)}, one at a time."
    if any(_note(found, name) for name in _STRONGER):
        yield "Requests with the canary's header or cookie go there whatever the weight is."
    yield "Nothing judges the canary automatically, except for the service's own check if it has one."


def _written(found: KubernetesObject, percent: int) -> str:
    return str(round(percent * _total(_note(found, _TOTAL)) / 100))


def _total(message: str) -> int:
    return int(message) if message.isdigit() and int(message) else 100


def _backends(ingress: KubernetesObject) -> Iterator[str]:
    for rule in ingress["spec"].get("rules") or ():
        for one in (rule.get("http") or {}).get("paths") or ():
            yield str(((one.get("backend") or {}).get("service") or {}).get("name", ""))
    yield str(((ingress["spec"].get("defaultBackend") or {}).get("service") or {}).get("name", ""))


def _note(ingress: KubernetesObject, name: str) -> str:
    return str((ingress["metadata"].get("annotations") or {}).get(name, ""))


def _ref(request: StrategyRequest, found: KubernetesObject) -> ObjectRef:
    return ObjectRef(kind=kinds.INGRESS, namespace=request.site.workload.namespace, name=found["metadata"]["name"])
