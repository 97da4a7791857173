"""The fake Kubernetes is strict where the safety of a write hangs on it; each rule here is the API's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.fakes import kubernetes_patches as patches
from tests.fakes.kubernetes import FakeKubernetes

_API = "/apis/apps/v1/namespaces/shop/deployments/api"
_PODS = "/api/v1/namespaces/shop/pods"
_TEMPLATE = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": "api:1"}]}}


class Client:
    """Speaks to it as anybody would."""

    def __init__(self, fake: FakeKubernetes, **headers: str) -> None:
        self._fake, self._headers = fake, {"Authorization": "Bearer k8s-token", "User-Agent": "somebody/1"} | headers

    def __call__(self, verb: str, path: str, body: object = None, kind: str = "application/json") -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self._fake.port, timeout=60)
        sent = None if body is None else json.dumps(body)
        connection.request(verb, path, sent, self._headers | {"Content-Type": kind})
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        return answer.status, [json.loads(one) for one in said.splitlines()] if "watch=" in path else json.loads(said)

    def json_patch(self, path: str, *steps: object) -> tuple[int, Any]:
        return self("PATCH", path, list(steps), "application/json-patch+json")

    def merge(self, path: str, patch: object) -> tuple[int, Any]:
        return self("PATCH", path, patch, "application/merge-patch+json")


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    with FakeKubernetes() as one:
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "api"}}, "template": _TEMPLATE}
        one.put("Deployment", "api", spec=spec, status={"replicas": 3})
        yield one


def test_a_patch_of_a_version_that_is_gone_is_a_conflict_and_changes_nothing(fake: FakeKubernetes) -> None:
    stale = fake.now("Deployment", "api")["metadata"]["resourceVersion"]
    fake.change("Deployment", "api", {"metadata": {"labels": {"tier": "web"}}})

    status, told = Client(fake).merge(_API, {"metadata": {"resourceVersion": stale}, "spec": {"replicas": 9}})

    assert (status, told["reason"]) == (409, "Conflict")
    assert fake.now("Deployment", "api")["spec"]["replicas"] == 3


def test_a_json_patch_whose_test_fails_is_invalid_and_changes_nothing(fake: FakeKubernetes) -> None:
    steps = (
        {"op": "test", "path": "/spec/replicas", "value": 4},
        {"op": "replace", "path": "/spec/replicas", "value": 9},
    )

    status, told = Client(fake).json_patch(f"{_API}/scale", *steps)

    assert (status, told["reason"]) == (422, "Invalid")
    assert fake.now("Deployment", "api")["spec"]["replicas"] == 3


def test_a_scale_shows_the_count_alone_and_leaves_out_a_zero(fake: FakeKubernetes) -> None:
    client, template = Client(fake), fake.now("Deployment", "api")["spec"]["template"]

    _, before = client("GET", f"{_API}/scale")
    _, after = client.json_patch(f"{_API}/scale", {"op": "add", "path": "/spec/replicas", "value": 0})

    assert (before["kind"], before["spec"], before["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 3, "selector": "app=api"},
    )
    assert after["spec"] == {}
    assert fake.now("Deployment", "api")["spec"]["template"] == template


def test_who_wrote_the_count_last_is_in_the_managed_fields_and_nobody_else_is(fake: FakeKubernetes) -> None:
    client = Client(fake)

    client.merge(f"{_API}/scale?fieldManager=first", {"spec": {"replicas": 4}})
    client.merge(f"{_API}/scale?fieldManager=second", {"spec": {"replicas": 5}})

    fields: object = {"f:spec": {"f:replicas": {}}}
    entries = fake.now("Deployment", "api")["metadata"]["managedFields"]
    assert [(one["manager"], one["subresource"]) for one in entries if one["fieldsV1"] == fields] == [
        ("second", "scale")
    ]


def test_a_generation_counts_changes_of_the_spec_and_a_write_of_nothing_makes_no_version(fake: FakeKubernetes) -> None:
    client, before = Client(fake), fake.now("Deployment", "api")["metadata"]

    _, same = client.merge(_API, {"spec": {"replicas": 3}})
    _, labelled = client.merge(_API, {"metadata": {"labels": {"a": "b"}}})
    _, scaled = client.merge(_API, {"spec": {"replicas": 4}})

    assert same["metadata"]["resourceVersion"] == before["resourceVersion"]
    assert labelled["metadata"]["resourceVersion"] != before["resourceVersion"]
    assert [one["metadata"]["generation"] for one in (same, labelled, scaled)] == [1, 1, 2]


def test_the_status_is_written_through_its_own_path_alone(fake: FakeKubernetes) -> None:
    client = Client(fake)

    _, main = client.merge(_API, {"status": {"replicas": 8}})
    _, own = client.merge(f"{_API}/status", {"status": {"replicas": 7}, "spec": {"replicas": 7}})

    assert main["status"]["replicas"] == 3
    assert (own["status"]["replicas"], own["spec"]["replicas"]) == (7, 3)


def test_a_dry_run_answers_what_would_be_and_keeps_nothing(fake: FakeKubernetes) -> None:
    status, told = Client(fake).merge(f"{_API}?dryRun=All", {"spec": {"replicas": 9}})

    assert (status, told["spec"]["replicas"]) == (200, 9)
    assert fake.now("Deployment", "api")["spec"]["replicas"] == 3
    assert fake.writes() == []


def test_what_clients_add_to_a_strategic_patch_is_obeyed_and_not_kept() -> None:
    held = {"containers": [{"name": "api"}, {"name": "log"}], "rollingUpdate": {}, "type": "RollingUpdate"}
    patch = {
        "$setElementOrder/containers": [{"name": "log"}, {"name": "api"}],
        "containers": [{"name": "api", "image": "shop/api:2"}],
        "$retainKeys": ["containers", "type"],
        "type": "Recreate",
    }

    assert patches.strategic(held, patch) == {
        "containers": [{"name": "log"}, {"name": "api", "image": "shop/api:2"}],
        "type": "Recreate",
    }


def test_a_strategic_merge_knows_containers_by_name_and_is_not_for_custom_resources(fake: FakeKubernetes) -> None:
    fake.put("Rollout", "web", spec={"replicas": 2, "template": _TEMPLATE})
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "log", "image": "log:1"}]}}}}
    client, kind = Client(fake), "application/strategic-merge-patch+json"

    _, merged = client("PATCH", _API, sidecar, kind)
    status, told = client("PATCH", "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web", sidecar, kind)

    assert [one["name"] for one in merged["spec"]["template"]["spec"]["containers"]] == ["api", "log"]
    assert (status, told["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("labelSelector=app%3Dapi", ["a", "b"]),
        ("labelSelector=app%3Dapi,tier!%3Dweb", ["a"]),
        ("labelSelector=app%20in%20(api,job)", ["a", "b", "c"]),
        ("labelSelector=!tier", ["a", "c"]),
        ("fieldSelector=metadata.name%3Dc", ["c"]),
        ("fieldSelector=status.phase%3DRunning", ["b"]),
    ],
)
def test_lists_are_of_what_the_selectors_name(fake: FakeKubernetes, selector: str, names: list[str]) -> None:
    for name, labels in (("a", {"app": "api"}), ("b", {"app": "api", "tier": "web"}), ("c", {"app": "job"})):
        fake.put("Pod", name, metadata={"labels": labels}, status={"phase": "Running" if name == "b" else "Pending"})

    _, told = Client(fake)("GET", f"{_PODS}?{selector}")

    assert [one["metadata"]["name"] for one in told["items"]] == names


def test_a_selector_of_a_field_that_is_not_indexed_is_refused(fake: FakeKubernetes) -> None:
    status, told = Client(fake)("GET", f"{_PODS}?fieldSelector=spec.hostname%3Dx")

    assert (status, told["reason"]) == (400, "BadRequest")


def test_pages_go_on_where_the_last_one_ended_until_they_are_too_old(fake: FakeKubernetes) -> None:
    for number in range(5):
        fake.put("Pod", f"p{number}")
    client = Client(fake)

    _, first = client("GET", f"{_PODS}?limit=3")
    _, second = client("GET", f"{_PODS}?limit=3&continue={first['metadata']['continue']}")
    fake.put("Pod", "p9")
    fake.forget()
    status, told = client("GET", f"{_PODS}?limit=3&continue={first['metadata']['continue']}")

    assert [one["metadata"]["name"] for one in first["items"] + second["items"]] == ["p0", "p1", "p2", "p3", "p4"]
    assert "continue" not in second["metadata"]
    assert (status, told["reason"]) == (410, "Expired")


def test_a_watch_tells_what_changed_since_its_version_and_410_when_that_is_forgotten(fake: FakeKubernetes) -> None:
    since = fake.now("Deployment", "api")["metadata"]["resourceVersion"]
    fake.change("Deployment", "api", {"spec": {"replicas": 4}})
    path = f"/apis/apps/v1/namespaces/shop/deployments?watch=true&timeoutSeconds=0.2&resourceVersion={since}"
    client = Client(fake)

    _, told = client("GET", path)
    fake.forget()
    _, gone = client("GET", path)

    assert [(one["type"], one["object"]["spec"]["replicas"]) for one in told] == [("MODIFIED", 4)]
    assert [(one["type"], one["object"]["code"]) for one in gone] == [("ERROR", 410)]


def test_what_is_not_allowed_is_refused_and_a_review_says_so_before(fake: FakeKubernetes) -> None:
    fake.rights.denied["vakhta"] = {("patch", "deployments/scale")}
    attributes = {"verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"}
    client = Client(fake)

    reviewed, review = client(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": {**attributes, "namespace": "shop"}}},
    )
    status, told = client.merge(f"{_API}/scale", {"spec": {"replicas": 9}})
    plain, _ = client.merge(_API, {"spec": {"replicas": 9}})

    assert (reviewed, review["status"]["allowed"]) == (201, False)
    assert (status, told["reason"], plain) == (403, "Forbidden", 200)
    assert 'User "vakhta" cannot patch resource "deployments/scale" in API group "apps"' in told["message"]


def test_an_unknown_token_a_missing_object_and_an_unserved_kind_are_told_apart(fake: FakeKubernetes) -> None:
    fake.unserved.add("argoproj.io")

    stranger, _ = Client(fake, Authorization="Bearer other")("GET", _API)
    missing, told = Client(fake)("GET", f"{_API}-2")
    unserved, other = Client(fake)("GET", "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/api")

    assert (stranger, missing, unserved) == (401, 404, 404)
    assert told["details"]["name"] == "api-2"
    assert other["details"] == {}
