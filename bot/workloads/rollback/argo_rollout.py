"""A Rollout of Argo goes back: an update on its way is aborted, else the template of a kept revision is put back.

The trap: what is put back is a new rollout, with all its steps, pauses and analyses, unless Argo Rollouts may skip
them; the plan says which. Where the template is that of another object (`workloadRef`), that one is written to.
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
#: In `seen`: by which of the two; people are told in the plan's sentences.
_HOW, _ABORT, _UNDO = "how", "abort", "undo"
_REFERRED = {"Deployment": kinds.DEPLOYMENT, "ReplicaSet": kinds.REPLICASET, "PodTemplate": kinds.POD_TEMPLATE}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    """Where the Rollout's template stands."""

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
        look = observation_of(request.site, request.workload)
        if _aborts(look, request.wanted):
            plan = ABORT.plan(look)
            message = f"An update is on its way, so that going back is to abort it (`abort {request.service}`)."
            return replace(
                plan,
                effect=(message, *plan.effect),
                preconditions={**plan.preconditions, _HOW: _ABORT},
                hidden=(*plan.hidden, _HOW),
            )
        _check(look)
        stands = _template(request)
        target.check_rights(request.site, [target.patch_access(stands.ref)])
        kept = _kept(request)
        choice = _choice(request, look, kept)
        plan = common.rollback_plan(
            _as_kept(request, choice.now), choice, (_skipping(request, look, kept, choice.goal),)
        )
        return replace(plan, preconditions={**plan.preconditions, _HOW: _UNDO}, hidden=(*plan.hidden, _HOW))

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        look = observation_of(request.site, request.workload)
        if plan.preconditions[_HOW] == _ABORT:
            return ABORT.run(look, plan, run, request.tools)
        _check(look)
        stands, kept = _template(request), _kept(request)
        choice = common.recheck(_as_kept(request, _now(look, kept)), plan, kept)
        request.site.cluster.patch(
            stands.ref, _steps(stands, choice, run), how=PatchType.JSON, by=run_markers.field_manager(run)
        )
        common.release_fields(request, plan, run, stands.ref, stands.path)
        return self._watched(request, look, choice)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        look = observation_of(request.site, request.workload)
        if plan.preconditions[_HOW] == _ABORT:
            return ABORT.probe(look, plan, run, request.tools)
        kept, stands = _kept(request), _template(request)
        if stands.ref != request.site.workload and run_markers.written_by(stands.thing, run):
            message = f"{stands.ref} was given {plan.preconditions['goal']} again."
            outcome = Outcome(
                result=Result.DONE, message=message, expected_state={"template": plan.preconditions["goal"]}
            )
        else:
            outcome = common.probe_revision(_as_kept(request, _now(look, kept)), plan, run, kept)
        goal = next((one for one in kept if one.hash == plan.preconditions["goal"]), None)
        if outcome.result is not Result.DONE or goal is None:
            return outcome
        before = next((one for one in kept if one.hash == plan.preconditions[common.TEMPLATE]), None)
        then = replace(look.context, rollout=replace(look.rollout, current=plan.preconditions[common.TEMPLATE]))
        return self._watched(request, replace(look, context=then), RevisionChoice(now=before, goal=goal))

    def _watched(self, request: StrategyRequest, look: Observation, choice: RevisionChoice) -> Outcome:
        """`look`: how it was before the write."""
        reason = write.wait(look, request.tools, until_template(request.site, look.rollout, choice.goal.hash))
        outcome = common.rollback_outcome(request.site, choice, reason)
        more = write.afterwards(request.site, lambda now: f"{progress(now)} {waiting_for(now)}".strip())
        return replace(outcome, message=f"{outcome.message} {more}")


def _aborts(look: Observation, wish: str) -> bool:
    """An update is on its way, and no revision is named."""
    now = look.rollout
    return bool(now.stable) and not now.promoted and not now.aborted and not wish


def _check(look: Observation) -> None:
    """Raises `Rejected` where nothing would move, or nobody knows yet what is there."""
    now, service = look.rollout, look.site.service
    if now.halted:
        message = f"Rollout {now.name} is paused by hand, and nothing moves until that ends. Nothing was done."
        raise Rejected(f"{message} `resume {service}` first.", code="paused", status=409)
    if not now.observed:
        message = f"Rollout {now.name} has a change that its controller has not seen yet. Nothing was done."
        raise Rejected(f"{message} {now.retry_hint}.", code="unobserved", status=409)


def _kept(request: StrategyRequest) -> tuple[Revision, ...]:
    return revisions.replicasets(request.site.cluster, request.workload, number=_NUMBER, label=HASH)


def _now(look: Observation, kept: Sequence[Revision]) -> Revision | None:
    return next((one for one in kept if one.hash == look.rollout.current), None)


def _choice(request: StrategyRequest, look: Observation, kept: Sequence[Revision]) -> RevisionChoice:
    """What is stable, while something else was to be; else as for any workload."""
    now, rollout = _now(look, kept), look.rollout
    wish = request.wanted or ("" if rollout.promoted else rollout.stable)
    template = now.template if now else {}
    return revisions.choose(kept, now, template, wish)


def _as_kept(request: StrategyRequest, now: Revision | None) -> StrategyRequest:
    """With the template as its ReplicaSet has it: the Rollout's own lacks what the cluster fills in."""
    template = now.template if now else request.workload["spec"].get("template") or {}
    return replace(request, workload={**request.workload, "spec": {**request.workload["spec"], "template": template}})


def _template(request: StrategyRequest) -> _Template:
    wanted = request.workload["spec"].get("workloadRef")
    if not wanted:
        return _Template(ref=request.site.workload, thing=request.workload, path="/spec/template")
    kind = _REFERRED.get(str(wanted.get("kind")))
    if kind is None:
        message = (
            f"The template of Rollout {request.site.workload.name} is that of a {wanted.get('kind')}. Nothing was done."
        )
        raise Rejected(f"{message} Go back there.", code="no_way", status=409)
    ref = ObjectRef(kind=kind, namespace=request.site.workload.namespace, name=str(wanted["name"]))
    found = request.site.cluster.get(ref)
    if found is None:
        message = (
            f"{ref}, which has the template of Rollout {request.site.workload.name}, is not there. Nothing was done."
        )
        raise Rejected(message, code="no_workload", status=404)
    return _Template(ref=ref, thing=found, path="/template" if kind is kinds.POD_TEMPLATE else "/spec/template")


def _steps(stands: _Template, choice: RevisionChoice, run: str) -> list[dict[str, object]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": stands.thing["metadata"]["uid"]},
        {"op": "test", "path": stands.path, "value": stands.value},
        {"op": "replace", "path": stands.path, "value": choice.goal.template},
        *run_markers.annotation_patch(stands.thing, run_markers.annotation(run)),
    ]


def _skipping(request: StrategyRequest, look: Observation, kept: Sequence[Revision], goal: Revision) -> str:
    """Whether its steps are skipped on the way back: a sentence."""
    now = look.rollout
    if goal.hash == now.stable:
        return f"{goal.hash} is what is stable, so Argo Rollouts skips all steps, pauses and analyses."
    if _in_window(request.workload, now.stable, kept, goal):
        return "It is within the Rollout's rollbackWindow, so Argo Rollouts skips all steps, pauses and analyses."
    until = (goal.kept["metadata"].get("annotations") or {}).get(_DEADLINE, "")
    older = _born(kept).get(now.stable, "") > _born(kept)[goal.hash]
    if not now.canary and older and until and datetime.fromisoformat(until) > request.tools.now():
        return f"Its pods still run, until {until}: if it is done by then, pauses and analyses are skipped."
    faster = f"`promote {request.service} full` skips what is left, by two people"
    if not now.canary:
        return f"It is a new rollout: it comes up beside what runs now, with its pauses and analyses. {faster}."
    if not now.steps:
        return "It is a new rollout, and its canary has no steps: it is replaced at once."
    steps = describe_steps(now, 0, len(now.steps))
    return f"It is a new rollout, and runs all {len(now.steps)} steps again: {steps}. {faster}."


def _in_window(thing: KubernetesObject, stable: str, kept: Sequence[Revision], goal: Revision) -> bool:
    """isRollbackWithinWindow, by the times at which ReplicaSets were made."""
    window = int((thing["spec"].get("rollbackWindow") or {}).get("revisions") or 0)
    born = _born(kept)
    if not window or stable not in born or born[goal.hash] >= born[stable]:
        return False
    return sum(born[goal.hash] < at < born[stable] for at in born.values()) < window


def _born(kept: Sequence[Revision]) -> dict[str, str]:
    """In whole seconds: two that were made in the same one are not older than each other, for Argo Rollouts neither."""
    return {one.hash: str(one.kept["metadata"]["creationTimestamp"]) for one in kept}
