"""Creating an object: it is sent once, under a name that is known before, and each refusal says what was not done."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.kubernetes import ClusterUser, KubernetesObject, ResourceKind
from bot.workloads.objects import kinds
from tests.cluster import manifests
from tests.cluster.admission import webhook_on
from tests.cluster.world import LABEL, World

_JOB = ResourceKind(group="batch", version="v1", plural="jobs", title="Job")


def _note(name: str = "note", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": dict(LABEL)}, "data": data or {"said": "hello"}}


def _create(world: World, manifest: KubernetesObject | None = None, **more: Any) -> KubernetesObject:
    return world.admin.create(kinds.CONFIG, world.namespace, manifest or _note(), by="vakhta-1f", **more)


def _notes(world: World) -> list[str]:
    names = [str(one["metadata"]["name"]) for one in world.every(kinds.CONFIG)]
    return [one for one in names if one != "kube-root-ca.crt"]


def test_an_object_is_made_under_its_name_and_its_manager_is_known(world: World) -> None:
    made = _create(world)

    found = world.get(kinds.CONFIG, "note")
    assert (found["data"], found["metadata"]["uid"]) == ({"said": "hello"}, made["metadata"]["uid"])
    assert [one["manager"] for one in found["metadata"]["managedFields"]] == ["vakhta-1f"]


def test_a_second_of_the_same_name_is_refused_with_a_code_and_the_first_stays(world: World) -> None:
    _create(world)

    with pytest.raises(Rejected, match="already exists") as refused:
        _create(world, _note(said="other"))
    with pytest.raises(Rejected, match="already exists"):
        _create(world, _note(said="other"), dry=True)

    assert refused.value.code == "exists"
    assert world.get(kinds.CONFIG, "note")["data"] == {"said": "hello"}


def test_a_dry_run_shows_the_object_and_makes_none(world: World) -> None:
    shown = _create(world, dry=True)

    assert shown["metadata"]["name"] == "note"
    assert _notes(world) == []


def test_a_name_is_never_left_to_the_server(world: World) -> None:
    with pytest.raises(ValueError, match="has no name"):
        _create(world, {"metadata": {"generateName": "note-"}})

    assert _notes(world) == []


def test_a_name_that_is_no_name_is_refused_in_the_servers_words(world: World) -> None:
    with pytest.raises(Rejected, match=r"metadata\.name.*Nothing was done") as refused:
        _create(world, _note("Not_A_Name"))

    assert refused.value.code == "refused"


def test_a_namespace_that_is_not_there_is_told_as_missing(world: World) -> None:
    with pytest.raises(Rejected, match="not found") as refused:
        world.admin.create(kinds.CONFIG, f"{world.namespace}-other", _note(), by="vakhta-1f")

    assert refused.value.code == "missing"


def test_a_kind_that_is_not_installed_is_told_as_missing(world: World) -> None:
    unknown = ResourceKind(group="vakhta.test", version="v1", plural="things", title="Thing")

    with pytest.raises(Rejected, match="Nothing was done") as refused:
        world.admin.create(unknown, world.namespace, _note(), by="vakhta-1f")

    assert refused.value.code == "missing"


def test_a_quota_that_is_used_up_denies_it_by_name(world: World) -> None:
    world.create(kinds.QUOTA, "few", **manifests.quota(**{"count/jobs_batch": "0"}))
    world.until(lambda: "hard" in (world.get(kinds.QUOTA, "few").get("status") or {}), "the quota is counted")
    job = {
        "metadata": {"name": "one", "labels": dict(LABEL)},
        "spec": {"template": manifests.template("one", restartPolicy="Never")},
    }

    with pytest.raises(Rejected, match="exceeded quota: few") as refused:
        world.admin.create(_JOB, world.namespace, job, by="vakhta-1f")

    assert refused.value.code == "denied"
    assert world.every(_JOB) == []


def test_a_webhook_that_denies_it_is_told_in_its_words(world: World) -> None:
    with webhook_on(world, "configmaps") as name:
        world.fake.verdicts[name] = {"code": 409, "reason": "Conflict", "message": "not on a Friday"}
        with pytest.raises(Rejected, match="not on a Friday") as refused:
            _create(world)

    assert (refused.value.code, _notes(world)) == ("denied", [])


def test_what_is_created_for_a_person_is_created_as_that_person(world: World) -> None:
    fake = world.fake
    fake.rights.denied["ana@example.com"] = {("create", "configmaps")}
    ana = world.admin.acting_as(ClusterUser(user="ana@example.com"))

    with pytest.raises(Rejected, match=r"ana@example\.com") as refused:
        ana.create(kinds.CONFIG, world.namespace, _note(), by="vakhta-1f")

    assert (refused.value.code, _notes(world)) == ("no_entry", [])


def test_an_answer_that_is_lost_leaves_it_unknown_and_the_object_made_once(world: World) -> None:
    fake = world.fake
    sent = len(fake.writes())
    fake.answer_next(reset=True, after_effect=True, path="/configmaps")

    with pytest.raises(OutcomeUnknown):
        _create(world)

    assert (_notes(world), len(fake.writes()) - sent) == (["note"], 1)


def test_a_busy_server_before_a_proxy_leaves_it_unknown(world: World) -> None:
    world.fake.answer_next(status=502, path="/configmaps")

    with pytest.raises(OutcomeUnknown, match="answered 502"):
        _create(world)


def test_a_quota_that_is_counted_at_the_same_moment_is_a_conflict(world: World) -> None:
    """The server's own race on a ResourceQuota; it is not that the object exists."""
    said = 'Operation cannot be fulfilled on resourcequotas "few": the object has been modified'
    told = f'{{"kind": "Status", "reason": "Conflict", "code": 409, "message": {said!r}}}'.replace("'", '"')
    body = told.replace('"few"', '\\"few\\"').encode()
    world.fake.answer_next(status=409, body=body, path="/configmaps")

    with pytest.raises(Conflict, match="resourcequotas"):
        _create(world)

    assert _notes(world) == []


def test_in_a_namespace_that_is_being_deleted_nothing_is_created(world: World) -> None:
    fake = world.fake
    fake.change("Namespace", world.namespace, {"metadata": {"finalizers": ["vakhta.test/held"]}})
    fake.remove("Namespace", world.namespace)

    with pytest.raises(Rejected, match="is being terminated") as refused:
        _create(world)
    fake.change("Namespace", world.namespace, {"metadata": {"finalizers": None}})

    assert refused.value.code == "denied"
