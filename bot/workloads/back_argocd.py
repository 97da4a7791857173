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

from bot.acting import Moved, Unsure
from bot.acts import Ended, Outcome, Plan
from bot.applications import ArgoCd
from bot.clusters import Thing
from bot.ports import Rejected
from bot.workloads import argocd, autosync, deployed, place, pods
from bot.workloads.deployed import Choice, Deployed
from bot.workloads.status import Standing, patience_for, standing_of
from bot.workloads.watching import watched
from bot.workloads.ways import Case

#: Names in `seen`; the first two are what a run leaves.
_DEPLOYED, _REVISION, _GOAL, _UID, _BEGUN = "deployed", "revision", "goal", "uid", "operation"
_BLOCKED = "blocked by sync window"
_ENDING = timedelta(seconds=30)


class ByArgoCd:
    name = "argocd"

    def plan(self, case: Case) -> Plan:
        _, application = _asked(case)
        _refuse_unfit(case, application)
        place.check_person(case.site, [place.changing(case.site.workload)])
        choice = deployed.choose(application, case.wish)
        return Plan(
            target=case.service,
            effect=_effect(application, choice),
            radius=autosync.Found(service=case.service, site=case.site, application=application).radius,
            seen={
                _DEPLOYED: choice.now.key,
                _REVISION: choice.now.short,
                _GOAL: str(choice.goal.number),
                _UID: application["metadata"]["uid"],
                _BEGUN: deployed.begun(application),
            },
            private=(_DEPLOYED, _UID, _BEGUN),
            undo=f"rollback {case.service} to {choice.now.number}",
            check=case.site.check,
            within=case.site.within,
        )

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Argo CD has no place for it)
        """One call, which Argo CD itself refuses where another operation is in progress, or auto-sync is on again."""
        api, application = _asked(case)
        goal = _still(application, plan)
        api.roll_back(application, goal.number)
        look = Rolling(case, api, application, goal, plan.seen[_BEGUN])
        why = watched(case.site, case.tools, look, patience=patience_for(case.thing))
        return _over(case, api, look, why)

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Argo CD has no place for it)
        """By the operation that began since; Argo CD keeps no word of ours beside it."""
        api, application = _asked(case)
        goal = next((one for one in deployed.history(application) if str(one.number) == plan.seen[_GOAL]), None)
        if goal is None:
            return Outcome(ended=Ended.UNKNOWN, said=f"Argo CD's history no longer has {plan.seen[_GOAL]}.")
        if deployed.goes_to(application, goal, after=plan.seen[_BEGUN]):
            look = Rolling(case, api, application, goal, plan.seen[_BEGUN])
            why = watched(case.site, case.tools, look, patience=patience_for(case.thing))
            return _over(case, api, look, why, looks=True)
        if deployed.busy(application) or deployed.begun(application) != plan.seen[_BEGUN]:
            return Outcome(ended=Ended.UNKNOWN, said="Argo CD has begun something since, and it is not this.")
        return Outcome(ended=Ended.FAILED, said="Argo CD has begun nothing since. Nothing was changed.")


class Rolling:
    """A `watching.Look`: our operation to its end, then the application's health, and the workload itself."""

    def __init__(self, case: Case, api: ArgoCd, application: Thing, goal: Deployed, before: str) -> None:
        self._kind = case.site.workload.kind
        self._api = api
        self._before = before
        self.application = application  #: as it was seen last
        self.goal = goal

    @property
    def is_begun(self) -> bool:
        return deployed.goes_to(self.application, self.goal, after=self._before)

    @property
    def phase(self) -> str:
        return str(deployed.state(self.application).get("phase", "")) if self.is_begun else ""

    @property
    def said(self) -> str:
        return " ".join(str(deployed.state(self.application).get("message") or "").split()).rstrip(".")

    @property
    def is_blocked(self) -> bool:
        return self.phase == "Running" and _BLOCKED in self.said.lower()

    def __call__(self, thing: Thing) -> Standing:
        meta = self.application["metadata"]
        found = self._api.application(meta["name"], meta["namespace"])
        if found is None:
            return Standing(said="gone", failed="The application is gone.")
        self.application = found
        match self.phase:
            case "":
                return Standing(said="Argo CD has not begun it")
            case "Failed" | "Error":
                return Standing(said="failed", failed=f"Argo CD could not apply it: {self.said or 'no reason given'}.")
            case "Succeeded":
                return self._applied(thing)
            case phase:
                return Standing(said=f"Argo CD: {self.said or phase}", failed=_window() if self.is_blocked else "")

    def _applied(self, thing: Thing) -> Standing:
        status = self.application.get("status") or {}
        health = str((status.get("health") or {}).get("status") or "of unknown health")
        standing = standing_of(self._kind, thing)
        done = health == "Healthy" and standing.done
        return Standing(said=f"the application is {health}; {standing.said}", done=done)


def _asked(case: Case) -> tuple[ArgoCd, Thing]:
    """Argo CD, and the application as it stands now."""
    api = case.site.argocd
    if api is None:
        said = f"{case.owner} keeps {case.site.workload}, and only Argo CD itself can roll it back. Nothing was done."
        hint = f"Set clusters.{case.site.cluster.name}.argocd.url and .token."
        raise Rejected(f"{said} {hint}", code="no_argocd", status=HTTPStatus.SERVICE_UNAVAILABLE)
    application = api.application(case.owner.name, case.owner.namespace)
    if application is None:
        said = f"Argo CD has no {case.owner.kind} {case.owner.name} that the bot may see. Nothing was done."
        raise Rejected(said, code="no_application", status=HTTPStatus.CONFLICT)
    argocd.check_has(application, case.site.workload)
    return api, application


def _refuse_unfit(case: Case, application: Thing) -> None:
    name = application["metadata"]["name"]
    if application["metadata"].get("deletionTimestamp"):
        raise _refused(f"Application {name} is being deleted.", "")
    if argocd.syncs_itself(application):
        keeper = autosync.keeper_of(case.site, application)
        said = f"Application {name} syncs by itself, and Argo CD rolls nothing back under that."
        if keeper is not None and keeper.refuse:
            raise _refused(f"{said} {keeper.said}", f"{keeper.todo} Or revert the commit in git.")
        raise _refused(said, f"Say `autosync {case.service} off for 2h` first, or revert the commit in git.")
    if deployed.busy(application):
        said = str(deployed.state(application).get("message") or "").rstrip(".")
        raise _refused(
            f"Another operation is in progress on application {name}{f': {said}' if said else ''}.",
            "Wait for its end, or end it: `argocd app terminate-op`.",
        )


def _effect(application: Thing, choice: Choice) -> tuple[str, ...]:
    name = application["metadata"]["name"]
    lines = [f"Argo CD brings application {name} from {choice.now} back to {choice.goal}, in the bot's name."]
    if choice.others:
        lines.append(f"It could go to these as well: {deployed.listed(choice.others)}.")
    lines += [
        "That is everything which the application keeps, and not this workload alone.",
        "git stays as it is: the application will be OutOfSync, and its next sync brings git's version back.",
        "Revert the commit before that.",
        "Nothing is pruned: what only the newer version made stays. So do migrations of its database.",
    ]
    if autosync.REMEMBERED in (application["metadata"].get("annotations") or {}):
        lines.append("Its auto-sync is paused by the bot; once that is over, git's version is back.")
    return (*lines, f"Undo brings {choice.now.number} back, as a new entry of the history.")


def _still(application: Thing, plan: Plan) -> Deployed:
    """Where it is to go. Raises `Moved` where it is not as the plan saw it."""
    held = deployed.history(application)
    if application["metadata"]["uid"] != plan.seen[_UID]:
        raise Moved("the application was made anew")
    if not held or held[-1].key != plan.seen[_DEPLOYED] or deployed.begun(application) != plan.seen[_BEGUN]:
        raise Moved("Argo CD has synced the application since")
    goal = next((one for one in held if str(one.number) == plan.seen[_GOAL]), None)
    if goal is None:
        raise Moved(f"Argo CD's history no longer has {plan.seen[_GOAL]}")
    return goal


def _over(case: Case, api: ArgoCd, look: Rolling, why: str, *, looks: bool = False) -> Outcome:
    """How it ended; `why`: why it does not hold, or "". `looks`: nothing may be changed by this."""
    goal, phase = look.goal, look.phase
    left = {_DEPLOYED: goal.key, _REVISION: goal.short}
    if not why:
        said = f"{case.service} runs {goal.short} again, which was {goal.number} of the history."
        return Outcome(
            ended=Ended.DONE, said=f"{said} git says something else until its commit is reverted.", left=left
        )
    if look.is_blocked and looks:
        end = f"`argocd app terminate-op {look.application['metadata']['name']}` ends it."
        return Outcome(ended=Ended.UNKNOWN, said=f"{_window()} It begins when the window opens. {end}")
    if look.is_blocked:
        return _ended(case, api, look)
    if not look.is_begun:
        said = f"Argo CD was told to go back to {goal.number}, and has not begun. {why} It may begin still."
        return Outcome(ended=Ended.UNKNOWN, said=said)
    if phase in ("Failed", "Error") and not deployed.touched(look.application):
        return Outcome(ended=Ended.FAILED, said=f"{why} Nothing was changed.")
    if phase == "Succeeded":
        why = f"{why} {pods.trouble_of(case.site.cluster, case.thing)}".rstrip()
    said = f"Argo CD was told to go back to {goal.number} of the history, {goal.short}."
    return Outcome(ended=Ended.DONE, said=said, unwell=why, left=left)


def _ended(case: Case, api: ArgoCd, look: Rolling) -> Outcome:
    """What a sync window blocks would begin hours later, when nobody thinks of it any more."""
    try:
        api.terminate(look.application)
    except (Moved, Rejected, Unsure) as trouble:
        said = f"{_window()} It could not be ended: {trouble.said} It may begin when the window opens."
        return Outcome(ended=Ended.UNKNOWN, said=said)

    def over(_: Thing) -> Standing:
        look(_)
        return Standing(said="the operation is being ended", done=look.phase not in ("Running", "Terminating"))

    tools = replace(case.tools, deadline=lambda until: until)  # That of the run was for getting there.
    left = watched(replace(case.site, soak=timedelta(0)), tools, over, patience=_ENDING)
    if left or deployed.touched(look.application) or look.phase == "Succeeded":
        return Outcome(ended=Ended.UNKNOWN, said=f"{_window()} It was told to end, and it is not clear how it did.")
    return Outcome(ended=Ended.FAILED, said=f"{_window()} The operation was ended. Nothing was changed.")


def _window() -> str:
    return "A sync window of its project keeps Argo CD from applying it."


def _refused(said: str, hint: str) -> Rejected:
    return Rejected(f"{said} Nothing was done. {hint}".rstrip(), code="unfit", status=HTTPStatus.CONFLICT)
