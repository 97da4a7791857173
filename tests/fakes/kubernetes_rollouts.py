"""Argo Rollouts in the fake Kubernetes: canary by steps and blue-green, as v1.10 keeps them.

Written down from rollout/{canary,bluegreen,pause,analysis,sync}.go: in one pass it looks at its own last status,
judges, scales, pauses, and then says where it stands, so that what somebody wrote into the status counts once. It
differs in that it scales without surge: first up, then down. Analysis templates are not looked at: whoever tests writes
the phase of an AnalysisRun.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.kubernetes_controllers_base import Controller, changed, made
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_rollouts_bluegreen import turn_blue_green
from tests.fakes.kubernetes_rollouts_canary import turn_canary
from tests.fakes.kubernetes_rollouts_turn import DESIRED, HASH, MANAGER, REVISION, Turn, hash_of, matching
from tests.fakes.kubernetes_store import Change, Key, Thing, key_of


class Rollouts(Controller):
    """Keeps the ReplicaSet of the template, its number, and by strategy all the others."""

    kind = "Rollout"
    owns = ("ReplicaSet", "AnalysisRun")
    leaves = True
    overlooks = False  #: the next change of a Rollout, as the real one where that falls into the end of a pass

    def woken(self, fake: Insides, change: Change) -> Iterator[Key]:
        """By what its template is in as well."""
        if self.overlooks and change.resource.kind == self.kind:
            self.overlooks = False
            return
        yield from super().woken(fake, change)
        namespace, name = key_of(change.thing)
        for one in fake.objects.all(kind_of(self.kind), namespace):
            wanted = one["spec"].get("workloadRef") or {}
            if (wanted.get("kind"), wanted.get("name")) == (change.resource.kind, name):
                yield key_of(one)

    def keep(self, fake: Insides, thing: Thing) -> None:
        template = _template_of(fake, thing)
        if template is None or "strategy" not in thing["spec"]:
            return
        sets = fake.objects.owned(thing["metadata"]["uid"], kind_of("ReplicaSet"))
        new = matching(sets, template) or _create(fake, thing, template, sets)
        if _renumbered(fake, thing, new, [one for one in sets if one is not new]):
            self.again(thing)
            return
        turn = Turn(fake, thing, new["metadata"]["labels"][HASH])
        if "blueGreen" in thing["spec"]["strategy"]:
            turn_blue_green(turn)
        else:
            turn_canary(turn)
        if turn.waits:
            self.again(thing)


class AnalysisRuns(Controller):
    """Each begins at once, and ends when it is told to: by a test, or `terminate`."""

    kind = "AnalysisRun"

    def keep(self, fake: Insides, thing: Thing) -> None:
        phase = (thing.get("status") or {}).get("phase")
        if not phase:
            changed(fake, thing, {"status": {"phase": "Running"}}, by=MANAGER)
        elif phase == "Running" and thing["spec"].get("terminate"):
            changed(fake, thing, {"status": {"phase": "Successful", "message": "Run Terminated"}}, by=MANAGER)


def _template_of(fake: Insides, thing: Thing) -> Thing | None:
    """Its own, or that of the Deployment which it refers to."""
    wanted = thing["spec"].get("workloadRef")
    if not wanted:
        own: Thing | None = thing["spec"].get("template")
        return own
    found = fake.objects.find(kind_of(wanted["kind"]), thing["metadata"]["namespace"], wanted["name"])
    return None if found is None else found["spec"]["template"]


def _create(fake: Insides, thing: Thing, template: Thing, sets: list[Thing]) -> Thing:
    known, spec = hash_of(template), thing["spec"]
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH: known}
    number = max((int(one["metadata"]["annotations"][REVISION]) for one in sets), default=0) + 1
    selector = (spec.get("selector") or {}).get("matchLabels") or labels
    body = {
        "metadata": {
            "name": f"{thing['metadata']['name']}-{known}",
            "labels": labels,
            "annotations": {REVISION: str(number), DESIRED: str(spec.get("replicas", 1))},
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {**selector, HASH: known}},
            "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
        },
    }
    return made(fake, thing, "ReplicaSet", body)


def _renumbered(fake: Insides, thing: Thing, new: Thing, older: list[Thing]) -> bool:
    """The newest has the highest number: what is rolled back to is numbered anew, and the Rollout says the same."""
    before = fake.objects.version
    highest = max((int(one["metadata"]["annotations"][REVISION]) for one in older), default=0) + 1
    number = max(highest, int(new["metadata"]["annotations"][REVISION]))
    notes = {"metadata": {"annotations": {REVISION: str(number)}}}
    changed(fake, new, notes, by=MANAGER)
    changed(fake, thing, notes, by=MANAGER)
    return fake.objects.version != before
