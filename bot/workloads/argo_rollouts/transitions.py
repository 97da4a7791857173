"""Decides which write a promotion, abort, retry or pause of an Argo Rollout needs, and refuses harmful ones. Pure.

The patches are those of `kubectl argo rollouts`, one for each verb. The traps: promoting a rollout that is not paused
adds one to the step, so the second of two quick promotions skips a step that nobody has seen, with its analysis;
promoting an aborted rollout silently does nothing. Both are refused here. A rollout paused by hand has to be resumed
first, by a request of its own: the controller may have reacted between two writes.
https://github.com/argoproj/argo-rollouts, pkg/kubectl-argo-rollouts/cmd, v1.10
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.errors import Rejected
from bot.workloads.objects.argo_rollout import FAILED, Analysis, Rollout


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutWrite:
    """One write: of the status (through its subresource if there is one), or of the spec."""

    status: Mapping[str, object] = field(default_factory=dict)
    spec: Mapping[str, object] = field(default_factory=dict)
    skips: Analysis | None = None  #: the analysis that is not waited for any more
    start: int = 0  #: the step from which it continues


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutContext:
    """The input of a decision: the rollout, and facts that its status does not have."""

    service: str  #: the name that people use, for hints
    rollout: Rollout
    available: int  #: pods of the new version
    wanted: int  #: desired pods of the new version at this step
    begun: bool = True  #: the analysis in the status belongs to the current step


def promotion(context: RolloutContext) -> RolloutWrite:
    """One step on. Raises `Rejected` if that would skip something, or do nothing."""
    rollout = context.rollout
    _check_calm(context)
    _check_updating(context)
    if rollout.aborted:
        hint = (
            f"`retry {context.service}` tries it again from its first step, `promote {context.service} full` promotes"
            f" it without any step, `rollback {context.service}` goes back"
        )
        raise _refused(context, f"was aborted, so a promotion would do nothing. {hint}", "aborted")
    _check_not_full(context)
    _check_analysis(context)
    if rollout.pauses:
        _check_pods(context)
        return _past_the_pause(rollout)
    return _past_the_analysis(context)


def full(context: RolloutContext) -> RolloutWrite:
    """Past all steps, pauses and analyses. An aborted rollout is resumed by that."""
    _check_calm(context)
    _check_updating(context)
    _check_not_full(context)
    skips = next((one for one in context.rollout.analyses if one.running), None)
    return RolloutWrite(status={"promoteFull": True}, skips=skips, start=len(context.rollout.steps))


def abort(context: RolloutContext) -> RolloutWrite:
    """Back to the stable version."""
    _check_calm(context, unpausing=True)
    _check_updating(context)
    if context.rollout.aborted:
        raise _refused(context, f"is aborted already. `retry {context.service}` tries it again", "aborted")
    return RolloutWrite(status={"abort": True})


def retry(context: RolloutContext) -> RolloutWrite:
    """An aborted rollout once more, from its first step."""
    _check_calm(context)
    if not context.rollout.aborted:
        raise _refused(context, "is not aborted, so there is nothing to retry", "not_aborted")
    return RolloutWrite(status={"abort": False})


def pause(context: RolloutContext) -> RolloutWrite:
    """Paused by hand."""
    if context.rollout.halted:
        raise _refused(context, f"is paused by hand already. `resume {context.service}` ends that", "paused")
    return RolloutWrite(spec={"paused": True})


def resume(context: RolloutContext) -> RolloutWrite:
    """The opposite of `pause`; pauses of its steps stay."""
    if not context.rollout.halted:
        hint = f"`promote {context.service}` ends a pause of its steps"
        raise _refused(context, f"is not paused by hand. {hint}", "not_paused")
    return RolloutWrite(spec={"paused": False})


def _past_the_pause(rollout: Rollout) -> RolloutWrite:
    """After an inconclusive analysis the pause would come back, so the step is left as well."""
    analysis = rollout.analysis("step")
    if rollout.canary and analysis and analysis.phase == "Inconclusive" and rollout.controller_paused:
        after = min(rollout.step + 1, len(rollout.steps))
        status = {"pauseConditions": None, "controllerPause": False, "currentStepIndex": after}
        return RolloutWrite(status=status, skips=analysis, start=after)
    return RolloutWrite(status={"pauseConditions": None}, start=min(rollout.step + 1, len(rollout.steps)))


def _past_the_analysis(context: RolloutContext) -> RolloutWrite:
    """Not paused: the step is incremented, which is safe only while its own analysis runs."""
    rollout = context.rollout
    analysis = rollout.analysis("step")
    if not rollout.doing or not rollout.canary:
        message = f"does not wait: it is {rollout.phase.lower()}{f', {rollout.message}' if rollout.message else ''}"
        raise _refused(context, message, "not_paused")
    if "analysis" not in rollout.doing or analysis is None or not context.begun:
        message = f"is on its way to step {rollout.step + 1} and not paused. A promotion now would skip it unseen"
        raise _refused(
            context, f"{message}. Ask again when `status {context.service}` shows that it waits", "not_paused"
        )
    after = rollout.step + 1
    return RolloutWrite(status={"pauseConditions": None, "currentStepIndex": after}, skips=analysis, start=after)


def _check_calm(context: RolloutContext, *, unpausing: bool = False) -> None:
    """Nothing that somebody wrote is still to be taken up. `unpausing`: that may be."""
    rollout = context.rollout
    if rollout.halted:
        message = "is paused by hand: until that ends nothing takes effect, not even an abort"
        raise _refused(context, f"{message}. `resume {context.service}` first", "paused")
    if not rollout.observed:
        message = f"has a change that its controller has not seen yet. {rollout.retry_hint}"
        raise _refused(context, message, "unobserved")
    if rollout.unpausing and not unpausing:
        message = "was promoted a moment ago, and its controller has not reacted yet"
        raise _refused(context, f"{message}. Promoting again now would skip a step. {rollout.retry_hint}", "unpausing")


def _check_updating(context: RolloutContext) -> None:
    rollout = context.rollout
    if not rollout.stable:
        raise _refused(context, "is deploying its first version, which has no steps", "first_version")
    if rollout.promoted:
        message = f"is not being updated: {rollout.current} is stable"
        raise _refused(context, f"{message}. `rollback {context.service}` goes back to what was before", "not_updating")


def _check_not_full(context: RolloutContext) -> None:
    if context.rollout.full:
        message = "is being promoted past all steps already"
        raise _refused(context, f"{message}. `status {context.service}` shows its progress", "full_already")


def _check_analysis(context: RolloutContext) -> None:
    for one in context.rollout.analyses:
        if one.phase in FAILED:
            reason = f", {one.message}" if one.message else ""
            message = f"has a failed analysis: {one.name}, {one.phase}{reason}"
            raise _refused(
                context, f"{message}. `abort {context.service}` takes the new version out", "analysis_failed"
            )


def _check_pods(context: RolloutContext) -> None:
    if context.available < context.wanted:
        message = f"has {context.available} of {context.wanted} pods of the new version available"
        raise _refused(context, f"{message}. Wait for them, or `abort {context.service}`", "not_available")


def _refused(context: RolloutContext, message: str, code: str) -> Rejected:
    """`message` continues after the rollout's name; the part after its first full stop is the hint."""
    what, _, hint = message.partition(". ")
    whole = f"Rollout {context.rollout.name} {what}. Nothing was done.{f' {hint}.' if hint else ''}"
    return Rejected(whole, code=code, status=409)
