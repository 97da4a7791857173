"""One pass over a Rollout of the fake Kubernetes: what the strategies have in common, and the status at its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from zlib import crc32

from tests.fakes.kubernetes_controllers_base import changed, filled, made, told
from tests.fakes.kubernetes_defaults import defaulted
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing, copied
from tests.fakes.ticking import read, stamped

MANAGER = "rollouts-controller"
HASH = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
DESIRED = "rollout.argoproj.io/desired-replicas"
DEADLINE = "scale-down-deadline"
_ENDED = ("Successful", "Failed", "Error", "Inconclusive")


def bare(template: Thing) -> Thing:
    """With what the API server fills in, and without the label of its ReplicaSet."""
    wrapped: Thing = {"spec": {"replicas": 0, "template": copied(template)}}
    defaulted(kind_of("ReplicaSet"), wrapped)
    made_of: Thing = wrapped["spec"]["template"]
    (made_of.get("metadata") or {}).get("labels", {}).pop(HASH, None)
    return made_of


def matching(sets: Sequence[Thing], template: Thing) -> Thing | None:
    return next((one for one in sets if bare(one["spec"]["template"]) == bare(template)), None)


def hash_of(template: Thing) -> str:
    return f"{crc32(json.dumps(bare(template), sort_keys=True).encode()):08x}"


def size(one: Thing) -> int:
    return int(one["spec"]["replicas"])


def count(one: Thing, name: str) -> int:
    return int((one.get("status") or {}).get(name) or 0)


class Turn:
    """`old`: the status as it stood when the pass began. `status`: what it is to be."""

    def __init__(self, fake: Insides, thing: Thing, current: str) -> None:
        self.fake, self.thing, self.spec = fake, thing, thing["spec"]
        self.old: Thing = thing.get("status") or {}
        kept = ("canary", "blueGreen", "restartedAt")
        self.status: Thing = copied({name: self.old[name] for name in kept if name in self.old})
        self.status["stableRS"] = self.old.get("stableRS", "")
        self.status["promoteFull"] = bool(self.old.get("promoteFull")) and self.old.get("stableRS") != current
        self.current = current
        self.waits = False
        self.because = ""  #: why it is aborted by the controller itself
        self._added: list[str] = []
        self._removed: set[str] = set()
        self._cleared = self._unaborted = False

    @property
    def replicas(self) -> int:
        return int(self.spec.get("replicas", 1))

    @property
    def sets(self) -> list[Thing]:
        return self.fake.objects.owned(self.thing["metadata"]["uid"], kind_of("ReplicaSet"))

    def of(self, known: str) -> Thing | None:
        return next((one for one in self.sets if one["metadata"]["labels"][HASH] == known), None)

    @property
    def new(self) -> Thing:
        found = self.of(self.current)
        assert found is not None
        return found

    @property
    def stable(self) -> Thing | None:
        return self.of(self.old.get("stableRS", ""))

    @property
    def others(self) -> list[Thing]:
        known = (self.current, self.old.get("stableRS", ""))
        return [one for one in self.sets if one["metadata"]["labels"][HASH] not in known]

    @property
    def changed_template(self) -> bool:
        return self.old.get("currentPodHash") not in (None, "", self.current)

    @property
    def aborted(self) -> bool:
        return not self._unaborted and bool(self.because or self.old.get("abort"))

    @property
    def halted(self) -> bool:
        return bool(self.spec.get("paused")) or self.paused_for("InconclusiveAnalysisRun") is not None

    @property
    def rolling_back(self) -> bool:
        """isFastRollback of a canary: back to what is stable, or within `rollbackWindow`."""
        return self.old.get("stableRS") == self.current or self.within_window

    @property
    def within_window(self) -> bool:
        stable, window = self.stable, (self.spec.get("rollbackWindow") or {}).get("revisions", 0)
        if stable is None or not window or not _born(self.new) < _born(stable):
            return False
        return sum(_born(self.new) < _born(one) < _born(stable) for one in self.sets) < int(window)

    def paused_for(self, reason: str) -> Thing | None:
        return next((one for one in self.old.get("pauseConditions") or () if one["reason"] == reason), None)

    def over(self, pause: Thing, seconds: int) -> bool:
        self.waits = True
        return self.fake.clock.at > read(pause["startTime"]) + timedelta(seconds=seconds)

    def pause(self, reason: str) -> None:
        self._added.append(reason)

    def unpause(self, reason: str) -> None:
        self._removed.add(reason)

    def clear(self) -> None:
        self._cleared = self._unaborted = True

    @property
    def pausing(self) -> bool:
        return bool(self._added)

    def reset(self) -> None:
        """A new update begins."""
        self.clear()
        self.status["promoteFull"] = False
        for name in ("currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus"):
            self.status.get("canary", {}).pop(name, None)
        for name in ("prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus", "scaleUpPreviewCheckPoint"):
            self.status.get("blueGreen", {}).pop(name, None)

    def promote(self) -> None:
        """What it is to have is stable from here on."""
        self.clear()
        self.status["promoteFull"] = False
        self.status["stableRS"] = self.current
        self.status.get("blueGreen", {}).pop("scaleUpPreviewCheckPoint", None)

    def scale(self, one: Thing, to: int) -> bool:
        """Whether that changed its size."""
        before = size(one)
        notes: dict[str, Any] = {DESIRED: str(self.replicas)} | ({DEADLINE: None} if to == 0 else {})
        changed(self.fake, one, {"metadata": {"annotations": notes}, "spec": {"replicas": to}}, by=MANAGER)
        return before != to

    def later_down(self, one: Thing, seconds: int) -> None:
        """Scaled down when its time is over, which is written on it."""
        if not size(one):
            return
        self.waits = True
        until = (one["metadata"].get("annotations") or {}).get(DEADLINE)
        if until is None:
            at = stamped(self.fake.clock.at + timedelta(seconds=seconds))
            changed(self.fake, one, {"metadata": {"annotations": {DEADLINE: at}}}, by=MANAGER)
        elif read(until) <= self.fake.clock.at:
            self.scale(one, 0)

    def undated(self, one: Thing | None) -> None:
        if one is not None and DEADLINE in (one["metadata"].get("annotations") or {}):
            changed(self.fake, one, {"metadata": {"annotations": {DEADLINE: None}}}, by=MANAGER)

    def analysed(self, where: str, name: str, infix: str, *, step: int | None = None, said: str) -> Thing | None:
        """The run of one analysis, made where it is missing; it may abort or pause. `where`: the strategy."""
        held = (self.old.get(where) or {}).get(name) or {}
        run = self._run(held.get("name", ""))
        if self.paused_for("InconclusiveAnalysisRun") is not None and run is not None:
            return run
        if run is None or self._needs_another(run):
            run = self._make_run(infix, step)
        phase = (run.get("status") or {}).get("phase", "")
        if phase == "Inconclusive":
            self.pause("InconclusiveAnalysisRun")
        elif phase in ("Failed", "Error"):
            why = (run.get("status") or {}).get("message")
            self.because = f"{said} phase error/failed" + (f": {why}" if why else "")
        told_of = filled({"name": run["metadata"]["name"], "status": phase})
        self.status.setdefault(where, {})[name] = told_of | filled(
            {"message": (run.get("status") or {}).get("message")}
        )
        return run

    def cancel(self, where: str, name: str) -> None:
        run = self._run(((self.old.get(where) or {}).get(name) or {}).get("name", ""))
        if run is not None and (run.get("status") or {}).get("phase") not in _ENDED:
            changed(self.fake, run, {"spec": {"terminate": True}}, by=MANAGER)

    def _run(self, name: str) -> Thing | None:
        return self.fake.objects.find(kind_of("AnalysisRun"), self.thing["metadata"]["namespace"], name)

    def _needs_another(self, run: Thing) -> bool:
        step_pauses = ("CanaryPauseStep", "BlueGreenPause")
        if self.old.get("controllerPause") and not any(map(self.paused_for, step_pauses)):
            return bool((run.get("status") or {}).get("phase") == "Inconclusive")
        return "abortedAt" in self.old

    def _make_run(self, infix: str, step: int | None) -> Thing:
        number = self.thing["metadata"]["annotations"][REVISION]
        name = "-".join(part for part in (self.thing["metadata"]["name"], self.current, number, infix) if part)
        tries = 0
        while self._run(name if not tries else f"{name}.{tries}") is not None:
            tries += 1
        labels = {HASH: self.current} | ({"step-index": str(step)} if step is not None else {})
        meta = {"name": name if not tries else f"{name}.{tries}", "labels": labels}
        return made(self.fake, self.thing, "AnalysisRun", {"metadata": meta, "spec": {"metrics": []}})

    def say(self) -> None:
        """The status, whole: what was not put into it is gone."""
        self._pauses()
        every = self.sets
        self.status |= {
            "currentPodHash": self.current,
            "observedGeneration": str(self.thing["metadata"]["generation"]),
            "replicas": sum(count(one, "replicas") for one in every),
            "updatedReplicas": count(self.new, "replicas"),
            "readyReplicas": sum(count(one, "readyReplicas") for one in every),
        }
        for name, value in {
            "availableReplicas": sum(count(one, "availableReplicas") for one in every),
            "HPAReplicas": self.status["replicas"],
            "selector": ",".join(f"{a}={b}" for a, b in sorted(self._selector().items())),
        }.items():
            self.status.setdefault(name, value)
        self.status["phase"], self.status["message"] = self._phase()
        step = self.status.pop("currentStepIndex", None)
        status = filled(self.status) | ({} if step is None else {"currentStepIndex": step})
        told(self.fake, self.thing, status, by=MANAGER)

    def _selector(self) -> dict[str, str]:
        return dict((self.spec.get("selector") or {}).get("matchLabels") or {})

    def _pauses(self) -> None:
        if self.aborted:
            self.status |= {"abort": True, "abortedAt": self.old.get("abortedAt") or self.fake.clock.stamp}
            number = self.thing["metadata"]["annotations"][REVISION]
            why = self.because or self.old.get("vakhta.dev/because", "")
            said = f"Rollout aborted update to revision {number}" + (f": {why}" if why else "")
            held = str(self.old.get("message", "")).removeprefix("RolloutAborted: ")
            self._aborted = held if self.old.get("abortedAt") and held.startswith("Rollout aborted") else said
            return
        if self._cleared:
            return
        held_for = [one for one in self.old.get("pauseConditions") or () if one["reason"] not in self._removed]
        known = {one["reason"] for one in self.old.get("pauseConditions") or ()}
        fresh = [one for one in dict.fromkeys(self._added) if one not in known]
        pauses = [*held_for, *({"reason": one, "startTime": self.fake.clock.stamp} for one in fresh)]
        if pauses:
            self.status["pauseConditions"] = pauses
            self.status["controllerPause"] = bool(fresh) or bool(self.old.get("controllerPause"))

    def _phase(self) -> tuple[str, str]:
        """CalculateRolloutPhase."""
        status = self.status
        if status.get("abort"):
            return "Degraded", f"RolloutAborted: {self._aborted}"
        if self.spec.get("paused"):
            return "Paused", "manually paused"
        for one in status.get("pauseConditions") or ():
            return "Paused", one["reason"]
        said = self._unfinished()
        return ("Progressing", said) if said else ("Healthy", "")

    def _unfinished(self) -> str:
        status, promoted = self.status, self.status["stableRS"] == self.current
        blue_green = "blueGreen" in self.spec["strategy"]
        routed = (self.spec["strategy"].get("canary") or {}).get("trafficRouting")
        switched = (status.get("blueGreen") or {}).get("activeSelector") == self.current
        rules = {
            "more replicas need to be updated": status["updatedReplicas"] < self.replicas,
            "updated replicas are still becoming available": status["availableReplicas"] < status["updatedReplicas"],
            "active service cutover pending": blue_green and not switched,
            "waiting for analysis to complete": blue_green and not promoted,
            "old replicas are pending termination": not blue_green
            and not routed
            and status["replicas"] > status["updatedReplicas"],
            "waiting for all steps to complete": not blue_green and not promoted,
        }
        return next((said for said, holds in rules.items() if holds), "")


def _born(one: Thing) -> str:
    return str(one["metadata"]["creationTimestamp"])
