"""Where in Slack somebody may speak, link an account, and be in a group. Rows are those of the bad-input table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.core.request import UNKNOWN_PRINCIPAL
from bot.integrations.slack.api import SlackWebApi
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.membership import Membership
from bot.integrations.slack.user_groups import SlackUserGroups
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import member, room
from tests.integrations.slack.notices import hear, section


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Seconds:
    return Seconds()


@pytest.fixture
def standing(fake: FakeSlack, now: Seconds) -> Membership:
    call = SlackWebApi(fake.bot_token, fake.api_url, 2.0).call
    return Membership(call, team_id="T1", rooms={"C1", "C2"}, now=now)


@pytest.fixture
def groups(fake: FakeSlack, now: Seconds) -> SlackUserGroups:
    made = SlackUserGroups(SlackWebApi(fake.bot_token, fake.api_url, 2.0).call, now)
    made.watch({"S1", "S2"})
    fake.groups |= {"S1": ["U1", "U2"], "S2": ["U2"]}
    return made


def said(heard_body: bytes) -> str:
    text = json.loads(heard_body)["text"]
    assert isinstance(text, str)
    return text


def test_row_72_a_command_in_a_direct_message_is_private_and_one_in_a_channel_is_not(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    for channel in ("D1", "C1"):
        hear(slack, fake, fake.command("/vakhta", "link", channel_id=channel))

    assert [(ask.text, ask.account, ask.private) for ask in door.asks] == [
        ("link", "U1", True),
        ("link", "U1", False),
    ]


def test_row_72_a_mention_and_a_button_are_never_private(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    hear(slack, fake, fake.mention("link"))
    hear(slack, fake, fake.press("link"))

    assert [(ask.account, ask.private) for ask in door.asks] == [("U1", False)] * 2


def test_a_code_reaches_the_house_from_somebody_unlinked(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.command("/link", "ABCDE-12345", user="U2", channel_id="D1"))

    (ask,) = door.asks
    assert said(heard.body) == "Done: link ABCDE-12345"
    assert (ask.by, ask.account, ask.text, ask.private) == (UNKNOWN_PRINCIPAL, "U2", "link ABCDE-12345", True)


def test_row_53_a_guest_cannot_link_an_account(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    fake.users["U2"] = member("U2", is_restricted=True)

    heard = hear(slack, fake, fake.command("/link", "ABCDE-12345", user="U2", channel_id="D1"))

    assert said(heard.body) == "Denied: your account is a guest. Nothing was done."
    assert (door.heard, door.unknown) == ([], [])


@pytest.mark.parametrize("channel", ["C7", "G7", ""])
def test_row_55_a_channel_that_is_not_listed_takes_no_command(
    fake: FakeSlack, slack: Slack, door: SmallDoor, channel: str
) -> None:
    heard = hear(slack, fake, fake.command("/ack", "42", channel_id=channel))

    assert said(heard.body).startswith("Not allowed in this channel. Nothing was done.")
    assert (door.heard, fake.calls("conversations.info")) == ([], [])


def test_row_55_a_channel_that_other_companies_share_takes_no_command(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    fake.rooms["C1"] = room("C1", is_ext_shared=True)

    command = hear(slack, fake, fake.command("/ack", "42"))
    hear(slack, fake, fake.press("ack 42"))

    assert said(command.body).startswith("Not allowed in this channel.")
    assert fake.whispers[0].text.startswith("Not allowed in this channel.")
    assert door.heard == []


def test_row_55_slacks_own_word_that_a_channel_is_shared_counts_at_once(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    hear(slack, fake, fake.command("/ack", "42"))
    mention = fake.mention("ack 42")

    hear(slack, fake, replace(mention, payload=mention.payload | {"is_ext_shared_channel": True}))

    assert len(door.asks) == 1
    assert fake.whispers[0].text.startswith("Not allowed in this channel.")


def test_row_55_further_channels_are_named_in_the_settings(fake: FakeSlack, door: SmallDoor) -> None:
    fake.rooms["C2"] = room("C2")
    channel = Slack(section(fake).model_copy(update={"hears_in": ("C2",)}))
    channel.start(door)

    heard = hear(channel, fake, fake.command("/ack", "42", channel_id="C2"))
    channel.stop()

    assert said(heard.body) == "Done: ack 42"


@pytest.mark.parametrize("answer", [{"status": 500}, {"body": b'{"ok": false, "error": "missing_scope"}'}])
def test_row_55_while_slack_cannot_say_who_reads_a_channel_nothing_is_done(
    fake: FakeSlack, slack: Slack, door: SmallDoor, answer: dict[str, object]
) -> None:
    fake.answer_next(path="conversations.info", **answer)  # type: ignore[arg-type]  # one of its own arguments

    first, second = (hear(slack, fake, fake.command("/ack", "42")) for _ in range(2))

    assert said(first.body).startswith("It is not known who can read this channel.")
    assert said(second.body) == "Done: ack 42"
    assert len(door.asks) == 1


def test_row_53_what_slack_says_of_an_account_is_believed_for_five_minutes(
    fake: FakeSlack, standing: Membership, now: Seconds
) -> None:
    assert standing.account_refusal("U1") is None
    fake.users["U1"] = member("U1", deleted=True)

    now.at += 299
    before = standing.account_refusal("U1")
    now.at += 1
    after = standing.account_refusal("U1")

    assert before is None
    assert after == "Denied: your account is deactivated. Nothing was done."


def test_row_53_what_was_believed_is_not_believed_longer_because_slack_is_down(
    fake: FakeSlack, standing: Membership, now: Seconds
) -> None:
    standing.account_refusal("U1")
    now.at += 300
    fake.answer_next(status=503, path="users.info")

    said_now = standing.account_refusal("U1")

    assert said_now is not None
    assert said_now.startswith("It is not known whether your account is a full member of this workspace.")
    assert standing.account_refusal("U1") is None


def test_row_55_what_slack_says_of_a_channel_is_believed_for_five_minutes(
    fake: FakeSlack, standing: Membership, now: Seconds
) -> None:
    assert standing.channel_refusal("C1") is None
    fake.rooms["C1"] = room("C1", is_ext_shared=True)

    now.at += 299
    before = standing.channel_refusal("C1")
    now.at += 1

    assert before is None
    assert str(standing.channel_refusal("C1")).startswith("Not allowed in this channel.")
    assert len(fake.calls("conversations.info")) == 2


def test_row_55_a_channel_of_which_slack_says_too_little_is_not_trusted(fake: FakeSlack, standing: Membership) -> None:
    fake.rooms["C2"] = {"id": "C2"}

    assert str(standing.channel_refusal("C2")).startswith("Not allowed in this channel.")


def test_members_of_a_group_are_known_once_it_is_read(groups: SlackUserGroups) -> None:
    before = groups.of("U1")

    groups.read()

    assert before == {"S1": None, "S2": None}
    assert groups.of("U1") == {"S1": True, "S2": False}
    assert groups.of("U9") == {"S1": False, "S2": False}


def test_what_is_known_of_a_group_counts_for_five_minutes(
    fake: FakeSlack, groups: SlackUserGroups, now: Seconds
) -> None:
    groups.read()
    fake.groups["S1"] = []
    now.at += 299

    late = groups.of("U1")
    now.at += 1
    too_late = groups.of("U1")
    groups.read()

    assert (late["S1"], too_late["S1"], groups.of("U1")["S1"]) == (True, None, False)


def test_a_group_that_cannot_be_read_takes_no_role_from_the_others_and_is_told_once(
    fake: FakeSlack, groups: SlackUserGroups, now: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    groups.read()
    del fake.groups["S1"]
    now.at += 300

    read = [groups.read() for _ in range(3)]

    assert read == [False] * 3
    assert groups.of("U2") == {"S1": None, "S2": True}
    assert [record.getMessage()[:30] for record in caplog.records] == ["the members of a Slack group a"]


@pytest.mark.parametrize("answer", [{"status": 500}, {"reset": True}, {"body": b'{"ok": true}'}, {"body": b"<html>"}])
def test_a_reading_that_fails_changes_nothing_that_is_known(
    fake: FakeSlack, groups: SlackUserGroups, answer: dict[str, object]
) -> None:
    groups.read()
    fake.answer_next(path="usergroups.users.list", **answer)  # type: ignore[arg-type]  # one of its own arguments

    assert groups.read() is False
    assert groups.of("U1") == {"S1": True, "S2": False}


@pytest.fixture
def reading(fake: FakeSlack, door: SmallDoor) -> Iterator[Slack]:
    fake.groups["S1"] = ["U1"]
    channel = Slack(section(fake))
    channel.watch_groups({"S1"})
    channel.start(door)
    yield channel
    channel.stop()


def test_a_started_channel_reads_the_groups_by_itself(fake: FakeSlack, reading: Slack) -> None:
    fake.wait(lambda: reading.groups_of("U1")["S1"] is not None, "the first reading")

    assert reading.groups_of("U1") == {"S1": True}
    assert fake.calls("usergroups.users.list")[0].fields["usergroup"] == "S1"


def test_without_groups_nothing_is_asked(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    hear(slack, fake, fake.command("/ack", "42"))

    assert door.asks[0].by == ANA
    assert slack.groups_of("U1") == {}
    assert fake.calls("usergroups.users.list") == []


def test_before_a_yes_is_weighed_again_slack_is_asked_anew_about_its_account_and_the_groups(
    fake: FakeSlack, slack: Slack
) -> None:
    fake.groups |= {"S1": ["U1"]}
    fake.users["U1"] = member("U1")
    slack.watch_groups({"S1"})
    before = slack.account_problems(["U1"]), slack.groups_of("U1")
    fake.users["U1"] = member("U1", deleted=True)
    fake.groups |= {"S1": []}

    after = slack.account_problems(["U1"]), slack.groups_of("U1")

    assert before == ({"U1": ""}, {"S1": True})
    assert after == ({"U1": "Slack says that its account U1 is deactivated."}, {"S1": False})


@pytest.mark.parametrize(
    ("passed", "then"),
    [
        (0.0, ""),
        (299.0, ""),
        (300.0, "Slack does not answer whether its account U1 is a full member of the workspace."),
    ],
)
def test_a_slack_that_does_not_answer_is_believed_for_five_minutes_as_ever(
    fake: FakeSlack, standing: Membership, now: Seconds, passed: float, then: str
) -> None:
    fake.users["U1"] = member("U1")
    assert standing.recheck_account("U1") == ""
    now.at += passed
    fake.refuse_next("internal_error", "users.info", times=10)

    assert standing.recheck_account("U1") == then


def test_what_slack_said_against_an_account_is_believed_as_long(fake: FakeSlack, standing: Membership) -> None:
    fake.users["U1"] = member("U1", deleted=True)
    standing.account_refusal("U1")
    fake.refuse_next("internal_error", "users.info", times=10)

    assert standing.recheck_account("U1") == "Slack says that its account U1 is deactivated."
