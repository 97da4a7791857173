"""Who else writes: KEDA, Argo CD and metrics that ask for more, as only the fake can be told to play them."""

from __future__ import annotations

import pytest

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.workloads.objects import kinds, run_markers
from tests.cluster import manifests
from tests.cluster.world import World


@pytest.fixture(autouse=True)
def deployed(world: World) -> None:
    world.fake.settle()
    world.create(kinds.DEPLOYMENT, "api", **manifests.deployment(replicas=3))


def replicas(world: World) -> object:
    return world.get(kinds.DEPLOYMENT, "api")["spec"]["replicas"]


def scale(world: World, count: int) -> None:
    world.merge(kinds.DEPLOYMENT, "api", {"spec": {"replicas": count}}, sub="scale")
    world.fake.settle()


def annotate(world: World, **notes: str | None) -> None:
    full = {f"autoscaling.keda.sh/{name.replace('_', '-')}": value for name, value in notes.items()}
    world.merge(kinds.SCALED, "api", {"metadata": {"annotations": full}})
    world.fake.settle()


def condition(thing: KubernetesObject, kind: str) -> tuple[str, str]:
    found = next(one for one in thing["status"]["conditions"] if one["type"] == kind)
    return found["status"], found["reason"]


def test_an_autoscaler_takes_back_what_was_scaled_by_hand_between_its_bounds(world: World) -> None:
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=10))
    world.fake.settle()

    scale(world, 6)

    found = world.get(kinds.DEPLOYMENT, "api")
    assert found["spec"]["replicas"] == 3
    assert run_markers.owner_of_field(found, "spec", "replicas") == "the HorizontalPodAutoscaler"


def test_an_autoscaler_at_its_ceiling_says_that_it_is_limited(world: World) -> None:
    world.fake.hpa_wants["api"] = 30
    world.create(kinds.HPA, "api", **manifests.hpa(least=2, most=5))
    world.fake.settle()

    assert replicas(world) == 5
    assert condition(world.get(kinds.HPA, "api"), "ScalingLimited") == ("True", "TooManyReplicas")


def test_keda_has_an_autoscaler_of_its_own_and_puts_it_back(world: World) -> None:
    world.create(kinds.SCALED, "api", **manifests.scaled_object(least=4, most=9))
    world.fake.settle()

    world.merge(kinds.HPA, "keda-hpa-api", {"spec": {"minReplicas": 7}})
    world.fake.settle()

    assert world.get(kinds.SCALED, "api")["status"]["hpaName"] == "keda-hpa-api"
    assert world.get(kinds.HPA, "keda-hpa-api")["spec"]["minReplicas"] == 4
    assert replicas(world) == 4


def test_keda_paused_at_a_count_deletes_its_autoscaler_and_keeps_to_that_count(world: World) -> None:
    world.create(kinds.SCALED, "api", **manifests.scaled_object(least=2, most=9))
    annotate(world, paused_replicas="7", paused="false")
    scale(world, 1)
    paused = world.get(kinds.SCALED, "api")
    without = world.every(kinds.HPA)

    annotate(world, paused_replicas=None, paused=None)

    assert (condition(paused, "Paused"), paused["status"]["pausedReplicaCount"]) == (("True", "ScaledObjectPaused"), 7)
    assert (without, replicas(world)) == ([], 7)
    assert condition(world.get(kinds.SCALED, "api"), "Paused")[0] == "False"
    assert [one["metadata"]["name"] for one in world.every(kinds.HPA)] == ["keda-hpa-api"]


def test_keda_takes_any_word_but_false_for_paused(world: World) -> None:
    world.create(kinds.SCALED, "api", **manifests.scaled_object(least=2, most=9))

    annotate(world, paused="perhaps")
    scale(world, 8)

    assert condition(world.get(kinds.SCALED, "api"), "Paused")[0] == "True"
    assert (world.every(kinds.HPA), replicas(world)) == ([], 8)


def test_keda_refuses_a_floor_above_its_ceiling(world: World) -> None:
    world.create(kinds.SCALED, "api", **manifests.scaled_object(least=2, most=9))

    with pytest.raises(Rejected) as refused:
        world.merge(kinds.SCALED, "api", {"spec": {"minReplicaCount": 10}})

    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("policy", "more", "stands"),
    [
        ({"selfHeal": True}, {}, 3),
        ({"selfHeal": False}, {}, 8),
        ({"selfHeal": True, "enabled": False}, {}, 8),
        (None, {}, 8),
        ({"selfHeal": True}, {"jsonPointers": ["/spec/replicas"]}, 8),
    ],
)
def test_argo_cd_puts_back_what_git_has_where_it_heals(
    world: World, policy: dict[str, bool] | None, more: dict[str, list[str]], stands: int
) -> None:
    world.fake.git["Deployment", "api"] = {"spec": {"replicas": 3}}
    ignored = [{"group": "apps", "kind": "Deployment", **more}] if more else []
    app = manifests.application(world.namespace, automated=policy, ignoreDifferences=ignored)
    world.create(kinds.APPLICATION, "shop", **app)

    scale(world, 8)

    found = world.get(kinds.DEPLOYMENT, "api")
    healed = run_markers.owner_of_field(found, "spec", "replicas") == "Argo CD"
    assert (found["spec"]["replicas"], healed) == (stands, stands == 3)
