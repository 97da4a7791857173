"""Rolls an Argo Rollout back: an update in progress is aborted, otherwise the template of a kept revision is restored.

The trap: the restored template is a new rollout, with all its steps, pauses and analyses, unless Argo Rollouts may skip
them; the plan says which. If the template is another object's (`workloadRef`), that object is written to.
https://github.com/argoproj/argo-rollouts, pkg/kubectl-argo-rollouts/cmd/undo and rollout/sync.go, v1.10
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.argo_rollouts import write
from bot.workloads.argo_rollouts.describe import describe_steps, progress, waiting_for
from bot.workloads.argo_rollouts.verbs import ABORT
from bot.workloads.argo_rollouts.wait import until_template
from bot.workloads.argo_rollouts.write import Observation, observation_of
from bot.workloads.objects import kinds, run_markers, target
from bot.workloads.objects.argo_rollout import HASH
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.rollback import common, revisions
from bot.workloads.rollback.revisions import Revision, RevisionChoice

_NUMBER = "rollout.argoproj.io/revision"
_DEADLINE = "scale-down-deadline"
#: Which of the two it is, in the plan's preconditions; people read it in the plan's sentences.
_HOW, _ABORT, _UNDO = "how", "abort", "undo"
_REFERRED = {"Deployment": kinds.DEPLOYMENT, "ReplicaSet": kinds.REPLICASET, "PodTemplate": kinds.POD_TEMPLATE}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    """The place of the Rollout's template."""

    ref: ObjectRef
    thing: KubernetesObject
    path: str

    @property
    def value(self) -> object:
        found: object = self.thing
        for part in self.path.strip("/").split("/"):
            found = found[part] if isinstance(found, dict) else None
        return found


class ArgoRolloutRollback:
    name = "rollout"

    def plan(self, request: StrategyRequest) -> Plan:
        observation = observation_of(request.site, request.workload)
        if _aborts(observation, request.wanted):
            plan = ABORT.plan(observation)
            message = f"An update is in progress, so the rollback is its abort (`abort {request.service}`)."
            return replace(
                plan,
                effect=(*plan.effect, message),
                preconditions={**plan.preconditions, _HOW: _ABORT},
                hidden=(*plan.hidden, _HOW),
            )
        _check(observation)
        template = _template(request)
        target.check_rights(request.site, [target.patch_access(template.ref)])
        kept = _kept(request)
        choice = _choice(request, observation, kept)
        plan = common.rollback_plan(
            _as_kept(request, choice.now), choice, (_skipping(request, observation, kept, choice.goal),)
        )
        return replace(plan, preconditions={**plan.preconditions, _HOW: _UNDO}, hidden=(*plan.hidden, _HOW))

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        observation = observation_of(request.site, request.workload)
        if plan.preconditions[_HOW] == _ABORT:
            return ABORT.run(observation, plan, run, request.tools)
        _check(observation)
        template, kept = _template(request), _kept(request)
        choice = common.recheck(_as_kept(request, _now(observation, kept)), plan, kept)
        request.site.cluster.patch(
            template.ref, _steps(template, choice, run), how=PatchType.JSON, by=run_markers.field_manager(run)
        )
        common.release_fields(request, plan, run, template.ref, template.path)
        return self._watched(request, observation, choice)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        observation = observation_of(request.site, request.workload)
        if plan.preconditions[_HOW] == _ABORT:
            return ABORT.probe(observation, plan, run, request.tools)
        kept, template = _kept(request), _template(request)
        if template.ref != request.site.workload and run_markers.written_by(template.thing, run):
            message = f"{template.ref} was set back to {plan.preconditions['goal']}."
            outcome = Outcome(
                result=Result.DONE, message=message, expected_state={"template": plan.preconditions["goal"]}
            )
        else:
            outcome = common.probe_revision(_as_kept(request, _now(observation, kept)), plan, run, kept)
        goal = next((one for one in kept if one.hash == plan.preconditions["goal"]), None)
        if outcome.result is not Result.DONE or goal is None:
            return outcome
        before = next((one for one in kept if one.hash == plan.preconditions[common.TEMPLATE]), None)
        then = replace(
            observation.context, rollout=replace(observation.rollout, current=plan.preconditions[common.TEMPLATE])
        )
        return self._watched(request, replace(observation, context=then), RevisionChoice(now=before, goal=goal))

    def _watched(self, request: StrategyRequest, observation: Observation, choice: RevisionChoice) -> Outcome:
        """`observation`: how it was before the write."""
        reason = write.wait(
            observation, request.tools, until_template(request.site, observation.rollout, choice.goal.hash)
        )
        outcome = common.rollback_outcome(request.site, choice, reason)
        more = write.afterwards(request.site, lambda now: f"{progress(now)} {waiting_for(now)}".strip())
        return replace(outcome, message=f"{outcome.message} {more}")


def _aborts(observation: Observation, wanted: str) -> bool:
    """Whether an update is in progress and no revision is named."""
    now = observation.rollout
    return bool(now.stable) and not now.promoted and not now.aborted and not wanted


def _check(observation: Observation) -> None:
    """Raises `Rejected` if the write would have no effect, or the current state is not known yet."""
    now, service = observation.rollout, observation.site.service
    if now.halted:
        message = f"Rollout {now.name} is paused by hand: nothing takes effect until that ends. Nothing was done."
        raise Rejected(f"{message} Run `resume {service}` first.", code="paused", status=409)
    if not now.observed:
        message = f"Rollout {now.name} has a change that its controller has not seen yet. Nothing was done."
        raise Rejected(f"{message} {now.retry_hint}.", code="unobserved", status=409)


def _kept(request: StrategyRequest) -> tuple[Revision, ...]:
    return revisions.replicasets(request.site.cluster, request.workload, number=_NUMBER, label=HASH)


def _now(observation: Observation, kept: Sequence[Revision]) -> Revision | None:
    return next((one for one in kept if one.hash == observation.rollout.current), None)


def _choice(request: StrategyRequest, observation: Observation, kept: Sequence[Revision]) -> RevisionChoice:
    """The stable version if an update was not finished; otherwise as for any workload."""
    now, rollout = _now(observation, kept), observation.rollout
    wanted = request.wanted or ("" if rollout.promoted else rollout.stable)
    template = now.template if now else {}
    return revisions.choose(kept, now, template, wanted)


def _as_kept(request: StrategyRequest, now: Revision | None) -> StrategyRequest:
    """The request with the template as its ReplicaSet has it; the Rollout's own lacks the cluster's defaults."""
    template = now.template if now else request.workload["spec"].get("template") or {}
    return replace(request, workload={**request.workload, "spec": {**request.workload["spec"], "template": template}})


def _template(request: StrategyRequest) -> _Template:
    wanted = request.workload["spec"].get("workloadRef")
    if not wanted:
        return _Template(ref=request.site.workload, thing=request.workload, path="/spec/template")
    kind = _REFERRED.get(str(wanted.get("kind")))
    if kind is None:
        message = (
            f"Rollout {request.site.workload.name} takes its template from a {wanted.get('kind')}. Nothing was done."
        )
        raise Rejected(f"{message} Roll that back by hand.", code="no_way", status=409)
    ref = ObjectRef(kind=kind, namespace=request.site.workload.namespace, name=str(wanted["name"]))
    found = request.site.cluster.get(ref)
    if found is None:
        message = (
            f"{ref}, which has the template of Rollout {request.site.workload.name}, does not exist. Nothing was done."
        )
        raise Rejected(message, code="no_workload", status=404)
    return _Template(ref=ref, thing=found, path="/template" if kind is kinds.POD_TEMPLATE else "/spec/template")


def _steps(template: _Template, choice: RevisionChoice, run: str) -> list[dict[str, object]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": template.thing["metadata"]["uid"]},
        {"op": "test", "path": template.path, "value": template.value},
        {"op": "replace", "path": template.path, "value": choice.goal.template},
        *run_markers.annotation_patch(template.thing, run_markers.annotation(run)),
    ]


def _skipping(request: StrategyRequest, observation: Observation, kept: Sequence[Revision], goal: Revision) -> str:
    """Whether its steps are skipped by the rollback: a sentence."""
    now = observation.rollout
    if goal.hash == now.stable:
        return f"{goal.hash} is the stable version, so Argo Rollouts skips all steps, pauses and analyses."
    if _in_window(request.workload, now.stable, kept, goal):
        return "It is within the Rollout's rollbackWindow, so Argo Rollouts skips all steps, pauses and analyses."
    until = (goal.kept["metadata"].get("annotations") or {}).get(_DEADLINE, "")
    older = _born(kept).get(now.stable, "") > _born(kept)[goal.hash]
    if not now.canary and older and until and datetime.fromisoformat(until) > request.tools.now():
        return f"Its pods still run, until {until}: if it is done by then, pauses and analyses are skipped."
    faster = f"`promote {request.service} full` skips the rest; it needs two people"
    if not now.canary:
        return f"It is a new rollout, beside the present version, with its pauses and analyses. {faster}."
    if not now.steps:
        return "It is a new rollout without steps: the pods are replaced at once."
    steps = describe_steps(now, 0, len(now.steps))
    return f"It is a new rollout with all {len(now.steps)} steps: {steps}. {faster}."


def _in_window(thing: KubernetesObject, stable: str, kept: Sequence[Revision], goal: Revision) -> bool:
    """Argo's isRollbackWithinWindow, by the creation times of the ReplicaSets."""
    window = int((thing["spec"].get("rollbackWindow") or {}).get("revisions") or 0)
    born = _born(kept)
    if not window or stable not in born or born[goal.hash] >= born[stable]:
        return False
    return sum(born[goal.hash] < at < born[stable] for at in born.values()) < window


def _born(kept: Sequence[Revision]) -> dict[str, str]:
    """In whole seconds, as for Argo Rollouts: of two created in the same second neither is older."""
    return {one.hash: str(one.kept["metadata"]["creationTimestamp"]) for one in kept}
