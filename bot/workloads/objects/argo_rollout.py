"""The state of an Argo Rollout: phase, step, weight, pauses and analyses, by the rules of Argo's own tools. Pure.

The trap: its controller needs a while to see a write, and only two signs show that it has not: `observedGeneration`
(a text), and a `controllerPause` without pause conditions. Code that reads the phase alone promotes twice.
https://github.com/argoproj/argo-rollouts, utils/rollout/rolloututil.go and utils/replicaset/canary.go, v1.10
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.core.kubernetes import KubernetesObject

#: The label by which a ReplicaSet and its pods name their template.
HASH = "rollouts-pod-template-hash"
#: Reasons of pauses.
STEP_PAUSE, BLUE_GREEN_PAUSE = "CanaryPauseStep", "BlueGreenPause"
INCONCLUSIVE = "InconclusiveAnalysisRun"
#: An annotation without meaning. Changing it creates an event, at which the controller reads the whole object again.
LOOK_AGAIN = "vakhta.dev/look-again"
#: Phases of a failed analysis: the controller aborts the rollout for it.
FAILED = ("Failed", "Error")
_UNFINISHED = ("", "Pending", "Running")
_WORKLOAD = "rollout.argoproj.io/workload-generation"
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Phase(StrEnum):
    """The phases, as Argo Rollouts names them."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DEGRADED = "Degraded"


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutPause:
    """The reason of a pause and its start, as the status has them."""

    reason: str
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """An analysis that the status names now."""

    role: str  #: "step", "background", "pre-promotion" or "post-promotion"
    name: str
    phase: str
    message: str = ""

    @property
    def running(self) -> bool:
        return self.phase in _UNFINISHED


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """The state of a Rollout, as decisions and descriptions need it."""

    name: str
    generation: int
    observed: bool  #: its controller has seen the newest change of the spec
    phase: Phase
    message: str
    canary: bool  #: else blue-green
    routed: bool  #: a traffic router splits the traffic; else the number of pods does
    steps: tuple[Mapping[str, Any], ...]
    step: int  #: from 0; as many as there are steps once all are done
    current: str  #: the hash of the desired template
    stable: str  #: the hash of the promoted template; "" before the first promotion
    pauses: tuple[RolloutPause, ...]
    controller_paused: bool
    halted: bool  #: paused by hand: `spec.paused`
    aborted: bool
    full: bool  #: being promoted past all steps
    weight: int  #: percent of the traffic for the new version; the desired share where pods split the traffic
    verified: bool  #: False while the router has not confirmed that weight
    analyses: tuple[Analysis, ...]
    active: str  #: blue-green: the hash that has the traffic
    seconds: int  #: blue-green: the delay of its automatic promotion; 0: none
    replicas: int

    @property
    def unpausing(self) -> bool:
        """Whether it was promoted and its controller has not reacted yet."""
        return self.controller_paused and not self.pauses

    @property
    def promoted(self) -> bool:
        """Whether the desired template is the stable one."""
        return self.current == self.stable

    @property
    def done(self) -> bool:
        return self.promoted and self.phase is Phase.HEALTHY

    @property
    def doing(self) -> Mapping[str, Any]:
        """The current step; empty where there is none."""
        return self.steps[self.step] if self.step < len(self.steps) else {}

    @property
    def retry_hint(self) -> str:
        """What helps if the controller has not seen a change: it may have overlooked it (see `overlooked_write`)."""
        touch = f"kubectl annotate rollout {self.name} --overwrite {LOOK_AGAIN}=$(date +%s)"
        return (
            f"Try again in a moment. If that does not help, `{touch}` in its namespace makes Argo Rollouts look again"
        )

    def paused_for(self, reason: str) -> bool:
        return any(one.reason == reason for one in self.pauses)

    def analysis(self, what: str) -> Analysis | None:
        return next((one for one in self.analyses if one.role == what), None)

    def halt_from(self, start: int) -> int:
        """The first step from `start` on that waits for a person, a time or an analysis; else the number of steps."""
        halting = ("pause", "analysis", "experiment", "plugin")
        at = (index for index, one in enumerate(self.steps) if index >= start and any(name in one for name in halting))
        return next(at, len(self.steps))

    def goes_on_at(self) -> datetime | None:
        """When its pause ends by itself; None where a person has to end it."""
        for one in self.pauses:
            span = timedelta(seconds=self.seconds) if self.seconds else None
            if one.reason == STEP_PAUSE:
                span = span_of(self.doing.get("pause") or {})
            if one.reason in (STEP_PAUSE, BLUE_GREEN_PAUSE) and span is not None:
                return datetime.fromisoformat(one.since) + span
        return None


def read(thing: KubernetesObject) -> Rollout:
    """Parses a Rollout as the API returns it."""
    spec, status = thing["spec"], thing.get("status") or {}
    strategy = spec.get("strategy") or {}
    canary, blue_green = strategy.get("canary"), strategy.get("blueGreen") or {}
    steps = tuple((canary or {}).get("steps") or ())
    weights = (status.get("canary") or {}).get("weights") or {}
    step = min(int(status.get("currentStepIndex") or 0), len(steps))
    phase, message = phase_of(thing)
    return Rollout(
        name=thing["metadata"]["name"],
        generation=int(thing["metadata"].get("generation") or 0),
        observed=observed(thing),
        phase=phase,
        message=message,
        canary=canary is not None,
        routed=bool((canary or {}).get("trafficRouting")),
        steps=steps,
        step=step,
        current=str(status.get("currentPodHash") or ""),
        stable=str(status.get("stableRS") or ""),
        pauses=tuple(_pauses(status)),
        controller_paused=bool(status.get("controllerPause")),
        halted=bool(spec.get("paused")),
        aborted=bool(status.get("abort")),
        full=bool(status.get("promoteFull")),
        weight=_weight(weights, steps, step, status),
        verified=weights.get("verified") is not False,
        analyses=tuple(_analyses(status)),
        active=str((status.get("blueGreen") or {}).get("activeSelector") or ""),
        seconds=_seconds(blue_green),
        replicas=1 if spec.get("replicas") is None else int(spec["replicas"]),
    )


def phase_of(thing: KubernetesObject) -> tuple[Phase, str]:
    """The phase and its reason, by GetRolloutPhase; for a controller before v1.0, as far as the status has them."""
    status = thing.get("status") or {}
    if not observed(thing):
        return Phase.PROGRESSING, "waiting for rollout spec update to be observed"
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return Phase.PROGRESSING, "waiting for rollout to unpause"
    if not _workload_observed(thing):
        message = "waiting for rollout spec update to be observed for the reference workload"
        return Phase.PROGRESSING, message
    if status.get("phase"):
        return Phase(status["phase"]), str(status.get("message") or "")
    return _calculated(thing["spec"], status)


def span_of(pause: Mapping[str, Any]) -> timedelta | None:
    """The duration of a pause step; None: until somebody promotes. Accepts Go's durations and seconds."""
    message = pause.get("duration")
    if message is None:
        return None
    text = str(message)
    if text.isdigit():
        return timedelta(seconds=int(text))
    return timedelta(seconds=sum(float(number) * _UNITS_S[unit] for number, unit in _SPAN.findall(text)))


def of_step(run: KubernetesObject | None, step: int) -> bool:
    """Whether that AnalysisRun belongs to that step. After a promotion the status names the old one for a while."""
    labels = ((run or {}).get("metadata") or {}).get("labels") or {}
    return str(labels.get("step-index")) == str(step)


def observed(thing: KubernetesObject) -> bool:
    """Whether its controller has seen the current spec.

    v0.9 keeps a hash in `observedGeneration`: no number, or by chance one greater than any generation.
    """
    seen = str((thing.get("status") or {}).get("observedGeneration", ""))
    return not seen.isdigit() or int(seen) >= int(thing["metadata"].get("generation") or 0)


def _workload_observed(thing: KubernetesObject) -> bool:
    if not thing["spec"].get("workloadRef"):
        return True
    wanted = str((thing["metadata"].get("annotations") or {}).get(_WORKLOAD, ""))
    seen = str((thing.get("status") or {}).get("workloadObservedGeneration", ""))
    return not wanted or not seen.isdigit() or seen == wanted


def _calculated(spec: KubernetesObject, status: KubernetesObject) -> tuple[Phase, str]:
    """The phase by the rules that the controller left to its tools before v1.0."""
    for one in status.get("conditions") or ():
        if one.get("type") == "InvalidSpec":
            return Phase.DEGRADED, f"InvalidSpec: {one.get('message', '')}"
        if one.get("reason") in ("RolloutAborted", "ProgressDeadlineExceeded"):
            return Phase.DEGRADED, f"{one['reason']}: {one.get('message', '')}"
    if spec.get("paused"):
        return Phase.PAUSED, "manually paused"
    for one in status.get("pauseConditions") or ():
        return Phase.PAUSED, str(one.get("reason", ""))
    message = _unfinished(spec, status)
    return (Phase.PROGRESSING, message) if message else (Phase.HEALTHY, "")


def _unfinished(spec: KubernetesObject, status: KubernetesObject) -> str:
    wanted = 1 if spec.get("replicas") is None else int(spec["replicas"])
    if int(status.get("updatedReplicas") or 0) < wanted:
        return "more replicas need to be updated"
    if int(status.get("availableReplicas") or 0) < wanted:
        return "updated replicas are still becoming available"
    promoted = status.get("stableRS") and status["stableRS"] == status.get("currentPodHash")
    return "" if promoted else "waiting for all steps to complete"


def _pauses(status: KubernetesObject) -> Iterator[RolloutPause]:
    for one in status.get("pauseConditions") or ():
        yield RolloutPause(reason=str(one.get("reason", "")), since=str(one.get("startTime", "")))


def _analyses(status: KubernetesObject) -> Iterator[Analysis]:
    canary, blue_green = status.get("canary") or {}, status.get("blueGreen") or {}
    named = {
        "step": canary.get("currentStepAnalysisRunStatus"),
        "background": canary.get("currentBackgroundAnalysisRunStatus"),
        "pre-promotion": blue_green.get("prePromotionAnalysisRunStatus"),
        "post-promotion": blue_green.get("postPromotionAnalysisRunStatus"),
    }
    for what, one in named.items():
        if one:
            message = str(one.get("message") or "")
            yield Analysis(role=what, name=str(one.get("name")), phase=str(one.get("status") or ""), message=message)


def _weight(
    weights: KubernetesObject, steps: tuple[Mapping[str, Any], ...], step: int, status: KubernetesObject
) -> int:
    if weights:
        return int((weights.get("canary") or {}).get("weight") or 0)
    if status.get("abort"):
        return 0
    if step >= len(steps):
        return 100
    return next((int(one["setWeight"]) for one in reversed(steps[: step + 1]) if "setWeight" in one), 0)


def _seconds(blue_green: Mapping[str, Any]) -> int:
    if blue_green.get("autoPromotionEnabled") is False:
        return 0
    return int(blue_green.get("autoPromotionSeconds") or 0)
