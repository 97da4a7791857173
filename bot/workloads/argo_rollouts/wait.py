"""Waits for a change of an Argo Rollout: to its next stop, to its end, or back to the stable version.

The trap: the step number increases by itself over steps that do not wait, so "one step further" is the next stop that
the plan named. A rollout past a stop that only a person can end was promoted by somebody else as well.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.kubernetes import KubernetesObject
from bot.core.site import ServiceTarget
from bot.workloads.argo_rollouts.describe import place_of
from bot.workloads.objects import kinds, pods
from bot.workloads.objects.argo_rollout import HASH, Phase, Rollout, read, span_of
from bot.workloads.objects.status import NOT_OBSERVED, WorkloadStatus
from bot.workloads.objects.wait import ProgressCheck


def until_next_stop(target: ServiceTarget, before: Rollout, start: int, *, skips: bool = False) -> ProgressCheck:
    """Until its next stop from step `start` on, or until it is stable. `skips`: it may pass stops."""
    halt = before.halt_from(start)

    def look(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        lost = _lost(target, thing, before, now, aborted=False)
        if lost:
            return WorkloadStatus(message="lost", failed=lost)
        if now.promoted:
            return _ended(target, thing, now)
        # Pauses start at whole seconds, so the next one may have the same start.
        if not now.observed or now.unpausing or (now.step, now.pauses) == (before.step, before.pauses):
            return NOT_OBSERVED
        if now.step > halt and _only_by_hand(before, halt) and not skips:
            message = f"It is at {place_of(now)}, past its stop at step {halt + 1}: somebody else promoted it too."
            return WorkloadStatus(message="too far", failed=message)
        message = f"at {place_of(now)}, {now.weight}% of the traffic"
        return WorkloadStatus(message=message, done=now.step >= halt and _stopped(before, now))

    return look


def until_template(target: ServiceTarget, before: Rollout, goal: str) -> ProgressCheck:
    """Until that template is the desired one, and has progressed as far as it does by itself."""
    on = until_next_stop(target, replace(before, current=goal, step=-1, pauses=(), analyses=()), 0, skips=True)

    def look(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        if not now.observed or now.current == before.current:
            return NOT_OBSERVED
        return on(thing)

    return look


def until_promoted(target: ServiceTarget, before: Rollout) -> ProgressCheck:
    """Until the desired template is stable, with all pods available."""

    def look(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        lost = _lost(target, thing, before, now, aborted=now.full)
        if lost:
            return WorkloadStatus(message="lost", failed=lost)
        return _ended(target, thing, now)

    return look


def until_back_on_stable(target: ServiceTarget, before: Rollout) -> ProgressCheck:
    """Until the stable version has all the traffic, and its pods."""

    def look(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        if now.current != before.current:
            return WorkloadStatus(message="lost", failed="Somebody changed its template meanwhile.")
        if not now.aborted:
            if now.promoted or now.phase is not Phase.PROGRESSING:
                return WorkloadStatus(message="lost", failed=f"It is not aborted any more: {now.phase}, {now.message}.")
            return NOT_OBSERVED
        if now.phase is not Phase.DEGRADED or now.step:
            return NOT_OBSERVED
        if (now.routed and now.weight) or (not now.canary and now.active != now.stable):
            return WorkloadStatus(message="the new version still has traffic")
        available = available_of(target, thing, now.stable)[0]
        message = f"{available} of {now.replicas} pods of the stable version are available"
        return WorkloadStatus(message=message, done=available >= now.replicas)

    return look


def available_of(target: ServiceTarget, thing: KubernetesObject, template: str) -> tuple[int, int]:
    """The available and the desired pods of one template."""
    for one in target.cluster.find(kinds.REPLICASET, target.workload.namespace, labels=f"{HASH}={template}"):
        owners = one["metadata"].get("ownerReferences") or ()
        if any(owner.get("uid") == thing["metadata"]["uid"] for owner in owners):
            return int((one.get("status") or {}).get("availableReplicas") or 0), int(one["spec"].get("replicas") or 0)
    return 0, 0


def _lost(target: ServiceTarget, thing: KubernetesObject, before: Rollout, now: Rollout, *, aborted: bool) -> str:
    """Why it can no longer get there: a sentence, or "". `aborted`: an abort means nothing yet."""
    if now.current != before.current:
        return "Somebody changed its template meanwhile: the rollout starts anew."
    if now.aborted:
        return "" if aborted else f"It was aborted: {now.message or 'no reason given'}."
    # The status of an abort stays until the controller has seen the retry.
    if now.observed and now.phase is Phase.DEGRADED and not now.message.startswith("RolloutAborted"):
        return f"Argo Rollouts says that it is degraded: {now.message or 'no reason given'}."
    return pods.failing_pods(pods.pods_of(target.cluster, thing, more=f"{HASH}={now.current}"))


def _ended(target: ServiceTarget, thing: KubernetesObject, now: Rollout) -> WorkloadStatus:
    if not now.promoted:
        available, _ = available_of(target, thing, now.current)
        return WorkloadStatus(message=f"{available} of {now.replicas} pods of {now.current} are available")
    if not now.done or not now.verified:
        return WorkloadStatus(message=f"{now.current} is stable; {now.message or now.phase}")
    if not now.canary:
        return _switched(target, thing, now)
    return WorkloadStatus(message=f"{now.current} is stable and has all traffic", done=True)


def _switched(target: ServiceTarget, thing: KubernetesObject, now: Rollout) -> WorkloadStatus:
    """Blue-green: the Service has to select the new version; its status alone is not enough."""
    name = str(thing["spec"]["strategy"]["blueGreen"]["activeService"])
    found = target.cluster.find(kinds.SERVICE, target.workload.namespace, fields=f"metadata.name={name}")
    sent = {str((one["spec"].get("selector") or {}).get(HASH)) for one in found}
    if sent != {now.current} or now.active != now.current:
        return WorkloadStatus(message=f"the service {name} does not select {now.current} yet")
    return WorkloadStatus(message=f"the service {name} selects {now.current}, which is stable", done=True)


def _stopped(before: Rollout, now: Rollout) -> bool:
    """It waits there: for a person, a time, or an analysis that has started."""
    if now.pauses:
        return now.verified
    begun, old = now.analysis("step"), before.analysis("step")
    return begun is not None and (old is None or begun.name != old.name)


def _only_by_hand(before: Rollout, halt: int) -> bool:
    if halt >= len(before.steps):
        return False
    step = before.steps[halt]
    return "pause" in step and span_of(step["pause"] or {}) is None
