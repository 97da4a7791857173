"""PodDisruptionBudgets, as pkg/controller/disruption of Kubernetes keeps them: how many pods may be evicted now."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.kubernetes_controllers_base import Controller, active, ready, told, with_condition
from tests.fakes.kubernetes_controllers_sets import share
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Change, Key, Thing, key_of


class Budgets(Controller):
    """Of pods without a controller too: there `minAvailable` is a number."""

    kind = "PodDisruptionBudget"

    def woken(self, fake: Insides, change: Change) -> Iterator[Key]:
        if change.resource.kind == "Pod":
            yield from map(key_of, fake.objects.all(kind_of(self.kind), key_of(change.thing)[0]))
        else:
            yield from super().woken(fake, change)

    def keep(self, fake: Insides, thing: Thing) -> None:
        wanted = (thing["spec"].get("selector") or {}).get("matchLabels") or {}
        pods = [
            one
            for one in fake.objects.all(kind_of("Pod"), thing["metadata"]["namespace"])
            if wanted.items() <= (one["metadata"].get("labels") or {}).items() and active(one)
        ]
        healthy, expected = sum(map(ready, pods)), len(pods)
        if "maxUnavailable" in thing["spec"]:
            least = max(0, expected - share(thing["spec"]["maxUnavailable"], expected, up=True))
        else:
            least = share(thing["spec"].get("minAvailable", 1), expected, up=True)
        spare = max(0, healthy - least)
        word, reason = ("True", "SufficientPods") if spare else ("False", "InsufficientPods")
        condition = {"type": "DisruptionAllowed", "status": word, "reason": reason, "message": ""}
        held = (thing.get("status") or {}).get("conditions") or []
        counts = {"currentHealthy": healthy, "desiredHealthy": least, "expectedPods": expected}
        seen = {"observedGeneration": thing["metadata"]["generation"], "disruptionsAllowed": spare}
        told(fake, thing, {**seen, **counts, "conditions": with_condition(held, condition, fake.clock.stamp)})
