"""Rights as Roles: as few rules as possible, and no right that was not asked for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import commands
from bot.core.kubernetes import ObjectRef, ResourceAccess, ResourceKind
from bot.workloads import rbac
from bot.workloads.objects import kinds
from bot.workloads.rbac import name_of, role_documents

_PODS = ResourceAccess(verb="list", group="", resource="pods", namespace="shop")
_SCALE = ResourceAccess(verb="patch", group="apps", resource="deployments/scale", namespace="shop", name="api")
_NODES = ResourceAccess(verb="list", group="", resource="nodes")


def test_a_namespace_gets_a_role_and_what_is_in_none_a_cluster_role_each_bound_to_the_account() -> None:
    made = role_documents([_PODS, _NODES], "system:serviceaccount:ops:vakhta")

    told = [(one["kind"], one["metadata"].get("namespace")) for one in made]
    assert told == [("ClusterRole", None), ("ClusterRoleBinding", None), ("Role", "shop"), ("RoleBinding", "shop")]
    assert {one["subjects"][0]["namespace"] for one in made if "subjects" in one} == {"ops"}
    name = name_of("system:serviceaccount:ops:vakhta")
    assert made[3]["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    assert {one["metadata"]["name"] for one in made} == {name}


def test_an_account_that_is_no_service_account_is_bound_as_a_user() -> None:
    made = role_documents([_PODS], "arn:aws:sts::1:assumed-role/vakhta/i")

    assert made[1]["subjects"] == [
        {"kind": "User", "name": "arn:aws:sts::1:assumed-role/vakhta/i", "apiGroup": "rbac.authorization.k8s.io"}
    ]


def test_verbs_of_one_resource_and_resources_of_the_same_verbs_share_a_rule_but_names_are_kept_apart() -> None:
    wanted = [
        _PODS,
        replace(_PODS, verb="get"),
        replace(_PODS, resource="events"),
        replace(_PODS, resource="events", verb="get"),
    ]

    role, _ = role_documents([*wanted, _SCALE, replace(_SCALE, name="web")], "bot")

    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"], "resourceNames": ["api"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"], "resourceNames": ["web"]},
    ]


def test_the_name_is_of_the_account_and_of_no_other() -> None:
    accounts = [
        "system:serviceaccount:ops:vakhta",
        "system:serviceaccount:ops-vakhta:a",
        "system:serviceaccount:ops:vakhta-a",
        "ana@example.com",
        "ana-example.com",
        "arn:aws:sts::123456789012:assumed-role/vakhta-in-a-role-with-a-very-long-name/i-0123456789",
        "arn:aws:sts::123456789013:assumed-role/vakhta-in-a-role-with-a-very-long-name/i-0123456789",
        "\u0432\u0430\u0445\u0442\u0430",
        "CN=Bot,O=Ops",
        "-",
    ]
    names = [name_of(one) for one in accounts]

    assert len(set(names)) == len(accounts)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one) for one in names)
    assert names[0] == name_of(accounts[0]) == "vakhta-ops-vakhta-4f78155517a2"


def test_a_role_of_aws_keeps_its_name_whatever_its_session_is_called() -> None:
    role = "arn:aws:sts::123456789012:assumed-role/vakhta"

    assert name_of(f"{role}/botocore-session-1764500000") == name_of(f"{role}/i-0123456789")
    assert name_of(f"{role}/i") != name_of(f"{role}-data/i")


@pytest.mark.parametrize("verb", rbac.VERBS)
@pytest.mark.parametrize("kind", kinds.WORKLOADS.values())
def test_nothing_is_granted_that_reaches_beyond_the_workloads_own(verb: str, kind: ResourceKind) -> None:
    needed = rbac.grants_for(verb, ObjectRef(kind=kind, namespace="shop", name="api"))

    written = [one for one in needed if one.verb not in ("get", "list", "watch")]
    assert {one.verb for one in written} <= {"patch", "delete"}
    elsewhere = {one.resource for one in written if one.namespace != "shop"}
    assert elsewhere == ({"applications"} if verb == "autosync" else set())
    assert not [one for one in written if one.verb == "delete" and one.resource != "pods"]
    assert not [one for one in needed if one.resource in ("secrets", "pods/exec", "*") or one.group == "*"]


def test_every_action_has_its_rights_listed_but_those_that_touch_no_cluster() -> None:
    elsewhere = {"silence", "unsilence", "silences"}
    elsewhere |= {"backups", "dr", "restore", "cutover", "cutback", "remove-copy", "backup", "drill"}

    assert set(commands.actions()) - elsewhere - {*rbac.VERBS, *rbac.ON_NODES} == set()


def test_an_action_that_is_not_for_such_a_workload_needs_nothing() -> None:
    assert rbac.grants_for("scale", ObjectRef(kind=kinds.DAEMONSET, namespace="shop", name="agent")) == ()
    assert rbac.grants_for("dance", ObjectRef(kind=kinds.DEPLOYMENT, namespace="shop", name="api")) == ()
