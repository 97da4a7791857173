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

from bot.acting import Moved, Unsure
from bot.acts import Ended, Outcome, Plan
from bot.clusters import Access, Thing
from bot.kinds import spell
from bot.ports import Rejected
from bot.releases import Helm
from bot.workloads import grants, helm, helm_objects, helm_plan, holding, keeping, kinds, place, pods, status
from bot.workloads.helm import Choice, Release
from bot.workloads.helm_objects import Compared
from bot.workloads.status import Standing, patience_for, standing_of
from bot.workloads.watching import watched
from bot.workloads.ways import Case

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


class ByHelm:
    name = "helm"

    def plan(self, case: Case) -> Plan:
        program = _program(case)
        place.check_rights(case.site, _rights(case))
        kept = _kept(case)
        helm_plan.refuse_under_way(case, kept)
        choice = helm.choose(kept, case.wish)
        now, goal = choice.now, choice.goal
        _check_installs(case, now)
        ground = helm_plan.ground_of(case, choice, program)
        held = {_REPLICAS: ground.kept} if ground.kept else {}
        back = f"rollback {case.service} to {now.version}{' replicas keep' if case.keep else ''}"
        return Plan(
            target=case.service,
            effect=_effect(case, choice, ground.lines),
            radius=f"all that release {case.owner.namespace}/{case.owner.name} installs",
            seen={
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
            private=(_MANIFEST, _GOAL_MANIFEST, _FORCED, _HANDED),
            undo=back if now.status in helm.GOOD else "",
            check=case.site.check,
            within=case.site.within,
        )

    def run(self, case: Case, plan: Plan, run: str) -> Outcome:
        """Helm's program, once; whether it did anything is what its next Secret says, not how it ended."""
        program = _program(case)
        goal = _still(case, _kept(case), plan)
        patience = patience_for(case.thing)
        wrong, lost = _rolled_back(case, plan, goal, run, program)
        try:
            made = _made(_kept(case), plan, goal)
        except Rejected as refused:
            raise Unsure(f"What Helm has made of it cannot be read: {refused.said}") from None
        if made is None and wrong:
            raise Rejected(f"Helm refused: {wrong} Nothing was done.", code="refused")
        if made is None:
            said = f"Helm says that it is done, and there is no version of it after {plan.seen[_VERSION]}."
            return Outcome(ended=Ended.UNKNOWN, said=said)
        look = _look(case)
        why = _why(case, goal, made, wrong) if wrong else watched(case.site, case.tools, look, patience=patience)
        return _done(case, goal, made, " ".join(filter(None, (why, lost))))

    def probe(self, case: Case, plan: Plan, run: str) -> Outcome:  # noqa: ARG002 (Helm has no place for it)
        """By the version that came after the plan's."""
        kept = _kept(case)
        newest = kept[-1] if kept else None
        if newest is not None and str(newest.version) == plan.seen[_VERSION]:
            said = f"Helm has no version after {newest.version}. Nothing was changed."
            return Outcome(ended=Ended.FAILED, said=said)
        goal = next((one for one in kept if str(one.version) == plan.seen[_GOAL]), None)
        made = _made(kept, plan, goal) if goal is not None else None
        if goal is None or made is None:
            return Outcome(
                ended=Ended.UNKNOWN, said=f"Somebody else has changed the release: {newest or 'it is gone'}."
            )
        ending, why = _Ending(case, made), ""
        if not made.is_pending or helm.under_way(made, case.tools.now()):  # Its program may outlive our process.
            why = watched(case.site, case.tools, ending, patience=patience_for(case.thing))
        if ending.made.is_pending:
            said = f"Helm has begun {ending.made}, and it is not known to be over."
            return Outcome(ended=Ended.UNKNOWN, said=said)
        count = status.wanted(case.thing)
        if str(count) != plan.seen.get(_REPLICAS, str(count)):
            why = f"{why} It has {count} replicas, and not the {plan.seen[_REPLICAS]} that were to stay.".strip()
        return _done(case, goal, ending.made, why)


class _Ending:
    """A `watching.Look` at a rollback that nobody waits for: Helm's own end, then the workload."""

    def __init__(self, case: Case, made: Release) -> None:
        self._case = case
        self._workload = _look(case)
        self.made = made  #: as it was seen last

    def __call__(self, thing: Thing) -> Standing:
        self.made = next((one for one in _kept(self._case) if one.version == self.made.version), self.made)
        if self.made.is_pending:
            return Standing(said=f"Helm is at {self.made}")
        if self.made.status not in helm.GOOD:
            return Standing(said=self.made.status, failed=f"Helm says: {self.made.description.rstrip('.')}.")
        return self._workload(thing)


def _program(case: Case) -> Helm:
    if case.site.helm is None:
        said = f"{case.site.workload} is kept by {case.owner}, and it takes Helm's program to go back."
        hint = f"Nothing was done. Set clusters.{case.site.cluster.name}.helm."
        raise Rejected(f"{said} {hint}", code="no_helm", status=HTTPStatus.SERVICE_UNAVAILABLE)
    return case.site.helm


def _rights(case: Case) -> Sequence[Access]:
    """What can be known beforehand: the Secrets, and the workload itself."""
    ref = replace(case.site.workload, namespace=case.owner.namespace)
    return [*grants.with_helm(ref), place.changing(case.site.workload)]


def _kept(case: Case) -> Sequence[Release]:
    labels = f"owner=helm,name={case.owner.name}"
    return helm.releases(case.site.cluster.find(kinds.SECRET, case.owner.namespace, labels=labels))


def _check_installs(case: Case, now: Release) -> None:
    """The trap: the marks that name a release are on the workload, and whoever may write there can name any."""
    if not helm.installs(now, case.site.workload, case.owner.namespace):
        said = f"By its marks {case.site.workload} is of release {case.owner.namespace}/{case.owner.name}, which does"
        hint = "Correct the marks, or deploy it anew."
        raise Rejected(
            f"{said} not install it by {now}. Nothing was done. {hint}", code="not_kept", status=HTTPStatus.CONFLICT
        )


def _effect(case: Case, choice: Choice, ground: tuple[str, ...]) -> tuple[str, ...]:
    now, goal = choice.now, choice.goal
    lines = [f"Helm brings release {case.owner.namespace}/{case.owner.name} from {now} back to {goal}."]
    if now.is_pending:
        lines.append(
            f"It is stuck in {now.status}: Helm refuses every upgrade until a rollback, such as this, ends that."
        )
    lines += ground
    if choice.others:
        lines.append(f"It could go to these as well: {helm.listed(choice.others)}.")
    same = f"versions {now.version} and {goal.version} install the same: only what was changed since changes back"
    lines += [f"{line[:1].upper()}{line[1:]}." for line in helm.differences(now, goal) or [same]]
    hooks = helm.run_hooks(goal)
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
    if case.keep:
        undo = f"Undo brings {now.version} back, as a new version, and keeps the replicas too."
    if now.status not in helm.GOOD:
        undo = f"No undo: {now} was never in service. Deploy it anew."
    return (*lines, undo)


def _still(case: Case, kept: Sequence[Release], plan: Plan) -> Release:
    """What it goes back to. Raises `Moved` where it is not as the plan saw it."""
    count = str(status.wanted(case.thing))
    if count != plan.seen.get(_REPLICAS, count):
        raise Moved(f"replicas: {plan.seen[_REPLICAS]} -> {count}")
    newest = kept[-1] if kept else None
    if newest is None or (str(newest.version), newest.status) != (plan.seen[_VERSION], plan.seen[_STATUS]):
        raise Moved(f"the release is at {newest or 'no version'} now")
    goal = next((one for one in kept if str(one.version) == plan.seen[_GOAL]), None)
    if goal is None or goal.hash != plan.seen[_GOAL_MANIFEST]:
        raise Moved(f"Helm no longer keeps version {plan.seen[_GOAL]} as it was")
    return goal


def _made(kept: Sequence[Release], plan: Plan, goal: Release) -> Release | None:
    """The version that a rollback to `goal` has made after the plan's; None where there is none."""
    after = [one for one in kept if one.version == int(plan.seen[_VERSION]) + 1]
    return next((one for one in after if one.hash == goal.hash), None)


def _why(case: Case, goal: Release, made: Release, wrong: str) -> str:
    reason = pods.trouble_of(case.site.cluster, case.thing)
    stuck = ""
    if made.is_pending:
        again = helm_plan.until(made)
        stuck = (
            f" Version {made.version} is left {made.status}, in which Helm refuses every upgrade: ask for a rollback"
        )
        stuck += f"{again}, or run `{helm_plan.by_hand(case, goal.version)}` now."
    return f"Helm says: {wrong} {reason}".rstrip() + stuck


def _rolled_back(case: Case, plan: Plan, goal: Release, run: str, program: Helm) -> tuple[str, str]:
    """What Helm says went wrong, and why replicas that were to stay did not; "" for each where all is well."""
    site, patience = case.site, patience_for(case.thing)
    if plan.seen[_HANDED] == str(True):
        still = holding.given_up(site, site.workload, [("spec", "replicas")], run)
        if still:
            said = f"The bot could not give up its hold on the replicas, at which Helm would stop: {still}."
            raise Rejected(f"{said} Nothing was done. Ask again.", code="conflict", status=HTTPStatus.CONFLICT)
    case.tools.report(f"helm rolls back to version {goal.version}, for at most {spell(patience)}")
    force, owner = plan.seen[_FORCED] == str(True), case.owner
    change = partial(program.roll_back, owner.name, owner.namespace, goal.version, patience=patience, force=force)
    return keeping.kept(site, int(plan.seen[_REPLICAS]), run, change) if _REPLICAS in plan.seen else (change(), "")


def _look(case: Case) -> Callable[[Thing], Standing]:
    """How far the workload is, Helm having waited for it; a failure of the revision before does not count."""
    return lambda thing: replace(standing_of(case.site.workload.kind, thing), failed="")


def _done(case: Case, goal: Release, made: Release, why: str) -> Outcome:
    """Told by what is there: the version's number says what was asked of Helm, and not what became of it."""
    name, seen = case.owner.name, _compared(case, goal)
    left = {_MANIFEST: goal.hash, _CHART: goal.chart}
    if seen.unlike:
        half = f"Not as version {goal.version} has it: {'; '.join(seen.unlike)}."
        half += f" As that has it: {', '.join(seen.alike)}." if seen.alike else ""
        why = f"{why} {half}".strip()
        said = f"Release {name} is not back at version {goal.version}"
        said += f": version {made.version} is {made.status}, and half of it stands." if seen.alike else "."
    elif made.status in helm.GOOD:
        said = f"Release {name} is at version {made.version}, which is {goal.version} again ({goal.chart})."
    else:
        said = (
            f"Release {name} was given version {goal.version} again, as version {made.version}, which is {made.status}."
        )
    said += f" Not compared with what is there: {', '.join(seen.unseen)}." if seen.unseen else ""
    return Outcome(ended=Ended.DONE, said=said, unwell=why, left=left)


def _compared(case: Case, goal: Release) -> Compared:
    cluster, owner = case.site.cluster, case.owner
    try:
        objects = helm_objects.installed(cluster, goal, owner.namespace)
    except Rejected as refused:
        return Compared(unseen=(refused.said,))
    but = case.site.workload if case.keep else None
    return helm_objects.compared(cluster, objects, owner, but=but)
