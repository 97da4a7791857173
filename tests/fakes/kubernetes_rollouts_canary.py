"""A canary of Argo Rollouts in the fake Kubernetes: its steps, one after the other. After rollout/canary.go."""

from __future__ import annotations

import json
import math
import re
from zlib import crc32

from tests.fakes.kubernetes_rollouts_turn import DEADLINE, Turn, count, size
from tests.fakes.kubernetes_store import Thing

_STEP, _BACKGROUND = "currentStepAnalysisRunStatus", "currentBackgroundAnalysisRunStatus"
_ABORT_DELAY_S = _DOWN_DELAY_S = 30


def turn_canary(turn: Turn) -> None:
    canary = turn.spec["strategy"]["canary"] or {}
    steps = canary.get("steps") or []
    turn.status["currentStepHash"] = f"{crc32(json.dumps(steps).encode()):x}"
    if turn.changed_template or turn.old.get("currentStepHash") not in (None, turn.status["currentStepHash"]):
        _begin(turn, len(steps))
        turn.say()
        return
    at = min(int(turn.old.get("currentStepIndex") or 0), len(steps))
    _route(turn, canary, steps, at)
    _analyse(turn, canary, steps, at)
    scaled = not turn.pausing and not turn.halted and _scale(turn, canary, steps, at)
    if not turn.pausing and not scaled and not turn.aborted:
        _pause(turn, steps, at)
    _say(turn, steps, at)


def _begin(turn: Turn, end: int) -> None:
    """From the first step, unless it is back to what is stable, or to what may skip them."""
    turn.reset()
    if end:
        skips = turn.old.get("stableRS") == turn.current or (turn.within_window and size(turn.new) > 0)
        turn.status["currentStepIndex"] = end if skips else 0


def _weight(turn: Turn, steps: list[Thing], at: int) -> int:
    if turn.status["promoteFull"] or turn.old.get("stableRS", "") in ("", turn.current):
        return 100
    if turn.old.get("abort"):
        return 0
    if at >= len(steps):
        return 100
    return next((int(one["setWeight"]) for one in reversed(steps[: at + 1]) if "setWeight" in one), 0)


def _route(turn: Turn, canary: Thing, steps: list[Thing], at: int) -> None:
    """What the router splits: no more than the pods of the new version can take."""
    if not canary.get("trafficRouting"):
        return
    weights = (turn.old.get("canary") or {}).get("weights") or {}
    before = int((weights.get("canary") or {}).get("weight") or 0)
    weight, stable = _weight(turn, steps, at), turn.old.get("stableRS", "")
    if turn.aborted or stable in ("", turn.current) or not count(turn.new, "availableReplicas"):
        weight = 0
    elif turn.status["promoteFull"] or count(turn.new, "availableReplicas") < _share(turn, weight):
        weight = before
    turn.status.setdefault("canary", {})["weights"] = {
        "canary": {"podTemplateHash": turn.current, "weight": weight},
        "stable": {"podTemplateHash": stable or turn.current, "weight": 100 - weight},
    }


def _share(turn: Turn, weight: int) -> int:
    return math.ceil(turn.replicas * weight / 100)


def _analyse(turn: Turn, canary: Thing, steps: list[Thing], at: int) -> None:
    moot = turn.rolling_back or turn.aborted or turn.status["promoteFull"] or not turn.old.get("stableRS")
    if moot:
        for name in (_STEP, _BACKGROUND):
            turn.cancel("canary", name)
            turn.status.get("canary", {}).pop(name, None)
        return
    _analyse_step(turn, steps, at)
    background = canary.get("analysis") or {}
    if background.get("templates") and at >= int(background.get("startingStep") or 0):
        turn.analysed("canary", _BACKGROUND, "", said="Background analysis")


def _analyse_step(turn: Turn, steps: list[Thing], at: int) -> None:
    held = (turn.old.get("canary") or {}).get(_STEP) or {}
    if turn.old.get("pauseConditions"):
        return
    mine = at < len(steps) and "analysis" in steps[at]
    if not mine or (held and not re.search(rf"-{at}(\.\d+)?$", held["name"])):
        turn.cancel("canary", _STEP)
        turn.status.get("canary", {}).pop(_STEP, None)
        return
    turn.analysed("canary", _STEP, str(at), step=at, said="Step-based analysis")


def _scale(turn: Turn, canary: Thing, steps: list[Thing], at: int) -> bool:
    """Whether some size was changed: up first, and down when what takes over is available."""
    stable, new, routed = turn.stable, turn.new, bool(canary.get("trafficRouting"))
    turn.undated(stable)
    if stable is None or stable["metadata"]["name"] == new["metadata"]["name"]:
        turn.undated(new)
        return turn.scale(new, turn.replicas) or _drop_others(turn, canary, new)
    wanted = _canary_share(turn, _weight(turn, steps, at), routed=routed)
    keep = turn.replicas if routed else turn.replicas - wanted
    if routed and turn.aborted:
        return turn.scale(stable, keep) or _drop_aborted(turn, canary, new, stable)
    turn.undated(new)
    if turn.scale(stable, max(keep, size(stable))) or turn.scale(new, max(wanted, size(new))):
        return True
    if turn.aborted and count(stable, "availableReplicas") < keep:
        return False
    if not turn.aborted and count(new, "availableReplicas") < wanted:
        return False
    return turn.scale(stable, keep) or turn.scale(new, wanted) or _drop_others(turn, canary, new)


def _canary_share(turn: Turn, weight: int, *, routed: bool) -> int:
    if routed or weight in (0, 100):
        return _share(turn, weight)
    return min(max(1, round(turn.replicas * weight / 100)), max(1, turn.replicas - 1))


def _drop_aborted(turn: Turn, canary: Thing, new: Thing, stable: Thing) -> bool:
    delay = int(canary.get("abortScaleDownDelaySeconds", _ABORT_DELAY_S))
    if delay and count(stable, "availableReplicas") >= turn.replicas:
        turn.later_down(new, delay)
    return False


def _drop_others(turn: Turn, canary: Thing, new: Thing) -> bool:
    if count(new, "availableReplicas") < size(new):
        return False
    dropped = False
    for one in turn.others:
        promoted = turn.old.get("stableRS") == turn.current or DEADLINE in (one["metadata"].get("annotations") or {})
        if canary.get("trafficRouting") and promoted:
            turn.later_down(one, int(canary.get("scaleDownDelaySeconds", _DOWN_DELAY_S)))
        else:
            dropped |= turn.scale(one, 0)
    return dropped


def _pause(turn: Turn, steps: list[Thing], at: int) -> None:
    if turn.spec.get("paused") or turn.status["promoteFull"] or at >= len(steps) or "pause" not in steps[at]:
        return
    if turn.paused_for("CanaryPauseStep") is None and not turn.old.get("controllerPause"):
        turn.pause("CanaryPauseStep")


def _completed(turn: Turn, steps: list[Thing], at: int) -> bool:
    if turn.spec.get("paused") or at >= len(steps):
        return False
    step = steps[at]
    if "pause" in step:
        held, lasts = turn.paused_for("CanaryPauseStep"), (step["pause"] or {}).get("duration")
        if held is None:
            return bool(turn.old.get("controllerPause"))
        return lasts is not None and turn.over(held, _seconds(lasts))
    if "analysis" in step:
        run = (turn.status.get("canary") or {}).get(_STEP) or {}
        return bool(run.get("status") == "Successful")
    return _at_size(turn, _weight(turn, steps, at)) if "setWeight" in step else True


def _at_size(turn: Turn, weight: int) -> bool:
    canary = turn.spec["strategy"]["canary"]
    routed, stable = bool(canary.get("trafficRouting")), turn.stable
    if count(turn.new, "availableReplicas") < _canary_share(turn, weight, routed=routed):
        return False
    share = turn.replicas - _canary_share(turn, weight, routed=False)
    return routed or stable is None or (count(stable, "availableReplicas") == share and not any(map(size, turn.others)))


def _say(turn: Turn, steps: list[Thing], at: int) -> None:
    end = len(steps)
    if turn.status["promoteFull"] or turn.within_window:
        turn.clear()
        at = end
    if _may_promote(turn, at, end):
        turn.promote()
        at = end
    elif turn.aborted:
        at = end if turn.status["stableRS"] == turn.current else 0
    elif _completed(turn, steps, at):
        at += 1
        turn.status.get("canary", {}).pop(_STEP, None)
        turn.unpause("CanaryPauseStep")
    if end:
        turn.status["currentStepIndex"] = at
    turn.say()


def _may_promote(turn: Turn, at: int, end: int) -> bool:
    if turn.stable is None:
        return True
    if turn.aborted or count(turn.new, "availableReplicas") < turn.replicas:
        return False
    return turn.status["promoteFull"] or turn.rolling_back or at >= end


def _seconds(lasts: object) -> int:
    found = re.findall(r"(\d+)([smh]?)", str(lasts))
    return sum(int(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in found)
