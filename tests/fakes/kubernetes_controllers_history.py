"""ControllerRevisions: what a StatefulSet or a DaemonSet was, as pkg/controller/history of Kubernetes keeps it."""

from __future__ import annotations

from collections.abc import Container

from tests.fakes.kubernetes_controllers_base import changed, made
from tests.fakes.kubernetes_controllers_sets import hash_of
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Thing, copied

_KIND = "ControllerRevision"


def history_of(fake: Insides, thing: Thing) -> list[Thing]:
    """The oldest first."""
    held = fake.objects.owned(thing["metadata"]["uid"], kind_of(_KIND))
    return sorted(held, key=lambda one: int(one["revision"]))


def recorded(fake: Insides, thing: Thing, label: str) -> Thing:
    """The revision of its template as it is: found and numbered anew, or made. `label`: under which its hash stands."""
    held, data = history_of(fake, thing), data_of(thing["spec"]["template"])
    same = next((one for one in held if one["data"] == data), None)
    newest = max((int(one["revision"]) for one in held if one is not same), default=0)
    if same is not None:
        return same if same["revision"] > newest else changed(fake, same, {"revision": newest + 1})
    known, template = hash_of(thing["spec"]["template"]), thing["spec"]["template"]
    meta = {
        "name": f"{thing['metadata']['name']}-{known}",
        "labels": {**template["metadata"]["labels"], label: known},
        "annotations": dict(thing["metadata"].get("annotations") or {}),
    }
    return made(fake, thing, _KIND, {"metadata": meta, "data": data, "revision": newest + 1})


def data_of(template: Thing) -> Thing:
    """The strategic merge patch that brings a template back."""
    return {"spec": {"template": {**copied(template), "$patch": "replace"}}}


def template_of(revision: Thing) -> Thing:
    told = copied(revision["data"]["spec"]["template"])
    return {name: value for name, value in told.items() if name != "$patch"}


def forget(fake: Insides, thing: Thing, used: Container[str]) -> None:
    """Of those that nobody uses only the newest are kept: `revisionHistoryLimit`."""
    idle = [one for one in history_of(fake, thing) if one["metadata"]["name"] not in used]
    for one in idle[: max(0, len(idle) - thing["spec"]["revisionHistoryLimit"])]:
        fake.objects.delete(kind_of(_KIND), one)
