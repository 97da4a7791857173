"""A Rollout of Argo goes back: an update on its way is aborted, else the template of a kept revision is put back.

The trap: what is put back is a new rollout, with all its steps, pauses and analyses, unless Argo Rollouts may skip
them; the plan says which. Where the template is that of another object (`workloadRef`), that one is written to.
https://github.com/argoproj/argo-rollouts, pkg/kubectl-argo-rollouts/cmd/undo and rollout/sync.go, v1.10
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.acts import Ended, Outcome, Plan
from bot.clusters import How, Ref, Thing
from bot.ports import Rejected
from bot.workloads import history, kinds, marks, place, returning, rollout_acts
from bot.workloads.history import Choice, Revision
from bot.workloads.rollout_acts import Looked, looked_at
from bot.workloads.rollout_lines import progress, steps_said, waits_for
from bot.workloads.rollout_verbs import ABORT
from bot.workloads.rollout_watch import undone
from bot.workloads.rollouts import HASH
from bot.workloads.ways import Case

_NUMBER = "rollout.argoproj.io/revision"
_DEADLINE = "scale-down-deadline"
#: In `seen`: by which of the two; people are told in the plan's sentences.
_HOW, _ABORT, _UNDO = "how", "abort", "undo"
_REFERRED = {"Deployment": kinds.DEPLOYMENT, "ReplicaSet": kinds.REPLICASET, "PodTemplate": kinds.POD_TEMPLATE}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    """Where the Rollout's template stands."""

    ref: Ref
    thing: Thing
    path: str

    @property
    def value(self) -> object:
        found: object = self.thing
        for part in self.path.strip("/").split("/"):
            found = found[part] if isinstance(found, dict) else None
        return found


class ByRollout:
    name = "rollout"

    def plan(self, case: Case) -> Plan:
        look = looked_at(case.site, case.thing)
        if _aborts(look, case.wish):
            plan = ABORT.plan(look)
            said = f"An update is on its way, so that going back is to abort it (`abort {case.service}`)."
            return replace(
                plan, effect=(said, *plan.effect), seen={**plan.seen, _HOW: _ABORT}, private=(*plan.private, _HOW)
            )
        _check(look)
        stands = _template(case)
        place.check_rights(case.site, [place.changing(stands.ref)])
        kept = _kept(case)
        choice = _choice(case, look, kept)
        plan = returning.planned(_as_kept(case, choice.now), choice, (_skipping(case, look, kept, choice.goal),))
        return replace(plan, seen={**plan.seen, _HOW: _UNDO}, private=(*plan.private, _HOW))

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        look = looked_at(case.site, case.thing)
        if plan.seen[_HOW] == _ABORT:
            return ABORT.run(look, plan, run, case.tools)
        _check(look)
        stands, kept = _template(case), _kept(case)
        choice = returning.still(_as_kept(case, _now(look, kept)), plan, kept)
        case.site.cluster.patch(stands.ref, _steps(stands, choice, run), how=How.STEPS, by=marks.manager(run))
        returning.give_up(case, plan, run, stands.ref, stands.path)
        return self._watched(case, look, choice)

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:
        look = looked_at(case.site, case.thing)
        if plan.seen[_HOW] == _ABORT:
            return ABORT.probe(look, plan, run, case.tools)
        kept, stands = _kept(case), _template(case)
        if stands.ref != case.site.workload and marks.written_by(stands.thing, run):
            said = f"{stands.ref} was given {plan.seen['goal']} again."
            outcome = Outcome(ended=Ended.DONE, said=said, left={"template": plan.seen["goal"]})
        else:
            outcome = returning.looked_for(_as_kept(case, _now(look, kept)), plan, run, kept)
        goal = next((one for one in kept if one.hash == plan.seen["goal"]), None)
        if outcome.ended is not Ended.DONE or goal is None:
            return outcome
        before = next((one for one in kept if one.hash == plan.seen[returning.TEMPLATE]), None)
        then = replace(look.scene, rollout=replace(look.rollout, current=plan.seen[returning.TEMPLATE]))
        return self._watched(case, replace(look, scene=then), Choice(now=before, goal=goal))

    def _watched(self, case: Case, look: Looked, choice: Choice) -> Outcome:
        """`look`: how it was before the write."""
        why = rollout_acts.held(look, case.tools, undone(case.site, look.rollout, choice.goal.hash))
        outcome = returning.over(case.site, choice, why)
        more = rollout_acts.afterwards(case.site, lambda now: f"{progress(now)} {waits_for(now)}".strip())
        return replace(outcome, said=f"{outcome.said} {more}")


def _aborts(look: Looked, wish: str) -> bool:
    """An update is on its way, and no revision is named."""
    now = look.rollout
    return bool(now.stable) and not now.promoted and not now.aborted and not wish


def _check(look: Looked) -> None:
    """Raises `Rejected` where nothing would move, or nobody knows yet what is there."""
    now, service = look.rollout, look.site.service
    if now.halted:
        said = f"Rollout {now.name} is paused by hand, and nothing moves until that ends. Nothing was done."
        raise Rejected(f"{said} `resume {service}` first.", code="paused", status=409)
    if not now.observed:
        said = f"Rollout {now.name} has a change that its controller has not seen yet. Nothing was done."
        raise Rejected(f"{said} {now.shown_again}.", code="unobserved", status=409)


def _kept(case: Case) -> tuple[Revision, ...]:
    return history.replicasets(case.site.cluster, case.thing, number=_NUMBER, label=HASH)


def _now(look: Looked, kept: Sequence[Revision]) -> Revision | None:
    return next((one for one in kept if one.hash == look.rollout.current), None)


def _choice(case: Case, look: Looked, kept: Sequence[Revision]) -> Choice:
    """What is stable, while something else was to be; else as for any workload."""
    now, rollout = _now(look, kept), look.rollout
    wish = case.wish or ("" if rollout.promoted else rollout.stable)
    template = now.template if now else {}
    return history.choose(kept, now, template, wish)


def _as_kept(case: Case, now: Revision | None) -> Case:
    """With the template as its ReplicaSet has it: the Rollout's own lacks what the cluster fills in."""
    template = now.template if now else case.thing["spec"].get("template") or {}
    return replace(case, thing={**case.thing, "spec": {**case.thing["spec"], "template": template}})


def _template(case: Case) -> _Template:
    wanted = case.thing["spec"].get("workloadRef")
    if not wanted:
        return _Template(ref=case.site.workload, thing=case.thing, path="/spec/template")
    kind = _REFERRED.get(str(wanted.get("kind")))
    if kind is None:
        said = f"The template of Rollout {case.site.workload.name} is that of a {wanted.get('kind')}. Nothing was done."
        raise Rejected(f"{said} Go back there.", code="no_way", status=409)
    ref = Ref(kind=kind, namespace=case.site.workload.namespace, name=str(wanted["name"]))
    found = case.site.cluster.get(ref)
    if found is None:
        said = f"{ref}, which has the template of Rollout {case.site.workload.name}, is not there. Nothing was done."
        raise Rejected(said, code="no_workload", status=404)
    return _Template(ref=ref, thing=found, path="/template" if kind is kinds.POD_TEMPLATE else "/spec/template")


def _steps(stands: _Template, choice: Choice, run: str) -> list[dict[str, object]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": stands.thing["metadata"]["uid"]},
        {"op": "test", "path": stands.path, "value": stands.value},
        {"op": "replace", "path": stands.path, "value": choice.goal.template},
        *marks.noted(stands.thing, marks.annotation(run)),
    ]


def _skipping(case: Case, look: Looked, kept: Sequence[Revision], goal: Revision) -> str:
    """Whether its steps are skipped on the way back: a sentence."""
    now = look.rollout
    if goal.hash == now.stable:
        return f"{goal.hash} is what is stable, so Argo Rollouts skips all steps, pauses and analyses."
    if _in_window(case.thing, now.stable, kept, goal):
        return "It is within the Rollout's rollbackWindow, so Argo Rollouts skips all steps, pauses and analyses."
    until = (goal.kept["metadata"].get("annotations") or {}).get(_DEADLINE, "")
    older = _born(kept).get(now.stable, "") > _born(kept)[goal.hash]
    if not now.canary and older and until and datetime.fromisoformat(until) > case.tools.now():
        return f"Its pods still run, until {until}: if it is done by then, pauses and analyses are skipped."
    faster = f"`promote {case.service} full` skips what is left, by two people"
    if not now.canary:
        return f"It is a new rollout: it comes up beside what runs now, with its pauses and analyses. {faster}."
    if not now.steps:
        return "It is a new rollout, and its canary has no steps: it is replaced at once."
    steps = steps_said(now, 0, len(now.steps))
    return f"It is a new rollout, and runs all {len(now.steps)} steps again: {steps}. {faster}."


def _in_window(thing: Thing, stable: str, kept: Sequence[Revision], goal: Revision) -> bool:
    """isRollbackWithinWindow, by the times at which ReplicaSets were made."""
    window = int((thing["spec"].get("rollbackWindow") or {}).get("revisions") or 0)
    born = _born(kept)
    if not window or stable not in born or born[goal.hash] >= born[stable]:
        return False
    return sum(born[goal.hash] < at < born[stable] for at in born.values()) < window


def _born(kept: Sequence[Revision]) -> dict[str, str]:
    """In whole seconds: two that were made in the same one are not older than each other, for Argo Rollouts neither."""
    return {one.hash: str(one.kept["metadata"]["creationTimestamp"]) for one in kept}
