"""Promote, abort, retry, pause, resume: what each tells beforehand, writes, waits for, and how a run is found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from bot.core.action import Tools
from bot.core.errors import Conflict
from bot.core.kubernetes import KubernetesObject
from bot.core.plan import Outcome, Plan, Result
from bot.workloads.argo_rollouts import transitions, write
from bot.workloads.argo_rollouts.describe import describe_steps, progress, waiting_for
from bot.workloads.argo_rollouts.transitions import RolloutWrite
from bot.workloads.argo_rollouts.wait import until_back_on_stable, until_next_stop, until_promoted
from bot.workloads.argo_rollouts.write import Decide, Observation
from bot.workloads.objects import kinds
from bot.workloads.objects import target as place
from bot.workloads.objects.argo_rollout import INCONCLUSIVE, Rollout, read
from bot.workloads.objects.owners import ManagedBy, owner_of
from bot.workloads.objects.status import WorkloadStatus
from bot.workloads.objects.wait import ProgressCheck

#: What is noted for the watch: the step from which it goes on.
_START = "start"
#: How often a write is tried where somebody else wrote after the look, so that nothing was done: its controller does,
#: several times a second while pods come and go. Before each try the plan's facts are compared anew.
_TRIES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutVerb:
    """What one of them does to a Rollout."""

    decide: Decide
    effect: Callable[
        [Observation, RolloutWrite], tuple[str, ...]
    ]  #: sentences that read no clock and no number of pods
    watch: Callable[[Observation, RolloutWrite], ProgressCheck]
    undo: Callable[[Observation, RolloutWrite], str]  #: the words that bring it back
    said: Callable[[Observation, Rollout], str]  #: what has become of it, once it holds
    after: Callable[[Plan, Rollout, datetime], bool]  #: whether only a run of this can have brought it there
    minds: tuple[str, ...] = ()  #: of the facts those that must still hold; all, where none is named
    checked: bool = True  #: whether the service's check is held, and this undone where it fails
    typed: bool = False  #: grave: a second person, and the name typed

    def plan(self, look: Observation) -> Plan:
        place.check_not_deleting(look.site, look.thing)
        change = self.decide(look.context)
        write.check_rights(look, change)
        target = look.site
        grave = self.typed or change.skips is not None
        return Plan(
            target=target.service,
            effect=self.effect(look, change),
            blast_radius=look.radius,
            preconditions={name: value for name, value in look.facts.items() if name in (self.minds or look.facts)},
            hidden=write.PRIVATE,
            undo_command=self.undo(look, change),
            check=target.check if self.checked else "",
            check_duration=target.check_duration if self.checked else timedelta(0),
            approvals_needed=1 if grave else 0,
            confirm_name=look.rollout.name if self.typed else "",
        )

    def run(self, look: Observation, plan: Plan, run: str, tools: Tools) -> Outcome:
        for tried in count(1):
            place.check_not_deleting(look.site, look.thing)
            change = write.decide_again(look, plan, self.decide)
            analysis = look.rollout.analysis("step")
            tools.remember({_START: str(change.start), write.STEP_ANALYSIS: analysis.name if analysis else ""})
            try:
                write.write(look, change, run)
                break
            except Conflict:
                if tried == _TRIES:
                    raise
            look = write.observation_of(look.site, place.workload_of(look.site, kinds.ROLLOUT))
        return self._watched(look, change, tools)

    def probe(self, look: Observation, plan: Plan, run: str, tools: Tools) -> Outcome:
        found, rollout = write.find_traces(look, plan, run), look.rollout
        if found is Result.FAILED:
            return Outcome(result=found, message="The Rollout is as the plan saw it. Nothing was changed.")
        alone = plan.preconditions.get("template") == rollout.current and self.after(plan, rollout, tools.now())
        if found is None and not alone:
            return write.unknown(look)
        start = int(tools.remembered.get(_START, plan.preconditions.get("step", rollout.step)))
        return self._watched(write.as_planned(look, plan, tools.remembered), RolloutWrite(start=start), tools)

    def _watched(self, look: Observation, change: RolloutWrite, tools: Tools) -> Outcome:
        """`look`: how it was before the write."""
        reason = write.wait(look, tools, self.watch(look, change))
        message = write.afterwards(
            look.site,
            lambda now: f"It was done, and does not hold. {progress(now)}" if reason else self.said(look, now),
        )
        return Outcome(
            result=Result.DONE, message=message, degraded=reason, expected_state={"template": look.rollout.current}
        )


def _on(look: Observation, change: RolloutWrite) -> tuple[str, ...]:
    """One step: what is left, where it stops next."""
    now = look.rollout
    lines = [f"Rollout {now.name}: {progress(now)} {waiting_for(now)}".strip()]
    if change.skips is not None:
        lines.append(f"Nobody waits any more for its analysis {change.skips.name} ({change.skips.phase}).")
    elif now.paused_for(INCONCLUSIVE):
        lines.append("Its analysis, which could not tell, is made anew.")
    lines.append(_on_to(now, change.start))
    lines.append(_way_back(look, change))
    return tuple(lines)


def _on_to(now: Rollout, start: int) -> str:
    if not now.canary:
        return f"{now.current} gets all traffic at once; what had it stays for a while."
    halt = now.halt_from(start)
    if halt == len(now.steps):
        between = f"{describe_steps(now, start, halt)}, then " if start < halt else ""
        return f"It goes on to its end: {between}all traffic for {now.current}, which is stable from then on."
    between = f"{describe_steps(now, start, halt)}, and " if start < halt else ""
    return (
        f"It goes on: {between}stops again at step {halt + 1} of {len(now.steps)} "
        f"({describe_steps(now, halt, halt + 1)})."
    )


def _way_back(look: Observation, change: RolloutWrite) -> str:
    words = _undo_of_on(look, change)
    if words.startswith("abort"):
        return f"`{words}` takes {look.rollout.current} out again."
    return f"`{words}` goes back, as a new rollout with all its steps unless Argo Rollouts may skip them."


def _undo_of_on(look: Observation, change: RolloutWrite) -> str:
    now = look.rollout
    ends = not now.canary or now.halt_from(change.start) == len(now.steps)
    return f"rollback {look.site.service} to {now.stable}" if ends else f"abort {look.site.service}"


def _moved_on(plan: Plan, now: Rollout, at: datetime) -> bool:
    """Its pause is gone, or it is further, and no time can have done that."""
    further = now.promoted or now.step > int(plan.preconditions["step"]) or now.unpausing
    return further and not now.aborted and _waited(plan, at)


def _ended(plan: Plan, now: Rollout, at: datetime) -> bool:
    """It is stable, and no time can have done that."""
    return now.promoted and _waited(plan, at)


def _waited(plan: Plan, at: datetime) -> bool:
    """Whether it would still stand as the plan saw it. What only goes on, by its analysis or its pods, gets further."""
    ends = plan.preconditions["ends"]
    stood = plan.preconditions["pauses"] != "none" or plan.preconditions["aborted"] == "yes"
    return stood and (not ends or at < datetime.fromisoformat(ends))


def _never(_: Plan, __: Rollout, ___: datetime) -> bool:
    """Its write leaves a mark, so that what bears none is somebody else's."""
    return False


def _all(look: Observation, change: RolloutWrite) -> tuple[str, ...]:
    now = look.rollout
    lines = [f"Rollout {now.name}: {progress(now)}"]
    rest = now.steps[now.step :]
    if now.canary and rest:
        lines.append(f"All {len(rest)} steps that are left are skipped, with their pauses and analyses.")
    else:
        lines.append("All pauses and analyses that are left are skipped.")
    if change.skips is not None:
        lines.append(f"Its analysis {change.skips.name} ({change.skips.phase}) is cancelled.")
    if now.aborted:
        lines.append("That it was aborted is forgotten by this.")
    lines.append(f"{now.current} gets all traffic once all of its pods are available, and is stable then.")
    lines.append(f"`rollback {look.site.service} to {now.stable}` goes back, as a rollout of its own.")
    return tuple(lines)


def _course(now: Rollout) -> str:
    """What it does, without how far it is: that goes on while somebody reads it, and changes nothing of the wish."""
    if now.promoted or now.aborted or not now.stable:
        return f"Rollout {now.name}: {progress(now)}"
    return f"Rollout {now.name} is on its way from {now.stable} to {now.current}."


def _given_up(look: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = look.rollout
    lines = [
        _course(now),
        f"{now.current} is given up: all traffic goes back to {now.stable}, which is scaled up for it.",
        f"Its template keeps {now.current}, so that Argo Rollouts calls it degraded, and Argo CD with it.",
        f"`rollback {look.site.service}`, or a change where the template comes from, ends that.",
        f"`retry {look.site.service}` tries {now.current} again from its first step.",
    ]
    return tuple(lines)


def _again(look: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = look.rollout
    return (
        f"Rollout {now.name} was aborted: {now.message or 'it does not say why'}.",
        f"The same version, {now.current}, is tried again from its first step.",
        _on_to(now, 0),
        f"`abort {look.site.service}` takes it out again.",
    )


def _halted(look: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = look.rollout
    lines = [
        _course(now),
        "It stands still from then on: no step, no scaling by hand or by an autoscaler, no abort.",
        f"`resume {look.site.service}` lets it go on.",
    ]
    owner = owner_of(look.thing, look.site.workload)
    if owner.by in (ManagedBy.ARGOCD, ManagedBy.FLUX):
        lines.insert(2, f"It is kept by {owner}, which may take that back.")
    return tuple(lines)


def _let_go(look: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = look.rollout
    goes_on = waiting_for(_unhalted(now)) or "It goes on at once."
    return (f"Rollout {now.name} is paused by hand. {progress(now)}", goes_on, f"`pause {look.site.service}` halts it.")


def _unhalted(now: Rollout) -> Rollout:
    return replace(now, halted=False)


def _until_halted(*, halted: bool) -> ProgressCheck:
    """Until its controller has seen that."""

    def seen(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        if now.halted is not halted:
            return WorkloadStatus(message="taken back", failed="Somebody has taken that back.")
        return WorkloadStatus(message=f"{now.phase}, {now.message}".rstrip(", "), done=now.observed)

    return seen


#: What must still hold of something on its way that is to be stopped there, however far it is by then.
_COURSE = ("uid", "template", "stable", "paused", "aborted")

PROMOTE = RolloutVerb(
    decide=transitions.promotion,
    effect=_on,
    watch=lambda look, change: until_next_stop(look.site, look.rollout, change.start),
    undo=_undo_of_on,
    said=lambda _, now: f"Promoted. {progress(now)} {waiting_for(now)}".strip(),
    after=_moved_on,
)
FULL = RolloutVerb(
    decide=transitions.full,
    effect=_all,
    watch=lambda look, _: until_promoted(look.site, look.rollout),
    undo=lambda look, _: f"rollback {look.site.service} to {look.rollout.stable}",
    said=lambda _, now: f"Promoted in full. {progress(now)}",
    after=_ended,
    typed=True,
)
ABORT = RolloutVerb(
    decide=transitions.abort,
    effect=_given_up,
    watch=lambda look, _: until_back_on_stable(look.site, look.rollout),
    undo=lambda look, _: f"retry {look.site.service}",
    said=lambda look, now: f"Aborted. {progress(now)} `rollback {look.site.service}` ends that it is called degraded.",
    after=_never,
    minds=_COURSE,
    checked=False,
)
RETRY = RolloutVerb(
    decide=transitions.retry,
    effect=_again,
    watch=lambda look, _: until_next_stop(look.site, look.rollout, 0),
    undo=lambda look, _: f"abort {look.site.service}",
    said=lambda _, now: f"Tried again. {progress(now)} {waiting_for(now)}".strip(),
    after=_never,
)
PAUSE = RolloutVerb(
    decide=transitions.pause,
    effect=_halted,
    watch=lambda _, __: _until_halted(halted=True),
    undo=lambda look, _: f"resume {look.site.service}",
    said=lambda _, now: f"Paused by hand. {progress(now)}",
    after=_never,
    minds=_COURSE,
    checked=False,
)
RESUME = RolloutVerb(
    decide=transitions.resume,
    effect=_let_go,
    watch=lambda _, __: _until_halted(halted=False),
    undo=lambda look, _: f"pause {look.site.service}",
    said=lambda _, now: f"Resumed. {progress(now)} {waiting_for(now)}".strip(),
    after=_never,
    checked=False,
)
