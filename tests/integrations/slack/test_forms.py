"""A verb that is said without its arguments, as a form: opened, sent, refused at its fields, asked once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

import commands
from bot.core.action import Action
from bot.core.command import Command
from bot.core.errors import Rejected
from bot.core.message import Card
from bot.core.request import Reply
from bot.integrations.slack.channel import Slack
from tests.fakes.door import ANA, SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_speech import Spoken
from tests.fakes.slack_values import member
from tests.integrations.slack.notices import hear

SILENCE = {"Matchers": 'service="api"', "For": "2h", "Because": "of the load for 30m"}
WORDS = 'silence service="api" for 2h because "of the load for 30m"'
VERBS: Mapping[str, Command[Any] | Action[Any]] = {**commands.find(), **commands.actions()}


@pytest.fixture
def door() -> Iterator[SmallDoor]:
    with SmallDoor(people={("slack", "U1"): ANA}, verbs=VERBS) as small:
        yield small


def opens(fake: FakeSlack, slack: Slack, command: str = "/silence", text: str = "", **other: str) -> None:
    heard = hear(slack, fake, fake.command(command, text, **other))
    assert (heard.status, heard.body) == (200, b""), "no form came"


def sends(fake: FakeSlack, slack: Slack, values: Mapping[str, str], **view: Any) -> Mapping[str, str]:
    return fake.views.answered(hear(slack, fake, fake.views.submit(values, **view)).body)


@pytest.mark.parametrize(("command", "text"), [("/silence", ""), ("/vakhta", "silence"), ("/vakhta", " /silence ")])
def test_a_verb_without_its_arguments_opens_its_form(
    fake: FakeSlack, slack: Slack, door: SmallDoor, command: str, text: str
) -> None:
    opens(fake, slack, command, text)

    (modal,) = fake.views.modals
    assert modal.told["title"] == {"type": "plain_text", "text": "silence", "emoji": False}
    assert "silence some alerts in Alertmanager for a while." in modal.shown
    assert "kept: in memory" in modal.shown
    assert list(modal.fields) == ["Matchers", "For", "Because"]
    assert [field["optional"] for field in modal.fields.values()] == [False, False, True]
    assert "1 min to 7 d" in json.dumps(modal.fields["For"]["hint"])
    assert door.heard == []


def test_one_of_a_few_words_is_chosen_from_a_list(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack, "/severity")

    wrong = sends(fake, slack, {"Incident": "42", "Severity": "warning"})

    assert wrong == {}
    assert [ask.text for ask in door.asks] == ["severity #42 warning"]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_with_several_arguments_has_a_form_that_slack_takes_and_no_other(
    fake: FakeSlack, slack: Slack, door: SmallDoor, verb: str
) -> None:
    """Several, of which one cannot be left out: `oncall` alone is an answer."""
    usage = VERBS[verb].usage
    several = len(re.findall(r"<|\[[a-z]+\]", usage)) > 1 and "<" in re.sub(r"\[.*?\]", "", usage)

    heard = hear(slack, fake, fake.command("/vakhta", verb))

    assert (len(fake.views.modals) == 1, heard.body == b"", door.heard == []) == (several, several, several)


def test_what_is_filled_in_is_asked_as_words_in_the_name_of_whoever_sent_it(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack)

    wrong = sends(fake, slack, SILENCE)

    (ask,) = door.asks
    assert wrong == {}
    assert (ask.text, ask.by, ask.account, ask.private, ask.channel) == (WORDS, ANA, "U1", False, "slack")


def test_the_answer_is_told_where_the_verb_was_said_to_the_asker_alone(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    spoken = fake.command("/silence")
    hear(slack, fake, spoken)
    door.answer_next(Reply(text="Alertmanager is away. <!channel>", ok=False))

    wrong = sends(fake, slack, SILENCE)

    (whisper,) = fake.whispers
    assert wrong == {}
    assert whisper.text == "Alertmanager is away. &lt;!channel&gt;"
    assert str(spoken.payload["response_url"]).endswith(whisper.response_url)
    assert fake.messages == []


def test_a_plan_stands_in_the_channel_with_its_buttons(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack)
    card = Card(title="Ana asks: silence", buttons={"Do it": "yes 1111", "Drop it": "no 1111"})
    door.answer_next(Reply(text="Ana asks: silence", card=card))

    sends(fake, slack, SILENCE)

    (plan,) = fake.messages
    assert list(plan.buttons) == ["Do it", "Drop it"]
    assert fake.whispers == []


def test_in_a_direct_message_it_stays_between_the_two(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack, channel_id="D7")
    card = Card(title="Ana asks: silence", buttons={"Do it": "yes 1111"})
    door.answer_next(Reply(text="Ana asks: silence", card=card))

    sends(fake, slack, SILENCE)

    assert door.asks[0].private
    assert (fake.messages, len(fake.whispers)) == ([], 1)


@pytest.mark.parametrize("said", [Reply(text="Done."), Reply(text="Done.", shared=True)])
def test_a_form_that_stood_open_for_long_is_answered_without_its_commands_address(
    fake: FakeSlack, slack: Slack, door: SmallDoor, monkeypatch: pytest.MonkeyPatch, said: Reply
) -> None:
    opens(fake, slack)
    later = slack._modals._now() + 1801
    monkeypatch.setattr(slack._modals, "_now", lambda: later)
    door.answer_next(said)

    sends(fake, slack, SILENCE)

    assert [message.text for message in fake.messages] == ["Done."] * said.shared
    told = [] if said.shared else [("Done.", "U1", "")]
    assert [(one.text, one.user, one.response_url) for one in fake.whispers] == told


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"For": "2h please"}, "'please' is not understood. Nothing was done."),
        ({"For": "2 hours"}, "'2' is not a duration such as 90s, 30m, 2h or 1d12h. Nothing was done."),
        ({"For": "9d"}, "'9d' is not between 1 min and 7 d. Nothing was done."),
        (
            {"Matchers": "api"},
            "'api' is not of the form name=value, name!=value, name=~regex or name!~regex. Nothing was done.",
        ),
        ({"Matchers": 'a="b'}, "A quote is not closed: '\"b'. Nothing was done."),
        ({"Matchers": "   "}, "Which labels, such as alertname=HighErrorRate? Nothing was done."),
    ],
)
def test_what_the_grammar_refuses_stands_at_its_field_and_nothing_is_done(
    fake: FakeSlack, slack: Slack, door: SmallDoor, values: dict[str, str], said: str
) -> None:
    opens(fake, slack)

    wrong = sends(fake, slack, SILENCE | values)

    assert wrong == dict.fromkeys(values, said)
    assert (door.heard, fake.whispers, fake.messages) == ([], [], [])


def test_all_that_is_wrong_is_told_at_once_and_what_is_mended_is_asked(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack)

    first = sends(fake, slack, {"Matchers": "api", "For": "ever"})
    second = sends(fake, slack, SILENCE)

    assert (list(first), second) == (["Matchers", "For"], {})
    assert [ask.text for ask in door.asks] == [WORDS]


def test_row_43_a_form_sent_again_has_no_second_effect_and_is_told_so_to_its_sender_alone(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack)
    sent, other = fake.views.submit(SILENCE), fake.views.submit(SILENCE | {"For": "3h"})
    door.answer_next(Reply(text="Silence 7 stands.", shared=True))

    for spoken in (sent, sent, other):
        hear(slack, fake, spoken)

    assert [ask.text for ask in door.asks] == [WORDS]
    assert [message.text for message in fake.messages] == ["Silence 7 stands."]
    assert [whisper.text for whisper in fake.whispers] == ["Silence 7 stands."] * 2


def test_typed_quotes_are_those_of_a_keyboard_and_a_choice_stays_as_it_is(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack, "/note")

    sends(fake, slack, {"Incident": "#42", "Text": "it’s  “fine” & <ok>\n`now`"})

    assert [ask.text for ask in door.asks] == ['note #42 it\'s "fine" & <ok> now']


@pytest.mark.parametrize(
    ("account", "why"),
    [({"is_restricted": True}, "guest"), ({"deleted": True}, "deactivated"), ({"team_id": "T2"}, "")],
)
def test_row_53_no_form_is_shown_to_whoever_is_no_full_member(
    fake: FakeSlack, slack: Slack, door: SmallDoor, account: dict[str, object], why: str
) -> None:
    fake.users["U1"] = member("U1", **account)

    heard = hear(slack, fake, fake.command("/silence"))

    assert why in json.loads(heard.body)["text"]
    assert (fake.views.modals, door.heard, len(door.away)) == ([], [], 1)


def test_somebody_unlinked_is_told_so_and_gets_no_form(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    heard = hear(slack, fake, fake.command("/silence", user="U2"))

    assert json.loads(heard.body)["text"] == "Link your account first: /link. Nothing was done."
    assert fake.views.modals == []


@pytest.mark.parametrize("channel", ["C2", "G9", ""])
def test_row_55_no_form_is_shown_where_no_command_is_taken(
    fake: FakeSlack, slack: Slack, door: SmallDoor, channel: str
) -> None:
    heard = hear(slack, fake, fake.command("/silence", channel_id=channel))

    assert json.loads(heard.body)["text"].startswith("Not allowed in this channel.")
    assert (fake.views.modals, door.heard) == ([], [])


@pytest.mark.parametrize("kept", ['{"channel": "C2"}', "{}", "", "nothing", "[1]", '{"channel": 5, "at": "x"}'])
def test_row_55_the_channel_that_a_form_names_is_looked_at_anew(
    fake: FakeSlack, slack: Slack, door: SmallDoor, kept: str
) -> None:
    opens(fake, slack)

    hear(slack, fake, fake.views.submit(SILENCE, private_metadata=kept))

    assert door.heard == []
    assert [why.partition(".")[0] for _, why in door.away] == ["Not allowed in this channel"]


def test_row_55_a_channel_that_was_shared_meanwhile_takes_no_form(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack)
    fake.rooms["C1"]["is_ext_shared"] = True
    slack._requests._membership._known.clear()

    sends(fake, slack, SILENCE)

    assert door.heard == []
    assert fake.whispers[0].text.startswith("Not allowed in this channel.")


def test_row_53_who_sends_a_form_is_looked_at_anew(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack)
    spoken = fake.views.submit(SILENCE)
    stranger = {"user": {"id": "U1", "name": "mallory", "team_id": "T9"}}

    hear(slack, fake, replace(spoken, payload=spoken.payload | stranger))

    assert door.heard == []
    assert "another company" in fake.whispers[0].text


def test_somebody_else_sends_a_form_in_their_own_name(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack)

    hear(slack, fake, fake.views.submit(SILENCE, user="U2"))

    assert door.asks == []
    assert fake.whispers[0].text == "Link your account first: /link. Nothing was done."


@pytest.mark.parametrize("code", ["expired_trigger_id", "exchanged_trigger_id", "ratelimited", "fatal_error"])
def test_where_no_form_can_be_opened_the_words_are_refused_as_ever(
    fake: FakeSlack, slack: Slack, door: SmallDoor, code: str
) -> None:
    fake.refuse_next(code, "views.open")
    door.answer_next(Reply(text="Which labels? Nothing was done.", ok=False))

    heard = hear(slack, fake, fake.command("/silence"))

    assert json.loads(heard.body)["text"] == "Which labels? Nothing was done."
    assert [ask.text for ask in door.asks] == ["silence"]


def test_row_43_a_command_sent_again_opens_no_second_form(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    spoken = fake.command("/silence")

    for _ in range(2):
        hear(slack, fake, spoken)

    assert len(fake.views.modals) == 1


def test_what_was_said_with_arguments_opens_no_form(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    hear(slack, fake, fake.command("/silence", "service=api"))

    assert [ask.text for ask in door.asks] == ["silence service=api"]
    assert fake.calls("views.open") == []


@pytest.mark.parametrize(
    "broken", [{"id": ""}, {"hash": ""}, {"state": {}}, {"state": {"values": []}}, {"state": "x"}, {"id": 5}]
)
def test_a_form_without_an_id_or_without_fields_is_refused(
    fake: FakeSlack, slack: Slack, door: SmallDoor, broken: dict[str, Any]
) -> None:
    opens(fake, slack)
    headers, body = fake.sign(fake.views.submit(SILENCE, **broken))

    with pytest.raises(Rejected, match="Nothing was done"):
        slack.receive(headers, body)

    assert door.heard == []


@pytest.mark.parametrize(
    "values",
    [
        {"matchers": {"filled": {"value": ["x"]}}},
        {"matchers": {"filled": {"selected_option": 5}}, "held": None},
        {"matchers": 5, "held": {"other": {"value": "2h"}}},
        {"nothing": {"filled": {"value": "x"}}},
    ],
)
def test_fields_that_no_form_of_ours_has_do_nothing(
    fake: FakeSlack, slack: Slack, door: SmallDoor, values: dict[str, object]
) -> None:
    opens(fake, slack)

    heard = hear(slack, fake, fake.views.submit(SILENCE, state={"values": values}))

    assert json.loads(heard.body)["response_action"] == "errors"
    assert door.heard == []


def test_a_form_of_another_app_or_version_is_answered_and_left_alone(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    opens(fake, slack)

    heard = hear(slack, fake, fake.views.submit(SILENCE, callback_id="restore-3"))

    assert (heard.status, heard.body) == (200, b"")
    assert door.heard == []


def test_a_form_is_filled_in_over_the_socket_too(fake: FakeSlack, wired: Slack, door: SmallDoor) -> None:
    assert fake.push(fake.command("/silence")) is None

    wrong = fake.push(fake.views.submit(SILENCE | {"For": "ever"}))
    right = fake.push(fake.views.submit(SILENCE))

    assert fake.views.answered(json.dumps(wrong)).keys() == {"For"}
    assert right is None
    assert [ask.text for ask in door.asks] == [WORDS]


def test_a_closed_form_is_no_act(fake: FakeSlack, slack: Slack, door: SmallDoor) -> None:
    opens(fake, slack)
    sent = fake.views.submit(SILENCE)

    heard = hear(slack, fake, Spoken(kind=sent.kind, payload=sent.payload | {"type": "view_closed"}))

    assert heard.status == 200
    assert door.heard == []
