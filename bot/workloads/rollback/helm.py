"""Rolls a Helm release back to an older version, by Helm's own program. Helm keeps the versions in Secrets.

Helm uses the name of the next version's Secret as its lock, and stores no mark of the bot's. The traps: a rollback that
fails in a hook, or is killed, leaves that version pending for ever; and one that stopped half-way has created a version
too. So the result is judged by the objects, never by the version's number.
https://helm.sh/docs/helm/helm_rollback/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.helm import Helm
from bot.core.kubernetes import KubernetesObject, ResourceAccess
from bot.core.plan import Outcome, Plan, Result
from bot.lib.text import spell_duration
from bot.workloads import rbac
from bot.workloads.objects import field_ownership, kinds, pods, status
from bot.workloads.objects import target as targets
from bot.workloads.objects.status import WorkloadStatus, status_of, timeout_for
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.rollback import helm_history, helm_objects, helm_plan, helm_replicas
from bot.workloads.rollback.helm_history import HelmChoice, Release
from bot.workloads.rollback.helm_objects import ReleaseDiff

#: Keys of a plan's preconditions; the first two are the state that a run leaves.
_MANIFEST, _CHART, _VERSION, _STATUS, _GOAL, _GOAL_MANIFEST, _FORCED, _HANDED, _REPLICAS = (
    "manifest",
    "chart",
    "version",
    "status",
    "goal",
    "goal's manifest",
    "forced",
    "handed over",
    "replicas",
)


class HelmRollback:
    name = "helm"

    def plan(self, request: StrategyRequest) -> Plan:
        program = _program(request)
        targets.check_rights(request.site, _rights(request))
        kept = _kept(request)
        helm_plan.refuse_in_progress(request, kept)
        choice = helm_history.choose(kept, request.wanted)
        now, goal = choice.now, choice.goal
        _check_installs(request, now)
        findings = helm_plan.findings_of(request, choice, program)
        held = {_REPLICAS: findings.kept} if findings.kept else {}
        back = f"rollback {request.service} to {now.version}{' replicas keep' if request.keep_replicas else ''}"
        return Plan(
            target=request.service,
            effect=_effect(request, choice, findings.lines),
            blast_radius=f"all objects of release {request.owner.namespace}/{request.owner.name}",
            preconditions={
                _MANIFEST: now.hash,
                _CHART: now.chart,
                _VERSION: str(now.version),
                _STATUS: now.status,
                _GOAL: str(goal.version),
                _GOAL_MANIFEST: goal.hash,
                _FORCED: str(findings.forced),
                _HANDED: str(findings.handed),
                **held,
            },
            hidden=(_MANIFEST, _GOAL_MANIFEST, _FORCED, _HANDED),
            undo_command=back if now.status in helm_history.GOOD else "",
            check=request.site.check,
            check_duration=request.site.check_duration,
        )

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        """Runs Helm's program once. Whether it did anything is shown by the next Secret, not by its exit."""
        program = _program(request)
        goal = _recheck(request, _kept(request), plan)
        timeout = timeout_for(request.workload)
        failure, replicas_reason = _rolled_back(request, plan, goal, run, program)
        try:
            made = _made(_kept(request), plan, goal)
        except Rejected as refused:
            raise OutcomeUnknown(f"Helm's result cannot be read: {refused.message}") from None
        if made is None and failure:
            raise Rejected(f"Helm refused: {failure} Nothing was done.", code="refused")
        if made is None:
            message = f"Helm reports success, but there is no version after {plan.preconditions[_VERSION]}."
            return Outcome(result=Result.UNKNOWN, message=message)
        check = _workload_check(request)
        reason = (
            _failure_reason(request, goal, made, failure)
            if failure
            else wait_until_ready(request.site, request.tools, check, timeout=timeout)
        )
        return _outcome(request, goal, made, " ".join(filter(None, (reason, replicas_reason))))

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Helm has no place for it)
        """By the version that came after the plan's."""
        kept = _kept(request)
        newest = kept[-1] if kept else None
        if newest is not None and str(newest.version) == plan.preconditions[_VERSION]:
            message = f"Helm has no version after {newest.version}. Nothing was changed."
            return Outcome(result=Result.FAILED, message=message)
        goal = next((one for one in kept if str(one.version) == plan.preconditions[_GOAL]), None)
        made = _made(kept, plan, goal) if goal is not None else None
        if goal is None or made is None:
            return Outcome(
                result=Result.UNKNOWN, message=f"Somebody else has changed the release: {newest or 'it is gone'}."
            )
        ending, reason = _HelmEnd(request, made), ""
        if not made.is_pending or helm_history.in_progress(
            made, request.tools.now()
        ):  # Its program may outlive our process.
            reason = wait_until_ready(request.site, request.tools, ending, timeout=timeout_for(request.workload))
        if ending.made.is_pending:
            message = f"Helm has started {ending.made}; it is unknown whether that has ended."
            return Outcome(result=Result.UNKNOWN, message=message)
        count = status.desired_replicas(request.workload)
        if str(count) != plan.preconditions.get(_REPLICAS, str(count)):
            reason = (
                f"{reason} It has {count} replicas, not the {plan.preconditions[_REPLICAS]} that were to stay.".strip()
            )
        return _outcome(request, goal, ending.made, reason)


class _HelmEnd:
    """A `ProgressCheck` (see `objects.wait`) of a rollback whose process ended: Helm's own end, then the workload."""

    def __init__(self, request: StrategyRequest, made: Release) -> None:
        self._request = request
        self._workload = _workload_check(request)
        self.made = made  #: as it was seen last

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        self.made = next((one for one in _kept(self._request) if one.version == self.made.version), self.made)
        if self.made.is_pending:
            return WorkloadStatus(message=f"Helm is at {self.made}")
        if self.made.status not in helm_history.GOOD:
            return WorkloadStatus(message=self.made.status, failed=f"Helm says: {self.made.description.rstrip('.')}.")
        return self._workload(thing)


def _program(request: StrategyRequest) -> Helm:
    if request.site.helm is None:
        message = f"{request.site.workload} is managed by {request.owner}, and a rollback needs Helm's program."
        hint = f"Nothing was done. Set clusters.{request.site.cluster.name}.helm."
        raise Rejected(f"{message} {hint}", code="no_helm", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return request.site.helm


def _rights(request: StrategyRequest) -> Sequence[ResourceAccess]:
    """The rights known beforehand: on the Secrets, and on the workload itself."""
    ref = replace(request.site.workload, namespace=request.owner.namespace)
    return [*rbac.helm_grants(ref), targets.patch_access(request.site.workload)]


def _kept(request: StrategyRequest) -> Sequence[Release]:
    labels = f"owner=helm,name={request.owner.name}"
    return helm_history.releases(request.site.cluster.find(kinds.SECRET, request.owner.namespace, labels=labels))


def _check_installs(request: StrategyRequest, now: Release) -> None:
    """The trap: the marks that name a release are on the workload, and anybody who may write it can name any."""
    if not helm_history.installs(now, request.site.workload, request.owner.namespace):
        message = (
            f"{request.site.workload} is marked as part of release {request.owner.namespace}/{request.owner.name}, "
            f"which does not install it in {now}."
        )
        hint = "Correct the marks, or deploy it again."
        raise Rejected(f"{message} Nothing was done. {hint}", code="not_kept", status=HTTPStatus.CONFLICT)


def _effect(request: StrategyRequest, choice: HelmChoice, findings: tuple[str, ...]) -> tuple[str, ...]:
    now, goal = choice.now, choice.goal
    lines = [
        f"Helm rolls release {request.owner.namespace}/{request.owner.name} back from {now} to {goal}.",
        _undo(request, now),
    ]
    if now.is_pending:
        lines.append(f"It is stuck in {now.status}: Helm refuses every upgrade until a rollback, such as this one.")
    lines += findings
    same = f"versions {now.version} and {goal.version} install the same: only later changes are reverted"
    lines += [f"{line[:1].upper()}{line[1:]}." for line in helm_history.differences(now, goal) or [same]]
    hooks = helm_history.run_hooks(goal)
    if hooks:
        lines.append(f"Hooks of its chart that run: {', '.join(map(str, hooks))}.")
    left = tuple(one for one in goal.hooks if one not in hooks)
    if left:
        lines.append(f"Hooks that do not run, and revert nothing: {', '.join(map(str, left))}.")
    lines += [
        "The whole release is rolled back, except for migrations of its database, and its CRDs.",
        "The next deployment (a pipeline, git) brings its own version.",
    ]
    if choice.others:
        lines.append(f"Other versions to roll back to: {helm_history.listed(choice.others)}.")
    return tuple(lines)


def _undo(request: StrategyRequest, now: Release) -> str:
    if now.status not in helm_history.GOOD:
        return f"There is no undo: {now} was never in service. Deploy it again instead."
    if request.keep_replicas:
        return f"Undo brings {now.version} back, as a new version, and keeps the replicas too."
    return f"Undo brings {now.version} back, as a new version, with its replicas and images."


def _recheck(request: StrategyRequest, kept: Sequence[Release], plan: Plan) -> Release:
    """The version to go back to. Raises `Conflict` if something is not as the plan saw it."""
    count = str(status.desired_replicas(request.workload))
    if count != plan.preconditions.get(_REPLICAS, count):
        raise Conflict(f"replicas: {plan.preconditions[_REPLICAS]} -> {count}")
    newest = kept[-1] if kept else None
    if newest is None or (str(newest.version), newest.status) != (
        plan.preconditions[_VERSION],
        plan.preconditions[_STATUS],
    ):
        raise Conflict(f"the release is at {newest or 'no version'} now")
    goal = next((one for one in kept if str(one.version) == plan.preconditions[_GOAL]), None)
    if goal is None or goal.hash != plan.preconditions[_GOAL_MANIFEST]:
        raise Conflict(f"Helm no longer keeps version {plan.preconditions[_GOAL]} as it was")
    return goal


def _made(kept: Sequence[Release], plan: Plan, goal: Release) -> Release | None:
    """The version that a rollback to `goal` has created after the plan's; None if there is none."""
    after = [one for one in kept if one.version == int(plan.preconditions[_VERSION]) + 1]
    return next((one for one in after if one.hash == goal.hash), None)


def _failure_reason(request: StrategyRequest, goal: Release, made: Release, failure: str) -> str:
    reason = pods.trouble_of(request.site.cluster, request.workload)
    stuck = ""
    if made.is_pending:
        again = helm_plan.until(made)
        stuck = f" Version {made.version} stays {made.status}, and Helm refuses every upgrade then: ask for a rollback"
        stuck += f"{again}, or run `{helm_plan.by_hand(request, goal.version)}` now."
    return f"Helm says: {failure} {reason}".rstrip() + stuck


def _rolled_back(request: StrategyRequest, plan: Plan, goal: Release, run: str, program: Helm) -> tuple[str, str]:
    """Helm's error, and why the kept replicas could not be kept; "" for each if all is well."""
    target, timeout = request.site, timeout_for(request.workload)
    if plan.preconditions[_HANDED] == str(True):
        still = field_ownership.given_up(target, target.workload, [("spec", "replicas")], run)
        if still:
            message = f"The bot could not give up its ownership of the replicas, at which Helm would stop: {still}."
            raise Rejected(f"{message} Nothing was done. Ask again.", code="conflict", status=HTTPStatus.CONFLICT)
    request.tools.report_progress(f"Helm rolls back to version {goal.version}, for at most {spell_duration(timeout)}")
    force, owner = plan.preconditions[_FORCED] == str(True), request.owner
    change = partial(program.roll_back, owner.name, owner.namespace, goal.version, patience=timeout, force=force)
    return (
        helm_replicas.restore_replicas(target, int(plan.preconditions[_REPLICAS]), run, change)
        if _REPLICAS in plan.preconditions
        else (change(), "")
    )


def _workload_check(request: StrategyRequest) -> Callable[[KubernetesObject], WorkloadStatus]:
    """The workload's progress after Helm has waited for it; a failure of the revision before does not count."""
    return lambda thing: replace(status_of(request.site.workload.kind, thing), failed="")


def _outcome(request: StrategyRequest, goal: Release, made: Release, reason: str) -> Outcome:
    """Judged by the objects: the version's number shows the request to Helm, not its result."""
    name, seen = request.owner.name, _compared(request, goal)
    left = {_MANIFEST: goal.hash, _CHART: goal.chart}
    if seen.different:
        half = f"Different from version {goal.version}: {'; '.join(seen.different)}."
        half += f" Rolled back: {', '.join(seen.same)}." if seen.same else ""
        reason = f"{reason} {half}".strip()
        message = f"Release {name} is not back at version {goal.version}"
        message += f": version {made.version} is {made.status}, and only partly applied." if seen.same else "."
    elif made.status in helm_history.GOOD:
        message = f"Release {name} is at version {made.version}, which is {goal.version} again ({goal.chart})."
    else:
        message = (
            f"Release {name} was rolled back to version {goal.version}, as version {made.version}, which is "
            f"{made.status}."
        )
    message += f" Not checked: {', '.join(seen.unreadable)}." if seen.unreadable else ""
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=left)


def _compared(request: StrategyRequest, goal: Release) -> ReleaseDiff:
    cluster, owner = request.site.cluster, request.owner
    try:
        objects = helm_objects.release_objects(cluster, goal, owner.namespace)
    except Rejected as refused:
        return ReleaseDiff(unreadable=(refused.message,))
    but = request.site.workload if request.keep_replicas else None
    return helm_objects.compare(cluster, objects, owner, but=but)
