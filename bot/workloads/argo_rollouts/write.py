"""What the verbs for Argo Rollouts have in common: look, the facts that must still hold, one write, its traces.

A write goes to the status, or on a cluster whose Rollouts have none of their own (v0.9) to the object. It carries the
version of a look taken right before, so that a controller or person who was quicker makes it fail, whole.
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
from bot.workloads.objects import target as place
from bot.workloads.objects.argo_rollout import Analysis, Rollout, RolloutPause, of_step, read
from bot.workloads.objects.status import timeout_for
from bot.workloads.objects.wait import ProgressCheck, wait_until_ready

#: What is noted for the watch: the name of the analysis of the step that it was at.
STEP_ANALYSIS = "analysis"
#: What people are not shown of the facts: they are told in the plan's sentences.
PRIVATE = ("uid", "spec", "ends")

Decide = Callable[[RolloutContext], RolloutWrite]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One look: the object, and what a decision has to know."""

    site: ServiceTarget
    thing: KubernetesObject
    context: RolloutContext

    @property
    def rollout(self) -> Rollout:
        return self.context.rollout

    @property
    def facts(self) -> dict[str, str]:
        """What must still hold when it runs; the template alone for whoever undoes it later."""
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
    """The service's Rollout now. Raises `Rejected` where it has none."""
    target = place.target_of(tools, service)
    return observation_of(target, place.workload_of(target, kinds.ROLLOUT))


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


def check_rights(look: Observation, change: RolloutWrite) -> None:
    """Raises `Rejected` where that write is not allowed there."""
    place.check_rights(look.site, [place.patch_access(look.site.workload, "" if change.spec else "status")])


def decide_again(look: Observation, plan: Plan, decide: Decide) -> RolloutWrite:
    """What the plan decided, on what is there now. Raises `Moved` where that is not what the plan saw."""
    moved = [f"{name}: {plan.preconditions[name]} -> {value}" for name, value in _changed(look, plan)]
    if moved:
        raise Conflict("; ".join(moved))
    return decide(look.context)


def _changed(look: Observation, plan: Plan) -> Iterator[tuple[str, str]]:
    """Of the facts that the plan went by: those that are others now."""
    for name, value in look.facts.items():
        if name in plan.preconditions and plan.preconditions[name] != value:
            yield name, value


def _digest(spec: KubernetesObject) -> str:
    """Of what it is to be, but for how many: an autoscaler changes that all the time."""
    message = json.dumps({name: value for name, value in spec.items() if name != "replicas"}, sort_keys=True)
    return hashlib.sha256(message.encode()).hexdigest()[:16]


def write(look: Observation, change: RolloutWrite, run: str) -> None:
    """The one write. Raises as `Cluster.patch` does."""
    cluster, ref, by = look.site.cluster, look.site.workload, run_markers.field_manager(run)
    meta: Mapping[str, object] = {"resourceVersion": look.thing["metadata"]["resourceVersion"]}
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


def wait(look: Observation, tools: Tools, how: ProgressCheck) -> str:
    """Why what was done does not hold: a sentence, or ""."""
    return wait_until_ready(look.site, tools, how, timeout=timeout_for(look.thing))


def afterwards(target: ServiceTarget, message: Callable[[Rollout], str]) -> str:
    """What is to be said of the Rollout as it is after a write.

    The trap: a refusal of this look, let through, would be told as one of the write, as if nothing had been done.
    """
    try:
        return message(read(place.workload_of(target)))
    except Rejected:
        return "It was done; how it is now cannot be read."


def find_traces(look: Observation, plan: Plan, run: str) -> Result | None:
    """What can be said of any run: that it left its mark, or that all is as the plan saw it; None else."""
    if run_markers.written_by(look.thing, run):
        return Result.DONE
    if not list(_changed(look, plan)) and not look.rollout.unpausing:
        return Result.FAILED
    return None


def as_planned(look: Observation, plan: Plan, noted: Mapping[str, str]) -> Observation:
    """The Rollout as it was before the write, as far as a watch over that asks: by the plan, and what was noted."""
    now, seen = look.rollout, plan.preconditions
    pauses = tuple(_pause(one) for one in seen.get("pauses", "none").split(", ") if one != "none")
    analyses = (Analysis(role="step", name=noted[STEP_ANALYSIS], phase=""),) if noted.get(STEP_ANALYSIS) else ()
    before = replace(
        now, current=seen["template"], step=int(seen.get("step", now.step)), pauses=pauses, analyses=analyses
    )
    return replace(look, context=replace(look.context, rollout=before))


def _pause(message: str) -> RolloutPause:
    reason, _, since = message.partition(" since ")
    return RolloutPause(reason=reason, since=since)


def unknown(look: Observation) -> Outcome:
    now = look.rollout
    message = f"It is {now.phase}, at step {now.step + 1}, and nothing says whether this run did that."
    return Outcome(result=Result.UNKNOWN, message=f"{message} Look at it: `status {look.site.service}`.")
