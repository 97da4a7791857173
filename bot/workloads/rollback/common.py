"""What all ways back to an older revision have in common: the plan's words, what must still hold, and how it ended."""

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

#: Names in `seen`. What a run leaves is the first, so that an undo over somebody's later change is refused.
TEMPLATE, _GOAL, _KEPT, _UID, _GIVES = "template", "goal", "kept", "uid", "gives up"
_WHERE = "/spec/template"
#: Of a template that its controller has made no revision of yet.
_NONE = "none"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def rollback_plan(request: StrategyRequest, choice: RevisionChoice, more: Sequence[str]) -> Plan:
    """The plan of going from `choice.now` to `choice.goal`. `more`: what else is to be said, a sentence each."""
    target, now, back = request.site, choice.now, _kept(request, choice)
    return Plan(
        target=request.service,
        effect=(*_changes(request, choice), *more, *_left_alone(request, choice), *_held(request)),
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
    """From where to where, as the plan had it. Raises `Moved` where that does not fit any more."""
    target, now = request.site, current(revisions, request.workload)
    if request.workload["metadata"]["uid"] != plan.preconditions[_UID]:
        raise Conflict(f"{target.workload} was made anew")
    held = now.hash if now else _NONE
    if held != plan.preconditions[TEMPLATE]:
        raise Conflict(f"{target.workload} went from {plan.preconditions[TEMPLATE]} to {held}")
    return RevisionChoice(now=now, goal=_goal(target, plan, revisions))


def release_fields(
    request: StrategyRequest, plan: Plan, run: str, ref: ObjectRef | None = None, path: str = _WHERE
) -> None:
    """After an undo was written: the bot holds nothing of the template any more. Where it goes on, nothing is lost."""
    if _GIVES in plan.preconditions:
        field_ownership.given_up(request.site, ref or request.site.workload, [tuple(path.strip("/").split("/"))], run)


def rollback_outcome(target: ServiceTarget, choice: RevisionChoice, reason: str) -> Outcome:
    """It was done; `reason`: why it does not hold, or ""."""
    goal = choice.goal
    message = (
        f"{target.workload} {'was given' if reason else 'runs'} {goal.hash} again, which was revision {goal.number}."
    )
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state={TEMPLATE: goal.hash})


def probe_revision(request: StrategyRequest, plan: Plan, run: str, revisions: Sequence[Revision]) -> Outcome:
    """Whether that run wrote it, by its marks; then by what stands there."""
    target, now = request.site, current(revisions, request.workload)
    if run_markers.written_by(request.workload, run):
        goal = plan.preconditions[_GOAL]
        return Outcome(
            result=Result.DONE, message=f"{target.workload} was given {goal} again.", expected_state={TEMPLATE: goal}
        )
    held = now.hash if now else _NONE
    if held == plan.preconditions[TEMPLATE]:
        return Outcome(result=Result.FAILED, message=f"{target.workload} is still at {held}. Nothing was changed.")
    message = f"{target.workload} is at {held}, and does not say who brought it there."
    return Outcome(result=Result.UNKNOWN, message=message)


def resume_choice(request: StrategyRequest, plan: Plan, revisions: Sequence[Revision]) -> RevisionChoice | None:
    """From where to where a run has brought it, to be watched on; None: its template was changed again since."""
    now, seen = current(revisions, request.workload), plan.preconditions
    if now is None or now.hash != seen[_GOAL]:
        return None
    return RevisionChoice(now=next((one for one in revisions if one.hash == seen[TEMPLATE]), None), goal=now)


def changed_since(request: StrategyRequest) -> str:
    """Who has given it another template since a run did: a sentence."""
    return f"Its template was changed since by {run_markers.owner_name_of_field(request.workload, 'spec', 'template')}."


def refuse_paused(request: StrategyRequest) -> None:
    if request.workload["spec"].get("paused"):
        message = f"{request.site.workload} is paused, so nothing would come of it. Nothing was done."
        hint = f"`kubectl rollout resume deployment/{request.site.workload.name}` first."
        raise Rejected(f"{message} {hint}", code="paused", status=HTTPStatus.CONFLICT)


def _changes(request: StrategyRequest, choice: RevisionChoice) -> tuple[str, ...]:
    target, now, goal = request.site, choice.now, choice.goal
    here = str(now) if now else "what no revision is kept of yet"
    template = request.workload["spec"]["template"]
    lines = [f"{target.workload} goes from {here} back to {goal}."]
    if now is not None and goal.made_at > now.made_at:
        lines.append("It is newer than what runs now: somebody has gone back from it before.")
    if choice.passed:
        numbers = ", ".join(str(one.number) for one in choice.passed)
        lines.append(f"Passed over, because it runs the same as now (a restart): revision {numbers}.")
    lines += [f"{line[:1].upper()}{line[1:]}." for line in pod_template.differences(template, goal.template)]
    if pod_template.runs_alike(template, goal.template):
        lines.append("Its containers run the same in both; what differs is elsewhere in the template.")
    return tuple(lines)


def _left_alone(request: StrategyRequest, choice: RevisionChoice) -> tuple[str, ...]:
    """What does not go back with it."""
    lines = ["What its ConfigMaps and Secrets hold, and migrations of its database, stay as they are."]
    lines += [
        f"{kind.title} {name}, which it needs, is not there: its pods will not start."
        for kind, name in _missing(request.site, choice.goal)
    ]
    if _APPLIED in (request.workload["metadata"].get("annotations") or {}):
        lines.append(
            "It was made by `kubectl apply`, which still knows the newer version: the next one brings that back,"
            " and may leave pieces of this one in it."
        )
    back = _kept(request, choice)
    undo = "There is no undo: what it asks for now is kept nowhere else."
    if back is not None:
        undo = f"Undo brings {back.hash} back, whatever number it has by then."
    return (*lines, undo)


def _held(request: StrategyRequest) -> tuple[str, ...]:
    """Who is told of a conflict by it: whoever keeps the template by server-side apply."""
    if request.tools.undo_of:
        return (field_ownership.GIVES_UP,)
    who = run_markers.appliers_of(request.workload, *_WHERE.strip("/").split("/"))
    if not who:
        return ()
    named = " and ".join(map(run_markers.manager_name, who))
    return (
        f"{named} keeps it by server-side apply, and is told of a conflict until it forces that, or this is undone.",
    )


def _kept(request: StrategyRequest, choice: RevisionChoice) -> Revision | None:
    """What an undo would find; with a limit of 0 the controller forgets a revision as soon as it has no pods."""
    return None if request.workload["spec"].get("revisionHistoryLimit") == 0 else choice.now


def _missing(target: ServiceTarget, goal: Revision) -> list[tuple[ResourceKind, str]]:
    """Of what it needs; of a kind that the bot may not read, nothing is said."""
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
