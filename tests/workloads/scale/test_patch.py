"""The one patch of a scale: it tests the values that were read, and nothing that changes by itself."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workloads.scale.patch import HPA, KEDA, PATCHES, WORKLOAD
from tests.fakes import kubernetes_patches as patches

_META = {"uid": "u1", "resourceVersion": "7", "name": "api"}
_PAUSED = "autoscaling.keda.sh/paused-replicas"


def thing(spec: dict[str, Any], **notes: str) -> dict[str, Any]:
    meta = {**_META, "annotations": notes} if notes else dict(_META)
    return {"metadata": meta, "spec": spec}


def held_fast(steps: list[dict[str, object]]) -> set[object]:
    return {step["path"] for step in steps if step["op"] == "test"}


@pytest.mark.parametrize("spec", [{"replicas": 3}, {}])
def test_a_scale_is_tested_as_a_whole_because_a_count_of_0_is_left_out(spec: dict[str, int]) -> None:
    steps = WORKLOAD.operations(thing(spec), {"replicas": "6"}, "r1")

    assert patches.steps(thing(spec), steps)["spec"] == {"replicas": 6}
    assert held_fast(steps) == {"/metadata/uid", "/spec"}
    with pytest.raises(patches.Unfit):
        patches.steps(thing({"replicas": 4}), steps)


def test_a_scale_that_was_made_anew_is_another() -> None:
    steps = WORKLOAD.operations(thing({"replicas": 3}), {"replicas": "6"}, "r1")

    with pytest.raises(patches.Unfit):
        patches.steps({**thing({"replicas": 3}), "metadata": {**_META, "uid": "u2"}}, steps)


def test_what_an_object_says_is_tested_by_itself_and_its_version_is_not() -> None:
    held = thing({"minReplicas": 2, "maxReplicas": 10}, note="x")

    steps = HPA.operations(held, {"floor": "6", "ceiling": "10"}, "r1")

    made = patches.steps(held, steps)
    assert made["spec"] == {"minReplicas": 6, "maxReplicas": 10}
    assert made["metadata"]["annotations"] == {"note": "x", "vakhta.dev/run": "r1"}
    assert held_fast(steps) == {"/metadata/uid", "/spec/minReplicas", "/spec/maxReplicas"}


@pytest.mark.parametrize(
    "held", [thing({"maxReplicas": 10}, note="x"), thing({"minReplicas": 1, "maxReplicas": 10})], ids=["floor", "notes"]
)
def test_where_something_is_absent_the_version_is_tested_instead(held: dict[str, Any]) -> None:
    steps = HPA.operations(held, {"floor": "6", "ceiling": "10"}, "r1")

    assert "/metadata/resourceVersion" in held_fast(steps)
    assert patches.steps(held, steps)["spec"]["minReplicas"] == 6
    with pytest.raises(patches.Unfit):
        patches.steps({**held, "metadata": {**held["metadata"], "resourceVersion": "8"}}, steps)


@pytest.mark.parametrize(
    ("notes", "paused", "after"),
    [
        ({}, "0", {_PAUSED: "0", "vakhta.dev/run": "r1"}),
        ({"a": "b"}, "0", {"a": "b", _PAUSED: "0", "vakhta.dev/run": "r1"}),
        ({_PAUSED: "5"}, "0", {_PAUSED: "0", "vakhta.dev/run": "r1"}),
        ({_PAUSED: "5", "a": "b"}, "no", {"a": "b", "vakhta.dev/run": "r1"}),
    ],
)
def test_a_pause_of_keda_is_an_annotation_that_comes_changes_and_goes(
    notes: dict[str, str], paused: str, after: dict[str, str]
) -> None:
    held = thing({"minReplicaCount": 1, "maxReplicaCount": 10}, **notes)

    made = patches.steps(held, KEDA.operations(held, {"floor": "1", "ceiling": "10", "paused": paused}, "r1"))

    assert made["metadata"]["annotations"] == after
    assert made["spec"] == held["spec"]


def test_a_dry_run_leaves_no_mark() -> None:
    held = thing({"minReplicas": 2, "maxReplicas": 10})

    assert (
        "annotations" not in patches.steps(held, HPA.operations(held, {"floor": "3", "ceiling": "10"}, ""))["metadata"]
    )


def test_what_is_not_said_is_read_as_what_counts_then() -> None:
    assert WORKLOAD.read({"metadata": {}, "spec": {}}) == {"replicas": "0"}
    assert HPA.read(thing({"maxReplicas": 4})) == {"floor": "1", "ceiling": "4"}
    assert KEDA.read(thing({})) == {"floor": "0", "ceiling": "100", "paused": "no"}


def test_every_lever_is_found_by_its_way() -> None:
    assert [PATCHES[way].kind_name for way in ("workload", "autoscaler", "keda")] == ["workload", "autoscaler", "keda"]
