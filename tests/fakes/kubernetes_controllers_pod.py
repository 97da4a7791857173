"""Scheduler and kubelet of the fake Kubernetes: a pod gets a node, starts at the next step, or does not."""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.kubernetes_controllers_base import Controller, changed, condition_of, event, told
from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_quantities import amount, asked_by
from tests.fakes.kubernetes_store import Thing

#: Where pods run while the fake has no Node: there is always room on it.
PRETEND = "pretend-node"
_MOST_RESTARTS = 5


class Pods(Controller):
    """Any image runs but those in `broken_images` (never pulled) and `crashing_images` (restarted again and again)."""

    kind = "Pod"

    def keep(self, fake: Insides, thing: Thing) -> None:
        phase = (thing.get("status") or {}).get("phase", "Pending")
        if phase in ("Succeeded", "Failed") or not thing["spec"].get("containers"):
            return
        if not thing["spec"].get("nodeName"):
            self._schedule(fake, thing)
            return
        images = {one["image"] for one in thing["spec"]["containers"]}
        if images & fake.broken_images:
            self._unpulled(fake, thing)
        elif images & fake.crashing_images:
            self._crash(fake, thing)
        elif condition_of(thing, "Ready").get("status") != "True":
            states = [_state(one, {"running": {"startedAt": fake.clock.stamp}}) for one in thing["spec"]["containers"]]
            _say(fake, thing, "Running", states, ready=True)

    def _schedule(self, fake: Insides, thing: Thing) -> None:
        node, why = _node_for(fake, thing)
        held = thing.get("status") or {"phase": "Pending"}
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": fake.clock.stamp}
        if node:
            thing = changed(fake, thing, {"spec": {"nodeName": node}}, by="kube-scheduler")
            told(fake, thing, {**held, "conditions": [condition]}, by="kube-scheduler")
            return
        self.again(thing)
        if condition_of(thing, "PodScheduled").get("message") == why:
            return
        event(fake, thing, "FailedScheduling", why, by="default-scheduler")
        refused = {**condition, "status": "False", "reason": "Unschedulable", "message": why}
        told(fake, thing, {**held, "conditions": [refused]}, by="kube-scheduler")

    def _unpulled(self, fake: Insides, thing: Thing) -> None:
        self.again(thing)
        states, known = [], (thing.get("status") or {}).get("containerStatuses")
        for one in thing["spec"]["containers"]:
            said = f'Back-off pulling image "{one["image"]}"'
            waiting = {"reason": "ImagePullBackOff" if known else "ErrImagePull", "message": said}
            states.append(_state(one, {"waiting": waiting}, ready=False))
            if not known and one["image"] in fake.broken_images:
                event(fake, thing, "Failed", f'Failed to pull image "{one["image"]}": not found')
                event(fake, thing, "BackOff", said, warning=False)
        _say(fake, thing, "Pending", states, ready=False)

    def _crash(self, fake: Insides, thing: Thing) -> None:
        self.again(thing)
        known = ((thing.get("status") or {}).get("containerStatuses") or [{}])[0]
        count = min(known.get("restartCount", -1) + 1, _MOST_RESTARTS)
        states = []
        for one in thing["spec"]["containers"]:
            where = f"container={one['name']} pod={thing['metadata']['name']}_{thing['metadata']['namespace']}"
            waiting = {"reason": "CrashLoopBackOff", "message": f"back-off restarting failed {where}"}
            last = {"terminated": {"exitCode": 1, "reason": "Error"}}
            states.append({**_state(one, {"waiting": waiting}, ready=False), "restartCount": count, "lastState": last})
        event(fake, thing, "BackOff", f"Back-off restarting failed container {thing['spec']['containers'][0]['name']}")
        _say(fake, thing, "Running", states, ready=False)


def _say(fake: Insides, thing: Thing, phase: str, states: list[Thing], *, ready: bool) -> None:
    word, now = ("True" if ready else "False"), fake.clock.stamp
    held = {one["type"]: one for one in (thing.get("status") or {}).get("conditions") or ()}
    for name in ("Initialized", "Ready", "ContainersReady"):
        status = "True" if name == "Initialized" else word
        why = {} if status == "True" else {"reason": "ContainersNotReady"}
        if held.get(name, {}).get("status") != status:
            held[name] = {"type": name, "status": status, "lastTransitionTime": now, **why}
    said = {"phase": phase, "conditions": list(held.values()), "containerStatuses": states}
    told(fake, thing, {**(thing.get("status") or {}), **said}, by="kubelet")


def _state(container: Thing, state: Thing, *, ready: bool = True) -> Thing:
    named = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
    return {**named, "ready": ready, "started": ready, "state": state}


def _node_for(fake: Insides, pod: Thing) -> tuple[str, str]:
    """The node with the most room left for it, or why there is none, in the scheduler's words."""
    nodes = list(fake.objects.all(kind_of("Node"))) or [{"metadata": {"name": PRETEND}}]
    taken = _taken(fake) if len(nodes) > 1 or "status" in nodes[0] else {}
    reasons: dict[str, int] = {}
    for node in nodes:
        why = unfit(node, pod, taken.get(node["metadata"]["name"], {}))
        if not why:
            return node["metadata"]["name"], ""
        reasons[why] = reasons.get(why, 0) + 1
    told = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
    none = f"0/{len(nodes)} nodes are available"
    return "", f"{none}: {told}. preemption: {none}: {len(nodes)} Preemption is not helpful for scheduling."


def _taken(fake: Insides) -> dict[str, dict[str, Decimal]]:
    taken: dict[str, dict[str, Decimal]] = {}
    for one in fake.objects.all(kind_of("Pod")):
        on = taken.setdefault(one["spec"].get("nodeName", ""), {"pods": Decimal(0)})
        if (one.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        on["pods"] += 1
        for name, value in asked_by(one, "requests").items():
            on[name] = on.get(name, Decimal(0)) + value
    return taken


def unfit(node: Thing, pod: Thing, taken: dict[str, Decimal]) -> str:
    """Why that pod cannot go there; "" where it can."""
    spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
    if spec.get("unschedulable"):
        return "node(s) were unschedulable"
    borne = {one.get("key") for one in pod["spec"].get("tolerations") or ()}
    hard = [one for one in spec.get("taints") or () if one["effect"] != "PreferNoSchedule" and one["key"] not in borne]
    if hard:
        return f"node(s) had untolerated taint {{{hard[0]['key']}: {hard[0].get('value', '')}}}"
    if any(labels.get(name) != value for name, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    has = (node.get("status") or {}).get("allocatable") or {}
    wanted = {"pods": Decimal(1), **asked_by(pod, "requests")}
    for name, value in wanted.items():
        if name in has and taken.get(name, Decimal(0)) + value > amount(has[name]):
            return "Too many pods" if name == "pods" else f"Insufficient {name}"
    return ""
