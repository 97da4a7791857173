"""Where a service runs by the settings, and as which user the bot writes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from bot.app.service_sites import ServiceSites
from bot.config.settings import Settings
from bot.core.argocd import ArgoCd
from bot.core.errors import Rejected
from bot.core.helm import Helm
from bot.core.kubernetes import Cluster, ClusterUser, ObjectRef
from bot.core.request import Principal
from bot.core.site import ConnectionLimits, Headroom, ReplicaLimits, ServiceTarget
from bot.workloads.objects import kinds

_ANA = Principal(id="ana", name="Ana")
_BO = Principal(id="bo", name="Bo")
_WATCH = Principal(id="watch", name="The watch", human=False)
_MAPPED = ClusterUser(user="ana@example.com", groups=("sre", "oncall"))


@dataclass(frozen=True)
class Named:
    """Stands for a cluster; it is asked nothing here."""

    name: str
    person: ClusterUser | None = None

    def acting_as(self, person: ClusterUser) -> Cluster:
        return cast("Cluster", Named(self.name, person))


def catalog(cluster: Mapping[str, bool] | None = None, *, service: Mapping[str, Any] | None = None) -> ServiceSites:
    """Ana is somebody to the cluster, Bo is not. `service`: what it has beside its place."""
    api = {"name": "prod/api", "match": {"app": "api"}, "cluster": "main", "workload": "deployment/api"}
    settings = Settings.model_validate(
        {
            "people": [
                {"id": "ana", "kubernetes": {"user": "ana@example.com", "groups": ["sre", "oncall"]}},
                {"id": "bo"},
            ],
            "services": [api | dict(service or {}), {"name": "prod/mail", "match": {"app": "mail"}}],
            "clusters": {"main": dict(cluster or {})},
        }
    )
    return ServiceSites(settings, lambda name, _: cast("Cluster", Named(name)))


def who(site: ServiceTarget) -> tuple[ClusterUser | None, ClusterUser | None]:
    """In whose name it is written to, and who is asked about beforehand."""
    return cast("Named", site.cluster).person, site.person


@pytest.mark.parametrize(
    ("cluster", "by", "expected"),
    [
        ({}, _ANA, (None, _MAPPED)),
        ({"review": False}, _ANA, (None, None)),
        ({"impersonate": True}, _ANA, (_MAPPED, _MAPPED)),
        ({"impersonate": True, "review": False}, _ANA, (_MAPPED, None)),
        # Whom the settings do not map is judged by the bot's own rules alone.
        ({}, _BO, (None, None)),
        ({"review": False}, _BO, (None, None)),
        # An undo that time asks for, and a look after a run: the bot itself.
        ({"impersonate": True}, _WATCH, (None, None)),
        ({"impersonate": True}, None, (None, None)),
        ({}, _WATCH, (None, None)),
        ({}, None, (None, None)),
    ],
)
def test_in_whose_name_and_who_is_asked_about(
    cluster: dict[str, bool], by: Principal | None, expected: tuple[ClusterUser | None, ClusterUser | None]
) -> None:
    assert who(catalog(cluster).of("prod/api", by)) == expected


@pytest.mark.parametrize("review", [True, False])
def test_where_it_is_written_to_in_peoples_names_nobody_without_one_changes_anything(*, review: bool) -> None:
    with pytest.raises(Rejected) as refused:
        catalog({"impersonate": True, "review": review}).of("prod/api", _BO)

    assert refused.value.code == "unmapped"
    assert refused.value.message == (
        "Bo has no user in cluster main, and prod/api is changed only as the user of the person who asks."
        " Nothing was done. Set `kubernetes` of the person in the settings."
    )


def test_a_person_is_not_mistaken_for_the_watch_by_their_id() -> None:
    with pytest.raises(Rejected):
        catalog({"impersonate": True}).of("prod/api", Principal(id="watch", name="Wat Chan"))


def test_a_service_without_more_runs_in_default_counts_as_production_and_may_be_scaled_moderately() -> None:
    site = catalog().of("prod/api", None)

    assert (site.workload.kind, site.workload.namespace, site.workload.name) == (kinds.DEPLOYMENT, "default", "api")
    assert (site.production, site.replicas) == (True, ReplicaLimits(minimum=1, maximum=100, step=None))


@pytest.mark.parametrize(
    ("environment", "production"), [("production", True), ("Staging", False), ("dev", False), ("eu-west", True)]
)
def test_only_what_is_known_to_be_harmless_is_not_production(environment: str, *, production: bool) -> None:
    assert catalog(service={"environment": environment}).of("prod/api", None).production is production


@pytest.mark.parametrize(("service", "code"), [("prod/web", "no_service"), ("prod/mail", "no_site")])
def test_a_service_that_is_not_there_or_has_no_place_is_named(service: str, code: str) -> None:
    with pytest.raises(Rejected, match=service) as refused:
        catalog().of(service, _ANA)

    assert refused.value.code == code
    assert catalog().names() == ("prod/api",)


def test_what_keeps_a_service_from_being_scaled_too_far_comes_with_its_site() -> None:
    said = {"headroom": {"query": "used"}, "connections": {"each": 20, "most": 500}}

    site, bare = catalog(service=said).of("prod/api", None), catalog().of("prod/api", None)

    assert site.headroom == Headroom(query="used", maximum=0.8)
    assert site.connections == ConnectionLimits(per_replica=20, maximum=500)
    assert (bare.headroom, bare.connections) == (None, None)


def test_an_object_of_no_service_is_written_to_as_the_person_and_only_on_a_cluster_of_the_settings() -> None:
    node = ObjectRef(kind=kinds.NODE, namespace="", name="node-1")

    site = catalog({"impersonate": True}).on("main", node, _ANA)

    assert (site.service, site.workload, who(site)) == ("main/node-1", node, (_MAPPED, _MAPPED))
    with pytest.raises(Rejected, match=r"The settings have no cluster mars\. Nothing was done\. Known: main\."):
        catalog().on("mars", node, _ANA)
    with pytest.raises(Rejected, match="Bo has no user in cluster main, and main/node-1 is changed only as the user"):
        catalog({"impersonate": True}).on("main", node, _BO)


def test_the_argo_cd_of_a_cluster_is_that_of_its_services() -> None:
    settings = Settings.model_validate(
        {
            "services": [
                {"name": name, "match": {"app": name}, "cluster": cluster, "workload": "deployment/api"}
                for name, cluster in (("prod/api", "main"), ("prod/mail", "other"))
            ],
            "clusters": {"main": {"argocd": {"namespace": "gitops"}}, "other": {}},
        }
    )
    argocd = cast("ArgoCd", object())

    made = ServiceSites(settings, lambda name, _: cast("Cluster", Named(name)), {"main": argocd})

    main, other = made.of("prod/api", None), made.of("prod/mail", None)
    assert (main.argocd, main.argocd_namespace) == (argocd, "gitops")
    assert (other.argocd, other.argocd_namespace) == (None, "argocd")


@dataclass(frozen=True)
class Program:
    """Stands for Helm's; it is run by nobody here."""

    person: ClusterUser | None = None

    def acting_as(self, person: ClusterUser) -> Helm:
        return cast("Helm", Program(person))


@pytest.mark.parametrize(
    ("impersonate", "by", "person"), [(True, _ANA, _MAPPED), (False, _ANA, None), (True, None, None)]
)
def test_helm_acts_in_the_name_in_which_the_cluster_is_written_to(
    by: Principal | None, person: ClusterUser | None, *, impersonate: bool
) -> None:
    settings = Settings.model_validate(
        {
            "people": [{"id": "ana", "kubernetes": {"user": "ana@example.com", "groups": ["sre", "oncall"]}}],
            "services": [{"name": "prod/api", "match": {"a": "b"}, "cluster": "main", "workload": "deployment/api"}],
            "clusters": {"main": {"impersonate": impersonate, "helm": "helm"}},
        }
    )

    made = ServiceSites(settings, lambda name, _: cast("Cluster", Named(name)), helms={"main": cast("Helm", Program())})

    assert cast("Program", made.of("prod/api", by).helm).person == person


@pytest.mark.parametrize("section", [{"url": "https://argocd.example.com"}, {"token": "t"}])
def test_an_argo_cd_has_both_an_address_and_a_token_or_neither(section: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="url and token go together"):
        Settings.model_validate({"clusters": {"main": {"argocd": section}}})
