"""The whole bot, and a sender whose token is wrong."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.running import TOKEN, Vakhta, send, until

_FIRING = (
    b'{"version":"4","groupKey":"{}:{alertname=\\"Disk\\"}","status":"firing","alerts":[{"status":"firing",'
    b'"labels":{"alertname":"Disk","severity":"warning"},"annotations":{},"startsAt":"2026-11-23T12:00:00Z"}]}'
)


def test_a_wrong_token_becomes_an_incident_that_pages_nobody_while_others_are_heard(tmp_path: Path) -> None:
    def post(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return send(f"{bot.url}/alerts/alertmanager", _FIRING, headers)

    with FakePagerDuty() as pagerduty:
        pages = {"routing_key": ROUTING_KEY, "events_url": pagerduty.url, "api_url": pagerduty.url}
        with Vakhta(tmp_path, {"pagerduty": pages}).start() as bot:
            refused = [post("the-token-of-last-year") for _ in range(5)]
            until(lambda: len(bot.incidents()) == 1, "the sender is reported")
            heard = post(TOKEN)
            until(lambda: len(pagerduty.story) == 1, "the alert has paged")
            (disk, sender) = bot.incidents()
            bot.stop()

    assert refused == [401] * 5
    assert heard == 200
    assert (disk["title"], sender["severity"], sender["source"]) == ("Disk", "warning", "vakhta")
    assert sender["title"].startswith("SenderRefused")
    assert [told.event["payload"]["summary"] for told in pagerduty.story] == ["Disk"]
