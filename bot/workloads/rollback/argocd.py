"""An application goes back to an older deployment of its history, by Argo CD's own rollback.

Two traps. It is refused while auto-sync is on, and git comes back with the next sync: afterwards it is OutOfSync, on
purpose. And it is an operation that only starts: a sync window leaves it running for ever, so such a one is ended.
Argo CD takes no word of ours along; ours is the operation that has begun since the plan and goes where it was to go.
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

#: Names in `seen`; the first two are what a run leaves.
_DEPLOYED, _REVISION, _GOAL, _UID, _BEGUN = "deployed", "revision", "goal", "uid", "operation"
_BLOCKED = "blocked by sync window"
_ENDING = timedelta(seconds=30)


class ArgoCdRollback:
    name = "argocd"

    def plan(self, request: StrategyRequest) -> Plan:
        _, application = _asked(request)
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
        """One call, which Argo CD itself refuses where another operation is in progress, or auto-sync is on again."""
        api, application = _asked(request)
        goal = _still(application, plan)
        api.roll_back(application, goal.number)
        look = OperationCheck(request, api, application, goal, plan.preconditions[_BEGUN])
        reason = wait_until_ready(request.site, request.tools, look, timeout=timeout_for(request.workload))
        return _over(request, api, look, reason)

    def probe(self, request: StrategyRequest, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Argo CD has no place for it)
        """By the operation that began since; Argo CD keeps no word of ours beside it."""
        api, application = _asked(request)
        goal = next(
            (one for one in argocd_history.history(application) if str(one.number) == plan.preconditions[_GOAL]), None
        )
        if goal is None:
            return Outcome(
                result=Result.UNKNOWN, message=f"Argo CD's history no longer has {plan.preconditions[_GOAL]}."
            )
        if argocd_history.goes_to(application, goal, after=plan.preconditions[_BEGUN]):
            look = OperationCheck(request, api, application, goal, plan.preconditions[_BEGUN])
            reason = wait_until_ready(request.site, request.tools, look, timeout=timeout_for(request.workload))
            return _over(request, api, look, reason, looks=True)
        if argocd_history.busy(application) or argocd_history.begun(application) != plan.preconditions[_BEGUN]:
            return Outcome(result=Result.UNKNOWN, message="Argo CD has begun something since, and it is not this.")
        return Outcome(result=Result.FAILED, message="Argo CD has begun nothing since. Nothing was changed.")


class OperationCheck:
    """A `watching.ProgressCheck`: our operation to its end, then the application's health, and the workload itself."""

    def __init__(
        self, request: StrategyRequest, api: ArgoCd, application: KubernetesObject, goal: ArgoCdDeployment, before: str
    ) -> None:
        self._kind = request.site.workload.kind
        self._api = api
        self._before = before
        self.application = application  #: as it was seen last
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
                return WorkloadStatus(message="Argo CD has not begun it")
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
        standing = status_of(self._kind, thing)
        done = health == "Healthy" and standing.done
        return WorkloadStatus(message=f"the application is {health}; {standing.message}", done=done)


def _asked(request: StrategyRequest) -> tuple[ArgoCd, KubernetesObject]:
    """Argo CD, and the application as it stands now."""
    api = request.site.argocd
    if api is None:
        message = (
            f"{request.owner} keeps {request.site.workload}, and only Argo CD itself can roll it back. "
            "Nothing was done."
        )
        hint = f"Set clusters.{request.site.cluster.name}.argocd.url and .token."
        raise Rejected(f"{message} {hint}", code="no_argocd", status=HTTPStatus.SERVICE_UNAVAILABLE)
    application = api.application(request.owner.name, request.owner.namespace)
    if application is None:
        message = f"Argo CD has no {request.owner.kind} {request.owner.name} that the bot may see. Nothing was done."
        raise Rejected(message, code="no_application", status=HTTPStatus.CONFLICT)
    argocd_application.check_has(application, request.site.workload)
    return api, application


def _refuse_unfit(request: StrategyRequest, application: KubernetesObject) -> None:
    name = application["metadata"]["name"]
    if application["metadata"].get("deletionTimestamp"):
        raise _refused(f"Application {name} is being deleted.", "")
    if argocd_application.syncs_itself(application):
        keeper = autosync.owner_of_application(request.site, application)
        message = f"Application {name} syncs by itself, and Argo CD rolls nothing back under that."
        if keeper is not None and keeper.refuses:
            raise _refused(f"{message} {keeper.message}", f"{keeper.advice} Or revert the commit in git.")
        raise _refused(message, f"Say `autosync {request.service} off for 2h` first, or revert the commit in git.")
    if argocd_history.busy(application):
        message = str(argocd_history.state(application).get("message") or "").rstrip(".")
        raise _refused(
            f"Another operation is in progress on application {name}{f': {message}' if message else ''}.",
            "Wait for its end, or end it: `argocd app terminate-op`.",
        )


def _effect(application: KubernetesObject, choice: ArgoCdChoice) -> tuple[str, ...]:
    name = application["metadata"]["name"]
    lines = [f"Argo CD brings application {name} from {choice.now} back to {choice.goal}, in the bot's name."]
    if choice.others:
        lines.append(f"It could go to these as well: {argocd_history.listed(choice.others)}.")
    lines += [
        "That is everything which the application keeps, and not this workload alone.",
        "git stays as it is: the application will be OutOfSync, and its next sync brings git's version back.",
        "Revert the commit before that.",
        "Nothing is pruned: what only the newer version made stays. So do migrations of its database.",
    ]
    if autosync.REMEMBERED in (application["metadata"].get("annotations") or {}):
        lines.append("Its auto-sync is paused by the bot; once that is over, git's version is back.")
    return (*lines, f"Undo brings {choice.now.number} back, as a new entry of the history.")


def _still(application: KubernetesObject, plan: Plan) -> ArgoCdDeployment:
    """Where it is to go. Raises `Moved` where it is not as the plan saw it."""
    held = argocd_history.history(application)
    if application["metadata"]["uid"] != plan.preconditions[_UID]:
        raise Conflict("the application was made anew")
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


def _over(request: StrategyRequest, api: ArgoCd, look: OperationCheck, reason: str, *, looks: bool = False) -> Outcome:
    """How it ended; `reason`: why it does not hold, or "". `looks`: nothing may be changed by this."""
    goal, phase = look.goal, look.phase
    left = {_DEPLOYED: goal.key, _REVISION: goal.short}
    if not reason:
        message = f"{request.service} runs {goal.short} again, which was {goal.number} of the history."
        return Outcome(
            result=Result.DONE,
            message=f"{message} git says something else until its commit is reverted.",
            expected_state=left,
        )
    if look.is_blocked and looks:
        end = f"`argocd app terminate-op {look.application['metadata']['name']}` ends it."
        return Outcome(result=Result.UNKNOWN, message=f"{_window()} It begins when the window opens. {end}")
    if look.is_blocked:
        return _ended(request, api, look)
    if not look.is_begun:
        message = f"Argo CD was told to go back to {goal.number}, and has not begun. {reason} It may begin still."
        return Outcome(result=Result.UNKNOWN, message=message)
    if phase in ("Failed", "Error") and not argocd_history.touched(look.application):
        return Outcome(result=Result.FAILED, message=f"{reason} Nothing was changed.")
    if phase == "Succeeded":
        reason = f"{reason} {pods.trouble_of(request.site.cluster, request.workload)}".rstrip()
    message = f"Argo CD was told to go back to {goal.number} of the history, {goal.short}."
    return Outcome(result=Result.DONE, message=message, degraded=reason, expected_state=left)


def _ended(request: StrategyRequest, api: ArgoCd, look: OperationCheck) -> Outcome:
    """What a sync window blocks would begin hours later, when nobody thinks of it any more."""
    try:
        api.terminate(look.application)
    except (Conflict, Rejected, OutcomeUnknown) as trouble:
        message = f"{_window()} It could not be ended: {trouble.message} It may begin when the window opens."
        return Outcome(result=Result.UNKNOWN, message=message)

    def over(_: KubernetesObject) -> WorkloadStatus:
        look(_)
        return WorkloadStatus(message="the operation is being ended", done=look.phase not in ("Running", "Terminating"))

    tools = replace(request.tools, deadline=lambda until: until)  # That of the run was for getting there.
    left = wait_until_ready(replace(request.site, soak=timedelta(0)), tools, over, timeout=_ENDING)
    if left or argocd_history.touched(look.application) or look.phase == "Succeeded":
        return Outcome(
            result=Result.UNKNOWN, message=f"{_window()} It was told to end, and it is not clear how it did."
        )
    return Outcome(result=Result.FAILED, message=f"{_window()} The operation was ended. Nothing was changed.")


def _window() -> str:
    return "A sync window of its project keeps Argo CD from applying it."


def _refused(message: str, hint: str) -> Rejected:
    return Rejected(f"{message} Nothing was done. {hint}".rstrip(), code="unfit", status=HTTPStatus.CONFLICT)
