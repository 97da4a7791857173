"""Plans and incidents in Slack, with the real dispatcher. Rows: the table of bad inputs."""

from __future__ import annotations

import html
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest

from bot.core.access import AccountLink
from bot.core.audit import Code
from bot.core.message import Card
from bot.core.plan import Risk
from bot.integrations.slack.blocks import blocks
from bot.integrations.slack.channel import Slack
from bot.store import account_links
from tests.authority.ground import ACCOUNTS, Ground, Night, no_proxy
from tests.authority.table import KINDS
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_speech import Spoken
from tests.fakes.slack_values import member, object_of
from tests.integrations.slack.notices import section
from tests.runs import handle

_APPROVER = "U-abe"


class Room:
    """The channel C1, with everybody in it."""

    def __init__(self, slack: Slack, fake: FakeSlack) -> None:
        self.slack = slack
        self.fake = fake

    def types(self, user: str, words: str) -> str:
        """What comes back, as it is read on the screen; a plan stands in the channel then."""
        headers, body = self.fake.sign(self.fake.command("/vakhta", words, user=user))
        told = json.loads(self.slack.receive(headers, body).body)
        self.fake.responses.show(told)
        return html.unescape("\n".join([told["text"], *texts(told.get("blocks", []))]))

    def stands(self, buttons: Mapping[str, str]) -> str:
        """Put a message with such buttons into the channel; its ts."""
        drawn = blocks(Card(title="A plan", buttons=dict(buttons)))
        self.fake.responses.show({"response_type": "in_channel", "text": "A plan", "blocks": drawn})
        return self.fake.messages[-1].ts

    def click(self, user: str, words: str, message: str) -> Spoken:
        return self.fake.press(words, user=user, message=message)

    def hears(self, click: Spoken) -> str:
        """What the presser alone is shown; a click may arrive late."""
        before = len(self.fake.whispers)
        headers, body = self.fake.sign(click)
        assert self.slack.receive(headers, body).status == 200
        return "\n".join(whisper.text for whisper in self.fake.whispers[before:])

    def last(self) -> str:
        """The newest message of the channel, as it is read on the screen."""
        newest = self.fake.messages[-1]
        return html.unescape("\n".join([newest.text, *texts(newest.blocks)]))


def texts(drawn: Sequence[Mapping[str, object]]) -> list[str]:
    """Those of headers and sections."""
    return [str(object_of(block["text"])["text"]) for block in drawn if "text" in block]


@pytest.fixture
def room(ground: Ground) -> Iterator[Room]:
    with FakeSlack() as fake, no_proxy():
        fake.users |= {account: member(account) for _, account in ACCOUNTS}
        channel = Slack(section(fake))
        channel.start(ground.dispatcher)
        fake.wait(lambda: channel.health_problem() is None, "the introduction")
        yield Room(channel, fake)
        channel.stop()


def approvals(ground: Ground) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(ground.database)) as base:
        return base.execute("SELECT person, place FROM approval WHERE person <> 'ash'").fetchall()


def test_row_49_the_button_of_an_expired_plan_says_when_it_expired(ground: Ground, night: Night, room: Room) -> None:
    turned = list(ground.house.dials.turned)
    ground.house.clock.pass_by(minutes=27)

    said = room.hears(room.click(_APPROVER, night.buttons["Approve"], room.stands(night.buttons)))

    short = night.names["plan"]
    assert said == f"Plan {short} expired 12 min ago. Nothing was done. Send the command again for a new plan."
    assert ground.house.dials.turned == turned


def test_row_50_a_double_click_is_one_approval_and_the_second_one_is_told_so(
    ground: Ground, night: Night, room: Room
) -> None:
    turned = len(ground.house.dials.turned)
    plan = room.stands(night.buttons)
    both = [room.click(_APPROVER, night.buttons["Approve"], plan) for _ in range(2)]
    clicks = [threading.Thread(target=room.hears, args=(click,)) for click in both]

    for click in clicks:
        click.start()
    for click in clicks:
        click.join()

    told = sorted(whisper.text.partition(".")[0] for whisper in room.fake.whispers)
    assert told == ["Already approved by you", "prod/api is at 9"]
    assert approvals(ground) == [("abe", "slack")]
    assert len(ground.house.dials.turned) == turned + 1


def test_row_51_whoever_asked_cannot_approve_from_any_account_of_theirs(
    ground: Ground, night: Night, room: Room
) -> None:
    with ground.house.store.begin() as tx:
        account_links.put(
            tx, AccountLink(channel="telegram", account="9100", person="ash", at=tx.now, by="slack U-ash")
        )
    linked = ground.dispatcher.person("telegram", "9100")
    assert linked is not None
    turned = list(ground.house.dials.turned)

    own = room.hears(room.click("U-ash", night.buttons["Approve"], room.stands(night.buttons)))
    from_telegram = ground.says(night.buttons["Approve"], linked, place="telegram", account="9100").text

    refused = "You asked for this; another person must approve. Can approve: Abe or Ada. Nothing was done."
    assert own == from_telegram == refused
    assert approvals(ground) == []
    assert ground.house.dials.turned == turned


def test_row_52_a_plan_whose_world_has_changed_dies_and_the_new_one_has_buttons_of_its_own(
    ground: Ground, night: Night, room: Room
) -> None:
    ground.house.action(risk=Risk.IRREVERSIBLE)
    ground.house.dials.values["prod/api"] = 4
    turned = list(ground.house.dials.turned)
    plan = room.stands(night.buttons)
    click, late = (room.click(_APPROVER, night.buttons["Approve"], plan) for _ in range(2))

    room.hears(click)
    said = room.last()
    old = room.hears(late)

    assert "value: 3 -> 4" in said
    assert "Nothing was done. The new plan:" in said
    assert handle(said) not in ("", night.names["plan"])
    newer = "Nothing was done. Use the newer plan."
    assert old == f"Plan {night.names['plan']} is out of date: what it saw has changed. {newer}"
    assert room.fake.message(plan).buttons == {}
    assert ground.house.dials.turned == turned
    assert room.types(_APPROVER, f"yes {handle(said)}").startswith("prod/api is at 9.")


def test_row_64_of_two_that_are_meant_alike_none_is_guessed(ground: Ground, room: Room) -> None:
    stored, recorded = ground.rows(), len(ground.record())

    said = room.types("U-ash", "turn api 6")

    assert said.startswith("Which service: prod/api or staging/api? Nothing was done.")
    assert ground.rows() == stored
    assert ground.record(recorded) == [Code.REJECTED]


def test_row_64_of_two_plans_that_begin_alike_none_is_guessed(ground: Ground, night: Night, room: Room) -> None:
    handle_of_one = night.buttons["Approve"].removeprefix("yes ")
    with closing(sqlite3.connect(ground.database)) as base, base:
        columns = 'verb, words, "by", place, incident_id, at, needs, state, body, digest, undoes'
        base.execute(
            f"INSERT INTO plan (handle, {columns}) SELECT ?, {columns} FROM plan WHERE handle = ?",
            (f"{handle_of_one[:8]}{'0' * 24}", handle_of_one),
        )
    stored = ground.rows()

    said = room.types(_APPROVER, f"yes {night.names['plan']}")

    assert said == f"More than one matches plan {night.names['plan']}. Nothing was done. Type more of its id."
    assert ground.rows() == stored


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("ack 999", "Incident 999 does not exist. Nothing was done."),
        ("ack 1", "Incident 1 was already resolved by Rae at 12:24 UTC. Nothing was done."),
    ],
)
def test_row_65_what_is_not_there_or_over_cannot_be_acknowledged(
    ground: Ground, room: Room, words: str, answer: str
) -> None:
    ground.says("resolve 1", KINDS["responder"])
    stored = ground.rows()

    said = room.types("U-ada", words)

    assert said == answer
    assert ground.rows() == stored


def test_a_name_that_was_said_short_is_the_same_one_when_it_runs(ground: Ground, room: Room) -> None:
    plan = handle(room.types("U-ash", "turn web 6"))

    said = room.types("U-ash", f"yes {plan}")

    assert said.startswith("prod/web is at 6.")


def test_a_plan_of_somebody_whose_account_slack_has_deactivated_since_is_stopped_at_the_yes(
    ground: Ground, night: Night, room: Room
) -> None:
    ground.house.vouches["slack"] = room.slack
    turned = list(ground.house.dials.turned)
    room.types("U-ash", "approvals")
    room.fake.users["U-ash"] = member("U-ash", deleted=True)

    room.hears(room.click(_APPROVER, night.buttons["Approve"], room.stands(night.buttons)))

    assert "Slack says that its account U-ash is deactivated." in room.last()
    assert approvals(ground) == []
    assert ground.house.dials.turned == turned
    assert ground.record()[-1] is Code.DENIED


def half_approved(ground: Ground, room: Room) -> str:
    """A plan that two others have to approve. One has, and Slack has deactivated that account since."""
    house = ground.house
    house.vouches["slack"] = room.slack
    house.action(risk=Risk.IRREVERSIBLE)
    house.dials.others = 2
    plan = handle(room.types("U-ash", "turn prod/web 8"))
    room.types(_APPROVER, f"yes {plan}")
    room.fake.users[_APPROVER] = member(_APPROVER, deleted=True)
    return plan


def test_a_yes_of_somebody_whose_account_slack_has_deactivated_since_is_asked_for_again(
    ground: Ground, room: Room
) -> None:
    turned = list(ground.house.dials.turned)
    plan = half_approved(ground, room)

    second = room.types("U-ada", f"yes {plan}")

    assert f"The approval of abe no longer counts: Slack says that its account {_APPROVER} is deactivated." in second
    assert ground.house.dials.turned == turned
    assert room.types("U-gil", f"yes {plan}").startswith("prod/web is at 8.")


@pytest.mark.parametrize("said", ['yes "{}"', "yes '{}'", "YES  {}", "/yes {}"])
def test_a_handle_that_is_written_another_way_is_asked_of_slack_as_well(ground: Ground, room: Room, said: str) -> None:
    turned = list(ground.house.dials.turned)
    plan = half_approved(ground, room)

    second = room.types("U-ada", said.format(plan))

    assert f"Slack says that its account {_APPROVER} is deactivated." in second
    assert ground.house.dials.turned == turned
