"""Where a service of the catalog runs, and what may be done to it there: frozen values, made from the settings.

An action asks for the site of a service and the person it acts for; all that it may touch of a cluster it gets there.
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
    """Between how many replicas a service may be scaled."""

    minimum: int = 1
    maximum: int = 100
    step: int | None = None  #: by how many at once; None: it may be doubled, or halved


@dataclass(frozen=True, kw_only=True, slots=True)
class Headroom:
    """How much of each replica is used, and may be."""

    query: str  #: PromQL of one value, 0 to 1
    maximum: float = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimits:
    """Of what replicas share, such as a database: how many each opens, and how many it takes in all."""

    per_replica: int
    maximum: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceTarget:
    """Where a service runs. `cluster` writes in the person's name where the settings want that."""

    service: str
    cluster: Cluster
    workload: ObjectRef
    production: bool  #: also where nobody has said what environment it is
    replicas: ReplicaLimits = field(default_factory=ReplicaLimits)
    quorum: bool = False  #: its replicas vote (etcd, ClickHouse Keeper): a majority of them must stay
    headroom: Headroom | None = None  #: how much has to be left when there are fewer; None: nobody has said
    connections: ConnectionLimits | None = None
    check: str = ""  #: a PromQL expression that is true while the service is well
    check_duration: timedelta = timedelta(0)  #: how long `check` is held after a change
    soak: timedelta = timedelta(seconds=60)  #: how long it has to stay ready before a change is called done
    argocd: ArgoCd | None = None  #: by its own API; without it, its applications are looked for in the cluster
    argocd_namespace: str = "argocd"  #: the namespace of Argo CD, in which its applications usually are
    helm: Helm | None = None  #: who rolls releases back, in the name in which `cluster` writes
    person: ClusterUser | None = None  #: who the asker is to the cluster, where the settings say so and want it asked


class ServiceTargets(Protocol):
    """The sites of the catalog's services, by the services' names."""

    def of(self, service: str, by: Principal | None) -> ServiceTarget:
        """The site as it is for that person; None: for the bot itself.

        Raises:
            Rejected: no such service, or the settings do not say where it runs or who the person is there.
        """
        ...

    def on(self, cluster: str, ref: ObjectRef, by: Principal | None) -> ServiceTarget:
        """An object that is no service's, such as a node, on the cluster of that name; its service is both names.

        Raises:
            Rejected: no such cluster, or the settings do not say who the person is there.
        """
        ...

    def names(self) -> tuple[str, ...]:
        """Of all services that have a site."""
        ...
