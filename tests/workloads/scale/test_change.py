"""The change that a count means, given the autoscaler, and the request that undoes it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import ObjectRef
from bot.workloads.objects import kinds
from bot.workloads.scale.autoscalers import Autoscaler, hpa, scaled_object
from bot.workloads.scale.change import ScaleChange, ScaleRequest, change_of, reverse, target_values

_REF = ObjectRef(kind=kinds.DEPLOYMENT, namespace="shop", name="api")
_ZERO = {"type": "ScaledToZero", "status": "True"}
_NOT_ZERO = {"type": "ScaledToZero", "status": "False"}


def of_hpa(least: int | None = 2, most: int = 10, *conditions: dict[str, str]) -> Autoscaler:
    floor = {} if least is None else {"minReplicas": least}
    spec = {"maxReplicas": most, **floor}
    return hpa({"metadata": {"name": "api"}, "spec": spec, "status": {"conditions": list(conditions)}}, "shop")


def of_keda(least: int | None = 1, most: int | None = 10, **notes: str) -> Autoscaler:
    """`notes`: annotations of KEDA's, an underscore for each hyphen."""
    counts = {"minReplicaCount": least, "maxReplicaCount": most}
    spec: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
    annotations = {f"autoscaling.keda.sh/{name.replace('_', '-')}": value for name, value in notes.items()}
    return scaled_object({"metadata": {"name": "api", "annotations": annotations}, "spec": spec}, "shop")


def moved(
    count: int, ceiling: int | None = None, *, now: int = 3, auto: Autoscaler | None = None, service: str = "prod/api"
) -> ScaleChange:
    workload = {"metadata": {"name": "api"}, "spec": {"replicas": now}}
    return change_of(ScaleRequest(service=service, count=count, ceiling=ceiling), _REF, workload, auto)


def refused(*args: Any, **more: Any) -> str:
    with pytest.raises(Rejected) as caught:
        moved(*args, **more)
    assert "Nothing was done." in caught.value.message
    return caught.value.message


def text(values: Any) -> str:
    return " ".join(f"{name} {value}" for name, value in values.items())


@pytest.mark.parametrize(
    ("auto", "now", "count", "ceiling", "after", "back"),
    [
        (None, 3, 6, None, "replicas 6", "scale prod/api 3"),
        (None, 3, 0, None, "replicas 0", "scale prod/api 3"),
        (None, 0, 3, None, "replicas 3", "scale prod/api 0"),
        (of_hpa(), 3, 6, None, "floor 6 ceiling 10", "scale prod/api 2 max 10"),
        (of_hpa(), 3, 1, None, "floor 1 ceiling 10", "scale prod/api 2 max 10"),
        (of_hpa(), 3, 12, None, "floor 12 ceiling 12", "scale prod/api 2 max 10"),
        (of_hpa(), 3, 6, 20, "floor 6 ceiling 20", "scale prod/api 2 max 10"),
        (of_hpa(), 3, 2, 2, "floor 2 ceiling 2", "scale prod/api 2 max 10"),
        (of_hpa(None), 3, 4, None, "floor 4 ceiling 10", "scale prod/api 1 max 10"),
        (of_hpa(), 3, 0, None, "replicas 0", "scale prod/api 3"),
        (of_hpa(), 0, 3, None, "replicas 3", "scale prod/api 0"),
        (of_hpa(), 0, 3, 12, "floor 3 ceiling 12", "scale prod/api 2 max 10"),
        (of_hpa(0), 3, 2, None, "floor 2 ceiling 10", "scale prod/api 0 max 10"),
        (of_hpa(2), 3, 0, 10, "floor 0 ceiling 10", "scale prod/api 2 max 10"),
        (of_hpa(0, 10, _NOT_ZERO), 3, 0, None, "replicas 0", "scale prod/api 3"),
        (of_hpa(0, 10, _NOT_ZERO), 0, 3, None, "replicas 3", "scale prod/api 0"),
        (of_hpa(0, 10, _ZERO), 0, 3, None, "floor 3 ceiling 10", "scale prod/api 0 max 10"),
        (of_keda(), 3, 6, None, "floor 6 ceiling 10 paused no", "scale prod/api 1 max 10"),
        (of_keda(), 3, 12, None, "floor 12 ceiling 12 paused no", "scale prod/api 1 max 10"),
        (of_keda(None, None), 3, 5, None, "floor 5 ceiling 100 paused no", "scale prod/api 0 max 100"),
        (of_keda(), 3, 0, None, "floor 1 ceiling 10 paused 0", "scale prod/api 1 max 10"),
        (of_keda(), 3, 0, 10, "floor 0 ceiling 10 paused no", "scale prod/api 1 max 10"),
        (of_keda(paused_replicas="5"), 5, 2, None, "floor 1 ceiling 10 paused 2", "scale prod/api 5"),
        (of_keda(paused_replicas="5", paused="false"), 5, 0, None, "floor 1 ceiling 10 paused 0", "scale prod/api 5"),
        (of_keda(paused_replicas="0"), 0, 1, 10, "floor 1 ceiling 10 paused no", "scale prod/api 0"),
        (of_keda(paused_replicas="0"), 0, 2, 10, "floor 2 ceiling 10 paused no", "None"),
        (of_keda(paused_replicas="five"), 3, 2, None, "floor 1 ceiling 10 paused 2", "None"),
        (of_keda(paused="true"), 3, 6, None, "replicas 6", "scale prod/api 3"),
        (of_keda(paused="anything"), 3, 6, None, "replicas 6", "scale prod/api 3"),
        (of_keda(paused="false"), 3, 6, None, "floor 6 ceiling 10 paused no", "scale prod/api 1 max 10"),
        (of_keda(paused_scale_in="true"), 3, 6, None, "floor 6 ceiling 10 paused no", "scale prod/api 1 max 10"),
    ],
)
def test_a_wish_goes_to_whoever_decides(
    auto: Autoscaler | None, *, now: int, count: int, ceiling: int | None, after: str, back: str
) -> None:
    move = moved(count, ceiling, now=now, auto=auto)

    assert text(move.after) == after
    assert str(move.undo) == back


@pytest.mark.parametrize(
    ("auto", "now", "count", "ceiling"),
    [
        (None, 3, 6, None),
        (of_hpa(), 3, 6, None),
        (of_hpa(), 3, 12, None),
        (of_hpa(), 3, 0, None),
        (of_hpa(0), 3, 2, None),
        (of_keda(), 3, 6, None),
        (of_keda(), 3, 0, None),
        (of_keda(paused_replicas="5"), 5, 2, None),
        (of_keda(paused_replicas="0"), 0, 1, 10),
    ],
)
def test_the_words_that_undo_it_lead_back_to_what_was_there(
    auto: Autoscaler | None, now: int, count: int, ceiling: int | None
) -> None:
    move = moved(count, ceiling, now=now, auto=auto)

    assert move.undo is not None
    assert target_values(move.undo, move.after) == move.before
    assert reverse(move).after == move.before


@pytest.mark.parametrize(
    ("auto", "now", "count", "old", "new", "low"),
    [
        (None, 3, 6, 3, 6, 6),
        (None, 6, 2, 6, 2, 2),
        (of_hpa(), 3, 6, 3, 6, 6),
        (of_hpa(), 8, 6, 8, 8, 8),
        (of_hpa(4), 8, 2, 8, 8, 2),
        (of_keda(), 8, 0, 8, 0, 0),
    ],
)
def test_it_is_known_how_many_there_are_at_once_and_may_be_at_least(
    auto: Autoscaler | None, *, now: int, count: int, old: int, new: int, low: int
) -> None:
    move = moved(count, now=now, auto=auto)

    assert (move.old, move.new, move.low) == (old, new, low)


def test_a_ceiling_below_what_is_there_takes_some_away_at_once() -> None:
    move = moved(2, 5, now=8, auto=of_hpa())

    assert (move.old, move.new, move.low) == (8, 5, 5)
    assert "It goes to 5 replicas at once." in move.effect


def test_floor_and_ceiling_are_told_with_the_reason() -> None:
    within, above = moved(6, auto=of_hpa()), moved(12, auto=of_hpa())

    assert within.effect == (
        "HorizontalPodAutoscaler shop/api scales it, so its bounds are changed, not the workload.",
        "Floor: at least 6, instead of 2.",
        "It goes to 6 replicas at once.",
    )
    assert "Ceiling: at most 12, instead of 10, because the floor would exceed it." in above.effect


def test_0_switches_an_hpa_off_and_that_is_said() -> None:
    off, on = moved(0, auto=of_hpa()), moved(3, now=0, auto=of_hpa())

    assert off.effect[1].startswith(
        "That switches HorizontalPodAutoscaler shop/api off until there is a replica again."
    )
    assert on.effect[1].endswith("on again: from 2 to 10 replicas.")


def test_0_of_an_hpa_that_goes_there_by_itself_is_refused() -> None:
    assert "may scale to 0 by itself (minReplicas 0)" in refused(0, auto=of_hpa(0))
    assert "may scale to 0 by itself" in refused(0, auto=of_hpa(0, 10, _ZERO))


def test_a_pause_of_keda_is_understood_and_told() -> None:
    paused, moved_on = moved(0, auto=of_keda()), moved(2, auto=of_keda(paused_replicas="5"))
    resumed, frozen = moved(2, 10, auto=of_keda(paused_replicas="5")), moved(2, auto=of_keda(paused="true"))
    one_way = moved(4, auto=of_keda(paused_scale_in="true"))

    assert "`scale prod/api 1 max 10` ends the pause." in paused.effect[0]
    assert "at 2 replicas instead of 5" in moved_on.effect[0]
    assert resumed.effect[0].startswith(
        "KEDA is paused at 5 by an annotation of ScaledObject shop/api, which is removed."
    )
    assert "is paused by an annotation there: this stays until that ends" in frozen.effect[1]
    assert "keeps KEDA from scaling it in" in one_way.effect[-1]


@pytest.mark.parametrize(
    ("auto", "now", "count", "ceiling", "said"),
    [
        (None, 3, 3, None, "prod/api has 3 replicas already."),
        (None, 1, 1, None, "prod/api has 1 replica already."),
        (None, 3, 4, 9, "has no active autoscaler"),
        (of_keda(paused="true"), 3, 4, 9, "has no active autoscaler"),
        (of_hpa(), 3, 2, None, "is kept between 2 and 10 by HorizontalPodAutoscaler shop/api already"),
        (of_hpa(), 3, 2, 10, "is kept between 2 and 10"),
        (of_hpa(), 0, 12, None, "is 10. Nothing was done. Raise the ceiling first: `scale prod/api 12 max"),
        (of_hpa(), 0, 0, None, "has 0 replicas already"),
        (of_keda(paused_replicas="0"), 0, 0, None, "is paused at 0 by an annotation of ScaledObject shop/api already"),
    ],
)
def test_what_is_so_already_or_cannot_be_is_refused(
    auto: Autoscaler | None, now: int, count: int, ceiling: int | None, said: str
) -> None:
    assert said in refused(count, ceiling, now=now, auto=auto)


def test_a_plan_for_an_autoscaler_is_the_same_however_many_replicas_that_has_made_meanwhile() -> None:
    assert moved(6, now=3, auto=of_hpa()).effect == moved(6, now=4, auto=of_hpa()).effect
