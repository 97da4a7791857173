"""What an installation has of the things that verbs need is read from its settings, and `help` follows it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.app.build import build_channels
from bot.app.build_chatops import facilities_of
from bot.app.build_tools import build_tools
from bot.config.settings import Settings
from bot.core.manual import Facility
from tests.house import NOON

_CLUSTER = {"clusters": {"main": {"kubeconfig": "kubeconfig.yaml"}}}
_SERVICE = {"name": "prod/api", "match": {"service": "api"}, "cluster": "main", "workload": "deployment/api"}
_FLAGGER = {"clusters": {"main": {"kubeconfig": "kubeconfig.yaml", "flagger": {"tokens": ["t" * 32]}}}}
_ALERTMANAGER = {"tokens": ["t" * 32]}
_TELEGRAM = {"token": "1:" + "A" * 35, "chat_id": -1001, "secret_token": "s" * 32}


def found(**sections: Any) -> set[Facility]:
    settings = Settings.model_validate(sections)
    tools = build_tools(settings, lambda: NOON)
    return set(facilities_of(settings, build_channels(settings), silences=tools.silences is not None))


def test_settings_that_only_receive_alerts_have_none_of_them() -> None:
    assert found() == set()
    assert found(sources={"alertmanager": _ALERTMANAGER}) == set()


@pytest.mark.parametrize(
    ("sections", "has"),
    [
        (_CLUSTER, {Facility.CLUSTER}),
        (_CLUSTER | {"services": [_SERVICE]}, {Facility.CLUSTER, Facility.WORKLOAD}),
        (_CLUSTER | {"services": [_SERVICE | {"workload": None}]}, {Facility.CLUSTER}),
        (
            _CLUSTER | {"services": [_SERVICE | {"workload": "rollout/api"}]},
            {Facility.CLUSTER, Facility.WORKLOAD, Facility.ROLLOUT},
        ),
        (_FLAGGER, {Facility.CLUSTER}),
        (_FLAGGER | {"services": [_SERVICE]}, {Facility.CLUSTER, Facility.WORKLOAD, Facility.FLAGGER}),
        (
            {"sources": {"alertmanager": _ALERTMANAGER | {"api_url": "http://127.0.0.1:9093"}}},
            {Facility.SILENCES},
        ),
        ({"channels": {"telegram": _TELEGRAM}}, {Facility.ACCOUNTS}),
        ({"roles": {"fire": {"allow": ["*"], "break_glass": True}}}, {Facility.BREAK_GLASS}),
    ],
)
def test_each_section_of_the_settings_adds_what_it_sets_up(sections: dict[str, Any], has: set[Facility]) -> None:
    assert found(**sections) == has
