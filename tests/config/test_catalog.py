"""What `vakhta check` finds in a service catalog, also in one of a thousand services."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.config import catalog
from bot.config.faults import InvalidSettings
from bot.config.settings import read_settings

_ANA = {"id": "ana", "telegram": 1001}
_WEB = {"name": "web", "members": ["ana"]}
_SHOP = {"name": "shop", "match": {"app": "shop"}, "owner": "web"}

Found = list[tuple[str, str]]


def found(tmp_path: Path, settings: Mapping[str, Any]) -> Found:
    """The faults, and without any the warnings: key and message."""
    path = tmp_path / "vakhta.yaml"
    path.write_text(json.dumps(settings))
    try:
        _, warnings = read_settings(path, {})
    except InvalidSettings as invalid:
        return [(one.key, one.message) for one in invalid.faults]
    return [(one.key, one.message) for one in warnings]


def of(*services: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A catalog in which all else is well."""
    return {"people": [_ANA], "teams": [_WEB], "services": [{"owner": "web", **one} for one in services], **more}


_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    (of(_SHOP, default_service="shpo"), "default_service", "did you mean 'shop'?"),
    (of({"name": "shop"}), "services[0].match", "only the default_service may be without"),
    (of({"name": "shop", "match": {}}), "services[0].match", "only the default_service may be without"),
    (of({**_SHOP, "depends_on": ["shpo"]}), "services[0].depends_on[0]", "did you mean 'shop'?"),
    (of(_SHOP, teams=[{"name": "web", "members": ["anna"]}]), "teams[0].members[0]", "did you mean 'ana'?"),
    (of(_SHOP, teams=[_WEB, _WEB]), "teams[1].name", "is also the name of teams[0]"),
    (
        of({**_SHOP, "links": {"Logs": "logs:9090"}}),
        "services[0].links.Logs",
        "must be an address that people",
    ),
    (of({**_SHOP, "tier": 0}), "services[0].tier", "must be at least 1"),
]


@pytest.mark.parametrize(("settings", "key", "message"), _FAULTS, ids=[f"{n}" for n in range(len(_FAULTS))])
def test_a_catalog_that_names_what_is_not_there_is_a_fault_at_its_place(
    tmp_path: Path, settings: dict[str, Any], key: str, message: str
) -> None:
    ((where, said),) = found(tmp_path, settings)

    assert where == key
    assert message in said


_DOUBTS: list[tuple[dict[str, Any], str, str]] = [
    (of({**_SHOP, "name": "unowned"}), "services[0].name", "cannot be shown"),
    (of({**_SHOP, "owner": "wbe"}), "services[0].owner", "reaches nobody; did you mean 'web'?"),
    (of({**_SHOP, "owner": None}), "services[0].owner", "this service is nobody's"),
    (of(_SHOP, teams=[{"name": "web"}]), "teams[0].members", "nobody is in this team"),
    (of(_SHOP, people=[{"id": "ana"}]), "teams[0].members", "has nobody who can be reached"),
    (
        of({**_SHOP, "depends_on": ["db"]}, {"name": "db", "match": {"app": "db"}, "depends_on": ["shop"]}),
        "services[1].depends_on",
        "closes a circle: shop -> db -> shop",
    ),
    (of({**_SHOP, "depends_on": ["shop"]}), "services[0].depends_on", "closes a circle: shop -> shop"),
    (
        of(_SHOP, {"name": "db", "match": {"app": "shop", "tier": "db"}}),
        "services[1].match",
        "gets no alert: services[0] (shop) comes before it",
    ),
    (of(_SHOP, {**_SHOP, "name": "again"}), "services[1].match", "gets no alert: services[0] (shop)"),
    (
        of(_SHOP, {"name": "eu", "match": {"cluster": "eu"}}),
        "services[1].match",
        "and services[0] (shop) may fit the same alert, which then belongs to the first",
    ),
]


@pytest.mark.parametrize(("settings", "key", "message"), _DOUBTS, ids=[f"{n}" for n in range(len(_DOUBTS))])
def test_a_catalog_that_is_probably_not_meant_so_is_a_warning(
    tmp_path: Path, settings: dict[str, Any], key: str, message: str
) -> None:
    ((where, said),) = found(tmp_path, settings)

    assert where == key
    assert message in said


@pytest.mark.parametrize(
    "settings",
    [
        of(_SHOP, {"name": "db", "match": {"app": "db"}}),
        of({"name": "db", "match": {"app": "shop", "tier": "db"}}, _SHOP),  # an exception before its rule
        of({"name": "platform"}, _SHOP, default_service="platform"),
        {"services": [{"name": "shop", "match": {"app": "shop"}}, {"name": "db", "match": {"app": "db"}}]},
        {"services": [{"name": "shop", "match": {"app": "shop"}, "owner": "whoever was there"}]},
    ],
)
def test_a_catalog_that_is_clear_and_one_without_teams_is_in_order(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert found(tmp_path, settings) == []


def test_of_many_warnings_of_a_kind_the_first_are_told_and_the_rest_is_counted(tmp_path: Path) -> None:
    ownerless = [{"name": f"s{n}", "match": {"app": f"s{n}"}, "owner": None} for n in range(50)]

    said = found(tmp_path, of(*ownerless))

    assert len(said) == 20
    assert sum("(30 more services with an owner that is missing or no team are not listed)" in one for _, one in said)


def _calls(settings: Mapping[str, Any]) -> int:
    """How many functions, Python's own included, are called to look for doubts and faults of the catalog."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        list(catalog.contradictions(settings))
        list(catalog.doubts(settings, ("telegram",)))
    finally:
        sys.setprofile(None)
    return calls


def _mixed(count: int) -> dict[str, Any]:
    """Services by one label or another, so that nearly each may share alerts with half of the others."""
    by_app = [{"name": f"a{n}", "match": {"app": f"a{n}"}, "depends_on": [f"b{n}", "typo"]} for n in range(count // 2)]
    by_job = [{"name": f"b{n}", "match": {"job": f"b{n}", "cluster": f"c{n % 7}"}} for n in range(count // 2)]
    return of(*by_app, *by_job, owner="nobody")


def test_ten_times_the_services_are_about_ten_times_the_work() -> None:
    few, many = _calls(_mixed(100)), _calls(_mixed(1000))

    assert many < 15 * few


def test_a_thousand_services_with_all_that_is_said_of_them_are_read(tmp_path: Path) -> None:
    said = {
        "owner": "core",
        "tier": 1,
        "environment": "prod",
        "on_call": ["ana"],
        "links": {"wiki": "https://wiki.example", "graphs": "https://graphs.example"},
        "runbooks": ["https://runbooks.example"],
    }
    services = [{"name": f"s{n}", "match": {"service": f"s{n}", "env": "prod"}, **said} for n in range(1000)]
    settings = {"people": [{"id": "ana"}], "teams": [{"name": "core", "members": ["ana"]}], "services": services}
    path = tmp_path / "vakhta.yaml"
    path.write_text(json.dumps(settings))

    assert len(read_settings(path, {})[0].services) == 1000
