"""The progress of a rollout: the rules of `kubectl rollout status`, and those that are stricter here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.workloads.objects import kinds
from bot.workloads.objects.status import status_of, timeout_for

_LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": "has timed out progressing",
}


def thing(spec: dict[str, Any] | None = None, *, generation: int = 2, **status: Any) -> dict[str, Any]:
    """A workload of three replicas whose controller has seen its newest spec, but for what is said otherwise."""
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": 3, **(spec or {})},
        "status": {"observedGeneration": 2, **status},
    }


def ready(count: int = 3, **more: Any) -> dict[str, Any]:
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {**dict.fromkeys(names, count), "currentRevision": "b", "updateRevision": "b", **more}


@pytest.mark.parametrize(
    ("of", "said", "done"),
    [
        (thing(**ready(), generation=3), "its controller has not seen the change yet", False),
        (thing(**ready(updatedReplicas=2)), "2 of 3 are of the new revision", False),
        (thing(**ready(replicas=4)), "1 of the old revision are still there", False),
        (thing(**ready(availableReplicas=2)), "2 of 3 are available", False),
        (thing(**ready()), "3 of 3 are available", True),
        (thing({"replicas": 0}, replicas=0), "0 of 0 are available", True),
        (thing({"replicas": None}, **ready(1)), "1 of 1 are available", True),
    ],
)
def test_a_deployment_is_done_when_all_are_new_available_and_alone(
    of: dict[str, Any], said: str, *, done: bool
) -> None:
    standing = status_of(kinds.DEPLOYMENT, of)

    assert (standing.message, standing.done, standing.failed) == (said, done, "")


def test_a_deployment_that_made_no_progress_in_time_has_failed() -> None:
    standing = status_of(kinds.DEPLOYMENT, thing(**ready(updatedReplicas=1), conditions=[_LATE]))

    assert not standing.done
    assert standing.failed == "It made no progress in time: has timed out progressing"


_PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


@pytest.mark.parametrize(
    ("of", "said", "done"),
    [
        (thing(**ready(observedGeneration=0)), "its controller has not seen the change yet", False),
        (thing(**ready(replicas=5)), "2 surplus pods are still there", False),
        (thing(**ready(readyReplicas=1)), "1 of 3 are ready", False),
        (thing(**ready(updatedReplicas=2, currentRevision="a")), "2 of 3 are of the new revision", False),
        (thing(**ready(currentRevision="a")), "3 of 3 are of the new revision", False),
        (thing(**ready(availableReplicas=2)), "2 of 3 are available", False),
        (thing(**ready()), "3 of 3 are available", True),
        (
            thing(_PARTITION, **ready(updatedReplicas=0, currentRevision="a")),
            "0 of 1 above the partition are of the new revision",
            False,
        ),
        (thing(_PARTITION, **ready(updatedReplicas=1, currentRevision="a")), "3 of 3 are available", True),
        (
            thing({"updateStrategy": {"type": "OnDelete"}}, **ready(updatedReplicas=0, currentRevision="a")),
            "3 of 3 are available",
            True,
        ),
    ],
)
def test_a_statefulset_is_done_when_its_update_revision_is_its_current_one(
    of: dict[str, Any], said: str, *, done: bool
) -> None:
    standing = status_of(kinds.STATEFULSET, of)

    assert (standing.message, standing.done) == (said, done)


@pytest.mark.parametrize(
    ("status", "said", "done"),
    [
        ({"desiredNumberScheduled": 2, "updatedNumberScheduled": 1}, "1 of 2 are of the new revision", False),
        (
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1},
            "1 of 2 are available",
            False,
        ),
        (
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
            "2 of 2 are available",
            True,
        ),
    ],
)
def test_a_daemonset_is_done_when_each_node_has_a_new_one(status: dict[str, Any], said: str, *, done: bool) -> None:
    standing = status_of(kinds.DAEMONSET, thing(**status))

    assert (standing.message, standing.done) == (said, done)


@pytest.mark.parametrize(
    ("status", "said", "done", "failed"),
    [
        ({"observedGeneration": "1", "phase": "Healthy"}, "its controller has not seen the change yet", False, ""),
        ({"observedGeneration": "abc", "phase": "Healthy", "availableReplicas": 3}, "3 of 3 are available", True, ""),
        ({"observedGeneration": "2", "phase": "Healthy", "availableReplicas": 2}, "2 of 3 are available", False, ""),
        (
            {"observedGeneration": "2", "phase": "Paused", "message": "CanaryPauseStep"},
            "Paused, CanaryPauseStep",
            False,
            "",
        ),
        (
            {"observedGeneration": "2", "phase": "Degraded", "message": "RolloutAborted: by somebody"},
            "degraded",
            False,
            "Argo Rollouts says that it is degraded: RolloutAborted: by somebody.",
        ),
    ],
)
def test_a_rollout_is_what_its_controller_calls_it_once_that_has_seen_it(
    status: dict[str, Any], said: str, failed: str, *, done: bool
) -> None:
    standing = status_of(kinds.ROLLOUT, thing(**status))

    assert (standing.message, standing.done, standing.failed) == (said, done, failed)


def test_the_patience_is_its_own_deadline_and_a_margin_and_has_an_end() -> None:
    assert timeout_for(thing()) == timedelta(seconds=660)
    assert timeout_for(thing({"progressDeadlineSeconds": 60})) == timedelta(seconds=120)
    assert timeout_for(thing({"progressDeadlineSeconds": 2147483647})) == timedelta(seconds=3660)
