"""The scopes that the live check asks for are those that the manifest asks for."""

from __future__ import annotations

from bot.integrations.slack.live_check import SCOPES
from tests.fakes.slack_scopes import bot_scopes


def test_the_scopes_that_are_compared_are_the_manifests() -> None:
    assert set(SCOPES) == bot_scopes()
