"""Scaling: plan, run and probe, with all checks before the write and the wait after it. Used by `commands/scale.py`.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#scaling-a-deployment
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef, PatchType
from bot.core.plan import Outcome, Plan, Result
from bot.core.site import ServiceTarget
from bot.lib.text import spell_duration
from bot.workloads.gitops import conflict
from bot.workloads.objects import field_ownership, kinds, run_markers, status
from bot.workloads.objects import target as targets
from bot.workloads.objects.owners import owner_of
from bot.workloads.objects.strategy import STRATEGY, strategy_of_plan
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.scale import autoscalers, capacity, field_handover, limits
from bot.workloads.scale import patch as patches
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.change import ScaleChange, ScaleRequest, change_of, reverse, target_values
from bot.workloads.scale.convergence import Convergence, current_state_note, overwritten_by
from bot.workloads.scale.field_handover import BY, HANDED, UID, spell_values
from bot.workloads.scale.patch import PATCHES, ScalePatch

_SCALABLE = (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)
#: Remembered for the wait: the phase of a Rollout before the write.
_PHASE = "phase"
#: With these codes, a refused dry run means a refused write, whatever the status is.
_SAYS_NO = ("denied", "unasked")
_NOTHING = " Nothing was done."
_GIVES = "gives up"  #: in the preconditions of an undo: the bot gives up the fields that it owns


def plan(request: ScaleRequest, held: timedelta, tools: Tools) -> Plan:
    """Checks everything that would prevent the change, or revert it."""
    target = targets.target_of(tools, request.service)
    limits.check_request(request, target)
    workload, auto = _scalable(target)
    handed = field_handover.plan(request.service, workload, auto) if tools.undo_of else None
    if handed is not None:
        return handed
    change = change_of(request, target.workload, workload, auto)
    _check_change(change, request, target, workload)
    written_object = workload if change.patch.kind is None or auto is None else auto.thing
    not_undoable = _why_not_undoable(change, target, workload)
    to_zero = target.production and change.new == 0 < change.old  # Needs a second person and the typed name.
    if not_undoable and held:
        raise _not_for_a_while(not_undoable, held)
    gitops_warnings = _gitops_warnings(change, target, written_object)
    capacity_notes = capacity.capacity_warnings(change, workload, target, tools)
    return Plan(
        target=request.service,
        effect=(
            *change.effect,
            *((f"There is no undo: {not_undoable}",) if not_undoable else ()),
            *gitops_warnings,
            *_ownership_notes(change, target, written_object, tools),
            *limits.cautions(change, target.workload, workload, target),
            *capacity_notes,
            *_dry_run(change, target),
        ),
        blast_radius=_radius(change, target),
        preconditions=_preconditions(change, target, written_object, tools),
        hidden=(STRATEGY, UID, _GIVES),
        undo_command="" if not_undoable else str(change.undo),
        # A service that is at 0 on purpose fails its check, and must not be undone for that.
        check=target.check if change.new else "",
        check_duration=target.check_duration if target.check and change.new else timedelta(0),
        undo_after=held,
        confirm_name=request.service if to_zero else "",
        approvals_needed=1 if to_zero else 0,
    )


def _ownership_notes(
    change: ScaleChange, target: ServiceTarget, written_object: KubernetesObject, tools: Tools
) -> tuple[str, ...]:
    paths = [one.path for one in change.changed]
    return field_ownership.ownership_notes(target, change.ref, written_object, paths, undoing=bool(tools.undo_of))


def _scalable(target: ServiceTarget) -> tuple[KubernetesObject, Autoscaler | None]:
    """The workload and its autoscaler. Raises `Rejected` if one of them may not be scaled as it is."""
    workload = targets.workload_of(target, *_SCALABLE)
    targets.check_not_deleting(target, workload)
    auto = autoscalers.autoscaler_of(target.cluster, target.workload)
    if auto is not None:
        targets.check_not_going(auto.ref, auto.thing)
    _check_workload(target, workload)
    return workload, auto


def _preconditions(
    change: ScaleChange, target: ServiceTarget, written_object: KubernetesObject, tools: Tools
) -> dict[str, str]:
    by = {BY: change.ref.name} if change.patch.kind else {}
    seen = {STRATEGY: change.patch.kind_name, UID: written_object["metadata"]["uid"], **by, **change.before}
    gives_up = tools.undo_of and field_ownership.may_give_up(target, change.ref)
    return seen | ({_GIVES: "yes"} if gives_up else {})


def run(request: ScaleRequest, plan: Plan, run: str, tools: Tools) -> Outcome:
    """One write, if everything is as the plan saw it; then the wait."""
    target, patch, ref = _planned_patch(request, plan, tools)
    workload = targets.workload_of(target)
    targets.check_not_deleting(target, workload)
    held = target.cluster.get(ref, patch.sub)
    if held is None:
        raise Conflict(f"{ref} is gone")
    targets.check_not_going(ref, held)
    if held["metadata"]["uid"] != plan.preconditions[UID]:
        raise Conflict(f"{ref} was deleted and created anew")
    now = patch.read(held)
    changed = [
        f"{name}: {plan.preconditions[name]} -> {value}"
        for name, value in now.items()
        if value != plan.preconditions[name]
    ]
    if changed:
        raise Conflict("; ".join(changed))
    if HANDED in plan.preconditions:
        return field_handover.run(target, patch, ref, plan, run)
    after = target_values(request, now)
    phase = str((workload.get("status") or {}).get("phase", ""))
    off = patch is patches.HPA and _is_off(workload, held)
    tools.remember({_PHASE: phase})
    target.cluster.patch(
        ref, patch.operations(held, after, run), how=PatchType.JSON, by=run_markers.field_manager(run), sub=patch.sub
    )
    not_released = field_ownership.given_up(target, ref, patch.paths, run) if _GIVES in plan.preconditions else ""
    look = Convergence(site=target, patch=patch, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    reason = wait_until_ready(target, tools, look, timeout=_timeout(target, workload, after))
    kept = f" The bot could not give up its fields: {not_released}." if not_released else ""
    message = f"{_result_message(request, after)}{current_state_note(target, patch, ref, request.count)}{kept}"
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=after)


def probe(request: ScaleRequest, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Whether the run had its effect, by its marks and by the values; then the wait resumes."""
    target, patch, ref = _planned_patch(request, plan, tools)
    held = target.cluster.get(ref)
    if held is None or held["metadata"]["uid"] != plan.preconditions[UID]:
        return Outcome(result=Result.UNKNOWN, message=f"{ref} is gone, so it is unknown whether it was scaled.")
    if HANDED in plan.preconditions:
        return field_handover.probe(patch, held, plan)
    before = {one.name: plan.preconditions[one.name] for one in patch.values}
    after, now = target_values(request, before), patch.read(held)
    if run_markers.written_by(held, run):
        reason = overwritten_by(patch, held, after) or _resume_wait(
            target, tools, patch=patch, ref=ref, after=after, held=held
        )
        not_released = _GIVES in plan.preconditions and field_ownership.holds(held, patch.paths)
        kept = " The bot still owns its fields: its process ended before it gave them up." if not_released else ""
        return Outcome(
            result=Result.DONE,
            message=f"{_result_message(request, after)}{kept}",
            degraded=reason,
            expected_state=after,
        )
    if now == before:
        return Outcome(result=Result.FAILED, message=f"{request.service} is as it was: never changed, or set back.")
    message = f"{request.service} has changed, but without the mark of this run: {spell_values(now)}."
    return Outcome(result=Result.UNKNOWN, message=message)


def _resume_wait(
    target: ServiceTarget,
    tools: Tools,
    *,
    patch: ScalePatch,
    ref: ObjectRef,
    after: dict[str, str],
    held: KubernetesObject,
) -> str:
    """Waits as `run` would have. `held`: the object that it wrote to."""
    workload = target.cluster.get(target.workload)
    if workload is None:
        return f"{target.workload} is gone."
    phase, off = tools.remembered.get(_PHASE, ""), patch is patches.HPA and _is_off(workload, held)
    look = Convergence(site=target, patch=patch, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    return wait_until_ready(target, tools, look, timeout=_timeout(target, workload, after))


def _planned_patch(request: ScaleRequest, plan: Plan, tools: Tools) -> tuple[ServiceTarget, ScalePatch, ObjectRef]:
    """The plan's patch and its object."""
    target = targets.target_of(tools, request.service)
    patch = strategy_of_plan(PATCHES, plan)
    return target, patch, patch.ref(target, plan.preconditions.get(BY, ""))


def _check_workload(target: ServiceTarget, workload: KubernetesObject) -> None:
    ref = target.workload
    rollouts = target.cluster.find(kinds.ROLLOUT, ref.namespace) if ref.kind == kinds.DEPLOYMENT else ()
    limits.check_workload(ref, workload, owner_of(workload, ref), rollouts)


def _check_change(
    change: ScaleChange, request: ScaleRequest, target: ServiceTarget, workload: KubernetesObject
) -> None:
    limits.check_bounds(change, target)
    limits.check_step(change, request, target)
    limits.check_data(change, target.workload, workload, target)
    limits.check_connections(change, target)
    targets.check_rights(target, [targets.patch_access(change.ref, change.patch.sub)])


def _gitops_warnings(change: ScaleChange, target: ServiceTarget, held: KubernetesObject) -> tuple[str, ...]:
    """Who will set it back later: a sentence each. Raises `Rejected` if that is at once. `held`: the patched object."""
    owner = owner_of(held, change.ref)
    messages: list[str] = []
    for one in change.changed:
        found = conflict.gitops_conflict_over(target, held, owner, one.pointer, ref=change.ref)
        if found is not None and found.refuses:
            raise Rejected(found.refusal, code="taken_back", status=409)
        if found is not None:
            messages.append(f"{found.message} {found.advice}".rstrip())
    return tuple(dict.fromkeys(messages))


def _dry_run(change: ScaleChange, target: ServiceTarget) -> tuple[str, ...]:
    """Sends the write as a dry run: admission and validation refuse here, before any approval."""
    held = target.cluster.get(change.ref, change.patch.sub)
    if held is None:
        raise Rejected(f"{change.ref} is gone. Nothing was done.", code="gone", status=409)
    steps = change.patch.operations(held, change.after, "")
    try:
        target.cluster.patch(
            change.ref, steps, how=PatchType.JSON, by=run_markers.field_manager(""), sub=change.patch.sub, dry=True
        )
    except Conflict as changed:
        message = f"{change.ref} changed during planning: {changed.message}. Nothing was done. Ask again."
        raise Rejected(message, code="moved", status=409) from None
    except Rejected as refused:
        if refused.code == "no_dry_run":
            return (f"Only the write itself shows whether it is accepted. {refused.message.partition(_NOTHING)[0]}",)
        if refused.code in _SAYS_NO or refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return ("It is unknown whether the cluster accepts it: it did not answer a dry run.",)
    return ()


def _why_not_undoable(change: ScaleChange, target: ServiceTarget, workload: KubernetesObject) -> str:
    """Why the command that would undo it would be refused: a sentence; "" if it would be accepted."""
    if change.undo is None:
        return f"this command cannot set the present values again ({spell_values(change.before)})."
    back = reverse(change)
    try:
        limits.check_request(change.undo, target)
        limits.check_bounds(back, target)
        limits.check_step(back, change.undo, target)
        limits.check_data(back, target.workload, workload, target)
    except Rejected as refused:
        return refused.message.partition(_NOTHING)[0]
    return ""


def _timeout(target: ServiceTarget, workload: KubernetesObject, after: Mapping[str, str]) -> timedelta:
    """A StatefulSet creates and removes its pods one after the other."""
    if target.workload.kind != kinds.STATEFULSET:
        return status.timeout_for(workload)
    goal = int(after.get("replicas") or after["floor"])
    return status.timeout_for(workload, in_line=abs(goal - status.desired_replicas(workload)))


def _not_for_a_while(not_undoable: str, held: timedelta) -> Rejected:
    message = f"It cannot be limited to {spell_duration(held)}, as there is no undo: {not_undoable} Nothing was done."
    return Rejected(message, code="no_way_back", status=409)


def _is_off(workload: KubernetesObject, held: KubernetesObject) -> bool:
    """Whether that HPA is off because the workload has 0 replicas."""
    found = autoscalers.hpa(held, held["metadata"]["namespace"])
    return status.desired_replicas(workload) == 0 and found.pauses_at_zero


def _radius(change: ScaleChange, target: ServiceTarget) -> str:
    pods = f"{target.workload} on cluster {target.cluster.name}"
    if not change.forced:
        return f"the bounds of {change.ref}, and through them the pods of {pods}"
    added = change.new - change.old
    count = f"{abs(added)} pod{'' if abs(added) == 1 else 's'} {'more' if added > 0 else 'fewer'}" if added else ""
    return f"{count or 'no pod at once'}, of {pods}"


def _result_message(request: ScaleRequest, after: Mapping[str, str]) -> str:
    if "replicas" in after:
        return f"{request.service} is scaled to {after['replicas']}."
    if after.get("paused", patches.ABSENT) != patches.ABSENT:
        return f"{request.service} is paused at {after['paused']}."
    return f"{request.service} is kept between {after['floor']} and {after['ceiling']}."
