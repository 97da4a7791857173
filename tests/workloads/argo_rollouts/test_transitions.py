"""Which write each verb for Argo Rollouts needs, as a table, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.workloads.argo_rollouts import transitions as promoting
from bot.workloads.argo_rollouts.transitions import RolloutContext, RolloutWrite
from bot.workloads.objects.argo_rollout import read
from tests.workloads.objects.test_argo_rollout import paused, thing, updating

_INCONCLUSIVE = {"currentStepAnalysisRunStatus": {"name": "api-4", "status": "Inconclusive"}}
_RUNNING = {"currentStepAnalysisRunStatus": {"name": "api-4", "status": "Running"}}
_FAILED = {"currentBackgroundAnalysisRunStatus": {"name": "api-b", "status": "Failed"}}
_BLUE_GREEN: dict[str, Any] = {"strategy": {"blueGreen": {"autoPromotionEnabled": False}}}
Decide = Callable[[RolloutContext], RolloutWrite]


def scene(
    status: dict[str, Any], *, available: int = 1, begun: bool = True, generation: int = 2, **spec: Any
) -> RolloutContext:
    rollout = read(thing(status, generation=generation, **spec))
    return RolloutContext(service="prod/api", rollout=rollout, available=available, wanted=1, begun=begun)


@pytest.mark.parametrize(
    ("decide", "told", "status"),
    [
        (promoting.promotion, scene(paused(currentStepIndex=1)), {"pauseConditions": None}),
        (promoting.promotion, scene(paused("BlueGreenPause"), **_BLUE_GREEN), {"pauseConditions": None}),
        (
            promoting.promotion,
            scene(paused("InconclusiveAnalysisRun", currentStepIndex=4, canary=_INCONCLUSIVE)),
            {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 5},
        ),
        (
            promoting.promotion,
            scene(paused("InconclusiveAnalysisRun", currentStepIndex=5, canary=_INCONCLUSIVE)),
            {"pauseConditions": None, "controllerPause": False, "currentStepIndex": 5},
        ),
        (
            promoting.promotion,
            scene(updating(currentStepIndex=4, canary=_RUNNING)),
            {"pauseConditions": None, "currentStepIndex": 5},
        ),
        (promoting.full, scene(paused(currentStepIndex=1)), {"promoteFull": True}),
        (promoting.full, scene(updating(abort=True)), {"promoteFull": True}),
        (promoting.abort, scene(paused(currentStepIndex=1)), {"abort": True}),
        (promoting.abort, scene(updating(controllerPause=True)), {"abort": True}),
        (promoting.retry, scene(updating(abort=True)), {"abort": False}),
    ],
)
def test_each_needs_one_write_of_the_status(decide: Decide, told: RolloutContext, status: dict[str, Any]) -> None:
    change = decide(told)

    assert (dict(change.status), dict(change.spec)) == (status, {})


@pytest.mark.parametrize(
    ("decide", "spec", "wanted"),
    [(promoting.pause, {}, True), (promoting.resume, {"paused": True}, False)],
)
def test_pause_and_resume_write_the_spec(decide: Decide, spec: dict[str, Any], *, wanted: bool) -> None:
    change = decide(scene(paused(currentStepIndex=1), **spec))

    assert (dict(change.status), dict(change.spec)) == ({}, {"paused": wanted})


@pytest.mark.parametrize(
    ("decide", "told", "code"),
    [
        (promoting.promotion, scene(updating(controllerPause=True)), "unpausing"),
        (promoting.full, scene(updating(controllerPause=True)), "unpausing"),
        (promoting.promotion, scene(paused(currentStepIndex=1), generation=3), "unobserved"),
        (promoting.abort, scene(paused(currentStepIndex=1), generation=3), "unobserved"),
        (promoting.promotion, scene(paused(currentStepIndex=1), paused=True), "paused"),
        (promoting.full, scene(paused(currentStepIndex=1), paused=True), "paused"),
        (promoting.abort, scene(paused(currentStepIndex=1), paused=True), "paused"),
        (promoting.retry, scene(updating(abort=True), paused=True), "paused"),
        (promoting.pause, scene(updating(), paused=True), "paused"),
        (promoting.resume, scene(updating()), "not_paused"),
        (promoting.promotion, scene(updating(abort=True)), "aborted"),
        (promoting.abort, scene(updating(abort=True)), "aborted"),
        (promoting.retry, scene(paused(currentStepIndex=1)), "not_aborted"),
        (promoting.promotion, scene(updating(stableRS="new", phase="Healthy")), "not_updating"),
        (promoting.full, scene(updating(stableRS="new", phase="Healthy")), "not_updating"),
        (promoting.abort, scene(updating(stableRS="new", phase="Healthy")), "not_updating"),
        (promoting.promotion, scene(updating(stableRS="")), "first_version"),
        (promoting.promotion, scene(updating(promoteFull=True)), "full_already"),
        (promoting.full, scene(updating(promoteFull=True)), "full_already"),
        (promoting.promotion, scene(paused(currentStepIndex=1, canary=_FAILED)), "analysis_failed"),
        (promoting.promotion, scene(paused(currentStepIndex=1), available=0), "not_available"),
        (promoting.promotion, scene(updating(currentStepIndex=2)), "not_paused"),
        (promoting.promotion, scene(updating(currentStepIndex=3)), "not_paused"),
        (promoting.promotion, scene(updating(currentStepIndex=4)), "not_paused"),
        (promoting.promotion, scene(updating(currentStepIndex=4, canary=_RUNNING), begun=False), "not_paused"),
        (promoting.promotion, scene(updating(currentStepIndex=5)), "not_paused"),
        (promoting.promotion, scene(updating(), **_BLUE_GREEN), "not_paused"),
    ],
)
def test_what_would_skip_something_or_do_nothing_is_refused(decide: Decide, told: RolloutContext, code: str) -> None:
    with pytest.raises(Rejected) as why:
        decide(told)

    assert why.value.code == code
    assert why.value.message.startswith("Rollout api ")
    assert "Nothing was done." in why.value.message


def test_an_analysis_that_nobody_waits_for_any_more_is_named() -> None:
    change = promoting.promotion(scene(updating(currentStepIndex=4, canary=_RUNNING)))

    assert change.skips is not None
    assert change.skips.name == "api-4"
