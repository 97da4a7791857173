"""The calls that an action may make to a Kubernetes cluster, in the API's own terms.

Objects are the JSON that the API returns, complete and unparsed: a typed model drops the fields that it does not know,
and writing such an object back would delete them. The trap: a write is sent once; after `OutcomeUnknown` the caller has
to probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

#: An object as the API returns it.
KubernetesObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceKind:
    """A resource of the API; `group` is "" for the core group."""

    group: str
    version: str
    plural: str
    title: str  #: as people name it: "Deployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectRef:
    """One object."""

    kind: ResourceKind
    namespace: str  #: "" for cluster-scoped objects
    name: str

    def __str__(self) -> str:
        return f"{self.kind.title} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.title} {self.name}"


class PatchType(StrEnum):
    """Kinds of patch, by their media types (JSON is valid YAML). Custom resources do not support the strategic one."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"  #: server-side apply, never forced: another manager's field is a `Conflict`


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceAccess:
    """A right in RBAC: a verb, and a resource with its subresource: "deployments/scale"."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""  #: one object; "" for all

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterUser:
    """The identity of a person in a cluster."""

    user: str
    groups: tuple[str, ...] = ()


class Cluster(Protocol):
    """Reads are retried while the cluster is busy, and raise `Rejected` in the end. Writes are sent once."""

    name: str

    def get(self, ref: ObjectRef, sub: str = "") -> KubernetesObject | None:
        """The object, or its subresource: "scale"; None when it does not exist, or its kind is not installed."""
        ...

    def find(
        self, kind: ResourceKind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> Sequence[KubernetesObject]:
        """All objects that match the selectors, over all pages; none when the kind is not installed."""
        ...

    def patch(
        self, ref: ObjectRef, patch: object, *, how: PatchType, by: str, sub: str = "", dry: bool = False
    ) -> KubernetesObject:
        """Returns the object after the patch; with `dry`, as it would be. `by`: the field manager of the change.

        Raises:
            Conflict: its version is outdated, or a `test` of the JSON patch fails.
            Rejected: refused; nothing was done. Its `code` is "denied" when a webhook, a policy or a quota refuses,
                whatever the status; "unasked" when a webhook cannot be reached; "no_dry_run" when a webhook does not
                support dry runs.
            OutcomeUnknown: nobody knows whether it was done; never raised for a dry run.
        """
        ...

    def create(
        self, kind: ResourceKind, namespace: str, manifest: KubernetesObject, *, by: str, dry: bool = False
    ) -> KubernetesObject:
        """Returns the object as it was made. `manifest` names it itself (metadata.name), so that it can be found after
        a crash; apiVersion, kind and namespace are filled in. It is sent once.

        Raises:
            Rejected, OutcomeUnknown: as `patch` does. `code` is "exists" when there is one of that name: the caller
                looks whose it is; "missing" when the kind is not installed, or the namespace does not exist.
            Conflict: something that has to be counted first (a quota) has changed meanwhile; nothing was done.
        """
        ...

    def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """Delete the object only if it has that uid, and then what it owns. Raises as `patch` does; `Conflict` also
        when it is gone.
        """
        ...

    def read_log(self, pod: ObjectRef, container: str, *, most_bytes: int = 1024 * 1024) -> str:
        """What that container printed, stdout and stderr in one, at most so many bytes from its beginning.

        "" when the pod is gone. A node keeps the last part of a long log alone (10 MiB, unless it is set otherwise).

        Raises:
            Rejected: it cannot be read now.
        """
        ...

    def wait_for_change(self, ref: ObjectRef, since: KubernetesObject, patience: timedelta) -> KubernetesObject | None:
        """The object as soon as it differs from `since`, or unchanged when `patience` is over. None: it is gone."""
        ...

    def allowed(self, access: ResourceAccess) -> bool:
        """Whether the identity that writes has that right by RBAC. Admission and quotas may still refuse."""
        ...

    def allowed_for(self, person: ClusterUser, access: ResourceAccess) -> bool:
        """Whether that person has the right. The bot asks as itself, which needs `create` on the access reviews."""
        ...

    def acting_as(self, person: ClusterUser) -> Cluster:
        """The same cluster, with writes that impersonate that person; reads stay the bot's own."""
        ...
