"""What a write to the fake Kubernetes asks for: the whole object as it would be then, whichever way it was said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes import kubernetes_patches as patches
from tests.fakes.kubernetes_kinds import Resource
from tests.fakes.kubernetes_store import Refused, Thing, copied
from tests.fakes.kubernetes_validation import unlike
from tests.fakes.kubernetes_views import Asked

KINDS_OF_PATCH: Mapping[str, Callable[[Any, Any], Any]] = {
    "application/json-patch+json": patches.steps,
    "application/merge-patch+json": patches.merge,
    "application/strategic-merge-patch+json": patches.strategic,
}


#: Of RBAC's objects too, which may have colons; the fake's rights are no objects.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def view(asked: Asked, thing: Thing) -> Thing:
    """What is seen of an object where the request goes: all of it, or its scale."""
    return scale_of(asked.resource, thing) if asked.sub == "scale" else thing


def listed(resource: Resource, thing: Thing) -> Thing:
    """As it stands in a list, where only a custom resource says of itself what it is."""
    parts = thing if resource.custom else {name: thing[name] for name in thing.keys() - {"kind", "apiVersion"}}
    return copied(dict(parts))


def fresh(asked: Asked) -> Thing:
    """The new object that a POST asks for, as k8s.io/apiserver's registry/rest/create.go lets it in."""
    body = json.loads(asked.call.body)
    if asked.name or body.get("kind") not in (None, asked.resource.kind):
        raise Refused(400, "BadRequest", f"{body.get('kind')} does not match {asked.resource.kind}")
    meta = body.setdefault("metadata", {})
    if asked.resource.namespaced and meta.setdefault("namespace", asked.namespace) != asked.namespace:
        said = "the namespace of the provided object does not match the namespace sent on the request"
        raise Refused(400, "BadRequest", said)
    if meta.get("resourceVersion"):
        raise Refused(400, "BadRequest", "resourceVersion should not be set on objects to be created")
    name = meta.get("name") or ""
    begins = f'{asked.resource.kind}.{asked.resource.group} "{name}" is invalid: metadata.name: '
    if not name and not meta.get("generateName"):
        raise Refused(422, "Invalid", f"{begins}Required value: name or generateName is required")
    if name and not _NAME.fullmatch(name):
        said = f'{begins}Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case letters'
        raise Refused(422, "Invalid", said, name=name, kind=asked.resource.kind)
    unlike(asked.resource.kind, body)
    return dict(body)


def wanted(asked: Asked, old: Thing) -> Thing:
    """The whole object as the request wants it."""
    body = json.loads(asked.call.body)
    if asked.call.verb == "PATCH":
        body = _patched(asked, view(asked, old), body)
    unlike(asked.resource.kind if asked.sub != "scale" else "Scale", body)
    if asked.sub != "scale":
        return dict(body)
    name, uid = old["metadata"]["name"], (body.get("metadata") or {}).get("uid")
    if uid not in (None, old["metadata"]["uid"]) and not asked.resource.custom:
        said = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        scale = f"{asked.resource.plural}/scale.{asked.resource.group}"
        raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {scale} "{name}": {said}', name=name)
    replicas = (body.get("spec") or {}).get("replicas") or 0
    if replicas < 0 and not asked.resource.custom:
        said = f"spec.replicas: Invalid value: {replicas}: must be greater than or equal to 0"
        raise Refused(422, "Invalid", f'Scale.autoscaling "{name}" is invalid: {said}', name=name, kind="Scale")
    new = copied(old)
    new["spec"]["replicas"] = replicas
    new["metadata"]["resourceVersion"] = (body.get("metadata") or {}).get("resourceVersion")
    return new


def _patched(asked: Asked, seen: Thing, body: object) -> Thing:
    kind = asked.call.headers.get("content-type", "").partition(";")[0]
    how = KINDS_OF_PATCH.get(kind)
    if how is None or (asked.resource.custom and how is patches.strategic):
        said = "the body of the request was in an unknown format - accepted media types include: "
        taken = [one for one, way in KINDS_OF_PATCH.items() if not (asked.resource.custom and way is patches.strategic)]
        raise Refused(415, "UnsupportedMediaType", said + ", ".join([*taken, "application/apply-patch+yaml"]))
    # Without a version of its own a patch is for whatever is there.
    bare = copied(seen)
    if how is not patches.steps:
        bare["metadata"].pop("resourceVersion")
    try:
        patched = how(bare, body)
    except patches.Unfit as unfit:
        said = "the server rejected our request due to an error in our request"
        reason = "Invalid" if unfit.status == 422 else "BadRequest"
        raise Refused(unfit.status, reason, said if unfit.status == 422 else unfit.said) from None
    assert isinstance(patched, dict)
    return patched


def scale_of(resource: Resource, thing: Thing) -> Thing:
    """autoscaling/v1, where a count of 0 is left out (omitempty)."""
    meta = {
        name: thing["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    replicas = thing["spec"].get("replicas", 1)
    labels = (thing["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": (thing.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        },
    }
