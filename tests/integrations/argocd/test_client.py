"""Argo CD by its REST API: what is asked of it, and how each of its refusals is understood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.integrations.argocd.client import ArgoCdClient
from bot.integrations.argocd.settings import ArgoCdSettings
from tests.fakes.argocd import FakeArgoCd

_PAUSE = [
    {"op": "test", "path": "/spec/syncPolicy", "value": {"automated": {}}},
    {"op": "remove", "path": "/spec/syncPolicy/automated"},
]


@pytest.fixture
def fake() -> Iterator[FakeArgoCd]:
    with FakeArgoCd() as made:
        yield made


def tool(fake: FakeArgoCd, token: str = "argo-token") -> ArgoCdClient:
    return ArgoCdClient(ArgoCdSettings(url=fake.url, token=SecretStr(token)))


def test_an_application_is_read_whole(fake: FakeArgoCd) -> None:
    fake.put(somethingNew={"kept": True})

    found = tool(fake).application("shop")

    assert found is not None
    assert found["spec"]["somethingNew"] == {"kept": True}
    assert found["metadata"]["namespace"] == "argocd"


def test_an_application_of_another_namespace_is_asked_for_by_it(fake: FakeArgoCd) -> None:
    fake.put(namespace="team")

    assert tool(fake).application("shop") is None
    assert tool(fake).application("shop", "team") is not None


def test_one_that_is_not_there_and_one_that_may_not_be_seen_are_none(fake: FakeArgoCd) -> None:
    absent = tool(fake).application("shop")
    fake.put()
    fake.denied.add("get")

    assert absent is None
    assert tool(fake).application("shop") is None


def test_a_wrong_token_is_told(fake: FakeArgoCd) -> None:
    fake.put()

    with pytest.raises(Rejected, match=r"^Argo CD refused \(401\): no session information\. Nothing was done\.") as it:
        tool(fake, "other").application("shop")

    assert it.value.code == "no_entry"


def test_what_is_no_application_is_told(fake: FakeArgoCd) -> None:
    fake.answer_next(status=200, body=b'["hello"]')

    with pytest.raises(Rejected, match="is not one of its API"):
        tool(fake).application("shop")


def test_a_rollback_is_started_and_not_waited_for(fake: FakeArgoCd) -> None:
    app = fake.put()

    tool(fake).roll_back(app, 1)

    held = fake.app()
    assert held["operation"]["sync"]["revision"] == "a" * 40
    assert (held["operation"]["sync"]["prune"], held["operation"]["sync"]["dryRun"]) == (False, False)
    assert "operationState" not in held["status"]


def test_an_operation_goes_on_by_itself_until_all_is_healthy(fake: FakeArgoCd) -> None:
    app = fake.put()
    argocd = tool(fake)
    argocd.roll_back(app, 1)

    seen = [argocd.application("shop") for _ in range(4)]

    states = [(one["status"]["operationState"]["phase"], one["status"]["health"]["status"]) for one in seen if one]
    assert states == [
        ("Running", "Healthy"),
        ("Succeeded", "Progressing"),
        ("Succeeded", "Healthy"),
        ("Succeeded", "Healthy"),
    ]
    assert fake.app()["status"]["history"][-1]["id"] == 3
    assert fake.app()["status"]["sync"]["status"] == "OutOfSync"


@pytest.mark.parametrize(
    ("spec", "patch", "number", "said"),
    [
        ({"syncPolicy": {"automated": {}}}, {}, 1, "rollback cannot be initiated when auto-sync is enabled"),
        ({}, {"operation": {"sync": {}}}, 1, "another operation is already in progress"),
        ({}, {}, 7, "does not have deployment id 7"),
    ],
)
def test_what_the_application_is_no_longer_fit_for_has_moved(
    fake: FakeArgoCd, spec: dict[str, Any], patch: dict[str, Any], number: int, said: str
) -> None:
    app = fake.put(**spec)
    fake.change(**patch)

    with pytest.raises(Conflict, match=said):
        tool(fake).roll_back(app, number)


def test_an_application_that_is_being_deleted_has_moved(fake: FakeArgoCd) -> None:
    app = fake.put()
    fake.end()

    with pytest.raises(Conflict, match="application is deleting"):
        tool(fake).roll_back(app, 1)


@pytest.mark.parametrize("right", ["sync", "update"])
def test_a_right_that_is_missing_is_named(fake: FakeArgoCd, right: str) -> None:
    app = fake.put(syncPolicy={} if right == "sync" else {"automated": {}})
    fake.denied.add(right)
    argocd = tool(fake)

    with pytest.raises(Rejected, match=f"permission denied: applications, {right}, default/shop") as refused:
        argocd.roll_back(app, 1) if right == "sync" else argocd.patch(app, _PAUSE)

    assert refused.value.code == "no_entry"


def test_auto_sync_that_is_switched_off_by_its_settings_is_off(fake: FakeArgoCd) -> None:
    app = fake.put(syncPolicy={"automated": {"enabled": False}})

    tool(fake).roll_back(app, 1)

    assert fake.app()["operation"]


def test_a_patch_changes_what_it_names(fake: FakeArgoCd) -> None:
    app = fake.put(syncPolicy={"automated": {}, "syncOptions": ["CreateNamespace=true"]})
    steps = [{"op": "remove", "path": "/spec/syncPolicy/automated"}]

    tool(fake).patch(app, [*steps, {"op": "add", "path": "/metadata/annotations", "value": {"vakhta.dev/run": "5f"}}])

    assert fake.app()["spec"]["syncPolicy"] == {"syncOptions": ["CreateNamespace=true"]}
    assert fake.app()["metadata"]["annotations"] == {"vakhta.dev/run": "5f"}


def test_a_patch_whose_test_fails_changes_nothing_and_has_moved(fake: FakeArgoCd) -> None:
    app = fake.put(syncPolicy={"automated": {"prune": True}})

    with pytest.raises(Conflict, match="changed meanwhile"):
        tool(fake).patch(app, _PAUSE)

    assert fake.app()["spec"]["syncPolicy"] == {"automated": {"prune": True}}


@pytest.mark.parametrize("call", ["roll_back", "patch", "terminate"])
def test_a_change_without_an_answer_is_unsure_and_sent_once(fake: FakeArgoCd, call: str) -> None:
    app = fake.put(syncPolicy={} if call == "roll_back" else {"automated": {}})
    fake.answer_next(reset=True)
    argocd = tool(fake)
    calls = {
        "roll_back": lambda: argocd.roll_back(app, 1),
        "patch": lambda: argocd.patch(app, _PAUSE),
        "terminate": lambda: argocd.terminate(app),
    }

    with pytest.raises(OutcomeUnknown):
        calls[call]()

    assert len(fake.received) == 1


def test_an_operation_in_progress_is_ended(fake: FakeArgoCd) -> None:
    app = fake.put()
    fake.window = True
    argocd = tool(fake)
    argocd.roll_back(app, 1)
    argocd.application("shop")
    argocd.application("shop")
    blocked = fake.app()["status"]["operationState"]

    argocd.terminate(app)

    argocd.application("shop")
    assert (blocked["phase"], blocked["message"]) == ("Running", "Sync operation blocked by sync window")
    assert fake.app()["status"]["operationState"]["phase"] == "Failed"
    assert "operation" not in fake.app()


def test_where_nothing_is_in_progress_nothing_is_ended(fake: FakeArgoCd) -> None:
    app = fake.put()

    with pytest.raises(Conflict, match="No operation is in progress"):
        tool(fake).terminate(app)
