"""A release goes back to an older version of itself, by Helm's own program; what it keeps is read in its Secrets.

Helm takes the name of the next version's Secret for its lock, and puts no word of ours into it. The traps: a rollback
that fails in a hook, or dies, leaves that version pending for ever; and one that stopped half-way has made a version as
well, so that how it ended is told by the objects, never by the version's number.
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
from bot.lib.text import spell
from bot.workloads import rbac
from bot.workloads.objects import field_ownership, kinds, pods, status
from bot.workloads.objects import target as place
from bot.workloads.objects.status import WorkloadStatus, status_of, timeout_for
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.rollback import helm_history, helm_objects, helm_plan, helm_replicas
from bot.workloads.rollback.helm_history import HelmChoice, Release
from bot.workloads.rollback.helm_objects import ReleaseDiff

#: Names in `seen`; the first two are what a run leaves.
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
        place.check_rights(request.site, _rights(request))
        kept = _kept(request)
        helm_plan.refuse_in_progress(request, kept)
        choice = helm_history.choose(kept, request.wanted)
        now, goal = choice.now, choice.goal
        _check_installs(request, now)
        ground = helm_plan.findings_of(request, choice, program)
        held = {_REPLICAS: ground.kept} if ground.kept else {}
        back = f"rollback {request.service} to {now.version}{' replicas keep' if request.keep_replicas else ''}"
        return Plan(
            target=request.service,
            effect=_effect(request, choice, ground.lines),
            blast_radius=f"all that release {request.owner.namespace}/{request.owner.name} installs",
            preconditions={
                _MANIFEST: now.hash,
                _CHART: now.chart,
                _VERSION: str(now.version),
                _STATUS: now.status,
                _GOAL: str(goal.version),
                _GOAL_MANIFEST: goal.hash,
                _FORCED: str(ground.forced),
                _HANDED: str(ground.handed),
                **held,
            },
            hidden=(_MANIFEST, _GOAL_MANIFEST, _FORCED, _HANDED),
            undo_command=back if now.status in helm_history.GOOD else "",
            check=request.site.check,
            check_duration=request.site.check_duration,
        )

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:
        """Helm's program, once; whether it did anything is what its next Secret says, not how it ended."""
        program = _program(request)
        goal = _still(request, _kept(request), plan)
        patience = timeout_for(request.workload)
        wrong, lost = _rolled_back(request, plan, goal, run, program)
        try:
            made = _made(_kept(request), plan, goal)
        except Rejected as refused:
            raise OutcomeUnknown(f"What Helm has made of it cannot be read: {refused.message}") from None
        if made is None and wrong:
            raise Rejected(f"Helm refused: {wrong} Nothing was done.", code="refused")
        if made is None:
            message = f"Helm says that it is done, and there is no version of it after {plan.preconditions[_VERSION]}."
            return Outcome(result=Result.UNKNOWN, message=message)
        look = _look(request)
        reason = (
            _why(request, goal, made, wrong)
            if wrong
            else wait_until_ready(request.site, request.tools, look, timeout=patience)
        )
        return _done(request, goal, made, " ".join(filter(None, (reason, lost))))

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
        ending, reason = _Ending(request, made), ""
        if not made.is_pending or helm_history.in_progress(
            made, request.tools.now()
        ):  # Its program may outlive our process.
            reason = wait_until_ready(request.site, request.tools, ending, timeout=timeout_for(request.workload))
        if ending.made.is_pending:
            message = f"Helm has begun {ending.made}, and it is not known to be over."
            return Outcome(result=Result.UNKNOWN, message=message)
        count = status.desired_replicas(request.workload)
        if str(count) != plan.preconditions.get(_REPLICAS, str(count)):
            reason = (
                f"{reason} It has {count} replicas, and not the {plan.preconditions[_REPLICAS]} that were "
                "to stay.".strip()
            )
        return _done(request, goal, ending.made, reason)


class _Ending:
    """A `watching.ProgressCheck` at a rollback that nobody waits for: Helm's own end, then the workload."""

    def __init__(self, request: StrategyRequest, made: Release) -> None:
        self._case = request
        self._workload = _look(request)
        self.made = made  #: as it was seen last

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        self.made = next((one for one in _kept(self._case) if one.version == self.made.version), self.made)
        if self.made.is_pending:
            return WorkloadStatus(message=f"Helm is at {self.made}")
        if self.made.status not in helm_history.GOOD:
            return WorkloadStatus(message=self.made.status, failed=f"Helm says: {self.made.description.rstrip('.')}.")
        return self._workload(thing)


def _program(request: StrategyRequest) -> Helm:
    if request.site.helm is None:
        message = f"{request.site.workload} is kept by {request.owner}, and it takes Helm's program to go back."
        hint = f"Nothing was done. Set clusters.{request.site.cluster.name}.helm."
        raise Rejected(f"{message} {hint}", code="no_helm", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return request.site.helm


def _rights(request: StrategyRequest) -> Sequence[ResourceAccess]:
    """What can be known beforehand: the Secrets, and the workload itself."""
    ref = replace(request.site.workload, namespace=request.owner.namespace)
    return [*rbac.helm_grants(ref), place.patch_access(request.site.workload)]


def _kept(request: StrategyRequest) -> Sequence[Release]:
    labels = f"owner=helm,name={request.owner.name}"
    return helm_history.releases(request.site.cluster.find(kinds.SECRET, request.owner.namespace, labels=labels))


def _check_installs(request: StrategyRequest, now: Release) -> None:
    """The trap: the marks that name a release are on the workload, and whoever may write there can name any."""
    if not helm_history.installs(now, request.site.workload, request.owner.namespace):
        message = (
            f"By its marks {request.site.workload} is of release "
            f"{request.owner.namespace}/{request.owner.name}, which does"
        )
        hint = "Correct the marks, or deploy it anew."
        raise Rejected(
            f"{message} not install it by {now}. Nothing was done. {hint}", code="not_kept", status=HTTPStatus.CONFLICT
        )


def _effect(request: StrategyRequest, choice: HelmChoice, ground: tuple[str, ...]) -> tuple[str, ...]:
    now, goal = choice.now, choice.goal
    lines = [f"Helm brings release {request.owner.namespace}/{request.owner.name} from {now} back to {goal}."]
    if now.is_pending:
        lines.append(
            f"It is stuck in {now.status}: Helm refuses every upgrade until a rollback, such as this, ends that."
        )
    lines += ground
    if choice.others:
        lines.append(f"It could go to these as well: {helm_history.listed(choice.others)}.")
    same = f"versions {now.version} and {goal.version} install the same: only what was changed since changes back"
    lines += [f"{line[:1].upper()}{line[1:]}." for line in helm_history.differences(now, goal) or [same]]
    hooks = helm_history.run_hooks(goal)
    if hooks:
        lines.append(f"These run around it, as its chart says: {', '.join(map(str, hooks))}.")
    left = tuple(one for one in goal.hooks if one not in hooks)
    if left:
        lines.append(f"These do not run, and undo nothing: {', '.join(map(str, left))}.")
    lines += [
        "That is everything which the release installs. Migrations of its database, and its CRDs, stay as they are.",
        "Whatever deploys it next (a pipeline, git) brings its own version.",
    ]
    undo = f"Undo brings {now.version} back, as a new version; replicas and images as that says them."
    if request.keep_replicas:
        undo = f"Undo brings {now.version} back, as a new version, and keeps the replicas too."
    if now.status not in helm_history.GOOD:
        undo = f"No undo: {now} was never in service. Deploy it anew."
    return (*lines, undo)


def _still(request: StrategyRequest, kept: Sequence[Release], plan: Plan) -> Release:
    """What it goes back to. Raises `Moved` where it is not as the plan saw it."""
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
    """The version that a rollback to `goal` has made after the plan's; None where there is none."""
    after = [one for one in kept if one.version == int(plan.preconditions[_VERSION]) + 1]
    return next((one for one in after if one.hash == goal.hash), None)


def _why(request: StrategyRequest, goal: Release, made: Release, wrong: str) -> str:
    reason = pods.trouble_of(request.site.cluster, request.workload)
    stuck = ""
    if made.is_pending:
        again = helm_plan.until(made)
        stuck = (
            f" Version {made.version} is left {made.status}, in which Helm refuses every upgrade: ask for a rollback"
        )
        stuck += f"{again}, or run `{helm_plan.by_hand(request, goal.version)}` now."
    return f"Helm says: {wrong} {reason}".rstrip() + stuck


def _rolled_back(request: StrategyRequest, plan: Plan, goal: Release, run: str, program: Helm) -> tuple[str, str]:
    """What Helm says went wrong, and why replicas that were to stay did not; "" for each where all is well."""
    target, patience = request.site, timeout_for(request.workload)
    if plan.preconditions[_HANDED] == str(True):
        still = field_ownership.given_up(target, target.workload, [("spec", "replicas")], run)
        if still:
            message = f"The bot could not give up its hold on the replicas, at which Helm would stop: {still}."
            raise Rejected(f"{message} Nothing was done. Ask again.", code="conflict", status=HTTPStatus.CONFLICT)
    request.tools.report_progress(f"helm rolls back to version {goal.version}, for at most {spell(patience)}")
    force, owner = plan.preconditions[_FORCED] == str(True), request.owner
    change = partial(program.roll_back, owner.name, owner.namespace, goal.version, patience=patience, force=force)
    return (
        helm_replicas.restore_replicas(target, int(plan.preconditions[_REPLICAS]), run, change)
        if _REPLICAS in plan.preconditions
        else (change(), "")
    )


def _look(request: StrategyRequest) -> Callable[[KubernetesObject], WorkloadStatus]:
    """How far the workload is, Helm having waited for it; a failure of the revision before does not count."""
    return lambda thing: replace(status_of(request.site.workload.kind, thing), failed="")


def _done(request: StrategyRequest, goal: Release, made: Release, reason: str) -> Outcome:
    """Told by what is there: the version's number says what was asked of Helm, and not what became of it."""
    name, seen = request.owner.name, _compared(request, goal)
    left = {_MANIFEST: goal.hash, _CHART: goal.chart}
    if seen.different:
        half = f"Not as version {goal.version} has it: {'; '.join(seen.different)}."
        half += f" As that has it: {', '.join(seen.same)}." if seen.same else ""
        reason = f"{reason} {half}".strip()
        message = f"Release {name} is not back at version {goal.version}"
        message += f": version {made.version} is {made.status}, and half of it stands." if seen.same else "."
    elif made.status in helm_history.GOOD:
        message = f"Release {name} is at version {made.version}, which is {goal.version} again ({goal.chart})."
    else:
        message = (
            f"Release {name} was given version {goal.version} again, as version {made.version}, which is {made.status}."
        )
    message += f" Not compared with what is there: {', '.join(seen.unreadable)}." if seen.unreadable else ""
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=left)


def _compared(request: StrategyRequest, goal: Release) -> ReleaseDiff:
    cluster, owner = request.site.cluster, request.owner
    try:
        objects = helm_objects.release_objects(cluster, goal, owner.namespace)
    except Rejected as refused:
        return ReleaseDiff(unreadable=(refused.message,))
    but = request.site.workload if request.keep_replicas else None
    return helm_objects.compare(cluster, objects, owner, but=but)
