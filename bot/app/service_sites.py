"""Finds the deployment target of a service in the settings. Implements `bot.core.site.ServiceTargets`.

There is one object per cluster, however many services it has. It connects at the first request to the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from bot.config.services import ServiceSettings
from bot.config.settings import Settings
from bot.core.argocd import ArgoCd
from bot.core.errors import Rejected
from bot.core.helm import Helm
from bot.core.kubernetes import Cluster, ClusterUser, ObjectRef
from bot.core.request import Principal
from bot.core.site import ConnectionLimits, Headroom, ReplicaLimits, ServiceTarget
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads.objects.kinds import WORKLOADS

#: Environments in which a mistake does no harm. Every other environment counts as production.
_HARMLESS = frozenset({"dev", "development", "test", "testing", "qa", "staging", "stage", "sandbox", "preview"})

#: Builds the client of a cluster: name, section.
Connect = Callable[[str, ClusterSettings], Cluster]


class ServiceSites:
    """`connect` is called once per cluster. `argocds` and `helms`: the configured clients, by cluster."""

    def __init__(
        self,
        settings: Settings,
        connect: Connect,
        argocds: Mapping[str, ArgoCd] | None = None,
        helms: Mapping[str, Helm] | None = None,
    ) -> None:
        self._argocds = argocds or {}
        self._helms = helms or {}
        self._services = {one.name: one for one in settings.services}
        self._sections = settings.clusters
        self._clusters = {name: connect(name, section) for name, section in settings.clusters.items()}
        self._people: Mapping[str, ClusterUser] = {
            one.id: ClusterUser(user=one.kubernetes.user, groups=one.kubernetes.groups)
            for one in settings.people
            if one.kubernetes is not None
        }

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, one in self._services.items() if one.workload and one.cluster in self._clusters)

    def of(self, service: str, by: Principal | None) -> ServiceTarget:
        found = self._services.get(service)
        if found is None or not found.workload or found.cluster not in self._clusters:
            raise _no_target(service, known=found is not None)
        kind, _, name = found.workload.partition("/")
        ref = ObjectRef(kind=WORKLOADS[kind], namespace=found.namespace or "default", name=name)
        cluster, person = self._cluster_for(found.cluster, service, by)
        argocd = self._sections[found.cluster].argocd
        return ServiceTarget(
            service=service,
            cluster=cluster,
            workload=ref,
            production=(found.environment or "").lower() not in _HARMLESS,
            replicas=_replicas(found),
            quorum=found.voters,
            headroom=_headroom(found),
            connections=_connections(found),
            check=found.check or "",
            check_duration=found.check_for,
            soak=found.soak,
            argocd=self._argocds.get(found.cluster),
            helm=self._helm_for(found.cluster, by),
            argocd_namespace=argocd.namespace if argocd is not None else "argocd",
            person=person,
        )

    def on(self, cluster: str, ref: ObjectRef, by: Principal | None) -> ServiceTarget:
        if cluster not in self._clusters:
            message = f"The settings have no cluster {cluster}. Nothing was done."
            raise Rejected(f"{message} Known: {', '.join(self._clusters) or 'none'}.", code="no_cluster", status=404)
        name = f"{cluster}/{ref.name}"
        client, person = self._cluster_for(cluster, name, by)
        return ServiceTarget(service=name, cluster=client, workload=ref, production=True, person=person)

    def _helm_for(self, name: str, by: Principal | None) -> Helm | None:
        """Helm, impersonating that person where the cluster is set so. `_cluster_for` has checked the person."""
        helm = self._helms.get(name)
        person = self._people.get(by.id) if by is not None and by.human else None
        if helm is None or person is None or not self._sections[name].impersonate:
            return helm
        return helm.acting_as(person)

    def _cluster_for(self, name: str, service: str, by: Principal | None) -> tuple[Cluster, ClusterUser | None]:
        """The cluster client for writes by that person, and their user there if the cluster checks their rights."""
        section, cluster = self._sections[name], self._clusters[name]
        person = self._people.get(by.id) if by is not None and by.human else None
        if section.impersonate and by is not None and by.human:
            if person is None:
                message = (
                    f"{by.display_name} has no user in cluster {name}, and {service} is changed only as the user of"
                    " the person who asks. Nothing was done. Set `kubernetes` of the person in the settings."
                )
                raise Rejected(message, code="unmapped")
            cluster = cluster.acting_as(person)
        return cluster, person if section.review else None


def _replicas(found: ServiceSettings) -> ReplicaLimits:
    given = found.replicas
    return ReplicaLimits() if given is None else ReplicaLimits(minimum=given.min, maximum=given.max, step=given.step)


def _headroom(found: ServiceSettings) -> Headroom | None:
    given = found.headroom
    return None if given is None else Headroom(query=given.query, maximum=given.most)


def _connections(found: ServiceSettings) -> ConnectionLimits | None:
    given = found.connections
    return None if given is None else ConnectionLimits(per_replica=given.each, maximum=given.most)


def _no_target(service: str, *, known: bool) -> Rejected:
    if not known:
        message = f"The settings have no service {service}. Nothing was done. `services` lists the known ones."
        return Rejected(message, code="no_service", status=HTTPStatus.NOT_FOUND)
    message = f"The settings do not say where {service} runs. Nothing was done. Set its `cluster` and `workload`."
    return Rejected(message, code="no_site", status=HTTPStatus.SERVICE_UNAVAILABLE)
