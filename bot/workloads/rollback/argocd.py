"""Rolls an application back to an older deployment of its history, by Argo CD's own rollback.

Two traps. Argo CD refuses it while auto-sync is on, and the next sync brings git's version back: after a rollback the
application is OutOfSync, on purpose. And the call only starts an operation: a sync window would leave it running for
ever, so a blocked operation is terminated.
Argo CD stores no mark of the bot's. The bot's operation is the one that started after the plan and goes to its goal.
https://argo-cd.readthedocs.io/en/stable/user-guide/commands/argocd_app_rollback/
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from bot.core.argocd import ArgoCd
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import KubernetesObject
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.gitops import autosync
from bot.workloads.objects import argocd_application, pods, target
from bot.workloads.objects.status import WorkloadStatus, status_of, timeout_for
from bot.workloads.objects.strategy import StrategyRequest
from bot.workloads.objects.wait import wait_until_ready
from bot.workloads.rollback import argocd_history
from bot.workloads.rollback.argocd_history import ArgoCdChoice, ArgoCdDeployment

#: Keys of a plan's preconditions; the first two are the state that a run leaves.
_DEPLOYED, _REVISION, _GOAL, _UID, _BEGUN = "deployed", "revision", "goal", "uid", "operation"
_BLOCKED = "blocked by sync window"
_ENDING = timedelta(seconds=30)


class ArgoCdRollback:
    name = "argocd"

    def plan(self, request: StrategyRequest) -> Plan:
        _, application = _application(request)
        _refuse_unfit(request, application)
        target.check_person(request.site, [target.patch_access(request.site.workload)])
        choice = argocd_history.choose(application, request.wanted)
        return Plan(
            target=request.service,
            effect=_effect(application, choice),
            blast_radius=autosync.ApplicationState(
                service=request.service, site=request.site, application=application
            ).radius,
            preconditions={
                _DEPLOYED: choice.now.key,
                _REVISION: choice.now.short,
                _GOAL: str(choice.goal.number),
                _UID: application["metadata"]["uid"],
                _BEGUN: argocd_history.begun(application),
            },
            hidden=(_DEPLOYED, _UID, _BEGUN),
            undo_command=f"rollback {request.service} to {choice.now.number}",
            check=request.site.check,
            check_duration=request.site.check_duration,
        )

    def run(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Argo CD has no place for it)
        """One call. Argo CD itself refuses it during another operation, or if auto-sync is on again."""
        api, application = _application(request)
        goal = _recheck(application, plan)
        api.roll_back(application, goal.number)
        check = OperationCheck(request, api, application, goal, plan.preconditions[_BEGUN])
        reason = wait_until_ready(request.site, request.tools, check, timeout=timeout_for(request.workload))
        return _outcome(request, api, check, reason)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Argo CD has no place for it)
        """By the operation that has started since; Argo CD stores no mark of the bot's with it."""
        api, application = _application(request)
        goal = next(
            (one for one in argocd_history.history(application) if str(one.number) == plan.preconditions[_GOAL]), None
        )
        if goal is None:
            return Outcome(
                result=Result.UNKNOWN, message=f"Argo CD's history no longer has {plan.preconditions[_GOAL]}."
            )
        if argocd_history.goes_to(application, goal, after=plan.preconditions[_BEGUN]):
            check = OperationCheck(request, api, application, goal, plan.preconditions[_BEGUN])
            reason = wait_until_ready(request.site, request.tools, check, timeout=timeout_for(request.workload))
            return _outcome(request, api, check, reason, read_only=True)
        if argocd_history.busy(application) or argocd_history.begun(application) != plan.preconditions[_BEGUN]:
            return Outcome(result=Result.UNKNOWN, message="Argo CD has started another operation since.")
        return Outcome(result=Result.FAILED, message="Argo CD has started no operation since. Nothing was changed.")


class OperationCheck:
    """A `ProgressCheck` (see `objects.wait`): the operation's end, then the health of application and workload."""

    def __init__(
        self, request: StrategyRequest, api: ArgoCd, application: KubernetesObject, goal: ArgoCdDeployment, before: str
    ) -> None:
        self._kind = request.site.workload.kind
        self._api = api
        self._before = before
        self.application = application  #: as it was read last
        self.goal = goal

    @property
    def is_begun(self) -> bool:
        return argocd_history.goes_to(self.application, self.goal, after=self._before)

    @property
    def phase(self) -> str:
        return str(argocd_history.state(self.application).get("phase", "")) if self.is_begun else ""

    @property
    def message(self) -> str:
        return " ".join(str(argocd_history.state(self.application).get("message") or "").split()).rstrip(".")

    @property
    def is_blocked(self) -> bool:
        return self.phase == "Running" and _BLOCKED in self.message.lower()

    def __call__(self, thing: KubernetesObject) -> WorkloadStatus:
        meta = self.application["metadata"]
        found = self._api.application(meta["name"], meta["namespace"])
        if found is None:
            return WorkloadStatus(message="gone", failed="The application is gone.")
        self.application = found
        match self.phase:
            case "":
                return WorkloadStatus(message="Argo CD has not started it")
            case "Failed" | "Error":
                return WorkloadStatus(
                    message="failed", failed=f"Argo CD could not apply it: {self.message or 'no reason given'}."
                )
            case "Succeeded":
                return self._applied(thing)
            case phase:
                return WorkloadStatus(
                    message=f"Argo CD: {self.message or phase}", failed=_window() if self.is_blocked else ""
                )

    def _applied(self, thing: KubernetesObject) -> WorkloadStatus:
        status = self.application.get("status") or {}
        health = str((status.get("health") or {}).get("status") or "of unknown health")
        progress = status_of(self._kind, thing)
        done = health == "Healthy" and progress.done
        return WorkloadStatus(message=f"the application is {health}; {progress.message}", done=done)


def _application(request: StrategyRequest) -> tuple[ArgoCd, KubernetesObject]:
    """Argo CD, and the application as it is now."""
    api = request.site.argocd
    if api is None:
        message = (
            f"{request.site.workload} is managed by {request.owner}, and only Argo CD itself can roll it back. "
            "Nothing was done."
        )
        hint = f"Set clusters.{request.site.cluster.name}.argocd.url and .token."
        raise Rejected(f"{message} {hint}", code="no_argocd", status=HTTPStatus.SERVICE_UNAVAILABLE)
    application = api.application(request.owner.name, request.owner.namespace)
    if application is None:
        message = f"Argo CD shows the bot no {request.owner.kind} {request.owner.name}. Nothing was done."
        raise Rejected(message, code="no_application", status=HTTPStatus.CONFLICT)
    argocd_application.check_has(application, request.site.workload)
    return api, application


def _refuse_unfit(request: StrategyRequest, application: KubernetesObject) -> None:
    name = application["metadata"]["name"]
    if application["metadata"].get("deletionTimestamp"):
        raise _refused(f"Application {name} is being deleted.", "")
    if argocd_application.syncs_itself(application):
        owner = autosync.owner_of_application(request.site, application)
        message = f"Auto-sync of application {name} is on, and Argo CD refuses a rollback then."
        if owner is not None and owner.refuses:
            raise _refused(f"{message} {owner.message}", f"{owner.advice} Or revert the commit in git.")
        raise _refused(message, f"Run `autosync {request.service} off for 2h` first, or revert the commit in git.")
    if argocd_history.busy(application):
        message = str(argocd_history.state(application).get("message") or "").rstrip(".")
        raise _refused(
            f"Another operation is in progress on application {name}{f': {message}' if message else ''}.",
            "Wait until it ends, or end it: `argocd app terminate-op`.",
        )


def _effect(application: KubernetesObject, choice: ArgoCdChoice) -> tuple[str, ...]:
    name = application["metadata"]["name"]
    lines = [
        f"Argo CD rolls application {name} back from {choice.now} to {choice.goal}, in the bot's name.",
        f"Undo brings {choice.now.number} back, as a new entry of the history.",
        "The whole application is rolled back, not this workload alone.",
        "Git does not change: the application becomes OutOfSync, and its next sync brings git's version back.",
        "Revert the commit before that.",
        "Nothing is pruned: objects that only the newer version created stay. So do migrations of its database.",
    ]
    if autosync.REMEMBERED in (application["metadata"].get("annotations") or {}):
        lines.append("Its auto-sync is paused by the bot; when that ends, git's version comes back.")
    if choice.others:
        lines.append(f"Other deployments to roll back to: {argocd_history.listed(choice.others)}.")
    return tuple(lines)


def _recheck(application: KubernetesObject, plan: Plan) -> ArgoCdDeployment:
    """The deployment to go to. Raises `Conflict` if something is not as the plan saw it."""
    held = argocd_history.history(application)
    if application["metadata"]["uid"] != plan.preconditions[_UID]:
        raise Conflict("the application was recreated")
    if (
        not held
        or held[-1].key != plan.preconditions[_DEPLOYED]
        or argocd_history.begun(application) != plan.preconditions[_BEGUN]
    ):
        raise Conflict("Argo CD has synced the application since")
    goal = next((one for one in held if str(one.number) == plan.preconditions[_GOAL]), None)
    if goal is None:
        raise Conflict(f"Argo CD's history no longer has {plan.preconditions[_GOAL]}")
    return goal


def _outcome(
    request: StrategyRequest, api: ArgoCd, check: OperationCheck, reason: str, *, read_only: bool = False
) -> Outcome:
    """The result. `reason`: why it is not ready or does not stay so, or "". `read_only`: nothing may be changed."""
    goal, phase = check.goal, check.phase
    expected = {_DEPLOYED: goal.key, _REVISION: goal.short}
    if not reason:
        message = f"{request.service} runs {goal.short} again, entry {goal.number} of the history."
        return Outcome(
            result=Result.DONE,
            message=f"{message} Git still has the newer version: revert its commit.",
            expected_state=expected,
        )
    if check.is_blocked and read_only:
        end = f"`argocd app terminate-op {check.application['metadata']['name']}` ends it."
        return Outcome(result=Result.UNKNOWN, message=f"{_window()} It starts when the window opens. {end}")
    if check.is_blocked:
        return _terminate(request, api, check)
    if not check.is_begun:
        message = f"Argo CD accepted the rollback to {goal.number}, and has not started. {reason} It may still start."
        return Outcome(result=Result.UNKNOWN, message=message)
    if phase in ("Failed", "Error") and not argocd_history.touched(check.application):
        return Outcome(result=Result.FAILED, message=f"{reason} Nothing was changed.")
    if phase == "Succeeded":
        reason = f"{reason} {pods.trouble_of(request.site.cluster, request.workload)}".rstrip()
    message = f"Argo CD rolled back to entry {goal.number} of the history, {goal.short}."
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=expected)


def _terminate(request: StrategyRequest, api: ArgoCd, check: OperationCheck) -> Outcome:
    """Ends a blocked operation, which would otherwise start hours later, when nobody expects it."""
    try:
        api.terminate(check.application)
    except (Conflict, Rejected, OutcomeUnknown) as trouble:
        message = f"{_window()} It could not be ended: {trouble.message} It may start when the window opens."
        return Outcome(result=Result.UNKNOWN, message=message)

    def over(_: KubernetesObject) -> WorkloadStatus:
        check(_)
        return WorkloadStatus(
            message="the operation is being ended", done=check.phase not in ("Running", "Terminating")
        )

    tools = replace(request.tools, deadline=lambda until: until)  # The run's deadline was for the rollback.
    expected = wait_until_ready(replace(request.site, soak=timedelta(0)), tools, over, timeout=_ENDING)
    if expected or argocd_history.touched(check.application) or check.phase == "Succeeded":
        return Outcome(result=Result.UNKNOWN, message=f"{_window()} It was terminated, with an unknown result.")
    return Outcome(result=Result.FAILED, message=f"{_window()} The operation was ended. Nothing was changed.")


def _window() -> str:
    return "A sync window of its project keeps Argo CD from applying it."


def _refused(message: str, hint: str) -> Rejected:
    return Rejected(f"{message} Nothing was done. {hint}".rstrip(), code="unfit", status=HTTPStatus.CONFLICT)
