"""Which write a promotion, abort, retry or pause of an Argo Rollout needs, and when it would do harm. Pure.

The patches are those of `kubectl argo rollouts`, one each. The trap: of a rollout that is not paused, a promotion adds
one to the step, so that the second of two quick ones skips a step nobody has seen, with its analysis; and a promotion
of what was aborted does nothing, without a word. Both are refused here. What is paused by hand is resumed first, alone:
a second write after the first is one that the controller may have answered in between.
https://github.com/argoproj/argo-rollouts, pkg/kubectl-argo-rollouts/cmd, v1.10
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.ports import Rejected
from bot.workloads.rollouts import FAILED, Analysis, Rollout


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One write: of the status, through its subresource where there is one, or of the spec."""

    status: Mapping[str, object] = field(default_factory=dict)
    spec: Mapping[str, object] = field(default_factory=dict)
    skips: Analysis | None = None  #: the analysis that nobody will wait for any more
    start: int = 0  #: the step from which it goes on


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What is decided about: the rollout, and what its status does not say of it."""

    service: str  #: as people name it, for the words that help
    rollout: Rollout
    available: int  #: pods of the new version
    wanted: int  #: as many as there are to be of it now
    begun: bool = True  #: the analysis that the status names is of the step that it is at


def promotion(scene: Scene) -> Change:
    """One step on. Raises `Rejected` where it would skip something, or do nothing."""
    rollout = scene.rollout
    _check_calm(scene)
    _check_updating(scene)
    if rollout.aborted:
        words = f"`retry {scene.service}` tries it again from its first step, `promote {scene.service} full` takes it"
        said = f"was aborted, and a promotion would do nothing. {words} without any step"
        raise _refused(scene, f"{said}, `rollback {scene.service}` goes back", "aborted")
    if rollout.full:
        raise _refused(scene, "is on its way past all steps already. `status` says how far it is", "full_already")
    _check_analysis(scene)
    if rollout.pauses:
        _check_pods(scene)
        return _past_the_pause(rollout)
    return _past_the_analysis(scene)


def full(scene: Scene) -> Change:
    """Past all steps, pauses and analysis. What was aborted is taken up again by that."""
    _check_calm(scene)
    _check_updating(scene)
    if scene.rollout.full:
        raise _refused(scene, "is on its way past all steps already. `status` says how far it is", "full_already")
    skips = next((one for one in scene.rollout.analyses if one.running), None)
    return Change(status={"promoteFull": True}, skips=skips, start=len(scene.rollout.steps))


def abort(scene: Scene) -> Change:
    """Back to what is stable."""
    _check_calm(scene, unpausing=True)
    _check_updating(scene)
    if scene.rollout.aborted:
        raise _refused(scene, f"is aborted already. `retry {scene.service}` tries it again", "aborted")
    return Change(status={"abort": True})


def retry(scene: Scene) -> Change:
    """What was aborted once more, from its first step."""
    _check_calm(scene)
    if not scene.rollout.aborted:
        raise _refused(scene, "is not aborted, so that there is nothing to retry", "not_aborted")
    return Change(status={"abort": False})


def pause(scene: Scene) -> Change:
    """Halted by hand."""
    if scene.rollout.halted:
        raise _refused(scene, f"is paused by hand already. `resume {scene.service}` lets it go on", "paused")
    return Change(spec={"paused": True})


def resume(scene: Scene) -> Change:
    """The way back from `pause`; pauses of its steps stay."""
    if not scene.rollout.halted:
        hint = f"`promote {scene.service}` ends a pause of its steps"
        raise _refused(scene, f"is not paused by hand. {hint}", "not_paused")
    return Change(spec={"paused": False})


def _past_the_pause(rollout: Rollout) -> Change:
    """Where the analysis could not tell, the pause alone would come back: the step is left as well."""
    analysis = rollout.analysis("step")
    if rollout.canary and analysis and analysis.phase == "Inconclusive" and rollout.controller_paused:
        after = min(rollout.step + 1, len(rollout.steps))
        status = {"pauseConditions": None, "controllerPause": False, "currentStepIndex": after}
        return Change(status=status, skips=analysis, start=after)
    return Change(status={"pauseConditions": None}, start=min(rollout.step + 1, len(rollout.steps)))


def _past_the_analysis(scene: Scene) -> Change:
    """Not paused: the step is counted up, which is safe only while its own analysis runs."""
    rollout = scene.rollout
    analysis = rollout.analysis("step")
    if not rollout.doing or not rollout.canary:
        said = f"waits for nobody: it is {rollout.phase.lower()}{f', {rollout.message}' if rollout.message else ''}"
        raise _refused(scene, said, "not_paused")
    if "analysis" not in rollout.doing or analysis is None or not scene.begun:
        said = f"is on its way to step {rollout.step + 1} and not paused. A promotion now would skip it unseen"
        raise _refused(scene, f"{said}. Ask again when `status` shows that it waits", "not_paused")
    after = rollout.step + 1
    return Change(status={"pauseConditions": None, "currentStepIndex": after}, skips=analysis, start=after)


def _check_calm(scene: Scene, *, unpausing: bool = False) -> None:
    """Nothing that somebody wrote is still to be taken up. `unpausing`: that may be."""
    rollout = scene.rollout
    if rollout.halted:
        said = "is paused by hand, and nothing moves until that ends, an abort neither"
        raise _refused(scene, f"{said}. `resume {scene.service}` first", "paused")
    if not rollout.observed:
        said = f"has a change that its controller has not seen yet. {rollout.shown_again}"
        raise _refused(scene, said, "unobserved")
    if rollout.unpausing and not unpausing:
        said = "has been promoted a moment ago, and its controller has not reacted"
        raise _refused(scene, f"{said}. Promoting again now would skip a step. {rollout.shown_again}", "unpausing")


def _check_updating(scene: Scene) -> None:
    rollout = scene.rollout
    if not rollout.stable:
        raise _refused(scene, "brings up its first version, which has no steps", "first_version")
    if rollout.promoted:
        said = f"is not being updated: {rollout.current} is stable"
        raise _refused(scene, f"{said}. `rollback {scene.service}` goes back to what was before", "not_updating")


def _check_analysis(scene: Scene) -> None:
    for one in scene.rollout.analyses:
        if one.phase in FAILED:
            why = f", {one.message}" if one.message else ""
            said = f"has an analysis that went wrong: {one.name}, {one.phase}{why}"
            raise _refused(scene, f"{said}. `abort {scene.service}` takes the new version out", "analysis_failed")


def _check_pods(scene: Scene) -> None:
    if scene.available < scene.wanted:
        said = f"has {scene.available} of {scene.wanted} pods of the new version available"
        raise _refused(scene, f"{said}. Wait for them, or `abort {scene.service}`", "not_available")


def _refused(scene: Scene, said: str, code: str) -> Rejected:
    """`said` goes on after the rollout's name; what helps stands behind its first full stop."""
    what, _, hint = said.partition(". ")
    whole = f"Rollout {scene.rollout.name} {what}. Nothing was done.{f' {hint}.' if hint else ''}"
    return Rejected(whole, code=code, status=409)
