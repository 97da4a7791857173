"""Scaling, from the look at the world to the watch over what came of it: what `commands/scale.py` is made of.

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
from bot.lib.text import spell
from bot.workloads.gitops import conflict
from bot.workloads.objects import field_ownership, kinds, run_markers, status
from bot.workloads.objects import target as place
from bot.workloads.objects.owners import owner_of
from bot.workloads.objects.strategy import STRATEGY, strategy_of_plan
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.scale import autoscalers, capacity, field_handover, limits
from bot.workloads.scale import patch as levers
from bot.workloads.scale.autoscalers import Autoscaler
from bot.workloads.scale.change import ScaleChange, ScaleRequest, change_of, reverse, target_values
from bot.workloads.scale.convergence import Convergence, current_state_note, overwritten_by
from bot.workloads.scale.field_handover import BY, HANDED, UID, spelled
from bot.workloads.scale.patch import PATCHES, ScalePatch

_SCALABLE = (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)
#: What is noted for the watch: the phase that a Rollout had before.
_PHASE = "phase"
#: Whoever refuses a dry run with these refuses the write as well, whatever the status is.
_SAYS_NO = ("denied", "unasked")
_NOTHING = " Nothing was done."
_GIVES = "gives up"  #: in `seen` of an undo: whether the bot gives up the fields that it holds


def plan(request: ScaleRequest, held: timedelta, tools: Tools) -> Plan:
    """Looks at everything that would be in the way of it, or fight it."""
    target = place.target_of(tools, request.service)
    limits.check_request(request, target)
    workload, auto = _to_scale(target)
    handed = field_handover.plan(request.service, workload, auto) if tools.undo_of else None
    if handed is not None:
        return handed
    move = change_of(request, target.workload, workload, auto)
    _check_move(move, request, target, workload)
    mine = workload if move.patch.kind is None or auto is None else auto.thing
    fixed = _why_no_way_back(move, target, workload)
    dark = target.production and move.new == 0 < move.old  # A click is too little for that, and one person.
    if fixed and held:
        raise _for_ever(fixed, held)
    fights = _fights(move, target, mine)
    around = capacity.capacity_warnings(move, workload, target, tools)
    return Plan(
        target=request.service,
        effect=(
            *move.effect,
            *fights,
            *field_ownership.words(target, move.ref, mine, move.changed, undoing=bool(tools.undo_of)),
            *limits.cautions(move, target.workload, workload, target),
            *around,
            *_tried(move, target),
            *((f"Nothing undoes it: {fixed}",) if fixed else ()),
        ),
        blast_radius=_radius(move, target),
        preconditions=_seen(move, mine)
        | ({_GIVES: "yes"} if tools.undo_of and field_ownership.may_give_up(target, move.ref) else {}),
        hidden=(STRATEGY, UID, _GIVES),
        undo_command="" if fixed else str(move.undo),
        check=target.check if move.new else "",  # What is at 0 on purpose is not well, and must not be undone for that.
        check_duration=target.check_duration if target.check and move.new else timedelta(0),
        undo_after=held,
        confirm_name=request.service if dark else "",
        approvals_needed=1 if dark else 0,
    )


def _to_scale(target: ServiceTarget) -> tuple[KubernetesObject, Autoscaler | None]:
    """The workload and who scales it by itself. Raises `Rejected` where neither may be scaled as it stands."""
    workload = place.workload_of(target, *_SCALABLE)
    place.check_not_deleting(target, workload)
    auto = autoscalers.autoscaler_of(target.cluster, target.workload)
    if auto is not None:
        place.check_not_going(auto.ref, auto.thing)
    _check_workload(target, workload)
    return workload, auto


def _seen(change: ScaleChange, mine: KubernetesObject) -> dict[str, str]:
    by = {BY: change.ref.name} if change.patch.kind else {}
    return {STRATEGY: change.patch.kind_name, UID: mine["metadata"]["uid"], **by, **change.before}


def run(request: ScaleRequest, plan: Plan, run: str, tools: Tools) -> Outcome:
    """One write, if everything is as the plan saw it; then a watch over it."""
    target, lever, ref = _meant(request, plan, tools)
    workload = place.workload_of(target)
    place.check_not_deleting(target, workload)
    held = target.cluster.get(ref, lever.sub)
    if held is None:
        raise Conflict(f"{ref} is gone")
    place.check_not_going(ref, held)
    if held["metadata"]["uid"] != plan.preconditions[UID]:
        raise Conflict(f"{ref} was deleted and made anew")
    now = lever.read(held)
    moved = [
        f"{name}: {plan.preconditions[name]} -> {value}"
        for name, value in now.items()
        if value != plan.preconditions[name]
    ]
    if moved:
        raise Conflict("; ".join(moved))
    if HANDED in plan.preconditions:
        return field_handover.run(target, lever, ref, plan, run)
    after = target_values(request, now)
    phase = str((workload.get("status") or {}).get("phase", ""))
    off = lever is levers.HPA and _is_off(workload, held)
    tools.remember({_PHASE: phase})
    target.cluster.patch(
        ref, lever.operations(held, after, run), how=PatchType.JSON, by=run_markers.field_manager(run), sub=lever.sub
    )
    still = field_ownership.given_up(target, ref, lever.paths, run) if _GIVES in plan.preconditions else ""
    look = Convergence(site=target, patch=lever, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    reason = wait_until_ready(target, tools, look, timeout=_patience(target, workload, after))
    kept = f" The bot still holds its fields: {still}." if still else ""
    message = f"{_said(request, after)}{current_state_note(target, lever, ref, request.count)}{kept}"
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=after)


def probe(request: ScaleRequest, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Whether that run wrote what it was to write, by what it left and by the values; then the watch goes on."""
    target, lever, ref = _meant(request, plan, tools)
    held = target.cluster.get(ref)
    if held is None or held["metadata"]["uid"] != plan.preconditions[UID]:
        return Outcome(result=Result.UNKNOWN, message=f"{ref} is gone, so that nobody can see whether it was scaled.")
    if HANDED in plan.preconditions:
        return field_handover.probe(lever, held, plan)
    before = {one.name: plan.preconditions[one.name] for one in lever.values}
    after, now = target_values(request, before), lever.read(held)
    if run_markers.written_by(held, run):
        reason = overwritten_by(lever, held, after) or _watched_on(
            target, tools, patch=lever, ref=ref, after=after, held=held
        )
        still = _GIVES in plan.preconditions and field_ownership.holds(held, lever.paths)
        kept = " The bot still holds its fields: its process ended before it gave them up." if still else ""
        return Outcome(
            result=Result.DONE, message=f"{_said(request, after)}{kept}", degraded=reason, expected_state=after
        )
    if now == before:
        return Outcome(result=Result.FAILED, message=f"{request.service} is as it was: never changed, or back at once.")
    message = f"{request.service} is neither as it was nor bears the mark of this run: {spelled(now)}."
    return Outcome(result=Result.UNKNOWN, message=message)


def _watched_on(
    target: ServiceTarget,
    tools: Tools,
    *,
    patch: ScalePatch,
    ref: ObjectRef,
    after: dict[str, str],
    held: KubernetesObject,
) -> str:
    """As `run` would have watched it. `held`: what it wrote to."""
    workload = target.cluster.get(target.workload)
    if workload is None:
        return f"{target.workload} is gone."
    phase, off = tools.remembered.get(_PHASE, ""), patch is levers.HPA and _is_off(workload, held)
    look = Convergence(site=target, patch=patch, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    return wait_until_ready(target, tools, look, timeout=_patience(target, workload, after))


def _meant(request: ScaleRequest, plan: Plan, tools: Tools) -> tuple[ServiceTarget, ScalePatch, ObjectRef]:
    """What the plan's lever is, and the object that it is of."""
    target = place.target_of(tools, request.service)
    lever = strategy_of_plan(PATCHES, plan)
    return target, lever, lever.ref(target, plan.preconditions.get(BY, ""))


def _check_workload(target: ServiceTarget, workload: KubernetesObject) -> None:
    ref = target.workload
    rollouts = target.cluster.find(kinds.ROLLOUT, ref.namespace) if ref.kind == kinds.DEPLOYMENT else ()
    limits.check_workload(ref, workload, owner_of(workload, ref), rollouts)


def _check_move(change: ScaleChange, request: ScaleRequest, target: ServiceTarget, workload: KubernetesObject) -> None:
    limits.check_bounds(change, target)
    limits.check_step(change, request, target)
    limits.check_data(change, target.workload, workload, target)
    limits.check_connections(change, target)
    place.check_rights(target, [place.patch_access(change.ref, change.patch.sub)])


def _fights(change: ScaleChange, target: ServiceTarget, held: KubernetesObject) -> tuple[str, ...]:
    """Who sets it back some day: a sentence each. Raises `Rejected` where that is at once. `held`: what is written."""
    owner = owner_of(held, change.ref)
    messages: list[str] = []
    for one in change.changed:
        fight = conflict.gitops_conflict_over(target, held, owner, one.pointer, ref=change.ref)
        if fight is not None and fight.refuses:
            raise Rejected(fight.refusal, code="taken_back", status=409)
        if fight is not None:
            messages.append(f"{fight.message} {fight.advice}".rstrip())
    return tuple(dict.fromkeys(messages))


def _tried(change: ScaleChange, target: ServiceTarget) -> tuple[str, ...]:
    """The write as the API server would take it: admission and validation say no here, and not after the yes."""
    held = target.cluster.get(change.ref, change.patch.sub)
    if held is None:
        raise Rejected(f"{change.ref} is gone. Nothing was done.", code="gone", status=409)
    steps = change.patch.operations(held, change.after, "")
    try:
        target.cluster.patch(
            change.ref, steps, how=PatchType.JSON, by=run_markers.field_manager(""), sub=change.patch.sub, dry=True
        )
    except Conflict as moved:
        message = f"{change.ref} changed while it was looked at: {moved.message}. Nothing was done. Ask again."
        raise Rejected(message, code="moved", status=409) from None
    except Rejected as refused:
        if refused.code == "no_dry_run":
            return (f"Only the write itself will tell whether it is taken. {refused.message.partition(_NOTHING)[0]}",)
        if refused.code in _SAYS_NO or refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return ("Whether the cluster would take it is not known: it did not answer a dry run.",)
    return ()


def _why_no_way_back(change: ScaleChange, target: ServiceTarget, workload: KubernetesObject) -> str:
    """Why the words that would undo it would be refused: a sentence; "" where they would be taken."""
    if change.undo is None:
        return f"what is there now, {spelled(change.before)}, can't be said in words of this command."
    back = reverse(change)
    try:
        limits.check_request(change.undo, target)
        limits.check_bounds(back, target)
        limits.check_step(back, change.undo, target)
        limits.check_data(back, target.workload, workload, target)
    except Rejected as refused:
        return refused.message.partition(_NOTHING)[0]
    return ""


def _patience(target: ServiceTarget, workload: KubernetesObject, after: Mapping[str, str]) -> timedelta:
    """A StatefulSet makes and takes away its pods one after the other."""
    if target.workload.kind != kinds.STATEFULSET:
        return status.timeout_for(workload)
    goal = int(after.get("replicas") or after["floor"])
    return status.timeout_for(workload, in_line=abs(goal - status.desired_replicas(workload)))


def _for_ever(fixed: str, held: timedelta) -> Rejected:
    message = f"It cannot be for {spell(held)} only, because nothing would undo it: {fixed} Nothing was done."
    return Rejected(message, code="no_way_back", status=409)


def _is_off(workload: KubernetesObject, held: KubernetesObject) -> bool:
    """Whether that HPA is switched off by a workload of no replicas."""
    found = autoscalers.hpa(held, held["metadata"]["namespace"])
    return status.desired_replicas(workload) == 0 and found.pauses_at_zero


def _radius(move: ScaleChange, target: ServiceTarget) -> str:
    pods = f"{target.workload} on cluster {target.cluster.name}"
    if not move.forced:
        return f"the bounds of {move.ref}, and through them the pods of {pods}"
    change = move.new - move.old
    count = f"{abs(change)} pod{'' if abs(change) == 1 else 's'} {'more' if change > 0 else 'fewer'}" if change else ""
    return f"{count or 'no pod at once'}, of {pods}"


def _said(request: ScaleRequest, after: Mapping[str, str]) -> str:
    if "replicas" in after:
        return f"{request.service} is scaled to {after['replicas']}."
    if after.get("paused", levers.ABSENT) != levers.ABSENT:
        return f"{request.service} is paused at {after['paused']}."
    return f"{request.service} is kept between {after['floor']} and {after['ceiling']}."
