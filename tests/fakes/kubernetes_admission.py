"""What stands between a pod and the fake Kubernetes: LimitRanges fill in, and ResourceQuotas refuse.

As plugin/pkg/admission/{limitranger,resourcequota} of Kubernetes do, without scopes.
"""

from __future__ import annotations

from decimal import Decimal

from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import Resource, kind_of
from tests.fakes.kubernetes_quantities import amount, charged, used, written
from tests.fakes.kubernetes_store import Refused, Thing, copied


def admitted(fake: Insides, pod: Thing) -> Thing:
    """The pod as it is let in. Raises `Refused` 403 where a quota has no room for it."""
    namespace = pod["metadata"]["namespace"]
    ending(fake, kind_of("Pod"), pod)
    limits = list(fake.objects.all(kind_of("LimitRange"), namespace))
    quotas = list(fake.objects.all(kind_of("ResourceQuota"), namespace))
    if limits:
        pod = _limited(pod, limits)
    for quota in quotas:
        refused = _refusal(fake, pod, quota)
        if refused:
            said = f'pods "{pod["metadata"]["name"]}" is forbidden: {refused}'
            raise Refused(403, "Forbidden", said, name=pod["metadata"]["name"], kind="pods")
    return pod


def placed(fake: Insides, namespace: str) -> None:
    """Raises `Refused` 404 for what is new in a namespace that does not exist."""
    if namespace and fake.objects.find(kind_of("Namespace"), "", namespace) is None:
        raise Refused(404, "NotFound", f'namespaces "{namespace}" not found', name=namespace, kind="namespaces")


def counted(fake: Insides, resource: Resource, thing: Thing) -> None:
    """Raises `Refused` 403 where a quota on the number of such objects is used up: "count/jobs.batch"."""
    namespace, name = thing["metadata"].get("namespace", ""), thing["metadata"].get("name", "")
    words = {f"count/{resource.qualified}", resource.plural if resource.group == "" else ""}
    for quota in fake.objects.all(kind_of("ResourceQuota"), namespace) if namespace and resource.kind != "Pod" else ():
        held = sum(1 for _ in fake.objects.all(resource, namespace))
        for word in sorted(words & set(quota["spec"].get("hard") or ())):
            if held >= amount(most := quota["spec"]["hard"][word]):
                told = f"requested: {word}=1, used: {word}={held}, limited: {word}={most}"
                said = f"exceeded quota: {quota['metadata']['name']}, {told}"
                about = {"name": name, "group": resource.group, "kind": resource.plural}
                raise Refused(403, "Forbidden", f'{resource.qualified} "{name}" is forbidden: {said}', **about)


def ending(fake: Insides, resource: Resource, thing: Thing) -> None:
    """Raises `Refused` 403 for what is new in a namespace that is being deleted."""
    namespace, name = thing["metadata"].get("namespace", ""), thing["metadata"].get("name", "")
    held = fake.objects.find(kind_of("Namespace"), "", namespace) if namespace else None
    if held is not None and held["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
        said = f'{resource.qualified} "{name}" is forbidden: {why}'
        raise Refused(403, "Forbidden", said, name=name, kind=resource.plural, causes=[cause])


def tainted(node: Thing) -> None:
    """In place: a new node takes no pods until its lifecycle's controller has seen it ready."""
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    spec = node.setdefault("spec", {})
    spec["taints"] = [*(spec.get("taints") or ()), taint]


def _limited(pod: Thing, limits: list[Thing]) -> Thing:
    pod = copied(pod)
    items = [one for limit in limits for one in limit["spec"].get("limits") or () if one["type"] == "Container"]
    for container in pod["spec"]["containers"]:
        resources = container.setdefault("resources", {})
        for item in items:
            most = {**(item.get("default") or {}), **(resources.get("limits") or {})}
            least = {**(item.get("default") or {}), **(item.get("defaultRequest") or {})}
            least |= {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
            resources |= ({"limits": most} if most else {}) | ({"requests": least} if least else {})
    return pod


def _refusal(fake: Insides, pod: Thing, quota: Thing) -> str:
    name, hard = quota["metadata"]["name"], quota["spec"].get("hard") or {}
    wanted = charged(pod)
    unsaid = [one for one in hard if one not in wanted and one.rpartition(".")[2] in ("cpu", "memory")]
    if unsaid:
        return f"failed quota: {name}: must specify {' for: '.join(_each(unsaid, pod))}"
    taken = used(fake.objects.all(kind_of("Pod"), quota["metadata"]["namespace"]), hard)
    over = sorted(one for one in hard if taken[one] + wanted.get(one, Decimal(0)) > amount(hard[one]))
    if not over:
        return ""
    sums = (("requested", wanted), ("used", taken), ("limited", {one: amount(hard[one]) for one in over}))
    told = (f"{word}: {','.join(f'{one}={written(held[one], hard[one])}' for one in over)}" for word, held in sums)
    return f"exceeded quota: {name}, {', '.join(told)}"


def _each(names: list[str], pod: Thing) -> list[str]:
    return [",".join(names), ",".join(one["name"] for one in pod["spec"]["containers"])]
