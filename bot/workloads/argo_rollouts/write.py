"""The common part of the verbs for Argo Rollouts: read, compare the facts, write once, recognise a run's traces.

A write goes to the status subresource, or to the object on clusters whose Rollouts have none (v0.9). It carries the
resource version of a read right before, so it fails as a whole if a controller or person was quicker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.argo_rollouts.transitions import RolloutContext, RolloutWrite
from bot.workloads.argo_rollouts.wait import available_of
from bot.workloads.objects import kinds, run_markers
from bot.workloads.objects import target as targets
from bot.workloads.objects.argo_rollout import Analysis, Rollout, RolloutPause, of_step, read
from bot.workloads.objects.status import timeout_for
from bot.workloads.objects.wait import ProgressCheck, wait_until_ready

#: Remembered for the wait: the name of the current step's analysis.
STEP_ANALYSIS = "analysis"
#: Facts that are not shown to people: the plan's sentences say them.
PRIVATE = ("uid", "spec", "ends")

Decide = Callable[[RolloutContext], RolloutWrite]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One read: the object, and the input of a decision."""

    site: ServiceTarget
    thing: KubernetesObject
    context: RolloutContext

    @property
    def rollout(self) -> Rollout:
        return self.context.rollout

    @property
    def facts(self) -> dict[str, str]:
        """The facts that must still hold when it runs; for a later undo, the template alone."""
        now = self.rollout
        ends = now.goes_on_at()
        return {
            "uid": str(self.thing["metadata"]["uid"]),
            "spec": _digest(self.thing["spec"]),
            "template": now.current,
            "stable": now.stable,
            "step": str(now.step),
            "pauses": pauses_of(now),
            "ends": ends.isoformat() if ends else "",
            "paused": "by hand" if now.halted else "no",
            "aborted": "yes" if now.aborted else "no",
        }

    @property
    def radius(self) -> str:
        return f"{self.site.workload} on cluster {self.site.cluster.name}"


def pauses_of(rollout: Rollout) -> str:
    return ", ".join(f"{one.reason} since {one.since}" for one in rollout.pauses) or "none"


def observe(tools: Tools, service: str) -> Observation:
    """The service's Rollout now. Raises `Rejected` if it has none."""
    target = targets.target_of(tools, service)
    return observation_of(target, targets.workload_of(target, kinds.ROLLOUT))


def observation_of(target: ServiceTarget, thing: KubernetesObject) -> Observation:
    rollout = read(thing)
    available, wanted = available_of(target, thing, rollout.current)
    analysis, begun = rollout.analysis("step"), True
    if analysis is not None:
        namespace = target.workload.namespace
        found = target.cluster.find(kinds.ANALYSIS, namespace, fields=f"metadata.name={analysis.name}")
        begun = any(of_step(one, rollout.step) for one in found)
    scene = RolloutContext(service=target.service, rollout=rollout, available=available, wanted=wanted, begun=begun)
    return Observation(site=target, thing=thing, context=scene)


def check_rights(observation: Observation, change: RolloutWrite) -> None:
    """Raises `Rejected` if that write is not allowed."""
    targets.check_rights(
        observation.site, [targets.patch_access(observation.site.workload, "" if change.spec else "status")]
    )


def decide_again(observation: Observation, plan: Plan, decide: Decide) -> RolloutWrite:
    """Decides anew on the current state. Raises `Conflict` if that differs from the plan's."""
    changed = [f"{name}: {plan.preconditions[name]} -> {value}" for name, value in _changed(observation, plan)]
    if changed:
        raise Conflict("; ".join(changed))
    return decide(observation.context)


def _changed(observation: Observation, plan: Plan) -> Iterator[tuple[str, str]]:
    """The plan's facts that have changed."""
    for name, value in observation.facts.items():
        if name in plan.preconditions and plan.preconditions[name] != value:
            yield name, value


def _digest(spec: KubernetesObject) -> str:
    """A digest of the spec without `replicas`, which an autoscaler changes all the time."""
    message = json.dumps({name: value for name, value in spec.items() if name != "replicas"}, sort_keys=True)
    return hashlib.sha256(message.encode()).hexdigest()[:16]


def write(observation: Observation, change: RolloutWrite, run: str) -> None:
    """The one write. Raises as `Cluster.patch` does."""
    cluster, ref, by = observation.site.cluster, observation.site.workload, run_markers.field_manager(run)
    meta: Mapping[str, object] = {"resourceVersion": observation.thing["metadata"]["resourceVersion"]}
    marked = {"metadata": {**meta, "annotations": run_markers.annotation(run)}}
    if change.spec:
        cluster.patch(ref, {**marked, "spec": change.spec}, how=PatchType.MERGE, by=by)
        return
    try:
        cluster.patch(ref, {"metadata": meta, "status": change.status}, how=PatchType.MERGE, by=by, sub="status")
    except Rejected as refused:
        if refused.status != HTTPStatus.NOT_FOUND or refused.code != "refused":  # A webhook may deny with 404 as well.
            raise
        cluster.patch(ref, {**marked, "status": change.status}, how=PatchType.MERGE, by=by)


def wait(observation: Observation, tools: Tools, how: ProgressCheck) -> str:
    """Why the change is not ready, or does not stay so: a sentence, or ""."""
    return wait_until_ready(observation.site, tools, how, timeout=timeout_for(observation.thing))


def afterwards(target: ServiceTarget, message: Callable[[Rollout], str]) -> str:
    """A message about the Rollout after a write.

    The trap: a refusal of this read, let through, would be reported as a refusal of the write, as if nothing was done.
    """
    try:
        return message(read(targets.workload_of(target)))
    except Rejected:
        return "Done; its current state cannot be read."


def find_traces(observation: Observation, plan: Plan, run: str) -> Result | None:
    """DONE if the run left its mark, FAILED if everything is as the plan saw it, else None."""
    if run_markers.written_by(observation.thing, run):
        return Result.DONE
    if not list(_changed(observation, plan)) and not observation.rollout.unpausing:
        return Result.FAILED
    return None


def as_planned(observation: Observation, plan: Plan, noted: Mapping[str, str]) -> Observation:
    """The Rollout before the write, as far as the wait needs it: from the plan, and from what was remembered."""
    now, seen = observation.rollout, plan.preconditions
    pauses = tuple(_pause(one) for one in seen.get("pauses", "none").split(", ") if one != "none")
    analyses = (Analysis(role="step", name=noted[STEP_ANALYSIS], phase=""),) if noted.get(STEP_ANALYSIS) else ()
    before = replace(
        now, current=seen["template"], step=int(seen.get("step", now.step)), pauses=pauses, analyses=analyses
    )
    return replace(observation, context=replace(observation.context, rollout=before))


def _pause(message: str) -> RolloutPause:
    reason, _, since = message.partition(" since ")
    return RolloutPause(reason=reason, since=since)


def unknown(observation: Observation) -> Outcome:
    now = observation.rollout
    message = f"It is {now.phase}, at step {now.step + 1}; it is unknown whether this run did that."
    return Outcome(result=Result.UNKNOWN, message=f"{message} Check with `status {observation.site.service}`.")
