"""Argo CD's self-heal: whatever is not as git has it is put back, for each Application that says so.

`git` of the fake holds the fields by kind and name, as a merge patch: `fake.git["Deployment", "api"] = {"spec": ...}`.
https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automatic-self-healing
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes import kubernetes_patches as patches
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing, copied

MANAGER = "argocd-controller"
_SKIP = "argocd.argoproj.io/skip-reconcile"
_TRACKED = "argocd.argoproj.io/tracking-id"


class SelfHeal:
    """Looks at what git has in every step: there are few of those, and git tells nobody when it moves."""

    def __call__(self, fake: Insides) -> bool:
        before = fake.objects.version
        if fake.git:
            for app in list(fake.objects.all(kind_of("Application"))):
                if _heals(app):
                    self._heal(fake, app)
        return fake.objects.version != before

    @staticmethod
    def _heal(fake: Insides, app: Thing) -> None:
        namespace = app["spec"]["destination"]["namespace"]
        for (kind, name), wanted in fake.git.items():
            thing = fake.objects.find(kind_of(kind), namespace, name)
            if thing is None or not _owned(thing, app):
                continue
            patch = copied(wanted)
            for pointer in _ignored(app, thing):
                _drop(patch, pointer)
            fake.objects.write(kind_of(kind), thing, patches.merge(thing, patch), by=MANAGER)


def _heals(app: Thing) -> bool:
    how = (app["spec"].get("syncPolicy") or {}).get("automated")
    skipped = (app["metadata"].get("annotations") or {}).get(_SKIP) == "true"
    return how is not None and how.get("enabled") is not False and how.get("selfHeal") is True and not skipped


def _owned(thing: Thing, app: Thing) -> bool:
    """Whatever carries a mark of Argo CD's belongs to the application that it names, else to whoever has it in git."""
    tracked = (thing["metadata"].get("annotations") or {}).get(_TRACKED)
    return tracked is None or tracked.partition(":")[0].rpartition("_")[2] == app["metadata"]["name"]


def _ignored(app: Thing, thing: Thing) -> Iterator[list[str]]:
    group = thing["apiVersion"].rpartition("/")[0]
    for one in app["spec"].get("ignoreDifferences") or ():
        named = one.get("name") in (None, "", thing["metadata"]["name"])
        if one.get("kind") == thing["kind"] and one.get("group", "") in (group, "*") and named:
            yield from (pointer.split("/")[1:] for pointer in one.get("jsonPointers") or ())


def _drop(patch: Thing, path: list[str]) -> None:
    for part in path[:-1]:
        patch = patch.get(part) or {}
    patch.pop(path[-1].replace("~1", "/").replace("~0", "~"), None)
