"""`vakhta check --cluster`: asks for all that the settings enable, lists what is missing, prints the Roles for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
from bot.__main__ import main
from tests.cluster.world import kubeconfig
from tests.fakes.kubernetes import FakeKubernetes
from tests.running import free_port

_BOT = "system:serviceaccount:ops:vakhta"
_ANA: Mapping[str, Any] = {"id": "ana", "roles": ["ops"]}


@pytest.fixture(autouse=True)
def _some_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "actions", lambda: {"scale": None, "restart": None})


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    """Knows the bot, and grants it nothing."""
    with FakeKubernetes() as one:
        one.rights.users = {"k8s-token": _BOT}
        one.rights.grant(_BOT, "get", "nothing")
        yield one


class Checked:
    """What one call of it said."""

    def __init__(self, code: int, text: str, refusal: str) -> None:
        self.code, self.text, self.refusal = code, text, refusal

    def about(self, what: str) -> str:
        return next(line for line in self.text.splitlines() if line.startswith(f"#   {what}"))

    @property
    def roles(self) -> list[dict[str, Any]]:
        return [one for one in yaml.safe_load_all(self.text) if one]


class Desk:
    """Settings of one cluster `main`, and the command line over them."""

    def __init__(self, place: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._place, self._capsys = place, capsys
        self.settings: dict[str, Any] = {
            "people": [dict(_ANA)],
            "roles": {"ops": {"allow": ["scale prod/*"]}},
            "services": [self.service("prod/api", "deployment/api"), self.service("prod/db", "statefulset/db", "data")],
            "clusters": {"main": {"kubeconfig": str(kubeconfig(url, place))}},
        }

    @staticmethod
    def service(name: str, workload: str, namespace: str = "shop", cluster: str = "main") -> dict[str, Any]:
        where = {"cluster": cluster, "namespace": namespace, "workload": workload}
        return {"name": name, "match": {"app": name}, **where}

    def check(self, *more: str) -> Checked:
        file = self._place / "vakhta.yaml"
        file.write_text(json.dumps(self.settings))
        code = main(["check", "--config", str(file), "--cluster", *more])
        said = self._capsys.readouterr()
        return Checked(code, said.out, said.err)


@pytest.fixture
def desk(fake: FakeKubernetes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, fake.url, capsys)


def resources(roles: Sequence[Mapping[str, Any]], kind: str) -> set[str]:
    return {each for one in roles if one["kind"] == kind for rule in one["rules"] for each in rule["resources"]}


def test_what_is_missing_is_told_and_applying_what_is_printed_makes_it_whole(fake: FakeKubernetes, desk: Desk) -> None:
    before = desk.check()
    fake.rights.apply(before.roles)
    after = desk.check()

    assert (before.code, after.code) == (1, 0)
    assert before.text.startswith(f"# Cluster main, asked as {_BOT}\n")
    assert "patch deployments/scale.apps (api)" in before.about("scale prod/api: MISSING")
    assert after.text.splitlines()[1:] == ["#   scale prod/api: granted", "#   scale prod/db: granted"]


@pytest.mark.parametrize("helm", ["helm", None])
def test_helms_secrets_are_asked_for_only_where_helm_is_set(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, helm: str | None
) -> None:
    monkeypatch.setattr(commands, "actions", lambda: {"rollback": None})
    desk.settings["roles"] = {"ops": {"allow": ["rollback prod/*"]}}
    desk.settings["clusters"]["main"]["helm"] = helm

    roles = desk.check().roles

    assert ("secrets" in resources(roles, "Role")) is (helm is not None)


def test_nothing_is_changed_in_the_cluster_by_asking(fake: FakeKubernetes, desk: Desk) -> None:
    desk.check()

    assert fake.received
    assert {call.path.rpartition("/")[2] for call in fake.received} == {
        "selfsubjectaccessreviews",
        "selfsubjectreviews",
    }


def test_a_place_where_one_right_is_missing_gets_its_whole_role_and_the_others_none(
    fake: FakeKubernetes, desk: Desk
) -> None:
    fake.rights.apply(desk.check().roles)
    fake.rights.denied[_BOT] = {("patch", "statefulsets/scale")}

    found = desk.check()

    assert found.about("scale prod/db") == "#   scale prod/db: MISSING patch statefulsets/scale.apps (db) in data"
    assert [(one["kind"], one["metadata"]["namespace"]) for one in found.roles] == [
        ("Role", "data"),
        ("RoleBinding", "data"),
    ]
    assert {"statefulsets", "statefulsets/scale", "pods"} <= resources(found.roles, "Role")


@pytest.mark.parametrize(
    ("roles", "enabled"),
    [
        ({"allow": ["scale prod/*"]}, ["scale prod/api", "scale prod/db"]),
        ({"allow": ["scale prod/api", "restart prod/db"]}, ["scale prod/api", "restart prod/db"]),
        ({"allow": ["*"], "deny": ["* prod/db", "restart"]}, ["scale prod/api"]),
        (
            {"allow": ["scale prod/api"], "deny": [{"do": "scale", "when": {"during": "Mon-Fri 09:00-17:00 UTC"}}]},
            ["scale prod/api"],
        ),
        ({"allow": [{"do": "scale prod/api", "when": {"incident": True}}]}, ["scale prod/api"]),
        ({"allow": ["scale staging/*", "promote"]}, []),
    ],
)
def test_asked_for_is_what_somebodys_role_lets_them_do_in_some_case(
    desk: Desk, roles: Mapping[str, object], enabled: list[str]
) -> None:
    desk.settings["roles"]["ops"] = roles

    found = desk.check()

    told = [
        line.removeprefix("#   ").partition(": MISSING")[0] for line in found.text.splitlines() if "MISSING" in line
    ]
    assert told == enabled
    assert found.code == (1 if enabled else 0)


def test_a_role_that_nobody_has_enables_nothing_and_one_that_a_group_or_the_glass_gives_does(desk: Desk) -> None:
    desk.settings["people"] = [{"id": "ana", "roles": []}]
    nobody = desk.check()
    desk.settings["roles"]["ops"]["slack_groups"] = ["S0123ABCD"]
    group = desk.check()

    assert "The settings allow nobody to change anything there." in nobody.text
    assert (nobody.code, group.code) == (0, 1)


def test_what_it_takes_to_ask_about_people_and_to_write_in_their_names_is_asked_for_too(
    fake: FakeKubernetes, desk: Desk
) -> None:
    desk.settings["people"] = [{**_ANA, "kubernetes": {"user": "ana@example.com", "groups": ["sre", "oncall"]}}]
    desk.settings["clusters"]["main"]["impersonate"] = True

    found = desk.check()
    fake.rights.apply(found.roles)

    role = next(one for one in found.roles if one["kind"] == "ClusterRole")
    be = {rule["resourceNames"][0] for rule in role["rules"] if rule["verbs"] == ["impersonate"]}
    assert be == {"ana@example.com", "sre", "oncall"}
    assert "subjectaccessreviews" in resources(found.roles, "ClusterRole")
    assert desk.check().code == 0


def test_a_cluster_that_does_not_answer_is_told_and_the_others_are_asked(
    fake: FakeKubernetes, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    far = kubeconfig(f"http://127.0.0.1:{free_port()}", tmp_path / "far")
    desk.settings["clusters"] = {"far": {"kubeconfig": str(far)}} | desk.settings["clusters"]
    desk.settings["services"].append(desk.service("prod/far", "deployment/far", cluster="far"))
    fake.rights.rules.clear()

    found = desk.check()
    only = desk.check("main")

    assert found.code == 1
    assert "# Cluster far\n#   Cluster far cannot be reached" in found.text
    assert found.about("scale prod/api") == "#   scale prod/api: granted"
    assert (only.code, "far" in only.text) == (0, False)


def test_a_cluster_that_the_settings_do_not_have_is_refused(desk: Desk) -> None:
    found = desk.check("mian")

    assert (found.code, found.text) == (1, "")
    assert "The settings have no cluster mian. Nothing was checked. Known: main." in found.refusal


def test_what_is_denied_to_one_role_is_still_asked_for_where_another_has_it(desk: Desk) -> None:
    desk.settings["people"].append({"id": "bo", "roles": ["guests"]})
    desk.settings["roles"]["guests"] = {"allow": ["scale prod/api"], "deny": ["scale *"]}

    assert desk.check().about("scale prod/api: MISSING")


def test_a_cluster_that_does_not_say_who_asks_gets_roles_with_a_subject_to_fill_in(
    fake: FakeKubernetes, desk: Desk
) -> None:
    fake.answer_next(status=404, path="/selfsubjectreviews")

    found = desk.check()

    assert "# The cluster does not say who the bot is: replace ACCOUNT and NAMESPACE everywhere" in found.text
    assert {one["subjects"][0]["name"] for one in found.roles if "subjects" in one} == {"ACCOUNT"}
    assert {one["metadata"]["name"] for one in found.roles} == {"vakhta-ACCOUNT"}


def test_what_is_printed_for_a_second_account_takes_nothing_from_the_first(
    fake: FakeKubernetes, desk: Desk, tmp_path: Path
) -> None:
    """Two bots, or one per team, on the same cluster: each account is given its own Roles in the same namespaces."""
    other = "system:serviceaccount:ops:vakhta-data"
    fake.rights.users["other-token"] = other
    fake.rights.grant(other, "get", "nothing")
    fake.rights.apply(desk.check().roles)
    desk.settings["roles"]["ops"] = {"allow": ["restart prod/*"]}
    (tmp_path / "other").mkdir()
    second = {"kubeconfig": str(kubeconfig(fake.url, tmp_path / "other", "other-token"))}
    mine, desk.settings["clusters"]["main"] = desk.settings["clusters"]["main"], second

    before = desk.check()
    fake.rights.apply(before.roles)
    after = desk.check()
    desk.settings["clusters"]["main"], desk.settings["roles"]["ops"] = mine, {"allow": ["scale prod/*"]}

    assert (before.code, after.code, desk.check().code) == (1, 0, 0)


def test_without_clusters_there_is_nothing_to_ask(desk: Desk) -> None:
    desk.settings |= {"clusters": {}, "services": []}

    found = desk.check()

    assert (found.code, found.text) == (0, "# The settings have no cluster.\n")


def test_who_may_close_nodes_needs_them_and_sees_pods_of_all_namespaces(
    fake: FakeKubernetes, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "actions", lambda: {"cordon": None})
    desk.settings["roles"]["ops"] = {"allow": ["cordon main/*"]}

    before = desk.check()
    fake.rights.apply(before.roles)
    after = desk.check()

    assert before.about("cordon main/*") == "#   cordon main/*: MISSING get nodes, list nodes, patch nodes, list pods"
    assert resources(before.roles, "ClusterRole") == {"nodes", "pods"}
    assert (before.code, after.code) == (1, 0)


def test_stores_of_backups_ask_for_what_is_enabled_and_applying_it_makes_them_whole(
    fake: FakeKubernetes, desk: Desk
) -> None:
    velero = {"cluster": "main", "included": ["shop"], "schedule": "nightly"}
    store = {"name": "prod/files", "engine": "velero", "rpo": "24h", "rto": "4h", "where": velero}
    job = {"cluster": "main", "namespace": "backups", "image": "registry.example.com/pg:15"}
    dumps = {"database": "orders", "url": "postgresql://bot@127.0.0.1/postgres", "folder": "dumps"}
    postgres = {"name": "prod/orders", "engine": "postgres", "rpo": "1h", "rto": "4h", "where": dumps}
    desk.settings["backups"] = {"stores": [store, {**postgres, "run": {"job": job}}]}
    desk.settings["services"], desk.settings["roles"]["ops"]["allow"] = [], ["backups *"]

    read = desk.check()
    assert "list backups.velero.io" in read.about("backups prod/files")
    assert "create jobs.batch" in read.about("programs of prod/orders")
    assert "restore prod/files" not in read.text, "nobody may restore it, and no drill is scheduled"

    store["drill"] = {"every": "7d"}
    asked = desk.check()
    assert "create restores.velero.io" in asked.about("restore prod/files")
    assert asked.code == 1
    fake.rights.apply(asked.roles)
    assert desk.check().code == 0
