"""What an action may ask of a Kubernetes cluster: the verbs, in the API's own words.

Objects are the JSON that the API answers, whole and unread: a typed model drops the fields that it does not know, and
who writes such an object back deletes them. The trap: a write is sent once; who gets `OutcomeUnknown` has to look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

#: An object as the API answers it.
KubernetesObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceKind:
    """A resource of the API; `group` is "" for the core."""

    group: str
    version: str
    plural: str
    title: str  #: as people name it: "Deployment"


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectRef:
    """One object."""

    kind: ResourceKind
    namespace: str  #: "" for what belongs to no namespace
    name: str

    def __str__(self) -> str:
        return f"{self.kind.title} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.title} {self.name}"


class PatchType(StrEnum):
    """Kinds of patch, by their media types (JSON is YAML). Custom resources do not take the strategic one."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"  #: server-side apply, never forced: a field of somebody else's is `Moved`


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceAccess:
    """A right to something: its verb, and the resource with its subresource: "deployments/scale"."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""  #: of one object alone; "" for all

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterUser:
    """Who a person is to a cluster."""

    user: str
    groups: tuple[str, ...] = ()


class Cluster(Protocol):
    """Reads are tried again while the cluster is busy, and raise `Rejected` in the end. Writes are sent once."""

    name: str

    def get(self, ref: ObjectRef, sub: str = "") -> KubernetesObject | None:
        """The object, or its subresource: "scale"; None where there is none, or its kind is not installed."""
        ...

    def find(
        self, kind: ResourceKind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> Sequence[KubernetesObject]:
        """All that the selectors name, however many pages; none where the kind is not installed."""
        ...

    def patch(
        self, ref: ObjectRef, patch: object, *, how: PatchType, by: str, sub: str = "", dry: bool = False
    ) -> KubernetesObject:
        """Returns the object as it is then, or would be. `by`: the manager of the fields that it changes.

        Raises:
            Moved: its version is gone, or a `test` of JSON patch fails.
            Rejected: refused; nothing was done. Its `code` is "denied" where a webhook, a policy or a quota says no,
                with whatever status, "unasked" where a webhook cannot be asked, "no_dry_run" where one takes none.
            Unsure: nobody knows; never of a dry run.
        """
        ...

    def delete(self, ref: ObjectRef, *, uid: str) -> None:
        """Only the very object of that uid. Raises as `patch` does; `Moved` also where it is gone."""
        ...

    def wait_for_change(self, ref: ObjectRef, since: KubernetesObject, patience: timedelta) -> KubernetesObject | None:
        """The object once it is not as in `since` any more, or as it is when patience ends. None: it is gone."""
        ...

    def allowed(self, access: ResourceAccess) -> bool:
        """Whether whoever writes here has that right, by RBAC; what admission and quotas say is not in it."""
        ...

    def allowed_for(self, person: ClusterUser, access: ResourceAccess) -> bool:
        """Whether that person has it. It is asked in the bot's own name, which needs `create` on the reviews."""
        ...

    def acting_as(self, person: ClusterUser) -> Cluster:
        """The same cluster, written to in that person's name; it is read in the bot's own."""
        ...
