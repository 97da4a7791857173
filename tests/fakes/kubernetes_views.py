"""How a request to the fake Kubernetes is read, and the forms in which it is answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tests.fakes.calls import Call
from tests.fakes.kubernetes_apply import MEDIA_TYPE
from tests.fakes.kubernetes_kinds import Resource
from tests.fakes.kubernetes_store import Refused, Thing

PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?(?:/(?P<plural>[^/]+))?(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
#: `timeout` is what clients of client-go send along, as a wish.
QUERY = {
    "GET": {
        "timeout",
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "watch",
        "resourceVersion",
        "timeoutSeconds",
    }
    | {"allowWatchBookmarks", "resourceVersionMatch", "sendInitialEvents"}
    | {"container", "limitBytes"},
    "PATCH": {"timeout", "dryRun", "fieldManager", "fieldValidation", "force"},
    "PUT": {"timeout", "dryRun", "fieldManager", "fieldValidation"},
    "POST": {"timeout", "dryRun", "fieldManager", "fieldValidation"},
    "DELETE": {"timeout", "dryRun", "propagationPolicy", "gracePeriodSeconds"},
}
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Where a request goes."""

    resource: Resource
    namespace: str
    name: str
    sub: str
    call: Call

    @property
    def dry(self) -> bool:
        if self.call.query.get("dryRun", "All") != "All":
            raise Refused(422, "Invalid", f"dryRun: Unsupported value: {self.call.query['dryRun']}")
        return "dryRun" in self.call.query

    @property
    def applies(self) -> bool:
        """Whether it is a server-side apply."""
        return self.call.headers.get("content-type", "").partition(";")[0] == MEDIA_TYPE

    @property
    def manager(self) -> str:
        agent = self.call.headers.get("user-agent", "").partition("/")[0]
        return self.call.query.get("fieldManager") or agent or "unknown"


def line(event: Thing) -> bytes:
    return json.dumps(event).encode() + b"\n"


def bookmark(resource: Resource, version: int) -> Thing:
    """That a watch which began with a list has told all of it."""
    meta = {"resourceVersion": str(version), "annotations": {"k8s.io/initial-events-end": "true"}}
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}
