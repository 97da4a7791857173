"""Who may refuse a write to the fake Kubernetes though it is valid: admission webhooks and ValidatingAdmissionPolicies.

A webhook answers what a test has told it to (`fake.verdicts`), with whatever status code it likes; one that was told
nothing cannot be reached. A policy denies where its expression is `false`, the only one that is understood here. What
the server says then is as in pkg/admission/plugin of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.fakes.kubernetes_insides import Insides
from tests.fakes.kubernetes_kinds import kind_of
from tests.fakes.kubernetes_store import Refused, Thing
from tests.fakes.kubernetes_views import Asked

_CODES = {"Invalid": 422, "Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413}
_OPERATIONS = {"PATCH": "UPDATE", "PUT": "UPDATE", "POST": "CREATE", "DELETE": "DELETE"}


def reviewed(fake: Insides, asked: Asked) -> None:
    """Raises `Refused` where one of them says no, or cannot be asked."""
    if asked.resource.group == "admissionregistration.k8s.io":
        return
    for config in fake.objects.all(kind_of("ValidatingWebhookConfiguration")):
        for hook in config.get("webhooks") or ():
            if _meant(hook.get("rules") or (), hook, asked):
                _called(fake, hook)
    for policy, binding in _bound(fake):
        spec = policy["spec"]
        constraints = spec.get("matchConstraints") or {}
        if _meant(constraints.get("resourceRules") or (), constraints, asked):
            _evaluated(policy["metadata"]["name"], binding["metadata"]["name"], spec, asked)


def _called(fake: Insides, hook: Thing) -> None:
    name = hook["name"]
    if name not in fake.verdicts:
        url = f"{hook['clientConfig'].get('url')}?timeout={hook.get('timeoutSeconds', 10)}s"
        why = f'failed to call webhook: Post "{url}": dial tcp 127.0.0.1:9: connect: connection refused'
        if hook.get("failurePolicy") != "Ignore":
            _internal(f'failed calling webhook "{name}": {why}')
        return
    verdict = fake.verdicts[name]
    if verdict is None:
        return
    denied = f'admission webhook "{name}" denied the request'
    said = verdict.get("message") or verdict.get("reason")
    code = max(400, int(verdict.get("code", 400)))
    raise Refused(
        code, str(verdict.get("reason", "")), f"{denied}: {said}" if said else f"{denied} without explanation"
    )


def _internal(said: str) -> None:
    whole = f"Internal error occurred: {said}"
    raise Refused(500, "InternalError", whole, causes=[{"message": said}])


def _bound(fake: Insides) -> Iterator[tuple[Thing, Thing]]:
    for binding in fake.objects.all(kind_of("ValidatingAdmissionPolicyBinding")):
        policy = fake.objects.find(kind_of("ValidatingAdmissionPolicy"), "", binding["spec"]["policyName"])
        if policy is not None and "Deny" in binding["spec"]["validationActions"]:
            yield policy, binding


def _evaluated(policy: str, binding: str, spec: Thing, asked: Asked) -> None:
    for one in spec["validations"]:
        assert one["expression"] == "false", "the fake understands no other expression"
        reason = one.get("reason") or "Invalid"
        told = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {one['message']}"
        said = f'{asked.resource.qualified} "{asked.name}" is forbidden: {told}'
        about = {"name": asked.name, "group": asked.resource.group, "kind": asked.resource.plural}
        raise Refused(_CODES[reason], reason, said, **about, causes=[{"message": told}])


def _meant(rules: Iterable[Mapping[str, Any]], scope: Thing, asked: Asked) -> bool:
    wanted = ((scope.get("namespaceSelector") or {}).get("matchLabels") or {}).get("kubernetes.io/metadata.name")
    if wanted not in (None, asked.namespace):
        return False
    plural = f"{asked.resource.plural}/{asked.sub}" if asked.sub else asked.resource.plural
    return any(
        asked.resource.group in rule["apiGroups"]
        and plural in rule["resources"]
        and _OPERATIONS[asked.call.verb] in rule["operations"]
        for rule in rules
    )
