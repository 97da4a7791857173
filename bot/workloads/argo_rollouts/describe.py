"""Describes an Argo Rollout for people: its steps, the current one, what it waits for and how long. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.core.kubernetes import KubernetesObject
from bot.lib.text import spell_duration
from bot.workloads.objects.argo_rollout import BLUE_GREEN_PAUSE, INCONCLUSIVE, STEP_PAUSE, Rollout, span_of

_MOST_METRICS = 5
_LONGEST = 120


def describe_step(step: Mapping[str, Any]) -> str:
    """ "25% of the traffic", "a pause of 10 min"."""
    if "setWeight" in step:
        return f"{step['setWeight']}% of the traffic"
    if "pause" in step:
        span = span_of(step["pause"] or {})
        return "a pause until somebody promotes" if span is None else f"a pause of {spell_duration(span)}"
    if "analysis" in step:
        named = [str(one.get("templateName", "?")) for one in (step["analysis"] or {}).get("templates") or ()]
        return f"the analysis {', '.join(named)}" if named else "an analysis"
    known = {"experiment": "an experiment", "setCanaryScale": "a set number of canary pods", "plugin": "a plugin"}
    known |= {"setHeaderRoute": "a route by header", "setMirrorRoute": "mirrored traffic"}
    return next((message for name, message in known.items() if name in step), "a step unknown to the bot")


def describe_steps(rollout: Rollout, start: int, end: int) -> str:
    """The steps from `start` up to, but not including, `end`: "50% of the traffic, then a pause of 10 min"."""
    return ", then ".join(describe_step(one) for one in rollout.steps[start:end])


def place_of(rollout: Rollout) -> str:
    """ "step 2 of 4 (a pause until somebody promotes)"."""
    if not rollout.canary:
        return "blue-green, " + ("switched over" if rollout.active == rollout.current else "not switched over")
    if not rollout.steps:
        return "a canary without steps"
    if rollout.step >= len(rollout.steps):
        return f"past all {len(rollout.steps)} steps"
    return f"step {rollout.step + 1} of {len(rollout.steps)} ({describe_step(rollout.doing)})"


def waiting_for(rollout: Rollout) -> str:
    """Why it does not continue by itself, or until when it waits; "" if it does. Reads no clock."""
    if rollout.halted:
        return "It is paused by hand."
    if rollout.paused_for(INCONCLUSIVE):
        return "Its analysis was inconclusive: a person has to decide."
    ends = rollout.goes_on_at()
    if ends is not None:
        return f"It continues by itself at {ends:%H:%M:%S} UTC."
    if rollout.paused_for(STEP_PAUSE) or rollout.paused_for(BLUE_GREEN_PAUSE):
        return "It waits until somebody promotes it."
    return f"It is paused: {rollout.pauses[0].reason}." if rollout.pauses else ""


def countdown(rollout: Rollout, now: datetime) -> str:
    """ "It continues by itself in 4 min 10 s."; "" if no time ends its pause."""
    ends = rollout.goes_on_at()
    if ends is None or rollout.halted:
        return ""
    if ends <= now:
        return "Its pause is over: it continues now."
    return f"It continues by itself in {spell_duration(ends - now)}."


def head(rollout: Rollout) -> str:
    """ "Rollout api: Paused, CanaryPauseStep"."""
    message = f", {rollout.message}" if rollout.message else ""
    return f"Rollout {rollout.name}: {rollout.phase}{message}"


def progress(rollout: Rollout) -> str:
    """Its step and its traffic, in one line; for a stable one, its version."""
    if rollout.promoted:
        return f"Version {rollout.stable} has all traffic."
    if rollout.aborted:
        return f"Version {rollout.current} was aborted; {rollout.stable} has the traffic."
    traffic = f" {rollout.current} has {rollout.weight}% of the traffic" if rollout.canary else ""
    unverified = " (not confirmed by the traffic router yet)" if not rollout.verified else ""
    beside = f", {rollout.stable} the rest" if rollout.canary else f" {rollout.current} beside {rollout.stable}"
    return f"At {place_of(rollout)}.{traffic}{beside}{unverified}."


def describe_analyses(rollout: Rollout, runs: Sequence[KubernetesObject]) -> list[str]:
    """A line for each analysis that its status names, with its measurements."""
    lines = []
    for one in rollout.analyses:
        run = next((run for run in runs if run["metadata"]["name"] == one.name), {})
        phase = str((run.get("status") or {}).get("phase") or one.phase or "Pending")
        reason = f", {one.message[:_LONGEST]}" if one.message else ""
        lines.append(f"Analysis {one.name} ({one.role}): {phase}{reason}{_measured(run)}.")
    return lines


def _measured(run: KubernetesObject) -> str:
    message = []
    for one in ((run.get("status") or {}).get("metricResults") or ())[:_MOST_METRICS]:
        measured = one.get("measurements") or ()
        value = f" {str(measured[-1].get('value'))[:40]}" if measured and measured[-1].get("value") is not None else ""
        failed = f", failed {one['failed']} times" if one.get("failed") else ""
        message.append(f"{one.get('name', '?')}{value} {one.get('phase', '')}{failed}")
    return f"; {'; '.join(message)}" if message else ""
