"""The common part of all rollbacks to a kept revision: the plan's text, the check before the write, and the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import ObjectRef, ResourceAccess, ResourceKind
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.workloads.objects import field_ownership, pod_template, run_markers
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.rollback.revisions import Revision, RevisionChoice, current

#: Keys of a plan's preconditions. The first is the state that a run leaves: an undo over a later change is refused.
TEMPLATE, _GOAL, _KEPT, _UID, _GIVES = "template", "goal", "kept", "uid", "gives up"
_WHERE = "/spec/template"
#: Stands for a template of which the controller has created no revision yet.
_NONE = "none"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def rollback_plan(request: StrategyRequest, choice: RevisionChoice, warnings: Sequence[str]) -> Plan:
    """The plan of going from `choice.now` to `choice.goal`. `warnings`: a sentence each."""
    target, now, back = request.site, choice.now, _undo_target(request, choice)
    return Plan(
        target=request.service,
        effect=(*_changes(request, choice), *warnings, *_not_rolled_back(request, choice), *_field_holders(request)),
        blast_radius=f"all pods of {target.workload}",
        preconditions={
            TEMPLATE: now.hash if now else _NONE,
            _GOAL: choice.goal.hash,
            _KEPT: choice.goal.uid,
            _UID: request.workload["metadata"]["uid"],
            **({_GIVES: "yes"} if request.tools.undo_of else {}),
        },
        hidden=(_KEPT, _UID, _GIVES),
        undo_command=f"rollback {request.service} to {back.hash}" if back else "",
        check=target.check,
        check_duration=target.check_duration,
    )


def recheck(request: StrategyRequest, plan: Plan, revisions: Sequence[Revision]) -> RevisionChoice:
    """The plan's choice again. Raises `Conflict` if it does not fit any more."""
    target, now = request.site, current(revisions, request.workload)
    if request.workload["metadata"]["uid"] != plan.preconditions[_UID]:
        raise Conflict(f"{target.workload} was recreated")
    held = now.hash if now else _NONE
    if held != plan.preconditions[TEMPLATE]:
        raise Conflict(f"{target.workload} went from {plan.preconditions[TEMPLATE]} to {held}")
    return RevisionChoice(now=now, goal=_goal(target, plan, revisions))


def release_fields(
    request: StrategyRequest, plan: Plan, run: str, ref: ObjectRef | None = None, path: str = _WHERE
) -> None:
    """After an undo was written, the bot gives up its ownership of the template. If that fails, nothing is lost."""
    if _GIVES in plan.preconditions:
        field_ownership.given_up(request.site, ref or request.site.workload, [tuple(path.strip("/").split("/"))], run)


def rollback_outcome(target: ServiceTarget, choice: RevisionChoice, reason: str) -> Outcome:
    """The result. `reason`: why it is not ready or does not stay so, or ""."""
    goal = choice.goal
    message = (
        f"{target.workload} {'was set back to' if reason else 'runs again:'} revision {goal.number} ({goal.hash})."
    )
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state={TEMPLATE: goal.hash})


def probe_revision(request: StrategyRequest, plan: Plan, run: str, revisions: Sequence[Revision]) -> Outcome:
    """Whether that run wrote it: by its marks, then by the current template."""
    target, now = request.site, current(revisions, request.workload)
    if run_markers.written_by(request.workload, run):
        goal = plan.preconditions[_GOAL]
        return Outcome(
            result=Result.DONE, message=f"{target.workload} was set back to {goal}.", expected_state={TEMPLATE: goal}
        )
    held = now.hash if now else _NONE
    if held == plan.preconditions[TEMPLATE]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} is still at {held}. Nothing was changed.")
    message = f"{target.workload} is at {held}; it is unknown who did that."
    return Outcome(result=Result.UNKNOWN, message=message)


def resume_choice(request: StrategyRequest, plan: Plan, revisions: Sequence[Revision]) -> RevisionChoice | None:
    """The choice of a finished write, to resume the wait; None: its template was changed again since."""
    now, seen = current(revisions, request.workload), plan.preconditions
    if now is None or now.hash != seen[_GOAL]:
        return None
    return RevisionChoice(now=next((one for one in revisions if one.hash == seen[TEMPLATE]), None), goal=now)


def changed_since(request: StrategyRequest) -> str:
    """Who has changed its template since the run: a sentence."""
    return f"Its template was changed since by {run_markers.owner_name_of_field(request.workload, 'spec', 'template')}."


def refuse_paused(request: StrategyRequest) -> None:
    if request.workload["spec"].get("paused"):
        message = f"{request.site.workload} is paused, so a rollback would have no effect. Nothing was done."
        hint = f"Run `kubectl rollout resume deployment/{request.site.workload.name}` first."
        raise Rejected(f"{message} {hint}", code="paused", status=HTTPStatus.CONFLICT)


def _changes(request: StrategyRequest, choice: RevisionChoice) -> tuple[str, ...]:
    target, now, goal = request.site, choice.now, choice.goal
    here = str(now) if now else "a template without a revision"
    template = request.workload["spec"]["template"]
    lines = [f"{target.workload} goes back from {here} to {goal}.", _undo(request, choice)]
    if now is not None and goal.made_at > now.made_at:
        lines.append("That revision is newer than the present one: somebody has rolled it back before.")
    if choice.passed:
        numbers = ", ".join(str(one.number) for one in choice.passed)
        lines.append(f"Skipped, because it runs the same as now (a restart): revision {numbers}.")
    lines += [f"{line[:1].upper()}{line[1:]}." for line in pod_template.differences(template, goal.template)]
    if pod_template.runs_alike(template, goal.template):
        lines.append("Its containers run the same in both; the difference is elsewhere in the template.")
    return tuple(lines)


def _not_rolled_back(request: StrategyRequest, choice: RevisionChoice) -> tuple[str, ...]:
    """What the rollback does not restore."""
    lines = ["Its ConfigMaps and Secrets, and migrations of its database, are not rolled back."]
    lines += [
        f"{kind.title} {name}, which it needs, does not exist: its pods will not start."
        for kind, name in _missing_references(request.site, choice.goal)
    ]
    if _APPLIED in (request.workload["metadata"].get("annotations") or {}):
        lines.append(
            "It was created by `kubectl apply`: the next one brings the newer version back, and may leave parts of"
            " this one in it."
        )
    return tuple(lines)


def _undo(request: StrategyRequest, choice: RevisionChoice) -> str:
    back = _undo_target(request, choice)
    if back is None:
        return "There is no undo: the present template is stored nowhere else."
    return f"Undo brings {back.hash} back, whatever number it has then."


def _field_holders(request: StrategyRequest) -> tuple[str, ...]:
    """Managers that meet a conflict, because they set the template by server-side apply."""
    if request.tools.undo_of:
        return (field_ownership.GIVES_UP,)
    who = run_markers.appliers_of(request.workload, *_WHERE.strip("/").split("/"))
    if not who:
        return ()
    named = " and ".join(map(run_markers.manager_name, who))
    return (f"{named} sets it by server-side apply, and meets a conflict until it forces that, or this is undone.",)


def _undo_target(request: StrategyRequest, choice: RevisionChoice) -> Revision | None:
    """The revision that an undo would find. With a limit of 0 the controller drops a revision that has no pods."""
    return None if request.workload["spec"].get("revisionHistoryLimit") == 0 else choice.now


def _missing_references(target: ServiceTarget, goal: Revision) -> list[tuple[ResourceKind, str]]:
    """Required objects that do not exist, of the kinds that the bot may read."""
    wanted = sorted(pod_template.needs(goal.template), key=lambda one: (one[0].title, one[1]))
    seen = {kind for kind in {kind for kind, _ in wanted} if target.cluster.allowed(_reading(target, kind))}
    refs = [
        ObjectRef(kind=kind, namespace=target.workload.namespace, name=name) for kind, name in wanted if kind in seen
    ]
    return [(ref.kind, ref.name) for ref in refs if target.cluster.get(ref) is None]


def _reading(target: ServiceTarget, kind: ResourceKind) -> ResourceAccess:
    return ResourceAccess(verb="get", group=kind.group, resource=kind.plural, namespace=target.workload.namespace)


def _goal(target: ServiceTarget, plan: Plan, revisions: Sequence[Revision]) -> Revision:
    found = next((one for one in revisions if one.uid == plan.preconditions[_KEPT]), None)
    if found is None:
        raise Conflict(f"{target.workload} no longer keeps {plan.preconditions[_GOAL]}")
    return found
