"""An Argo Rollout in progress, for tests of the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.core.kubernetes import KubernetesObject, PatchType, ResourceKind
from bot.workloads.objects import kinds
from bot.workloads.objects.argo_rollout import HASH, Phase, Rollout, read
from tests.cluster.manifests import ONE, TWO, rollout
from tests.cluster.world import World
from tests.fakes.kubernetes_rollouts import Rollouts

TEMPLATE = ResourceKind(group="argoproj.io", version="v1alpha1", plural="analysistemplates", title="AnalysisTemplate")
PAUSE: Mapping[str, Any] = {"pause": {}}
ANALYSIS: Mapping[str, Any] = {"analysis": {"templates": [{"templateName": "errors"}]}}


def weight(percent: int) -> Mapping[str, Any]:
    return {"setWeight": percent}


def settled(world: World, *, strategy: Mapping[str, Any], replicas: int = 4, **spec: Any) -> Rollout:
    """Its first version is stable, and `prod/api` is where it runs."""
    world.needs_rollouts()
    world.create(kinds.ROLLOUT, "api", **rollout(replicas=replicas, strategy=strategy, **spec))
    world.place(kind=kinds.ROLLOUT)
    world.until(lambda: state(world).done, "the first version")
    born = max(one["metadata"]["creationTimestamp"] for one in world.every(kinds.REPLICASET))
    later = datetime.fromisoformat(born) + timedelta(seconds=1)
    world.until(lambda: world.tools.now() >= later, "a second in which a newer version is newer")
    return state(world)


def canary(world: World, *steps: Mapping[str, Any], replicas: int = 4, **spec: Any) -> Rollout:
    """A second version of it is at its first stop."""
    stable = settled(world, strategy={"canary": {"steps": list(steps)}}, replicas=replicas, **spec)
    deploy(world, TWO)
    halt = stable.halt_from(0)
    world.until(lambda: state(world).step == halt and not state(world).promoted, f"step {halt}")
    if halt < len(steps) and "pause" in steps[halt]:
        world.until(lambda: state(world).phase is Phase.PAUSED, "its first pause")
    return state(world)


def blue_green(world: World, **how: Any) -> Rollout:
    """A second version waits beside the first one."""
    world.needs_rollouts()
    for name in ("active", "preview"):
        world.create(kinds.SERVICE, name, spec={"selector": {"app": "api"}, "ports": [{"port": 80}]})
    services = {"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False}
    settled(world, strategy={"blueGreen": {**services, **how}}, replicas=2)
    deploy(world, TWO)
    world.until(lambda: state(world).phase is Phase.PAUSED, "the pause before the switch")
    return state(world)


def deploy(world: World, image: str = ONE) -> None:
    """As somebody's pipeline would."""
    step = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
    world.patch(kinds.ROLLOUT, "api", [step], how=PatchType.JSON)


def analysis(world: World) -> None:
    """A template whose measurement begins so late that it is whoever tests who says how it goes."""
    world.needs_rollouts()
    metric = {"name": "errors", "initialDelay": "1h", "provider": {"web": {"url": "http://127.0.0.1:9/"}}}
    world.create(TEMPLATE, "errors", spec={"metrics": [metric]})


def judge(world: World, phase: str, *, what: str = "step") -> None:
    """The analysis that runs now ends like this."""
    world.until(lambda: _running(world, what), "the analysis")
    found = state(world).analysis(what)
    assert found is not None
    status = {"phase": phase, "message": f"told to be {phase}"}
    world.merge(kinds.ANALYSIS, found.name, {"status": status})
    world.until(lambda: _told(world, what, phase), f"an analysis that is {phase}")


def state(world: World) -> Rollout:
    return read(world.get(kinds.ROLLOUT, "api"))


def overlook(world: World) -> None:
    """Argo Rollouts does not see the next change of it: a real one does that when it likes."""
    for one in world.fake.controllers:
        if isinstance(one, Rollouts):
            one.overlooks = True


def pods_of(world: World, template: str) -> Sequence[KubernetesObject]:
    return world.every(kinds.POD, f"{HASH}={template}")


def rests_at(world: World, replicas: int) -> bool:
    """Whether it is paused with so many pods, old and new, or a few more where it surges, and all of them available."""
    sets = world.every(kinds.REPLICASET)
    whole = all((one.get("status") or {}).get("availableReplicas", 0) == one["spec"]["replicas"] for one in sets)
    now, there = state(world), sum(one["spec"]["replicas"] for one in sets)
    return whole and there >= replicas and now.observed and now.phase is Phase.PAUSED


def _running(world: World, what: str) -> bool:
    found = state(world).analysis(what)
    return found is not None and found.phase == "Running"


def _told(world: World, what: str, phase: str) -> bool:
    now = state(world)
    found = now.analysis(what)
    if phase == "Successful":
        return found is None or found.phase == phase
    return (found is not None and found.phase == phase) or now.aborted
