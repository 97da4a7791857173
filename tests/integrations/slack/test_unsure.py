"""A post whose outcome nobody knows is neither lost nor, where Slack can be asked, doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.errors import Undelivered
from bot.integrations.slack.channel import Slack
from tests.fakes.slack import FakeSlack
from tests.integrations.slack.notices import CARD, card, line, post, section


@pytest.mark.parametrize("trouble", [{"reset": True}, {"status": 502}, {"status": 500, "body": b"<html>"}])
def test_a_card_of_unknown_outcome_that_arrived_is_not_posted_twice(
    fake: FakeSlack, slack: Slack, trouble: dict[str, object]
) -> None:
    fake.answer_next(after_effect=True, path="chat.postMessage", **trouble)  # type: ignore[arg-type]
    with pytest.raises(Undelivered) as caught:
        slack.deliver(card())

    ref = slack.deliver(card(key="n1-moved-on", told=replace(CARD, title="newer"), tried=True))

    assert not caught.value.permanent
    assert [message.ts for message in fake.messages] == [str(ref).rpartition(":")[2]]
    assert "newer" in fake.messages[0].text


def test_a_card_that_slack_was_too_slow_with_is_not_posted_twice(
    fake: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.integrations.slack.channel._POST_S", 1.0)
    slack = Slack(section(fake))
    fake.answer_next(after_effect=True, hang=True, path="chat.postMessage")
    with pytest.raises(Undelivered, match=r"within 1 s"):
        slack.deliver(card())

    slack.deliver(card(tried=True))

    assert len(fake.messages) == 1


def test_a_card_that_a_process_posted_before_it_died_is_found_by_the_next(fake: FakeSlack, slack: Slack) -> None:
    ref = slack.deliver(card())

    again = Slack(section(fake)).deliver(card(told=replace(CARD, title="newer"), tried=True))

    assert again == ref
    assert [message.text for message in fake.messages] == [fake.messages[0].text]
    assert "newer" in fake.messages[0].text


def test_the_message_is_looked_for_past_the_first_page(fake: FakeSlack, slack: Slack) -> None:
    fake.answer_next(after_effect=True, reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(card())
    for n in range(210):
        fake.say(f"talk {n}")

    slack.deliver(card(tried=True))

    assert len(fake.messages) == 211
    assert len(fake.calls("conversations.history")) == 2


def test_a_line_of_unknown_outcome_that_arrived_is_not_posted_twice(fake: FakeSlack, slack: Slack) -> None:
    ref = post(slack)
    fake.answer_next(after_effect=True, reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(line(ref))

    slack.deliver(line(ref, tried=True))

    assert [message.said for message in fake.messages[1:]] == ["Ana has it"]


def test_a_post_of_unknown_outcome_that_did_not_arrive_is_posted(fake: FakeSlack, slack: Slack) -> None:
    fake.answer_next(reset=True, path="chat.postMessage")
    with pytest.raises(Undelivered):
        slack.deliver(card())

    slack.deliver(card(tried=True))

    assert len(fake.messages) == 1
    assert len(fake.calls("conversations.history")) == 1


def test_where_the_bot_may_not_read_back_a_double_is_preferred_to_silence(
    fake: FakeSlack, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    fake.answer_next(reset=True, path="chat.postMessage")
    fake.refuse_next("missing_scope", "conversations.history")
    with pytest.raises(Undelivered):
        slack.deliver(card())

    slack.deliver(card(tried=True))

    assert len(fake.messages) == 1
    assert "may be posted twice" in caplog.text
