"""Whoever is on call is mentioned in Slack by the account that they linked, once, by the bot as it is joined."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bot.app.bot import Bot
from bot.config.settings import Settings
from bot.core.access import AccountLink
from bot.core.request import Principal, Request
from bot.store import account_links
from tests.authority.ground import no_proxy
from tests.fakes.slack import FakeSlack
from tests.notifications.payload import Firing
from tests.notifications.payloads import PAYLOADS

pytestmark = pytest.mark.waits

_LOCAL = Principal(id="local", name="Local", roles=frozenset({"admin"}))
_TOKEN = "the-token-of-the-sender"


def test_a_person_who_is_on_call_is_pinged_by_their_linked_account_and_once(tmp_path: Path) -> None:
    payload = PAYLOADS["KubePersistentVolumeFillingUp"]
    more = replace(payload, firing=(Firing(), Firing(labels={"persistentvolumeclaim": "data-pg-1"})))
    with FakeSlack() as slack, no_proxy():
        bot = Bot(_settings(tmp_path, slack))
        url = bot.start()
        try:
            with bot.store.begin() as tx:
                link = AccountLink(channel="slack", account="U2", person="bo", at=datetime.now(UTC), by="console local")
                account_links.put(tx, link)
            _post(url, payload.body())
            slack.wait(lambda: bool(slack.messages), "the card is there")
            _post(url, more.body())
            slack.wait(lambda: "data-pg-1" in slack.messages[0].shown, "the card was edited")
            shown = bot.dispatcher.handle(Request(by=_LOCAL, text="show 1", channel="console"))

            (card,) = slack.messages
        finally:
            bot.stop()

    assert card.pings == ["<@U2>"]
    assert "mentions Bo" in shown.text
    assert "Open the board" not in card.buttons


def _post(url: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {_TOKEN}"}
    answer = httpx.post(f"{url}/alerts/alertmanager", content=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text


def _settings(place: Path, slack: FakeSlack) -> Settings:
    return Settings.model_validate(
        {
            "server": {"listen": "127.0.0.1:0"},
            "store": {"url": f"sqlite:///{place}/vakhta.db"},
            "sources": {"alertmanager": {"tokens": [_TOKEN]}},
            "channels": {
                "slack": {
                    "bot_token": slack.bot_token,
                    "signing_secret": slack.workspace.secret,
                    "team_id": "T1",
                    "channel": "C1",
                    "api_url": slack.api_url,
                    "mode": "http",
                }
            },
            "people": [{"id": "local", "roles": ["admin"]}, {"id": "bo", "name": "Bo"}],
            "services": [{"name": "orders", "match": {"namespace": "db"}, "on_call": ["bo"]}],
        }
    )
