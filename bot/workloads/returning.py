"""What all ways back to an older revision have in common: the plan's words, what must still hold, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from bot.acting import Moved
from bot.acts import Ended, Outcome, Plan
from bot.clusters import Access, Kind, Ref
from bot.ports import Rejected
from bot.sites import Site
from bot.workloads import holding, marks, templates
from bot.workloads.history import Choice, Revision, current
from bot.workloads.ways import Case

#: Names in `seen`. What a run leaves is the first, so that an undo over somebody's later change is refused.
TEMPLATE, _GOAL, _KEPT, _UID, _GIVES = "template", "goal", "kept", "uid", "gives up"
_WHERE = "/spec/template"
#: Of a template that its controller has made no revision of yet.
_NONE = "none"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def planned(case: Case, choice: Choice, more: Sequence[str]) -> Plan:
    """The plan of going from `choice.now` to `choice.goal`. `more`: what else is to be said, a sentence each."""
    site, now, back = case.site, choice.now, _kept(case, choice)
    return Plan(
        target=case.service,
        effect=(*_changes(case, choice), *more, *_left_alone(case, choice), *_held(case)),
        radius=f"all pods of {site.workload}",
        seen={
            TEMPLATE: now.hash if now else _NONE,
            _GOAL: choice.goal.hash,
            _KEPT: choice.goal.uid,
            _UID: case.thing["metadata"]["uid"],
            **({_GIVES: "yes"} if case.tools.undoes else {}),
        },
        private=(_KEPT, _UID, _GIVES),
        undo=f"rollback {case.service} to {back.hash}" if back else "",
        check=site.check,
        within=site.within,
    )


def still(case: Case, plan: Plan, revisions: Sequence[Revision]) -> Choice:
    """From where to where, as the plan had it. Raises `Moved` where that does not fit any more."""
    site, now = case.site, current(revisions, case.thing)
    if case.thing["metadata"]["uid"] != plan.seen[_UID]:
        raise Moved(f"{site.workload} was made anew")
    held = now.hash if now else _NONE
    if held != plan.seen[TEMPLATE]:
        raise Moved(f"{site.workload} went from {plan.seen[TEMPLATE]} to {held}")
    return Choice(now=now, goal=_goal(site, plan, revisions))


def give_up(case: Case, plan: Plan, run: str, ref: Ref | None = None, path: str = _WHERE) -> None:
    """After an undo was written: the bot holds nothing of the template any more. Where it goes on, nothing is lost."""
    if _GIVES in plan.seen:
        holding.given_up(case.site, ref or case.site.workload, [tuple(path.strip("/").split("/"))], run)


def over(site: Site, choice: Choice, why: str) -> Outcome:
    """It was done; `why`: why it does not hold, or ""."""
    goal = choice.goal
    said = f"{site.workload} {'was given' if why else 'runs'} {goal.hash} again, which was revision {goal.number}."
    return Outcome(ended=Ended.DONE, said=said, unwell=why, left={TEMPLATE: goal.hash})


def looked_for(case: Case, plan: Plan, run: str, revisions: Sequence[Revision]) -> Outcome:
    """Whether that run wrote it, by its marks; then by what stands there."""
    site, now = case.site, current(revisions, case.thing)
    if marks.written_by(case.thing, run):
        goal = plan.seen[_GOAL]
        return Outcome(ended=Ended.DONE, said=f"{site.workload} was given {goal} again.", left={TEMPLATE: goal})
    held = now.hash if now else _NONE
    if held == plan.seen[TEMPLATE]:
        return Outcome(ended=Ended.FAILED, said=f"{site.workload} is still at {held}. Nothing was changed.")
    said = f"{site.workload} is at {held}, and does not say who brought it there."
    return Outcome(ended=Ended.UNKNOWN, said=said)


def resumed(case: Case, plan: Plan, revisions: Sequence[Revision]) -> Choice | None:
    """From where to where a run has brought it, to be watched on; None: its template was changed again since."""
    now, seen = current(revisions, case.thing), plan.seen
    if now is None or now.hash != seen[_GOAL]:
        return None
    return Choice(now=next((one for one in revisions if one.hash == seen[TEMPLATE]), None), goal=now)


def changed_since(case: Case) -> str:
    """Who has given it another template since a run did: a sentence."""
    return f"Its template was changed since by {marks.whose(case.thing, 'spec', 'template')}."


def refuse_paused(case: Case) -> None:
    if case.thing["spec"].get("paused"):
        said = f"{case.site.workload} is paused, so nothing would come of it. Nothing was done."
        hint = f"`kubectl rollout resume deployment/{case.site.workload.name}` first."
        raise Rejected(f"{said} {hint}", code="paused", status=HTTPStatus.CONFLICT)


def _changes(case: Case, choice: Choice) -> tuple[str, ...]:
    site, now, goal = case.site, choice.now, choice.goal
    here = str(now) if now else "what no revision is kept of yet"
    template = case.thing["spec"]["template"]
    lines = [f"{site.workload} goes from {here} back to {goal}."]
    if now is not None and goal.made_at > now.made_at:
        lines.append("It is newer than what runs now: somebody has gone back from it before.")
    if choice.passed:
        numbers = ", ".join(str(one.number) for one in choice.passed)
        lines.append(f"Passed over, because it runs the same as now (a restart): revision {numbers}.")
    lines += [f"{line[:1].upper()}{line[1:]}." for line in templates.differences(template, goal.template)]
    if templates.runs_alike(template, goal.template):
        lines.append("Its containers run the same in both; what differs is elsewhere in the template.")
    return tuple(lines)


def _left_alone(case: Case, choice: Choice) -> tuple[str, ...]:
    """What does not go back with it."""
    lines = ["What its ConfigMaps and Secrets hold, and migrations of its database, stay as they are."]
    lines += [
        f"{kind.title} {name}, which it needs, is not there: its pods will not start."
        for kind, name in _missing(case.site, choice.goal)
    ]
    if _APPLIED in (case.thing["metadata"].get("annotations") or {}):
        lines.append(
            "It was made by `kubectl apply`, which still knows the newer version: the next one brings that back,"
            " and may leave pieces of this one in it."
        )
    back = _kept(case, choice)
    undo = "There is no undo: what it asks for now is kept nowhere else."
    if back is not None:
        undo = f"Undo brings {back.hash} back, whatever number it has by then."
    return (*lines, undo)


def _held(case: Case) -> tuple[str, ...]:
    """Who is told of a conflict by it: whoever keeps the template by server-side apply."""
    if case.tools.undoes:
        return (holding.GIVES_UP,)
    who = marks.appliers_of(case.thing, *_WHERE.strip("/").split("/"))
    if not who:
        return ()
    named = " and ".join(map(marks.called, who))
    return (
        f"{named} keeps it by server-side apply, and is told of a conflict until it forces that, or this is undone.",
    )


def _kept(case: Case, choice: Choice) -> Revision | None:
    """What an undo would find; with a limit of 0 the controller forgets a revision as soon as it has no pods."""
    return None if case.thing["spec"].get("revisionHistoryLimit") == 0 else choice.now


def _missing(site: Site, goal: Revision) -> list[tuple[Kind, str]]:
    """Of what it needs; of a kind that the bot may not read, nothing is said."""
    wanted = sorted(templates.needs(goal.template), key=lambda one: (one[0].title, one[1]))
    seen = {kind for kind in {kind for kind, _ in wanted} if site.cluster.allowed(_reading(site, kind))}
    refs = [Ref(kind=kind, namespace=site.workload.namespace, name=name) for kind, name in wanted if kind in seen]
    return [(ref.kind, ref.name) for ref in refs if site.cluster.get(ref) is None]


def _reading(site: Site, kind: Kind) -> Access:
    return Access(verb="get", group=kind.group, resource=kind.plural, namespace=site.workload.namespace)


def _goal(site: Site, plan: Plan, revisions: Sequence[Revision]) -> Revision:
    found = next((one for one in revisions if one.uid == plan.seen[_KEPT]), None)
    if found is None:
        raise Moved(f"{site.workload} no longer keeps {plan.seen[_GOAL]}")
    return found
