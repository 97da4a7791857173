"""The sites of services as the settings have them. Implements `sites.ServiceTargets`.

A cluster is connected to when something is asked of it; one object stands for it however many services it has.
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

#: Environments in which nobody dies of a mistake; whatever is not one of these counts as production.
_HARMLESS = frozenset({"dev", "development", "test", "testing", "qa", "staging", "stage", "sandbox", "preview"})

#: How a cluster of the settings is made: name, section.
Connect = Callable[[str, ClusterSettings], Cluster]


class ServiceSites:
    """`connect` is called once for each cluster; `argocds` and `helms`: those that the settings have, by cluster."""

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
            raise _nowhere(service, known=found is not None)
        kind, _, name = found.workload.partition("/")
        ref = ObjectRef(kind=WORKLOADS[kind], namespace=found.namespace or "default", name=name)
        cluster, person = self._written_by(found.cluster, service, by)
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
            helm=self._run_by(found.cluster, by),
            argocd_namespace=argocd.namespace if argocd is not None else "argocd",
            person=person,
        )

    def on(self, cluster: str, ref: ObjectRef, by: Principal | None) -> ServiceTarget:
        if cluster not in self._clusters:
            message = f"The settings have no cluster {cluster}. Nothing was done."
            raise Rejected(f"{message} There are {', '.join(self._clusters) or 'none'}.", code="no_cluster", status=404)
        what = f"{cluster}/{ref.name}"
        hands, person = self._written_by(cluster, what, by)
        return ServiceTarget(service=what, cluster=hands, workload=ref, production=True, person=person)

    def _run_by(self, name: str, by: Principal | None) -> Helm | None:
        """Helm as it acts for that person, whom `_written_by` has let through."""
        helm = self._helms.get(name)
        person = self._people.get(by.id) if by is not None and by.human else None
        if helm is None or person is None or not self._sections[name].impersonate:
            return helm
        return helm.acting_as(person)

    def _written_by(self, name: str, service: str, by: Principal | None) -> tuple[Cluster, ClusterUser | None]:
        """The cluster as it is written to for that person, and who they are to it, where it is to be asked."""
        section, cluster = self._sections[name], self._clusters[name]
        person = self._people.get(by.id) if by is not None and by.human else None
        if section.impersonate and by is not None and by.human:
            if person is None:
                message = (
                    f"{by.display_name} is nobody on cluster {name}, and {service} is changed only in "
                    "somebody's own name."
                )
                raise Rejected(
                    f"{message} Nothing was done. Set `kubernetes` of the person in the settings.", code="unmapped"
                )
            cluster = cluster.acting_as(person)
        return cluster, person if section.review else None


def _replicas(found: ServiceSettings) -> ReplicaLimits:
    message = found.replicas
    return (
        ReplicaLimits()
        if message is None
        else ReplicaLimits(minimum=message.min, maximum=message.max, step=message.step)
    )


def _headroom(found: ServiceSettings) -> Headroom | None:
    message = found.headroom
    return None if message is None else Headroom(query=message.query, maximum=message.most)


def _connections(found: ServiceSettings) -> ConnectionLimits | None:
    message = found.connections
    return None if message is None else ConnectionLimits(per_replica=message.each, maximum=message.most)


def _nowhere(service: str, *, known: bool) -> Rejected:
    if not known:
        message = f"{service} is not a service of the settings. Nothing was done. `services` lists those that are."
        return Rejected(message, code="no_service", status=HTTPStatus.NOT_FOUND)
    message = f"The settings do not say where {service} runs. Nothing was done. Set its `cluster` and `workload`."
    return Rejected(message, code="no_site", status=HTTPStatus.SERVICE_UNAVAILABLE)
