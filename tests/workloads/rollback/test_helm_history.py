"""How Helm's Secrets are read, which version a rollback goes to, and how the difference is described."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from bot.core.errors import Rejected
from bot.workloads.rollback import helm_history
from bot.workloads.rollback.helm_history import HelmHook, Release
from tests.cluster.releases import packed, release

_NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def config(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(**images: str) -> dict[str, Any]:
    containers = [{"name": name, "image": image} for name, image in images.items()]
    return {
        "kind": "Deployment",
        "metadata": {"name": "api"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def one(version: int, status: str = "superseded", *, manifest: str = "", **more: Any) -> Release:
    told = {"chart": "api-1.0.0", "description": "", "at": None, "hooks": (), **more}
    return Release(version=version, status=status, manifest=manifest or f"v: {version}", **told)


def written(*things: Mapping[str, Any]) -> str:
    return "---\n".join(yaml.safe_dump(dict(thing)) for thing in things)


def test_a_release_is_read_out_of_its_secret() -> None:
    hook = {"kind": "Job", "name": "api-migrate", "events": ["pre-upgrade"], "manifest": "kind: Job"}
    secret = release(3, "deployed", [config("api")], namespace="shop", at=_NOW, hooks=[hook])

    (read,) = helm_history.releases([secret])

    assert (read.version, read.status, read.chart, read.at) == (3, "deployed", "api-1.3.0", _NOW)
    assert read.manifest.startswith("apiVersion: v1")
    assert read.hooks == (HelmHook(kind="Job", name="api-migrate", events=("pre-upgrade",)),)
    assert str(read) == "version 3 (api-1.3.0, deployed)"


def test_a_release_that_is_not_packed_is_read_as_well() -> None:
    told = {"version": 1, "info": {"status": "deployed"}, "manifest": "a: 1"}
    data = base64.b64encode(base64.b64encode(json.dumps(told).encode())).decode()

    (read,) = helm_history.releases([{"data": {"release": data}}])

    assert (read.version, read.chart, read.at) == (1, "?-?", None)


def test_versions_are_in_the_order_of_their_numbers() -> None:
    secrets = [release(version, "superseded", [], namespace="shop") for version in (10, 9, 2)]

    assert [read.version for read in helm_history.releases(secrets)] == [2, 9, 10]


@pytest.mark.parametrize(
    "secret",
    [
        {"metadata": {"name": "s"}},
        {"metadata": {"name": "s"}, "data": {"release": "%%%"}},
        {"metadata": {"name": "s"}, "data": {"release": base64.b64encode(b"not base64!").decode()}},
        {"metadata": {"name": "s"}, "data": {"release": base64.b64encode(base64.b64encode(b"\x1f\x8bnope")).decode()}},
        {"metadata": {"name": "s"}, "data": {"release": packed({"version": 1})}},
        {"metadata": {"name": "s"}, "data": {"release": packed({"version": "x", "info": {"status": "deployed"}})}},
        {"metadata": {"name": "s"}, "data": {"release": packed([])}},  # type: ignore[arg-type]
    ],
)
def test_what_is_not_as_helm_writes_it_is_refused_by_name(secret: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match=r"^Secret s is not in Helm's format.*Nothing was done\.$"):
        helm_history.releases([secret])


@pytest.mark.parametrize(
    ("kept", "wish", "version"),
    [
        ([one(1), one(2, "deployed")], "", 1),
        ([one(1), one(2), one(3, "deployed")], "1", 1),
        # The newest failed, or is stuck: the one that was in service before it.
        ([one(1), one(2, "deployed"), one(3, "failed")], "", 2),
        ([one(1), one(2, "deployed"), one(3, "pending-upgrade")], "", 2),
        ([one(1), one(2, "failed"), one(3, "deployed")], "", 1),
        # After a rollback the one before installed something else, and the one before that the same.
        ([one(1, manifest="a"), one(2, manifest="b"), one(3, "deployed", manifest="a")], "", 2),
        ([one(1, manifest="a"), one(2, manifest="b"), one(3, "deployed", manifest="b")], "", 1),
    ],
)
def test_it_goes_to_what_is_wished_or_to_the_newest_that_was_in_service_and_differs(
    kept: list[Release], wish: str, version: int
) -> None:
    assert helm_history.choose(kept, wish).goal.version == version


@pytest.mark.parametrize(
    ("kept", "wish", "said"),
    [
        ([], "", "keeps no version of it"),
        ([one(1, "deployed")], "", "keeps no older version that was in service and differs from version 1"),
        ([one(1, manifest="a"), one(2, "deployed", manifest="a")], "", "keeps no older version"),
        ([one(1), one(2, "deployed")], "7", r"keeps no version 7\. It keeps version 1"),
        ([one(1), one(2, "deployed")], "2", "It is already at version 2"),
        (
            [one(1, "failed"), one(2, "deployed")],
            "1",
            r"version 1 .* was never in service\. Versions that were: none other",
        ),
    ],
)
def test_where_it_cannot_go_it_says_where_it_could(kept: list[Release], wish: str, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        helm_history.choose(kept, wish)


@pytest.mark.parametrize(
    ("status", "ago", "busy"),
    [
        ("pending-upgrade", timedelta(minutes=14), True),
        ("pending-upgrade", timedelta(minutes=15), False),
        ("pending-rollback", timedelta(seconds=1), True),
        ("pending-install", None, True),
        ("failed", timedelta(seconds=1), False),
        ("deployed", timedelta(seconds=1), False),
    ],
)
def test_who_is_pending_for_less_than_a_quarter_of_an_hour_is_at_work(
    status: str, ago: timedelta | None, *, busy: bool
) -> None:
    assert helm_history.in_progress(one(1, status, at=None if ago is None else _NOW - ago), _NOW) is busy


@pytest.mark.parametrize(
    ("now", "goal", "lines"),
    [
        (written(config("a")), written(config("a")), []),
        (written(config("a", x="1")), written(config("a", x="2")), ["changed: ConfigMap a"]),
        (written(config("a"), config("b")), written(config("a")), ["removed: ConfigMap b"]),
        (written(config("a")), written(config("a"), config("b")), ["restored: ConfigMap b"]),
        (
            written(deployment(api="api:2", log="log:1")),
            written(deployment(api="api:1")),
            [
                "Deployment api, container api: image api:2 -> api:1",
                "Deployment api, container log: image log:1 -> none",
                "changed: Deployment api",
            ],
        ),
        (written(*(config(f"c{n}") for n in range(10))), "", [f"removed: {'X'}"]),
        ("{ no yaml", written(config("a")), ["restored: ConfigMap a"]),
    ],
)
def test_what_differs_is_said_in_a_few_words_and_without_values(now: str, goal: str, lines: list[str]) -> None:
    many = ", ".join(f"ConfigMap c{n}" for n in range(8)) + " and 2 more"

    found = helm_history.differences(one(2, manifest=now), one(1, manifest=goal or "# nothing"))

    assert found == [line.replace("X", many) for line in lines]


def test_the_hooks_of_a_rollback_are_told_from_those_that_do_not_run() -> None:
    before = HelmHook(kind="Job", name="drain", events=("pre-rollback", "pre-upgrade"))
    migrate = HelmHook(kind="Job", name="migrate", events=("pre-upgrade", "pre-install"))

    assert helm_history.run_hooks(one(1, hooks=(before, migrate))) == (before,)
