"""Blue-green of Argo Rollouts in the fake Kubernetes: two sizes, one switch. After rollout/bluegreen.go."""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import changed, told
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_rollouts_turn import DEADLINE, HASH, MANAGER, Turn, count, size
from tests.fakes.kubernetes_store import Thing
from tests.fakes.ticking import read

_PRE, _POST = "prePromotionAnalysisRunStatus", "postPromotionAnalysisRunStatus"
_DELAY_S = 30


def turn_blue_green(turn: Turn) -> None:
    how = turn.spec["strategy"]["blueGreen"]
    active, preview = _service(turn, how.get("activeService")), _service(turn, how.get("previewService"))
    if active is None:
        said = f'InvalidSpec: The Rollout "{turn.thing["metadata"]["name"]}" is invalid: service not found'
        told(turn.fake, turn.thing, {**turn.old, "phase": "Degraded", "message": said}, by=MANAGER)
        turn.waits = True
        return
    if preview is not None:
        _select(turn, preview, turn.current)
    if turn.changed_template:
        turn.reset()
    else:
        fast = _fast(turn)
        _scale(turn, how)
        _pause(turn, how, active, fast=fast)
        _switch(turn, how, active, fast=fast)
        _analyse(turn, how, fast=fast)
    _say(turn, how, fast=not turn.changed_template and fast)


def _fast(turn: Turn) -> bool:
    """Back to what is stable, or to what has not been scaled down yet: looked at before that mark is taken away."""
    stable, until = turn.stable, (turn.new["metadata"].get("annotations") or {}).get(DEADLINE)
    older = stable is not None and turn.new["metadata"]["creationTimestamp"] < stable["metadata"]["creationTimestamp"]
    within = older and until is not None and read(until) > turn.fake.clock.at
    return turn.rolling_back or within or bool((turn.old.get("blueGreen") or {}).get("fast") == turn.current)


def _service(turn: Turn, name: str | None) -> Thing | None:
    return turn.fake.objects.find(kind_of("Service"), turn.thing["metadata"]["namespace"], name) if name else None


def _select(turn: Turn, service: Thing, known: str) -> None:
    changed(turn.fake, service, {"spec": {"selector": {HASH: known}}}, by=MANAGER)


def _selected(turn: Turn, name: str | None) -> str:
    service = _service(turn, name)
    return str(((service or {}).get("spec") or {}).get("selector", {}).get(HASH, ""))


def _wanted(turn: Turn, how: Thing) -> int:
    """NewRSNewReplicas: the preview has a size of its own until it is promoted."""
    held = turn.old.get("blueGreen") or {}
    preview, active = how.get("previewReplicaCount"), turn.of(held.get("activeSelector", ""))
    if preview is None or active is None or active["metadata"]["labels"][HASH] == turn.current:
        return turn.replicas
    if turn.status["promoteFull"]:
        return turn.replicas
    paused = turn.spec.get("paused") or turn.old.get("pauseConditions")
    return turn.replicas if not paused and held.get("scaleUpPreviewCheckPoint") else int(preview)


def _scale(turn: Turn, how: Thing) -> None:
    stable, new = turn.stable, turn.new
    turn.undated(stable)
    if stable is not None:
        turn.scale(stable, turn.replicas)
    delay = int(how.get("abortScaleDownDelaySeconds", _DELAY_S))
    if turn.aborted and stable is not None and stable["metadata"]["name"] != new["metadata"]["name"]:
        if delay and count(stable, "availableReplicas") >= turn.replicas:
            turn.later_down(new, delay)
    else:
        turn.undated(new)
        turn.scale(turn.new, _wanted(turn, how))
    if turn.paused_for("InconclusiveAnalysisRun") is not None:
        return
    used = {_selected(turn, how.get("activeService")), _selected(turn, how.get("previewService"))}
    for one in turn.others:
        if one["metadata"]["labels"][HASH] not in used:
            turn.later_down(one, int(how.get("scaleDownDelaySeconds", _DELAY_S)))


def _ready(turn: Turn, how: Thing) -> bool:
    return size(turn.new) == count(turn.new, "availableReplicas") == _wanted(turn, how)


def _tracked(turn: Turn, active: Thing, *, fast: bool) -> bool:
    selected = (active["spec"].get("selector") or {}).get(HASH)
    return fast or turn.status["promoteFull"] or selected in (None, turn.current)


def _pause(turn: Turn, how: Thing, active: Thing, *, fast: bool) -> None:
    if turn.old.get("abort") or not _ready(turn, how) or turn.halted:
        return
    by_hand = how.get("autoPromotionEnabled") is False or int(how.get("autoPromotionSeconds") or 0) > 0
    passed = (turn.old.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint")
    if _tracked(turn, active, fast=fast) or passed or not by_hand:
        turn.unpause("BlueGreenPause")
    elif not _pre_done(turn, how):
        return
    elif turn.paused_for("BlueGreenPause") is not None:
        if _pause_done(turn, how):
            turn.unpause("BlueGreenPause")
    elif not turn.old.get("controllerPause"):
        turn.pause("BlueGreenPause")


def _pause_done(turn: Turn, how: Thing) -> bool:
    """CompletedBlueGreenPause."""
    held = turn.paused_for("BlueGreenPause")
    if turn.pausing:
        return False
    if (turn.old.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint"):
        return True
    if how.get("autoPromotionEnabled") is False:
        return bool(turn.old.get("controllerPause")) and held is None
    seconds = int(how.get("autoPromotionSeconds") or 0)
    return not seconds or (held is not None and turn.over(held, seconds))


def _pre_done(turn: Turn, how: Thing) -> bool:
    held = (turn.old.get("blueGreen") or {}).get(_PRE) or {}
    return not how.get("prePromotionAnalysis") or held.get("status") == "Successful"


def _switch(turn: Turn, how: Thing, active: Thing, *, fast: bool) -> None:
    if turn.halted or not _ready(turn, how) or count(turn.new, "availableReplicas") < turn.replicas:
        if turn.old.get("abort") and not turn.halted and turn.old.get("stableRS"):
            _select(turn, active, turn.old["stableRS"])
        return
    if turn.old.get("abort"):
        _select(turn, active, turn.old["stableRS"])
    elif _tracked(turn, active, fast=fast) or (_pause_done(turn, how) and _pre_done(turn, how)):
        _select(turn, active, turn.current)


def _analyse(turn: Turn, how: Thing, *, fast: bool) -> None:
    stable, active = turn.old.get("stableRS", ""), (turn.old.get("blueGreen") or {}).get("activeSelector", "")
    if stable in ("", turn.current) or turn.aborted or turn.status["promoteFull"] or fast:
        for name in (_PRE, _POST):
            turn.cancel("blueGreen", name)
        return
    begun = (turn.old.get("blueGreen") or {}).get(_PRE) is not None
    if how.get("prePromotionAnalysis") and active not in ("", turn.current) and (begun or _ready(turn, how)):
        turn.analysed("blueGreen", _PRE, "pre", said="Blue/green pre-promotion analysis")
    if how.get("postPromotionAnalysis") and active == turn.current:
        turn.analysed("blueGreen", _POST, "post", said="Blue/green post-promotion analysis")


def _say(turn: Turn, how: Thing, *, fast: bool) -> None:
    if turn.status["promoteFull"] or turn.within_window:
        turn.clear()
    held = turn.status.setdefault("blueGreen", {})
    held["activeSelector"] = _selected(turn, how["activeService"])
    held["previewSelector"] = _selected(turn, how.get("previewService"))
    if fast and turn.old.get("stableRS") != turn.current:
        held["fast"] = turn.current
    if _may_promote(turn, how, fast=fast):
        turn.promote()
        held.pop("fast", None)
    elif how.get("previewReplicaCount") is not None and _pre_done(turn, how) and _pause_done(turn, how):
        full = count(turn.new, "availableReplicas") == int(how["previewReplicaCount"])
        held["scaleUpPreviewCheckPoint"] = bool(held.get("scaleUpPreviewCheckPoint")) or full
    turn.status["blueGreen"] = {name: value for name, value in held.items() if value}
    serving = turn.of(held["activeSelector"])
    if serving is not None:
        turn.status["availableReplicas"] = count(serving, "availableReplicas")
        turn.status["HPAReplicas"] = count(serving, "replicas")
    turn.say()


def _may_promote(turn: Turn, how: Thing, *, fast: bool) -> bool:
    held = turn.status["blueGreen"]
    if turn.stable is None or not held["activeSelector"]:
        return True
    if held["activeSelector"] != turn.current:
        return False
    if turn.status["promoteFull"] or fast:
        return True
    post = held.get(_POST) or {}
    return not turn.aborted and (not how.get("postPromotionAnalysis") or post.get("status") == "Successful")
