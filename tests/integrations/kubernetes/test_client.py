"""A Kubernetes cluster over HTTP: what is read, what is written once, and what each refusal means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import ObjectRef, PatchType, ResourceAccess, ResourceKind
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.kubernetes_controllers_garbage import Garbage
from tests.running import free_port

_PODS = ResourceKind(group="", version="v1", plural="pods", title="Pod")
_ROLLOUTS = ResourceKind(group="argoproj.io", version="v1alpha1", plural="rollouts", title="Rollout")
_API = ObjectRef(
    kind=ResourceKind(group="apps", version="v1", plural="deployments", title="Deployment"),
    namespace="shop",
    name="api",
)
_FOUR = [{"op": "test", "path": "/spec/replicas", "value": 3}, {"op": "replace", "path": "/spec/replicas", "value": 4}]


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    with FakeKubernetes() as one:
        one.put("Deployment", "api", spec={"replicas": 3, "selector": {"matchLabels": {"app": "api"}}})
        yield one


@pytest.fixture
def cluster(fake: FakeKubernetes, tmp_path: Path) -> KubernetesClient:
    return _at(fake.url, tmp_path)


def _at(url: str, place: Path, *, token: str = "k8s-token") -> KubernetesClient:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "other",
        "clusters": [{"name": "main", "cluster": {"server": url}}],
        "users": [{"name": "bot", "user": {"token": token}}, {"name": "nobody", "user": {}}],
        "contexts": [
            {"name": "mine", "context": {"cluster": "main", "user": "bot"}},
            {"name": "other", "context": {"cluster": "main", "user": "nobody"}},
        ],
    }
    file = place / "kubeconfig"
    file.write_text(json.dumps(config))
    return KubernetesClient("main", ClusterSettings(kubeconfig=str(file), context="mine"))


def _scale(cluster: KubernetesClient, steps: object = _FOUR, *, dry: bool = False) -> object:
    return cluster.patch(_API, steps, how=PatchType.JSON, by="vakhta-1f", sub="scale", dry=dry)["spec"]["replicas"]


def _count(fake: FakeKubernetes) -> object:
    return fake.now("Deployment", "api")["spec"]["replicas"]


def test_an_object_is_read_whole_and_one_that_is_missing_is_none(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    fake.change("Deployment", "api", {"spec": {"fieldOfTomorrow": {"a": 1}}})
    fake.unserved.add("argoproj.io")

    found = cluster.get(_API)
    missing = cluster.get(ObjectRef(kind=_API.kind, namespace="shop", name="web"))
    unserved = cluster.get(ObjectRef(kind=_ROLLOUTS, namespace="shop", name="web"))

    assert found == fake.now("Deployment", "api")
    assert (missing, unserved, list(cluster.find(_ROLLOUTS, "shop"))) == (None, None, [])


def test_a_list_is_of_one_namespace_and_of_every_page(fake: FakeKubernetes, cluster: KubernetesClient) -> None:
    fake.page = 2
    for number in range(5):
        fake.put("Pod", f"p{number}", metadata={"labels": {"app": "api"}})
    fake.put("Pod", "other", metadata={"labels": {"app": "web"}})
    fake.put("Pod", "far", "elsewhere", metadata={"labels": {"app": "api"}})

    found = cluster.find(_PODS, "shop", labels="app=api")

    assert [one["metadata"]["name"] for one in found] == ["p0", "p1", "p2", "p3", "p4"]
    assert {call.path for call in fake.received} == {"/api/v1/namespaces/shop/pods"}


def test_a_list_whose_next_page_is_outdated_begins_again(fake: FakeKubernetes, cluster: KubernetesClient) -> None:
    fake.page = 2
    for number in range(3):
        fake.put("Pod", f"p{number}")
    fake.answer_next(status=410, path="/pods")

    found = cluster.find(_PODS, "shop")

    assert len(found) == 3


def test_a_write_names_its_manager_and_a_dry_run_writes_nothing(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    tried = _scale(cluster, dry=True)
    before = _count(fake)

    done = _scale(cluster)

    assert (tried, before, done, _count(fake)) == (4, 3, 4, 4)
    assert fake.now("Deployment", "api")["metadata"]["managedFields"][-1]["manager"] == "vakhta-1f"


def test_a_test_that_fails_and_a_version_that_is_gone_have_moved(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 4}}
    fake.change("Deployment", "api", {"spec": {"replicas": 5}})

    with pytest.raises(Conflict):
        _scale(cluster)
    with pytest.raises(Conflict):
        cluster.patch(_API, stale, how=PatchType.MERGE, by="vakhta-1f")

    assert _count(fake) == 5


def test_what_validation_refuses_has_not_moved(fake: FakeKubernetes, cluster: KubernetesClient) -> None:
    told = {"kind": "Status", "message": "Deployment.apps is invalid", "details": {"name": "api", "causes": []}}
    fake.answer_next(status=422, body=json.dumps(told).encode())

    with pytest.raises(Rejected, match=r"Deployment\.apps is invalid"):
        _scale(cluster)


def test_a_right_that_is_missing_is_named_and_can_be_asked_for_before(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    fake.rights.denied["vakhta"] = {("patch", "deployments/scale")}
    scaling = ResourceAccess(verb="patch", group="apps", resource="deployments/scale", namespace="shop")
    reading = ResourceAccess(verb="get", group="apps", resource="deployments", namespace="shop")

    with pytest.raises(Rejected, match='cannot patch resource "deployments/scale"') as refused:
        _scale(cluster)

    assert (refused.value.code, cluster.allowed(scaling), cluster.allowed(reading)) == ("no_entry", False, True)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_cluster_is_read_again_and_written_to_once(
    fake: FakeKubernetes, cluster: KubernetesClient, status: int
) -> None:
    fake.answer_next(status=status, retry_after=0, times=2)
    found = cluster.get(_API)
    fake.answer_next(status=status, retry_after=0)

    with pytest.raises(Rejected if status == 429 else OutcomeUnknown):
        _scale(cluster)

    assert found is not None
    assert len(fake.writes()) == 1


def test_a_write_that_is_taken_and_answered_with_what_nobody_can_read_is_unsure(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    fake.answer_next(status=200, body=b"<html>", path="/scale")

    with pytest.raises(OutcomeUnknown, match="answered 200"):
        _scale(cluster)


def test_a_write_whose_answer_is_lost_is_unsure_and_not_sent_again(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    fake.answer_next(reset=True, after_effect=True, path="/scale")

    with pytest.raises(OutcomeUnknown):
        _scale(cluster)

    assert (_count(fake), len(fake.writes())) == (4, 1)


def test_a_cluster_that_is_not_there_was_not_written_to(tmp_path: Path) -> None:
    nowhere = _at(f"http://127.0.0.1:{free_port()}", tmp_path)

    with pytest.raises(Rejected) as refused:
        _scale(nowhere)

    assert refused.value.code == "unreachable"


def test_a_webhook_that_knows_no_dry_run_is_a_refusal_in_its_words(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    said = "admission webhook does not support dry run"
    fake.answer_next(status=400, body=json.dumps({"kind": "Status", "message": said}).encode())

    with pytest.raises(Rejected, match=said):
        _scale(cluster, dry=True)


def test_a_wait_ends_with_the_change_it_waits_for(fake: FakeKubernetes, cluster: KubernetesClient) -> None:
    seen = fake.now("Deployment", "api")
    later = Thread(target=fake.change, args=("Deployment", "api", {"spec": {"replicas": 7}}))

    later.start()
    found = cluster.wait_for_change(_API, seen, timedelta(seconds=10))
    later.join()

    assert found is not None
    assert found["spec"]["replicas"] == 7


@pytest.mark.parametrize("trouble", [{"status": 410}, {"reset": True}, {"status": 403}])
def test_a_watch_that_is_cut_or_refused_is_made_up_for_by_reading(
    fake: FakeKubernetes, cluster: KubernetesClient, trouble: dict[str, int]
) -> None:
    seen = fake.now("Deployment", "api")
    fake.change("Deployment", "api", {"spec": {"replicas": 7}})
    fake.answer_next(path="/deployments", **trouble)  # type: ignore[arg-type]

    found = cluster.wait_for_change(_API, seen, timedelta(seconds=10))

    assert found is not None
    assert found["spec"]["replicas"] == 7


def test_a_wait_for_what_is_deleted_or_does_not_change_ends_too(
    fake: FakeKubernetes, cluster: KubernetesClient
) -> None:
    seen = fake.now("Deployment", "api")

    same = cluster.wait_for_change(_API, seen, timedelta(milliseconds=50))
    gone = cluster.wait_for_change(
        ObjectRef(kind=_API.kind, namespace="shop", name="web"), seen, timedelta(milliseconds=50)
    )

    assert (same, gone) == (seen, None)


@pytest.mark.parametrize("text", ["", "{", "kind: Config", "apiVersion: v1\nclusters: 3\n"])
def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken"
    file.write_text(text)

    with pytest.raises(Rejected, match="broken") as refused:
        KubernetesClient("main", ClusterSettings(kubeconfig=str(file))).get(_API)

    assert refused.value.code == "bad_kubeconfig"


def test_a_token_that_does_not_count_is_no_entry(fake: FakeKubernetes, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        _at(fake.url, tmp_path, token="old").get(_API)

    assert refused.value.code == "no_entry"


def test_a_login_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.integrations.kubernetes.credentials._LIMIT_S", 0.3)
    file = tmp_path / "kubeconfig"
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["3"], "env": None}
    told = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"exec": {**login, "interactiveMode": "Never"}}}],
        "contexts": [{"name": "mine", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "mine",
    }
    file.write_text(json.dumps(told))

    with pytest.raises(Rejected, match=r"The login to the cluster took over 0\.3 s"):
        KubernetesClient("main", ClusterSettings(kubeconfig=str(file), context="mine")).get(_API)


def test_a_job_that_is_deleted_takes_its_pods_with_it(fake: FakeKubernetes, cluster: KubernetesClient) -> None:
    """Without a policy the API leaves them running, for Jobs alone."""
    fake.controllers = [Garbage()]
    jobs = ResourceKind(group="batch", version="v1", plural="jobs", title="Job")
    uid = fake.put("Job", "one", spec={})["metadata"]["uid"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "one", "uid": uid}
    fake.put("Pod", "one-x1", metadata={"ownerReferences": [owner]})

    cluster.delete(ObjectRef(kind=jobs, namespace="shop", name="one"), uid=uid)
    fake.settle()

    assert fake.every("Pod") == []
