"""Nodes, as pkg/controller/nodelifecycle of Kubernetes keeps them: what is not ready, or closed, carries a taint."""

from __future__ import annotations

from tests.fakes.kubernetes_controllers_base import Controller, changed, condition_of
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_store import Thing

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
_CLOSED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class Nodes(Controller):
    """A node whose kubelet has said nothing yet keeps the taint that it was made with."""

    kind = "Node"

    def keep(self, fake: Insides, thing: Thing) -> None:
        spec = thing.get("spec") or {}
        ready, held = condition_of(thing, "Ready").get("status"), list(spec.get("taints") or ())
        if ready is None:
            return
        kept = [one for one in held if one["key"] not in (NOT_READY["key"], _CLOSED["key"])]
        wanted = [*kept, *([] if ready == "True" else [NOT_READY]), *([_CLOSED] if spec.get("unschedulable") else [])]
        if {one["key"] for one in wanted} != {one["key"] for one in held}:
            changed(fake, thing, {"spec": {"taints": wanted or None}})
