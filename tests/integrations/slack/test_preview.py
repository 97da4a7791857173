"""A card of Slack as the preview of a payload prints it."""

from __future__ import annotations

from bot.integrations.slack.channel import Slack
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import section
from tests.notifications.payload import CARDS_ON_CALL
from tests.notifications.payloads import PAYLOADS


def test_a_preview_says_what_the_card_would_say(fake: FakeSlack) -> None:
    channel = Slack(section(fake))
    payload = PAYLOADS["KubePersistentVolumeFillingUp"]

    told = channel.preview(payload.notification("slack", settings=CARDS_ON_CALL)).splitlines()

    assert told[0] == (
        "notification: 🔴 CRITICAL #42 KubePersistentVolumeFillingUp db/data-pg-0 · nobody has it yet"
        " · A volume is filling up."
    )
    assert told[1:6] == [
        "🔴 #42 KubePersistentVolumeFillingUp db/data-pg-0",
        "*CRITICAL* · nobody has it yet",
        "On call: Ana Lima",
        "Began 2026-11-24 03:02 UTC",
        "A volume is filling up.",
    ]
    assert told[-2].startswith("[Acknowledge] [Resolve] [Silence 2h]")
    assert told[-1].startswith("[Runbook: https://runbooks.")
    assert fake.received == []


def test_a_preview_is_read_as_it_was_meant_and_not_as_it_is_escaped(fake: FakeSlack) -> None:
    payload = PAYLOADS["hand-made, with text that means harm"]

    told = Slack(section(fake)).preview(payload.notification("slack"))

    assert "<!channel> *urgent* prod/<@U1>" in told
    assert "&lt;" not in told
