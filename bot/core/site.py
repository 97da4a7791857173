"""Where a service of the catalog runs, and the limits for changes to it there: values made from the settings.

An action asks for the target of a service and the person it acts for; it reaches a cluster only through that target.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from bot.core.argocd import ArgoCd
from bot.core.helm import Helm
from bot.core.kubernetes import Cluster, ClusterUser, ObjectRef
from bot.core.request import Principal


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaLimits:
    """The range in which a service may be scaled."""

    minimum: int = 1
    maximum: int = 100
    step: int | None = None  #: the largest change at once; None: at most double or half


@dataclass(frozen=True, kw_only=True, slots=True)
class Headroom:
    """The utilisation of each replica, and its limit."""

    query: str  #: PromQL of one value, 0 to 1
    maximum: float = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """Connections to something that the replicas share, such as a database: per replica, and the limit for all."""

    per_replica: int
    maximum: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceTarget:
    """Where a service runs. `cluster` impersonates the person in writes when the settings say so."""

    service: str
    cluster: Cluster
    workload: ObjectRef
    production: bool  #: True as well when its environment is unknown
    replicas: ReplicaLimits = field(default_factory=ReplicaLimits)
    quorum: bool = False  #: its replicas vote (etcd, ClickHouse Keeper): a majority must remain
    headroom: Headroom | None = None  #: the utilisation limit when it is scaled down; None: not configured
    connections: ConnectionLimits | None = None
    check: str = ""  #: a PromQL expression that is true while the service is healthy
    check_duration: timedelta = timedelta(0)  #: how long `check` is evaluated after a change
    soak: timedelta = timedelta(seconds=60)  #: how long it must stay ready before a change counts as done
    argocd: ArgoCd | None = None  #: through its API; None: applications are found in the cluster
    argocd_namespace: str = "argocd"  #: the namespace of Argo CD, and usually of its applications
    helm: Helm | None = None  #: rolls releases back, with the identity that `cluster` writes with
    person: ClusterUser | None = None  #: the asker's identity in the cluster, when the settings say to check it


class ServiceTargets(Protocol):
    """The targets of the catalog's services, by name."""

    def of(self, service: str, by: Principal | None) -> ServiceTarget:
        """The target for that person; None: for the bot itself.

        Raises:
            Rejected: no such service, or the settings do not say where it runs or who the person is there.
        """
        ...

    def on(self, cluster: str, ref: ObjectRef, by: Principal | None) -> ServiceTarget:
        """An object that belongs to no service, such as a node, in that cluster. Its `service` is made of both names.

        Raises:
            Rejected: no such cluster, or the settings do not say who the person is there.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """All services that have a target."""
        ...
