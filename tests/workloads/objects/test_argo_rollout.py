"""The state of an Argo Rollout: the rules of GetRolloutPhase, steps, pauses, weights and analyses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.core.kubernetes import KubernetesObject
from bot.workloads.argo_rollouts.describe import countdown, describe_analyses, describe_step, progress, waiting_for
from bot.workloads.objects.argo_rollout import Phase, of_step, phase_of, read, span_of

_STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "10m"}}, {"analysis": {}}]
_SINCE = "2026-11-24T03:00:00Z"


def thing(
    status: dict[str, Any] | None = None, *, generation: int = 2, notes: KubernetesObject | None = None, **spec: Any
) -> KubernetesObject:
    meta = {"name": "api", "namespace": "shop", "uid": "u1", "generation": generation, "annotations": notes or {}}
    strategy = {"canary": {"steps": _STEPS}}
    return {"metadata": meta, "spec": {"replicas": 4, "strategy": strategy, **spec}, "status": status or {}}


def updating(**status: Any) -> dict[str, Any]:
    known = {"observedGeneration": "2", "currentPodHash": "new", "stableRS": "old", "phase": "Paused"}
    return {**known, **status}


def paused(reason: str = "CanaryPauseStep", **status: Any) -> dict[str, Any]:
    pauses = [{"reason": reason, "startTime": _SINCE}]
    return updating(pauseConditions=pauses, controllerPause=True, **status)


_UNSEEN = (Phase.PROGRESSING, "waiting for rollout spec update to be observed")
_UNPAUSING = (Phase.PROGRESSING, "waiting for rollout to unpause")


@pytest.mark.parametrize(
    ("status", "spec", "told"),
    [
        ({"observedGeneration": "1", "phase": "Healthy"}, {}, _UNSEEN),
        ({"observedGeneration": "2", "phase": "Healthy"}, {}, (Phase.HEALTHY, "")),
        ({"observedGeneration": "5d8f7", "phase": "Healthy"}, {}, (Phase.HEALTHY, "")),
        ({"observedGeneration": "99999", "phase": "Healthy"}, {}, (Phase.HEALTHY, "")),
        ({"observedGeneration": "2", "phase": "Paused", "controllerPause": True}, {}, _UNPAUSING),
        (paused(message="CanaryPauseStep"), {}, (Phase.PAUSED, "CanaryPauseStep")),
        (updating(phase="Degraded", message="RolloutAborted: x"), {}, (Phase.DEGRADED, "RolloutAborted: x")),
        ({"observedGeneration": "2"}, {"paused": True}, (Phase.PAUSED, "manually paused")),
        ({"conditions": [{"type": "InvalidSpec", "message": "no"}]}, {}, (Phase.DEGRADED, "InvalidSpec: no")),
        (
            {"conditions": [{"type": "Progressing", "reason": "RolloutAborted", "message": "by x"}]},
            {},
            (Phase.DEGRADED, "RolloutAborted: by x"),
        ),
        ({"pauseConditions": [{"reason": "BlueGreenPause"}]}, {}, (Phase.PAUSED, "BlueGreenPause")),
        ({"updatedReplicas": 2}, {}, (Phase.PROGRESSING, "more replicas need to be updated")),
        ({"updatedReplicas": 4}, {}, (Phase.PROGRESSING, "updated replicas are still becoming available")),
        (
            {"updatedReplicas": 4, "availableReplicas": 4, "currentPodHash": "a", "stableRS": "b"},
            {},
            (Phase.PROGRESSING, "waiting for all steps to complete"),
        ),
        (
            {"updatedReplicas": 4, "availableReplicas": 4, "currentPodHash": "a", "stableRS": "a"},
            {},
            (Phase.HEALTHY, ""),
        ),
    ],
)
def test_its_phase_is_what_its_own_tools_call_it(
    status: dict[str, Any], spec: dict[str, Any], told: tuple[Phase, str]
) -> None:
    assert phase_of(thing(status, **spec)) == told


@pytest.mark.parametrize(("seen", "phase"), [("3", Phase.PROGRESSING), ("4", Phase.HEALTHY)])
def test_one_that_refers_to_a_workload_waits_for_that_to_be_seen(seen: str, phase: Phase) -> None:
    notes = {"rollout.argoproj.io/workload-generation": "4"}
    status = {"observedGeneration": "2", "workloadObservedGeneration": seen, "phase": "Healthy"}
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}

    assert phase_of(thing(status, notes=notes, workloadRef=ref))[0] is phase


@pytest.mark.parametrize(
    ("pause", "long"),
    [
        ({}, None),
        ({"duration": 30}, timedelta(seconds=30)),
        ({"duration": "30"}, timedelta(seconds=30)),
        ({"duration": "1h30m"}, timedelta(minutes=90)),
        ({"duration": "1.5s"}, timedelta(seconds=1.5)),
        ({"duration": "250ms"}, timedelta(milliseconds=250)),
    ],
)
def test_a_pause_lasts_as_long_as_go_reads_it(pause: dict[str, Any], long: timedelta | None) -> None:
    assert span_of(pause) == long


def test_a_step_that_is_not_said_is_the_first_and_none_is_past_the_last() -> None:
    assert read(thing(updating())).step == 0
    assert read(thing(updating(currentStepIndex=9))).step == len(_STEPS)


@pytest.mark.parametrize(("start", "halt"), [(0, 1), (1, 1), (2, 3), (4, 4), (5, 5)])
def test_it_stops_next_where_a_person_a_time_or_a_judgement_is_waited_for(start: int, halt: int) -> None:
    assert read(thing(updating())).halt_from(start) == halt


@pytest.mark.parametrize(
    ("status", "weight", "verified"),
    [
        (updating(currentStepIndex=0), 25, True),
        (updating(currentStepIndex=3), 50, True),
        (updating(currentStepIndex=5), 100, True),
        (updating(currentStepIndex=3, abort=True), 0, True),
        (updating(canary={"weights": {"canary": {"weight": 7}, "verified": False}}), 7, False),
        (updating(canary={"weights": {"canary": {"weight": 7}, "verified": True}}), 7, True),
    ],
)
def test_its_weight_is_the_routers_or_that_of_its_last_step(
    status: dict[str, Any], weight: int, *, verified: bool
) -> None:
    rollout = read(thing(status))

    assert (rollout.weight, rollout.verified) == (weight, verified)


def test_a_pause_with_a_time_counts_down_and_one_without_waits_for_a_person() -> None:
    timed, endless = read(thing(paused(currentStepIndex=3))), read(thing(paused(currentStepIndex=1)))

    assert waiting_for(timed) == "It continues by itself at 03:10:00 UTC."
    assert countdown(timed, datetime(2026, 11, 24, 3, 4, tzinfo=UTC)) == "It continues by itself in 6 min."
    assert countdown(timed, datetime(2026, 11, 24, 3, 11, tzinfo=UTC)) == "Its pause is over: it continues now."
    assert waiting_for(endless) == "It waits until somebody promotes it."
    assert countdown(endless, datetime(2026, 11, 24, 3, 4, tzinfo=UTC)) == ""


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ({"autoPromotionEnabled": False, "autoPromotionSeconds": 30}, None),
        ({"autoPromotionSeconds": 30}, datetime(2026, 11, 24, 3, 0, 30, tzinfo=UTC)),
    ],
)
def test_blue_green_promotes_itself_where_it_may(how: dict[str, Any], ends: datetime | None) -> None:
    rollout = read(thing(paused("BlueGreenPause"), strategy={"blueGreen": how}))

    assert rollout.goes_on_at() == ends


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (paused(currentStepIndex=1), "At step 2 of 5 (a pause until somebody promotes). new has 25%"),
        (updating(stableRS="new"), "Version new has all traffic."),
        (updating(abort=True), "Version new was aborted; old has the traffic."),
        (updating(currentStepIndex=5), "At past all 5 steps. new has 100%"),
    ],
)
def test_where_it_is_in_words(status: dict[str, Any], said: str) -> None:
    assert progress(read(thing(status))).startswith(said)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"setWeight": 20}, "20% of the traffic"),
        ({"pause": None}, "a pause until somebody promotes"),
        ({"analysis": {"templates": [{"templateName": "errors"}]}}, "the analysis errors"),
        ({"setCanaryScale": {"replicas": 1}}, "a set number of canary pods"),
        ({"somethingNew": {}}, "a step unknown to the bot"),
    ],
)
def test_each_step_has_its_words(step: dict[str, Any], said: str) -> None:
    assert describe_step(step) == said


def test_an_analysis_is_told_with_what_it_measured() -> None:
    held = {"name": "api-1", "status": "Running"}
    rollout = read(thing(updating(canary={"currentStepAnalysisRunStatus": held})))
    measured = {"name": "errors", "phase": "Running", "failed": 2, "measurements": [{"value": "[0.4]"}]}
    run = {"metadata": {"name": "api-1"}, "status": {"phase": "Running", "metricResults": [measured]}}

    assert describe_analyses(rollout, [run]) == [
        "Analysis api-1 (step): Running; errors [0.4] Running, failed 2 times."
    ]


def test_an_analysis_is_of_the_step_that_its_label_names() -> None:
    run = {"metadata": {"name": "x", "labels": {"step-index": "4"}}}

    assert of_step(run, 4)
    assert not of_step(run, 5)
    assert not of_step(None, 4)
