"""Promote, abort, retry, pause and resume: each one's plan, write and wait, and how its run is recognised later."""

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
from bot.workloads.objects import target as targets
from bot.workloads.objects.argo_rollout import INCONCLUSIVE, Rollout, read
from bot.workloads.objects.owners import ManagedBy, owner_of
from bot.workloads.objects.status import WorkloadStatus
from bot.workloads.objects.wait import ProgressCheck

#: Remembered for the wait: the step from which it continues.
_START = "start"
#: How often a write is tried where somebody else wrote in between, so that nothing was done: its controller
#: writes several times a second while pods come and go. Before each try the plan's facts are compared anew.
_TRIES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutVerb:
    """What one of the verbs does to a Rollout."""

    decide: Decide
    effect: Callable[
        [Observation, RolloutWrite], tuple[str, ...]
    ]  #: sentences without times and numbers of pods, which would make another plan each time
    progress_check: Callable[[Observation, RolloutWrite], ProgressCheck]
    undo: Callable[[Observation, RolloutWrite], str]  #: the command that undoes it
    message: Callable[[Observation, Rollout], str]  #: the result, once it is ready
    proves_run: Callable[[Plan, Rollout, datetime], bool]  #: whether only this run can have had that effect
    guarded: tuple[str, ...] = ()  #: the facts that must still hold when it runs; all if none is named
    checked: bool = True  #: whether the service's check is watched, and this undone if it fails
    confirm_by_name: bool = False  #: needs a second person, and the name typed

    def plan(self, observation: Observation) -> Plan:
        targets.check_not_deleting(observation.site, observation.thing)
        change = self.decide(observation.context)
        write.check_rights(observation, change)
        target = observation.site
        grave = self.confirm_by_name or change.skips is not None
        return Plan(
            target=target.service,
            effect=self.effect(observation, change),
            blast_radius=observation.radius,
            preconditions={
                name: value for name, value in observation.facts.items() if name in (self.guarded or observation.facts)
            },
            hidden=write.PRIVATE,
            undo_command=self.undo(observation, change),
            check=target.check if self.checked else "",
            check_duration=target.check_duration if self.checked else timedelta(0),
            approvals_needed=1 if grave else 0,
            confirm_name=observation.rollout.name if self.confirm_by_name else "",
        )

    def run(self, observation: Observation, plan: Plan, run: str, tools: Tools) -> Outcome:
        for tried in count(1):
            targets.check_not_deleting(observation.site, observation.thing)
            change = write.decide_again(observation, plan, self.decide)
            analysis = observation.rollout.analysis("step")
            tools.remember({_START: str(change.start), write.STEP_ANALYSIS: analysis.name if analysis else ""})
            try:
                write.write(observation, change, run)
                break
            except Conflict:
                if tried == _TRIES:
                    raise
            observation = write.observation_of(observation.site, targets.workload_of(observation.site, kinds.ROLLOUT))
        return self._wait(observation, change, tools)

    def probe(self, observation: Observation, plan: Plan, run: str, tools: Tools) -> Outcome:
        found, rollout = write.find_traces(observation, plan, run), observation.rollout
        if found is Result.FAILED:
            return Outcome(result=found, message="The Rollout is as the plan saw it. Nothing was changed.")
        alone = plan.preconditions.get("template") == rollout.current and self.proves_run(plan, rollout, tools.now())
        if found is None and not alone:
            return write.unknown(observation)
        start = int(tools.remembered.get(_START, plan.preconditions.get("step", rollout.step)))
        return self._wait(write.as_planned(observation, plan, tools.remembered), RolloutWrite(start=start), tools)

    def _wait(self, observation: Observation, change: RolloutWrite, tools: Tools) -> Outcome:
        """`observation`: how it was before the write."""
        reason = write.wait(observation, tools, self.progress_check(observation, change))
        message = write.afterwards(
            observation.site,
            lambda now: f"Done, but not as planned. {progress(now)}" if reason else self.message(observation, now),
        )
        return Outcome(
            result=Result.DONE,
            message=message,
            degraded=reason,
            expected_state={"template": observation.rollout.current},
        )


def _on(observation: Observation, change: RolloutWrite) -> tuple[str, ...]:
    """The effect of one step: the way back, what is skipped, the next stop."""
    now = observation.rollout
    lines = [f"Rollout {now.name}: {_on_to(now, change.start)}", _way_back(observation, change)]
    if change.skips is not None:
        lines.append(f"Its analysis {change.skips.name} ({change.skips.phase}) is not waited for any more.")
    elif now.paused_for(INCONCLUSIVE):
        lines.append("Its inconclusive analysis runs anew.")
    lines.append(f"Now: {progress(now)} {waiting_for(now)}".strip())
    return tuple(lines)


def _on_to(now: Rollout, start: int) -> str:
    if not now.canary:
        return f"{now.current} gets all traffic at once; the pods of {now.stable} stay for a while."
    halt = now.halt_from(start)
    if halt == len(now.steps):
        between = f"{describe_steps(now, start, halt)}, then " if start < halt else ""
        return f"it continues to its end: {between}all traffic for {now.current}, which is stable from then on."
    between = f"{describe_steps(now, start, halt)}, and " if start < halt else ""
    return (
        f"it continues: {between}stops again at step {halt + 1} of {len(now.steps)} "
        f"({describe_steps(now, halt, halt + 1)})."
    )


def _way_back(observation: Observation, change: RolloutWrite) -> str:
    words = _undo_of_on(observation, change)
    if words.startswith("abort"):
        return f"Undo: `{words}` takes {observation.rollout.current} out again."
    return f"Undo: `{words}`, a new rollout with all its steps unless Argo Rollouts may skip them."


def _undo_of_on(observation: Observation, change: RolloutWrite) -> str:
    now = observation.rollout
    ends = not now.canary or now.halt_from(change.start) == len(now.steps)
    return f"rollback {observation.site.service} to {now.stable}" if ends else f"abort {observation.site.service}"


def _moved_on(plan: Plan, now: Rollout, at: datetime) -> bool:
    """Its pause is gone, or it is further, and no time can have done that."""
    further = now.promoted or now.step > int(plan.preconditions["step"]) or now.unpausing
    return further and not now.aborted and _waited(plan, at)


def _ended(plan: Plan, now: Rollout, at: datetime) -> bool:
    """It is stable, and no time can have done that."""
    return now.promoted and _waited(plan, at)


def _waited(plan: Plan, at: datetime) -> bool:
    """Whether it would still be as the plan saw it. Without a wait a rollout progresses by its analysis or its pods."""
    ends = plan.preconditions["ends"]
    stood = plan.preconditions["pauses"] != "none" or plan.preconditions["aborted"] == "yes"
    return stood and (not ends or at < datetime.fromisoformat(ends))


def _never(_: Plan, __: Rollout, ___: datetime) -> bool:
    """The write leaves a mark, so a state without the mark is somebody else's."""
    return False


def _all(observation: Observation, change: RolloutWrite) -> tuple[str, ...]:
    now = observation.rollout
    lines = [
        f"Rollout {now.name}: {now.current} gets all traffic once all of its pods are available, and is stable then.",
        f"Undo: `rollback {observation.site.service} to {now.stable}`, a rollout of its own.",
    ]
    rest = now.steps[now.step :]
    if now.canary and rest:
        lines.append(f"Skipped: the {len(rest)} steps that are left, with their pauses and analyses.")
    else:
        lines.append("Skipped: all pauses and analyses that are left.")
    if change.skips is not None:
        lines.append(f"Its analysis {change.skips.name} ({change.skips.phase}) is cancelled.")
    if now.aborted:
        lines.append("Its abort is revoked.")
    lines.append(f"Now: {progress(now)}")
    return tuple(lines)


def _course(now: Rollout) -> str:
    """Its direction, without its progress: that changes while somebody reads the plan, and does not matter to it."""
    if now.promoted or now.aborted or not now.stable:
        return f"Now: {progress(now)}"
    return f"Now: it is on its way from {now.stable} to {now.current}."


def _given_up(observation: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = observation.rollout
    return (
        f"Rollout {now.name}: all traffic goes back from {now.current} to {now.stable}, which is scaled up for it.",
        f"Undo: `retry {observation.site.service}` tries {now.current} again from its first step.",
        f"The template stays at {now.current}, so Argo Rollouts and Argo CD show it as degraded.",
        f"To end that: `rollback {observation.site.service}`, or change the template at its source.",
        _course(now),
    )


def _again(observation: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = observation.rollout
    return (
        f"Rollout {now.name}: the aborted version {now.current} is tried again from its first step.",
        f"Undo: `abort {observation.site.service}` takes it out again.",
        f"From there {_on_to(now, 0)}",
        f"Reason of its abort: {now.message or 'not given'}.",
    )


def _halted(observation: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = observation.rollout
    lines = [
        f"Rollout {now.name} stops: no step, no scaling by hand or by an autoscaler, no abort.",
        f"Undo: `resume {observation.site.service}` lets it continue.",
    ]
    owner = owner_of(observation.thing, observation.site.workload)
    if owner.by in (ManagedBy.ARGOCD, ManagedBy.FLUX):
        lines.append(f"It is managed by {owner}, which may revert that.")
    return (*lines, _course(now))


def _let_go(observation: Observation, _: RolloutWrite) -> tuple[str, ...]:
    now = observation.rollout
    return (
        f"Rollout {now.name} continues. {waiting_for(_unhalted(now)) or 'It continues at once.'}",
        f"Undo: `pause {observation.site.service}`.",
        f"Now: it is paused by hand. {progress(now)}",
    )


def _unhalted(now: Rollout) -> Rollout:
    return replace(now, halted=False)


def _until_halted(*, halted: bool) -> ProgressCheck:
    """Until its controller has seen the pause, or the end of it."""

    def seen(thing: KubernetesObject) -> WorkloadStatus:
        now = read(thing)
        if now.halted is not halted:
            return WorkloadStatus(message="reverted", failed="Somebody has reverted that.")
        return WorkloadStatus(message=f"{now.phase}, {now.message}".rstrip(", "), done=now.observed)

    return seen


#: The facts that must still hold to stop a rollout; its progress is not among them.
_COURSE = ("uid", "template", "stable", "paused", "aborted")

PROMOTE = RolloutVerb(
    decide=transitions.promotion,
    effect=_on,
    progress_check=lambda observation, change: until_next_stop(observation.site, observation.rollout, change.start),
    undo=_undo_of_on,
    message=lambda _, now: f"Promoted. {progress(now)} {waiting_for(now)}".strip(),
    proves_run=_moved_on,
)
FULL = RolloutVerb(
    decide=transitions.full,
    effect=_all,
    progress_check=lambda observation, _: until_promoted(observation.site, observation.rollout),
    undo=lambda observation, _: f"rollback {observation.site.service} to {observation.rollout.stable}",
    message=lambda _, now: f"Promoted in full. {progress(now)}",
    proves_run=_ended,
    confirm_by_name=True,
)
ABORT = RolloutVerb(
    decide=transitions.abort,
    effect=_given_up,
    progress_check=lambda observation, _: until_back_on_stable(observation.site, observation.rollout),
    undo=lambda observation, _: f"retry {observation.site.service}",
    message=lambda observation, now: (
        f"Aborted. {progress(now)} `rollback {observation.site.service}` ends the degraded state."
    ),
    proves_run=_never,
    guarded=_COURSE,
    checked=False,
)
RETRY = RolloutVerb(
    decide=transitions.retry,
    effect=_again,
    progress_check=lambda observation, _: until_next_stop(observation.site, observation.rollout, 0),
    undo=lambda observation, _: f"abort {observation.site.service}",
    message=lambda _, now: f"Tried again. {progress(now)} {waiting_for(now)}".strip(),
    proves_run=_never,
)
PAUSE = RolloutVerb(
    decide=transitions.pause,
    effect=_halted,
    progress_check=lambda _, __: _until_halted(halted=True),
    undo=lambda observation, _: f"resume {observation.site.service}",
    message=lambda _, now: f"Paused by hand. {progress(now)}",
    proves_run=_never,
    guarded=_COURSE,
    checked=False,
)
RESUME = RolloutVerb(
    decide=transitions.resume,
    effect=_let_go,
    progress_check=lambda _, __: _until_halted(halted=False),
    undo=lambda observation, _: f"pause {observation.site.service}",
    message=lambda _, now: f"Resumed. {progress(now)} {waiting_for(now)}".strip(),
    proves_run=_never,
    checked=False,
)
