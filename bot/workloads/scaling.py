"""Scaling, from the look at the world to the watch over what came of it: what `commands/scale.py` is made of.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#scaling-a-deployment
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from bot.acting import Moved, Tools
from bot.acts import Ended, Outcome, Plan
from bot.clusters import How, Ref, Thing
from bot.kinds import spell
from bot.ports import Rejected
from bot.sites import Site
from bot.workloads import (
    autoscalers,
    fitting,
    gitops,
    guards,
    handing_over,
    holding,
    kinds,
    levers,
    marks,
    place,
    status,
)
from bot.workloads.autoscalers import Autoscaler
from bot.workloads.handing_over import BY, HANDED, UID, spelled
from bot.workloads.levers import LEVERS, Lever
from bot.workloads.moves import Move, Wish, move_of, reverse_of, settled
from bot.workloads.owners import owner_of
from bot.workloads.scaled import Scaled, as_it_stands, taken_back
from bot.workloads.watching import watched
from bot.workloads.ways import WAY, chosen

_SCALABLE = (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)
#: What is noted for the watch: the phase that a Rollout had before.
_PHASE = "phase"
#: Whoever refuses a dry run with these refuses the write as well, whatever the status is.
_SAYS_NO = ("denied", "unasked")
_NOTHING = " Nothing was done."
_GIVES = "gives up"  #: in `seen` of an undo: whether the bot gives up the fields that it holds


def plan(wish: Wish, held: timedelta, tools: Tools) -> Plan:
    """Looks at everything that would be in the way of it, or fight it."""
    site = place.site_of(tools, wish.service)
    guards.check_wish(wish, site)
    workload, auto = _to_scale(site)
    handed = handing_over.plan(wish.service, workload, auto) if tools.undoes else None
    if handed is not None:
        return handed
    move = move_of(wish, site.workload, workload, auto)
    _check_move(move, wish, site, workload)
    mine = workload if move.lever.kind is None or auto is None else auto.thing
    fixed = _why_no_way_back(move, site, workload)
    dark = site.production and move.new == 0 < move.old  # A click is too little for that, and one person.
    if fixed and held:
        raise _for_ever(fixed, held)
    fights = _fights(move, site, mine)
    around = fitting.look_around(move, workload, site, tools)
    return Plan(
        target=wish.service,
        effect=(
            *move.effect,
            *fights,
            *holding.words(site, move.ref, mine, move.changed, undoing=bool(tools.undoes)),
            *guards.cautions(move, site.workload, workload, site),
            *around,
            *_tried(move, site),
            *((f"Nothing undoes it: {fixed}",) if fixed else ()),
        ),
        radius=_radius(move, site),
        seen=_seen(move, mine) | ({_GIVES: "yes"} if tools.undoes and holding.may_give_up(site, move.ref) else {}),
        private=(WAY, UID, _GIVES),
        undo="" if fixed else str(move.back),
        check=site.check if move.new else "",  # What is at 0 on purpose is not well, and must not be undone for that.
        within=site.within if site.check and move.new else timedelta(0),
        lasts=held,
        typed=wish.service if dark else "",
        others=1 if dark else 0,
    )


def _to_scale(site: Site) -> tuple[Thing, Autoscaler | None]:
    """The workload and who scales it by itself. Raises `Rejected` where neither may be scaled as it stands."""
    workload = place.workload_of(site, *_SCALABLE)
    place.check_stays(site, workload)
    auto = autoscalers.autoscaler_of(site.cluster, site.workload)
    if auto is not None:
        place.check_not_going(auto.ref, auto.thing)
    _check_workload(site, workload)
    return workload, auto


def _seen(move: Move, mine: Thing) -> dict[str, str]:
    by = {BY: move.ref.name} if move.lever.kind else {}
    return {WAY: move.lever.way, UID: mine["metadata"]["uid"], **by, **move.before}


def run(wish: Wish, plan: Plan, run: str, tools: Tools) -> Outcome:
    """One write, if everything is as the plan saw it; then a watch over it."""
    site, lever, ref = _meant(wish, plan, tools)
    workload = place.workload_of(site)
    place.check_stays(site, workload)
    held = site.cluster.get(ref, lever.sub)
    if held is None:
        raise Moved(f"{ref} is gone")
    place.check_not_going(ref, held)
    if held["metadata"]["uid"] != plan.seen[UID]:
        raise Moved(f"{ref} was deleted and made anew")
    now = lever.read(held)
    moved = [f"{name}: {plan.seen[name]} -> {value}" for name, value in now.items() if value != plan.seen[name]]
    if moved:
        raise Moved("; ".join(moved))
    if HANDED in plan.seen:
        return handing_over.run(site, lever, ref, plan, run)
    after = settled(wish, now)
    phase = str((workload.get("status") or {}).get("phase", ""))
    off = lever is levers.HPA and _is_off(workload, held)
    tools.note({_PHASE: phase})
    site.cluster.patch(ref, lever.steps(held, after, run), how=How.STEPS, by=marks.manager(run), sub=lever.sub)
    still = holding.given_up(site, ref, lever.paths, run) if _GIVES in plan.seen else ""
    look = Scaled(site=site, lever=lever, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    why = watched(site, tools, look, patience=_patience(site, workload, after))
    kept = f" The bot still holds its fields: {still}." if still else ""
    said = f"{_said(wish, after)}{as_it_stands(site, lever, ref, wish.count)}{kept}"
    return Outcome(ended=Ended.DONE, said=said, unwell=why, left=after)


def probe(wish: Wish, plan: Plan, run: str, tools: Tools) -> Outcome:
    """Whether that run wrote what it was to write, by what it left and by the values; then the watch goes on."""
    site, lever, ref = _meant(wish, plan, tools)
    held = site.cluster.get(ref)
    if held is None or held["metadata"]["uid"] != plan.seen[UID]:
        return Outcome(ended=Ended.UNKNOWN, said=f"{ref} is gone, so that nobody can see whether it was scaled.")
    if HANDED in plan.seen:
        return handing_over.probe(lever, held, plan)
    before = {one.name: plan.seen[one.name] for one in lever.values}
    after, now = settled(wish, before), lever.read(held)
    if marks.written_by(held, run):
        why = taken_back(lever, held, after) or _watched_on(site, tools, lever=lever, ref=ref, after=after, held=held)
        still = _GIVES in plan.seen and holding.holds(held, lever.paths)
        kept = " The bot still holds its fields: its process ended before it gave them up." if still else ""
        return Outcome(ended=Ended.DONE, said=f"{_said(wish, after)}{kept}", unwell=why, left=after)
    if now == before:
        return Outcome(ended=Ended.FAILED, said=f"{wish.service} is as it was: never changed, or back at once.")
    said = f"{wish.service} is neither as it was nor bears the mark of this run: {spelled(now)}."
    return Outcome(ended=Ended.UNKNOWN, said=said)


def _watched_on(site: Site, tools: Tools, *, lever: Lever, ref: Ref, after: dict[str, str], held: Thing) -> str:
    """As `run` would have watched it. `held`: what it wrote to."""
    workload = site.cluster.get(site.workload)
    if workload is None:
        return f"{site.workload} is gone."
    phase, off = tools.noted.get(_PHASE, ""), lever is levers.HPA and _is_off(workload, held)
    look = Scaled(site=site, lever=lever, ref=ref, after=after, phase=phase, elapsed=tools.elapsed, off=off)
    return watched(site, tools, look, patience=_patience(site, workload, after))


def _meant(wish: Wish, plan: Plan, tools: Tools) -> tuple[Site, Lever, Ref]:
    """What the plan's lever is, and the object that it is of."""
    site = place.site_of(tools, wish.service)
    lever = chosen(LEVERS, plan)
    return site, lever, lever.ref(site, plan.seen.get(BY, ""))


def _check_workload(site: Site, workload: Thing) -> None:
    ref = site.workload
    rollouts = site.cluster.find(kinds.ROLLOUT, ref.namespace) if ref.kind == kinds.DEPLOYMENT else ()
    guards.check_workload(ref, workload, owner_of(workload, ref), rollouts)


def _check_move(move: Move, wish: Wish, site: Site, workload: Thing) -> None:
    guards.check_bounds(move, site)
    guards.check_step(move, wish, site)
    guards.check_data(move, site.workload, workload, site)
    guards.check_connections(move, site)
    place.check_rights(site, [place.changing(move.ref, move.lever.sub)])


def _fights(move: Move, site: Site, held: Thing) -> tuple[str, ...]:
    """Who sets it back some day: a sentence each. Raises `Rejected` where that is at once. `held`: what is written."""
    owner = owner_of(held, move.ref)
    said: list[str] = []
    for one in move.changed:
        fight = gitops.fight_over(site, held, owner, one.pointer, ref=move.ref)
        if fight is not None and fight.refuse:
            raise Rejected(fight.refusal, code="taken_back", status=409)
        if fight is not None:
            said.append(f"{fight.said} {fight.todo}".rstrip())
    return tuple(dict.fromkeys(said))


def _tried(move: Move, site: Site) -> tuple[str, ...]:
    """The write as the API server would take it: admission and validation say no here, and not after the yes."""
    held = site.cluster.get(move.ref, move.lever.sub)
    if held is None:
        raise Rejected(f"{move.ref} is gone. Nothing was done.", code="gone", status=409)
    steps = move.lever.steps(held, move.after, "")
    try:
        site.cluster.patch(move.ref, steps, how=How.STEPS, by=marks.manager(""), sub=move.lever.sub, dry=True)
    except Moved as moved:
        said = f"{move.ref} changed while it was looked at: {moved.said}. Nothing was done. Ask again."
        raise Rejected(said, code="moved", status=409) from None
    except Rejected as refused:
        if refused.code == "no_dry_run":
            return (f"Only the write itself will tell whether it is taken. {refused.said.partition(_NOTHING)[0]}",)
        if refused.code in _SAYS_NO or refused.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return ("Whether the cluster would take it is not known: it did not answer a dry run.",)
    return ()


def _why_no_way_back(move: Move, site: Site, workload: Thing) -> str:
    """Why the words that would undo it would be refused: a sentence; "" where they would be taken."""
    if move.back is None:
        return f"what is there now, {spelled(move.before)}, can't be said in words of this command."
    back = reverse_of(move)
    try:
        guards.check_wish(move.back, site)
        guards.check_bounds(back, site)
        guards.check_step(back, move.back, site)
        guards.check_data(back, site.workload, workload, site)
    except Rejected as refused:
        return refused.said.partition(_NOTHING)[0]
    return ""


def _patience(site: Site, workload: Thing, after: Mapping[str, str]) -> timedelta:
    """A StatefulSet makes and takes away its pods one after the other."""
    if site.workload.kind != kinds.STATEFULSET:
        return status.patience_for(workload)
    goal = int(after.get("replicas") or after["floor"])
    return status.patience_for(workload, in_line=abs(goal - status.wanted(workload)))


def _for_ever(fixed: str, held: timedelta) -> Rejected:
    said = f"It cannot be for {spell(held)} only, because nothing would undo it: {fixed} Nothing was done."
    return Rejected(said, code="no_way_back", status=409)


def _is_off(workload: Thing, held: Thing) -> bool:
    """Whether that HPA is switched off by a workload of no replicas."""
    found = autoscalers.hpa(held, held["metadata"]["namespace"])
    return status.wanted(workload) == 0 and found.pauses_at_zero


def _radius(move: Move, site: Site) -> str:
    pods = f"{site.workload} on cluster {site.cluster.name}"
    if not move.forced:
        return f"the bounds of {move.ref}, and through them the pods of {pods}"
    change = move.new - move.old
    count = f"{abs(change)} pod{'' if abs(change) == 1 else 's'} {'more' if change > 0 else 'fewer'}" if change else ""
    return f"{count or 'no pod at once'}, of {pods}"


def _said(wish: Wish, after: Mapping[str, str]) -> str:
    if "replicas" in after:
        return f"{wish.service} is scaled to {after['replicas']}."
    if after.get("paused", levers.ABSENT) != levers.ABSENT:
        return f"{wish.service} is paused at {after['paused']}."
    return f"{wish.service} is kept between {after['floor']} and {after['ceiling']}."
