"""What goes with its owner or its namespace, and what quotas count: small keepers of the fake Kubernetes."""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import told
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import SERVED, kind_of, resource_of
from tests.fakes.kubernetes_quantities import used, written


class Garbage:
    """Whatever belonged to something that is gone is deleted too, and all of a namespace that is."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        gone = [one for one in fake.objects.since(self._seen) if one.type == "DELETED"]
        self._seen = before
        for change in gone:
            for one in fake.objects.owned(change.thing["metadata"]["uid"]):
                fake.objects.delete(resource_of(one), one)
            if change.resource.kind == "Namespace":
                self._empty(fake, change.thing["metadata"]["name"])
        return fake.objects.version != before

    @staticmethod
    def _empty(fake: Insides, namespace: str) -> None:
        for resource in SERVED:
            if resource.namespaced:
                for one in list(fake.objects.all(resource, namespace)):
                    fake.objects.delete(resource, one)


class Quotas:
    """How much of each ResourceQuota is used."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        moved = {
            one.thing["metadata"].get("namespace", "")
            for one in fake.objects.since(self._seen)
            if one.resource.kind in ("Pod", "ResourceQuota")
        }
        self._seen = before
        for namespace in sorted(moved):
            for quota in list(fake.objects.all(kind_of("ResourceQuota"), namespace)):
                hard = quota["spec"].get("hard") or {}
                taken = used(fake.objects.all(kind_of("Pod"), namespace), hard)
                counts = {name: written(value, hard[name]) for name, value in taken.items()}
                told(fake, quota, {"hard": dict(hard), "used": counts})
        return fake.objects.version != before
