"""Admission that may deny a write in the world's namespace: a webhook, or a policy in CEL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bot.core.kubernetes import ResourceKind
from tests.cluster.world import World

_GROUP = "admissionregistration.k8s.io"
_HOOKS = ResourceKind(
    group=_GROUP, version="v1", plural="validatingwebhookconfigurations", title="ValidatingWebhookConfiguration"
)
_POLICIES = ResourceKind(
    group=_GROUP, version="v1", plural="validatingadmissionpolicies", title="ValidatingAdmissionPolicy"
)
_BINDINGS = ResourceKind(
    group=_GROUP, version="v1", plural="validatingadmissionpolicybindings", title="ValidatingAdmissionPolicyBinding"
)
HOOK = "no-friday.vakhta.test"
_RULE: Mapping[str, Any] = {
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "operations": ["UPDATE"],
    "resources": ["deployments", "deployments/scale"],
}
_OF_ARGO: Mapping[str, Any] = {
    "apiGroups": ["argoproj.io"],
    "apiVersions": ["*"],
    "operations": ["UPDATE"],
    "resources": ["rollouts", "rollouts/status"],
}


@contextmanager
def webhook(world: World, *, meets: Callable[[], object]) -> Iterator[None]:
    """It is asked before each change of a Deployment or Rollout, and nobody listens. `meets`: tries what it denies."""
    body = {
        "name": HOOK,
        "rules": [dict(_RULE), dict(_OF_ARGO)],
        "namespaceSelector": _here(world),
        "clientConfig": {"url": "https://127.0.0.1:9/validate"},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    name = f"{world.namespace}-hook"
    world.create(_HOOKS, name, webhooks=[body])
    try:
        world.until(meets, "the webhook is asked")
        yield
    finally:
        world.remove(_HOOKS, name)


@contextmanager
def webhook_on(world: World, plural: str) -> Iterator[str]:
    """It is asked before each of that core resource is created; `fake.verdicts` says what it answers. Its name."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [plural]}
    body = {"name": HOOK, "rules": [rule], "namespaceSelector": _here(world), "sideEffects": "None"}
    body |= {"clientConfig": {"url": "https://127.0.0.1:9/validate"}, "admissionReviewVersions": ["v1"]}
    name = f"{world.namespace}-created"
    world.create(_HOOKS, name, webhooks=[body])
    try:
        yield HOOK
    finally:
        world.remove(_HOOKS, name)


@contextmanager
def policy(world: World, reason: str, message: str, *, meets: Callable[[], object]) -> Iterator[str]:
    """It denies each change of a Deployment there, with that reason. Its name."""
    name = f"{world.namespace}-policy"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"namespaceSelector": _here(world), "resourceRules": [dict(_RULE)]},
        "validations": [{"expression": "false", "message": message, "reason": reason}],
    }
    world.create(_POLICIES, name, spec=spec)
    world.create(_BINDINGS, name, spec={"policyName": name, "validationActions": ["Deny"]})
    try:
        world.until(meets, "the policy holds")
        yield name
    finally:
        world.remove(_BINDINGS, name)
        world.remove(_POLICIES, name)


def _here(world: World) -> Mapping[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
