"""PagerDuty, the way in: which webhooks are believed."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.core.incident import EventType
from bot.integrations.pagerduty.channel import PagerDuty
from tests.fakes.door import SmallDoor
from tests.fakes.pagerduty import WEBHOOK_SECRET, FakePagerDuty
from tests.integrations.contract import page
from tests.integrations.pagerduty.bench import PAGE_KEY, section


@pytest.mark.parametrize("ours", [(WEBHOOK_SECRET, "whsec-the-new-one"), ("whsec-the-new-one", WEBHOOK_SECRET)])
@pytest.mark.parametrize("theirs", [["whsec-another", "whsec-the-new-one"], ["whsec-the-new-one", "whsec-another"]])
def test_any_of_several_signatures_may_be_made_with_any_of_our_secrets(
    fake: FakePagerDuty, door: SmallDoor, ours: tuple[str, ...], theirs: list[str]
) -> None:
    fake.secrets = theirs
    channel = PagerDuty(section(fake, webhook_secrets=tuple(SecretStr(secret) for secret in ours)))
    channel.start(door)
    channel.deliver(page(EventType.OPENED))

    heard = channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY))
    channel.stop()

    assert heard.status == 202
    assert len(door.asks) == 1


@pytest.mark.parametrize(
    "signature",
    [None, "", "v1=", "v1=" + "0" * 64, "v2=", ",,,", "v1=\u0661", "v1=\udc80", "v1=" + "A" * 70_000, "garbage"],
)
def test_a_signature_that_is_missing_or_wrong_is_401_and_told_in_the_log(
    fake: FakePagerDuty,
    channel: PagerDuty,
    door: SmallDoor,
    caplog: pytest.LogCaptureFixture,
    signature: str | None,
) -> None:
    channel.deliver(page(EventType.OPENED))
    headers, body = fake.webhook("incident.acknowledged", PAGE_KEY)
    forged = {name: line for name, line in headers.items() if name != "x-pagerduty-signature"}
    forged |= {} if signature is None else {"X-PagerDuty-Signature": signature}

    with pytest.raises(Rejected) as refused, caplog.at_level(logging.WARNING):
        channel.receive(forged, body)

    assert (refused.value.status, refused.value.code) == (401, "bad_signature")
    assert "three refusals switch the subscription off" in caplog.text
    assert not door.heard


def test_the_signature_is_of_the_very_bytes(fake: FakePagerDuty, channel: PagerDuty, door: SmallDoor) -> None:
    channel.deliver(page(EventType.OPENED))
    headers, body = fake.webhook("incident.acknowledged", PAGE_KEY)

    with pytest.raises(Rejected):
        channel.receive(headers, body + b" ")

    assert not door.heard


def test_without_any_secret_nothing_is_genuine(fake: FakePagerDuty, door: SmallDoor) -> None:
    channel = PagerDuty(section(fake, webhook_secrets=()))
    channel.start(door)
    channel.deliver(page(EventType.OPENED))

    with pytest.raises(Rejected) as refused:
        channel.receive(*fake.webhook("incident.acknowledged", PAGE_KEY))

    assert refused.value.status == 401
