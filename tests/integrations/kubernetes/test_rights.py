"""In whose name a cluster is written to and asked: the bot's own, or a person's with every one of their groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bot.core.errors import Rejected
from bot.core.kubernetes import ClusterUser, ObjectRef, PatchType, ResourceAccess
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.workloads.objects import kinds
from tests.cluster.world import kubeconfig
from tests.fakes.calls import Call
from tests.fakes.kubernetes import FakeKubernetes

_API = ObjectRef(kind=kinds.DEPLOYMENT, namespace="shop", name="api")
_SCALING = ResourceAccess(verb="patch", group="apps", resource="deployments/scale", namespace="shop", name="api")
_SHIPPED = Path(__file__).parents[3] / "deploy" / "kubernetes" / "impersonation.yaml"
_ANA = ClusterUser(user="ana@example.com", groups=("sre", "team core, emea"))


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    """The bot may read and be Ana; to scale takes Ana's second group."""
    with FakeKubernetes() as one:
        one.put("Deployment", "api", spec={"replicas": 3})
        one.rights.grant("vakhta", "get list watch", "deployments.apps", namespace="shop")
        one.rights.grant("vakhta", "impersonate", "users", names=[_ANA.user])
        one.rights.grant("vakhta", "impersonate", "groups", names=_ANA.groups)
        one.rights.grant("vakhta", "create", "subjectaccessreviews.authorization.k8s.io")
        one.rights.grant("group:sre", "get", "pods", namespace="shop")
        one.rights.grant("group:team core, emea", "patch", "deployments.apps/scale", namespace="shop")
        yield one


@pytest.fixture
def bot(fake: FakeKubernetes, tmp_path: Path) -> KubernetesClient:
    return KubernetesClient("main", ClusterSettings(kubeconfig=str(kubeconfig(fake.url, tmp_path))))


def scale(cluster: KubernetesClient) -> None:
    cluster.patch(_API, {"spec": {"replicas": 4}}, how=PatchType.MERGE, by="vakhta-1f", sub="scale")


def in_whose_name(call: Call) -> list[str]:
    return [value for name, value in call.heads if name.startswith("impersonate-")]


def test_a_write_in_a_persons_name_carries_each_group_in_a_header_of_its_own(
    fake: FakeKubernetes, bot: KubernetesClient
) -> None:
    scale(bot.acting_as(_ANA))

    assert fake.now("Deployment", "api")["spec"]["replicas"] == 4
    assert in_whose_name(fake.received[-1]) == ["ana@example.com", "sre", "team core, emea"]


def test_without_the_group_that_may_the_person_may_not_whatever_the_bot_may(
    fake: FakeKubernetes, bot: KubernetesClient
) -> None:
    fake.rights.grant("vakhta", "patch", "deployments.apps/scale")

    with pytest.raises(Rejected, match=r'User "ana@example.com" cannot patch') as refused:
        scale(bot.acting_as(replace(_ANA, groups=("sre",))))

    assert refused.value.code == "no_entry"
    assert fake.now("Deployment", "api")["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    ("person", "named"),
    [
        (replace(_ANA, user="root@example.com"), 'users "root@example.com" is forbidden'),
        (replace(_ANA, groups=("sre", "admins")), 'groups "admins" is forbidden'),
        (replace(_ANA, groups=("system:masters",)), 'groups "system:masters" is forbidden'),
    ],
)
def test_the_bot_is_nobody_whom_the_cluster_does_not_let_it_be(
    fake: FakeKubernetes, bot: KubernetesClient, person: ClusterUser, named: str
) -> None:
    with pytest.raises(Rejected, match=named):
        scale(bot.acting_as(person))

    assert fake.now("Deployment", "api")["spec"]["replicas"] == 3


def test_the_shipped_role_lets_the_bot_be_the_people_it_names_and_no_one_else(
    fake: FakeKubernetes, bot: KubernetesClient
) -> None:
    account = "system:serviceaccount:vakhta:vakhta"
    fake.rights.users = {"k8s-token": account}
    fake.rights.apply(yaml.safe_load_all(_SHIPPED.read_text()))
    ana = ClusterUser(user="ana@example.com", groups=("sre",))
    fake.rights.grant("group:sre", "patch", "deployments.apps/scale")

    scale(bot.acting_as(ana))
    with pytest.raises(Rejected, match=f'User "{account}" cannot impersonate'):
        scale(bot.acting_as(replace(ana, groups=("sre", "admins"))))

    assert fake.now("Deployment", "api")["spec"]["replicas"] == 4


def test_what_is_read_is_read_in_the_bots_own_name(fake: FakeKubernetes, bot: KubernetesClient) -> None:
    ana = bot.acting_as(_ANA)

    found = ana.get(_API)
    ana.find(kinds.DEPLOYMENT, "shop")

    assert found is not None
    assert [in_whose_name(call) for call in fake.received] == [[], []]


def test_whether_one_may_is_asked_for_whoever_would_write(bot: KubernetesClient) -> None:
    assert (bot.allowed(_SCALING), bot.acting_as(_ANA).allowed(_SCALING)) == (False, True)


@pytest.mark.parametrize(
    ("groups", "may"), [(("sre",), False), (("team core, emea",), True), (("sre", "team core, emea"), True)]
)
def test_whether_a_person_may_is_answered_of_the_user_and_all_groups(
    fake: FakeKubernetes, bot: KubernetesClient, groups: tuple[str, ...], *, may: bool
) -> None:
    asked = bot.allowed_for(replace(_ANA, groups=groups), _SCALING)

    assert asked is may
    assert in_whose_name(fake.received[-1]) == []


def test_what_everybody_known_may_a_person_may_too(fake: FakeKubernetes, bot: KubernetesClient) -> None:
    fake.rights.grant("group:system:authenticated", "patch", "deployments.apps/scale")

    assert bot.allowed_for(replace(_ANA, groups=()), _SCALING)
    assert fake.received[-1].fields["spec"]["groups"] == ["system:authenticated"]  # type: ignore[index]


def test_a_person_is_asked_about_by_the_bot_also_where_it_writes_in_their_name(
    fake: FakeKubernetes, bot: KubernetesClient
) -> None:
    assert bot.acting_as(_ANA).allowed_for(_ANA, _SCALING)
    assert in_whose_name(fake.received[-1]) == []


def test_a_bot_that_may_not_ask_about_people_is_told_so(fake: FakeKubernetes, bot: KubernetesClient) -> None:
    fake.rights.denied["vakhta"] = {("create", "subjectaccessreviews")}

    with pytest.raises(Rejected, match=r"cannot create resource \"subjectaccessreviews\".* Nothing was done"):
        bot.allowed_for(_ANA, _SCALING)


@pytest.mark.parametrize("trouble", [{"status": 503}, {"reset": True}])
def test_a_question_that_is_not_answered_is_asked_again_and_refused_in_the_end(
    fake: FakeKubernetes, bot: KubernetesClient, trouble: dict[str, int]
) -> None:
    fake.answer_next(**trouble)  # type: ignore[arg-type]
    once = bot.allowed_for(_ANA, _SCALING)
    fake.answer_next(**trouble, times=3)  # type: ignore[arg-type]

    with pytest.raises(Rejected, match="Nothing was done"):
        bot.allowed_for(_ANA, _SCALING)

    assert once
    assert len(fake.received) == 5


@pytest.mark.parametrize("trouble", [{"status": 500}, {"reset": True}])
def test_a_dry_run_without_an_answer_has_done_nothing(
    fake: FakeKubernetes, bot: KubernetesClient, trouble: dict[str, int]
) -> None:
    fake.answer_next(**trouble)  # type: ignore[arg-type]

    with pytest.raises(Rejected, match="Nothing was done"):
        bot.patch(_API, {"spec": {"replicas": 4}}, how=PatchType.MERGE, by="vakhta-plan", dry=True)
