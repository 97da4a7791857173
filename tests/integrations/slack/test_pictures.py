"""The pictures of the docs show what the bot sends now."""

from __future__ import annotations

import json

from tests.docs.papers import ROOT
from tests.fakes.slack_rules import breaches
from tests.integrations.slack.phone import page
from tests.integrations.slack.pictures import MESSAGES, PICTURES, pictures
from tests.notifications.payload import NIGHT

_MOST_BYTES = 80_000


def test_the_pictures_were_made_of_the_messages_that_the_bot_sends_now() -> None:
    assert json.loads(MESSAGES.read_text()) == json.loads(json.dumps(pictures())), (
        "the cards have changed: look at them, and write the pictures anew with python -m tests.e2e.slack_pictures"
    )


def test_every_card_has_a_small_picture_that_the_docs_show() -> None:
    shown = (ROOT / "docs/slack-cards.md").read_text()

    for name in pictures():
        picture = PICTURES / f"slack-{name}.png"
        assert picture.stat().st_size <= _MOST_BYTES, "reduce its colours: pngquant --force --ext .png 48"
        assert f"pictures/{picture.name}" in shown


def test_slack_would_take_every_message_of_the_pictures_and_the_page_draws_all_of_it() -> None:
    for message in pictures().values():
        assert breaches(message["blocks"]) == []
        drawn = page(message, {"U1": "Ana Lima"}, NIGHT)
        assert "@Ana Lima" in drawn or "On call: <@" not in json.dumps(message)
        assert not {"<!date", "<@", "`"} & set(drawn.split())
