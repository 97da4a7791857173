"""What stands in for a channel whose SDK is not loaded says of it what the channel itself says."""

from __future__ import annotations

import pytest

from bot.app.build import build_channels, build_unloaded_channels
from bot.config.settings import Settings
from bot.core.alert import Severity
from bot.core.channel import AccountVerifier, Messenger, UserGroupChannel
from bot.core.errors import Undelivered
from bot.integrations import channel_names
from tests.integrations.contract import incident

_SECTIONS = {
    "console": {},
    "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "team_id": "T1", "channel": "C1",
              "api_url": "http://127.0.0.1:9/"},
    "telegram": {"token": "1:a", "chat_id": -1001},
    "pagerduty": {"routing_key": "a" * 32, "severities": ["critical", "error"]},
}  # fmt: skip


def settings() -> Settings:
    return Settings.model_validate({"channels": _SECTIONS})


def test_every_channel_is_compared_here() -> None:
    assert sorted(_SECTIONS) == channel_names()


@pytest.mark.parametrize("name", channel_names())
def test_its_facts_are_the_channel_s(name: str) -> None:
    loaded, unloaded = build_channels(settings())[name], build_unloaded_channels(settings())[name]

    for fact in ("name", "kinds", "event_types", "accounts", "pages"):
        assert getattr(unloaded, fact) == getattr(loaded, fact), fact
    for able in (Messenger, AccountVerifier, UserGroupChannel):
        assert isinstance(unloaded, able) == isinstance(loaded, able), able


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("name", channel_names())
def test_it_accepts_the_incidents_that_the_channel_accepts(name: str, severity: Severity) -> None:
    about = incident(severity=severity)
    loaded, unloaded = build_channels(settings())[name], build_unloaded_channels(settings())[name]

    assert unloaded.accepts(about) == loaded.accepts(about)


def test_what_has_to_reach_the_platform_is_passed_to_the_channel() -> None:
    made = build_unloaded_channels(settings())
    slack, telegram = made["slack"], made["telegram"]
    assert isinstance(slack, UserGroupChannel)
    assert isinstance(slack, AccountVerifier)
    assert isinstance(slack, Messenger)
    assert isinstance(telegram, Messenger)
    slack.watch_groups({"S1"})

    before = slack.groups_of("U1")
    problems = slack.account_problems({"U1"})

    assert before == {"S1": None}
    assert problems["U1"]
    assert slack.groups_of("U1") == {"S1": None}
    for chat in (slack, telegram):
        with pytest.raises(Undelivered):
            chat.post("said", None)
