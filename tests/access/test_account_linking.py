"""A person says in one private place that an account in another is theirs, and shows it there.

Rows are those of the table of bad inputs.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from bot.access.identity import without_code
from bot.core.audit import Code
from bot.core.errors import Undelivered
from bot.core.request import Principal, Reply
from bot.store import account_links, audit_log
from bot.store.audit_log import EntryFilter
from bot.store.engine import Unavailable
from tests.house import ANA, BO, House, alert

_CODE = re.compile(r"^/link ([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3}-[0-9A-Z]{6})$", re.MULTILINE)
_LINKED = "This account (telegram: 7) is linked to Bo."
_WORD = (
    "The telegram account 7 was linked to you at 2026-11-23 12:00 UTC. If that was not you, send `unlink telegram` and"
    " inform your security contact."
)
_NOT_VALID = "Code not valid. Nothing was done. Get a new one: `link`."


@pytest.fixture(autouse=True)
def people(house: House) -> None:
    """Ana and Bo have Slack accounts; nothing else is known of them."""
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): BO})


def code(house: House, account: str = "U2", *, once: str = "") -> str:
    """A code that this Slack account requested."""
    reply = house.hears_from("slack", account, "link", once=once)
    found = _CODE.search(reply.text)
    assert found, reply
    return found[1]


def sends(house: House, typed: str, account: str = "7", *, private: bool = True) -> Reply:
    """Somebody sends a code in Telegram."""
    return house.hears_from("telegram", account, f"link {typed}", private=private)


def who_is(house: House, account: str = "7") -> str | None:
    found = house.dispatcher.person("telegram", account)
    return found.id if found else None


def test_a_code_of_one_private_place_sent_in_another_makes_both_accounts_one_person(house: House) -> None:
    reply = sends(house, code(house))

    assert (reply.ok, reply.text) == (True, _LINKED)
    assert house.dispatcher.person("telegram", "7") == BO


def test_what_was_asked_by_a_linked_account_is_done_in_the_persons_name(house: House) -> None:
    house.hears(alert())
    sends(house, code(house))

    house.hears_from("telegram", "7", "ack 1")

    assert house.incident().owner == "bo"


def test_a_code_may_be_typed_by_hand(house: House) -> None:
    typed = code(house).replace("-", " ").lower().replace("0", "o").replace("1", "l")

    assert sends(house, f"  {typed} ").text == _LINKED


def test_the_code_itself_is_stored_nowhere(house: House) -> None:
    shown = code(house, once="command:1")
    sends(house, shown)

    with house.store.begin() as tx:
        stored = repr([tx.sql.rows(f"SELECT * FROM {table}") for table in ("link_code", "link", "link_try", "seen")])
    digits = shown.replace("-", "")
    assert "command:1" in stored
    assert shown not in stored
    assert digits not in stored


def test_no_two_codes_are_alike(house: House) -> None:
    assert len({code(house) for _ in range(50)}) == 50


def test_a_code_that_is_asked_for_twice_by_one_message_is_shown_once(house: House) -> None:
    shown = code(house, once="command:1")

    again = house.hears_from("slack", "U2", "link", once="command:1")

    assert again.repeated
    assert shown not in again.text
    assert sends(house, shown).ok


def test_both_sides_are_told_at_once(house: House) -> None:
    answer = sends(house, code(house))
    house.tends()
    house.tends()

    assert answer.text == _LINKED
    assert house.chat.said == [("U2", _WORD)]
    assert house.hears_from("slack", "U2", "incidents").text == "There are no unresolved incidents."


def test_who_speaks_before_they_are_told_is_told_in_the_answer_and_only_there(house: House) -> None:
    sends(house, code(house))

    next_words = [house.hears_from("slack", "U2", "incidents").text for _ in range(2)]
    house.tends()

    assert next_words == [f"{_WORD}\nThere are no unresolved incidents.", "There are no unresolved incidents."]
    assert house.chat.said == []


def test_a_word_that_is_not_taken_is_said_again_later(house: House) -> None:
    house.chat.troubles = [Undelivered("ratelimited", retry_after=timedelta(seconds=90)), Undelivered("500")]
    sends(house, code(house))

    for wait_s in (0, 89, 1, 29, 1):
        house.clock.at += timedelta(seconds=wait_s)
        house.tends()

    assert house.chat.troubles == []
    assert house.chat.said == [("U2", _WORD)]


@pytest.mark.parametrize("place", ["slack", "console"])
def test_a_word_that_cannot_be_said_there_waits_until_its_owner_speaks(house: House, place: str) -> None:
    house.settle({(place, "U2"): BO})
    house.chat.troubles = [Undelivered("account_inactive", permanent=True)] * (place == "slack")
    found = _CODE.search(house.hears_from(place, "U2", "link").text)
    assert found
    sends(house, found[1])

    house.tends()
    house.clock.at += timedelta(days=1)
    house.tends()

    assert house.chat.said == []
    assert house.hears_from(place, "U2", "incidents").text.startswith(_WORD)


def test_a_process_that_dies_before_it_has_said_it_leaves_it_to_another(house: House) -> None:
    sends(house, code(house))
    with house.store.begin() as tx:
        (taken,) = account_links.MESSAGES.claim_messages(tx, timedelta(seconds=30))  # and nothing more comes of it

    house.tends()
    assert house.chat.said == []
    house.clock.at += timedelta(seconds=31)
    house.tends()

    assert house.chat.said == [("U2", taken.text)]


def test_row_54_somebody_unknown_is_shown_nothing(house: House) -> None:
    house.hears(alert())
    said = [
        house.hears_from("telegram", "7", words) for words in ("incidents", "show 1", "help", "ack 1", "whoami", "x")
    ]

    assert {(reply.ok, reply.text) for reply in said} == {(False, "Link your account first: /link. Nothing was done.")}
    assert house.incident().owner is None
    assert house.audited()[-6:] == [Code.DENIED] * 6


def test_somebody_unknown_is_told_how_to_link(house: House) -> None:
    reply = house.hears_from("telegram", "7", "link")

    assert not reply.ok
    assert (
        "This account (telegram: 7) is not linked to anybody. Nothing was done. Send `link` in a private" in reply.text
    )
    assert _CODE.search(reply.text) is None


def test_row_72_a_wrong_code_does_nothing(house: House) -> None:
    code(house)

    reply = sends(house, "00000-00000-00000-00000-000000")

    assert (reply.ok, reply.text, who_is(house)) == (False, _NOT_VALID, None)


@pytest.mark.parametrize(
    "typed", ["x", "1" * 5000, "\ud800", "'; DROP TABLE link; --", "-", "ß", "link link", "１" * 26]
)
def test_row_72_what_is_no_code_at_all_is_not_valid(house: House, typed: str) -> None:
    assert sends(house, typed).text == _NOT_VALID


def test_row_72_a_code_works_for_ten_minutes(house: House) -> None:
    early, late = code(house), code(house, "U1")

    house.clock.pass_by(minutes=9, seconds=59)
    assert sends(house, early).ok
    house.clock.pass_by(seconds=1)
    assert sends(house, late, "8").text == _NOT_VALID


def test_row_72_a_code_works_once(house: House) -> None:
    shown = code(house)
    sends(house, shown)

    assert sends(house, shown, "8").text == _NOT_VALID
    assert (who_is(house), who_is(house, "8")) == ("bo", None)


def test_row_72_the_same_message_delivered_again_gets_the_same_answer_and_is_no_wrong_code(house: House) -> None:
    shown = code(house)

    replies = [house.hears_from("telegram", "7", f"link {shown}", once="update:9") for _ in range(7)]

    assert {reply.text for reply in replies} == {_LINKED}
    assert [reply.repeated for reply in replies] == [False] + [True] * 6


def test_row_72_after_five_wrong_codes_the_right_one_is_not_valid_either_for_fifteen_minutes(house: House) -> None:
    for _ in range(5):
        sends(house, "wrong")

    locked = sends(house, code(house))
    house.clock.pass_by(minutes=14, seconds=59)
    still = sends(house, code(house))
    house.clock.pass_by(seconds=1)
    after = sends(house, code(house))

    assert [locked.text, still.text, after.text] == [_NOT_VALID, _NOT_VALID, _LINKED]


def test_row_72_the_lock_is_of_one_account_and_four_wrong_codes_are_no_lock(house: House) -> None:
    for _ in range(4):
        sends(house, "wrong")
        sends(house, "wrong", "8")
    sends(house, "wrong", "8")

    assert sends(house, code(house), "8").text == _NOT_VALID
    assert sends(house, code(house)).text == _LINKED


def test_row_72_wrong_codes_far_apart_are_no_guessing(house: House) -> None:
    for _ in range(9):
        sends(house, "wrong")
        house.clock.pass_by(minutes=15)

    assert sends(house, code(house)).ok


@pytest.mark.parametrize("typed", ["", "wrong"])
def test_row_72_in_a_group_it_is_asked_for_in_private(house: House, typed: str) -> None:
    for account in ("U2", "U9"):
        reply = house.hears_from("slack", account, f"link {typed}".strip(), private=False)

        assert (reply.ok, reply.text) == (False, "Send this in a private chat. Nothing was done.")


def test_row_72_a_code_that_others_could_read_is_void_and_its_owner_hears_of_it(house: House) -> None:
    shown = code(house)

    reply = sends(house, shown, private=False)

    assert reply.text == "Send this in a private chat. Nothing was done."
    assert sends(house, shown).text == _NOT_VALID
    assert house.hears_from("slack", "U2", "incidents").text.startswith(
        "Your linking code was sent by telegram 7 (sent where others can read it) at 12:00 UTC, and is void."
    )


def test_a_code_is_replaced_by_the_next_one(house: House) -> None:
    first, second = code(house), code(house)

    assert sends(house, first).text == _NOT_VALID
    assert sends(house, second).ok


def test_the_account_that_asked_for_a_code_cannot_send_it_and_the_code_stays_good(house: House) -> None:
    shown = code(house)

    reply = house.hears_from("slack", "U2", f"link {shown}")

    assert (reply.ok, reply.text[:28]) == (False, "You requested the code here.")
    assert sends(house, shown).ok


def test_an_account_that_is_somebody_elses_stays_theirs_and_the_code_is_void(house: House) -> None:
    sends(house, code(house))
    stolen = code(house, "U1")

    reply = sends(house, stolen)

    assert reply.text == "This account belongs to somebody else. Nothing was linked, and the code is void."
    assert who_is(house) == "bo"
    assert sends(house, stolen, "8").text == _NOT_VALID


def test_an_account_of_the_settings_cannot_be_linked_to_another(house: House) -> None:
    reply = house.hears_from("slack", "U1", f"link {code(house)}")

    assert reply.text == "This account belongs to somebody else. Nothing was linked, and the code is void."
    assert house.dispatcher.person("slack", "U1") == ANA


def test_a_person_has_one_account_in_a_place(house: House) -> None:
    sends(house, code(house))
    shown = code(house)

    second = sends(house, shown, "8")
    again = sends(house, shown)

    assert second.text == "You have the telegram account 7 already. Nothing was done. Send `unlink telegram` first."
    assert again.text == "This account is linked to you already. Nothing was done."
    assert who_is(house, "8") is None


def test_whoever_sits_at_the_machine_cannot_be_linked(house: House) -> None:
    reply = house.hears_from("console", "local", f"link {code(house)}")

    assert (reply.ok, house.dispatcher.person("console", "local")) == (False, None)


def test_a_machine_gets_no_code(house: House) -> None:
    reply = house.says("link", by=Principal(id="pagerduty", human=False), place="pagerduty")

    assert (reply.ok, _CODE.search(reply.text)) == (False, None)


def test_of_two_who_send_one_code_at_once_one_is_linked(house: House) -> None:
    shown = code(house)
    replies: list[Reply] = []
    racers = [threading.Thread(target=lambda n=n: replies.append(sends(house, shown, str(n)))) for n in range(8)]

    for one in racers:
        one.start()
    for one in racers:
        one.join()

    assert sorted(reply.text for reply in replies)[:7] == [_NOT_VALID] * 7
    assert [who_is(house, str(number)) for number in range(8)].count("bo") == 1


def test_of_two_codes_for_one_account_one_wins(house: House) -> None:
    shown = [code(house, "U1"), code(house, "U2")]
    replies: list[Reply] = []
    racers = [threading.Thread(target=lambda one=one: replies.append(sends(house, one))) for one in shown]

    for one in racers:
        one.start()
    for one in racers:
        one.join()

    assert sorted(reply.ok for reply in replies) == [False, True]


def test_unlink_ends_it_at_once_and_the_account_may_be_somebody_elses_then(house: House) -> None:
    sends(house, code(house))

    reply = house.hears_from("telegram", "7", "unlink telegram")

    assert reply.text == (
        "The telegram account 7 is no longer linked to you. Your pending codes, and approvals given from that account,"
        " are void."
    )
    assert who_is(house) is None
    assert sends(house, code(house, "U1")).text == "This account (telegram: 7) is linked to Ana."


def test_unlinking_voids_the_codes_that_the_person_had_asked_for(house: House) -> None:
    sends(house, code(house))
    pending = code(house)

    house.hears_from("slack", "U2", "unlink telegram")

    assert sends(house, pending).text == _NOT_VALID


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("unlink", "Which channel? Nothing was done. Usage: unlink <channel>"),
        ("unlink slack", "Your slack account is in the settings; only an admin can remove it. Nothing was done."),
        ("unlink moon", "You have linked no 'moon' account. Nothing was done. `whoami` lists your accounts."),
    ],
)
def test_what_cannot_be_unlinked_is_told_why(house: House, words: str, answer: str) -> None:
    reply = house.hears_from("slack", "U2", words)

    assert (reply.ok, reply.text) == (False, answer)


def test_somebody_who_leaves_the_settings_is_nobody_and_does_not_come_back_with_the_id(house: House) -> None:
    sends(house, code(house))

    house.settle({("slack", "U1"): ANA})
    gone = who_is(house)
    house.settle({("slack", "U1"): ANA, ("slack", "U5"): BO})

    assert (gone, who_is(house)) == (None, None)


def test_a_person_who_is_gone_cannot_be_linked_to_by_a_code_of_before(house: House) -> None:
    shown = code(house)

    house.settle({("slack", "U1"): ANA})

    assert sends(house, shown).text == _NOT_VALID


def test_what_the_settings_say_of_an_account_beats_a_link(house: House) -> None:
    sends(house, code(house))

    house.settle({("slack", "U2"): BO, ("telegram", "7"): ANA})

    assert who_is(house) == "ana"
    assert "telegram 7:" not in house.hears_from("slack", "U2", "whoami").text


def test_whoami_tells_the_person_the_accounts_and_why_each_role_is_held(house: House) -> None:
    house.settle(
        {("slack", "U1"): ANA, ("slack", "U2"): BO}, {"sre": frozenset({"S1", "S2"}), "dba": frozenset({"S3"})}
    )
    house.groups["U1"] = {"S1": True, "S2": False, "S3": None}
    sends(house, code(house, "U1"))

    assert house.hears_from("telegram", "7", "whoami").text.splitlines() == [
        "You are Ana (ana).",
        "slack U1: by the settings.",
        "telegram 7: linked 2026-11-23 12:00 UTC by slack U1.",
        "Role responder: by the settings.",
        "Role turner: by the settings.",
        "Role dba: not now, because Slack does not tell who is in S3.",
        "Role sre: by the Slack group S1.",
    ]


def test_somebody_without_a_role_is_told_so(house: House) -> None:
    house.settle({("slack", "U2"): replace(BO, roles=frozenset())})

    assert house.hears_from("slack", "U2", "whoami").text.splitlines() == [
        "You are Bo (bo).",
        "slack U2: by the settings.",
        "You have no role.",
    ]


def test_roles_of_slacks_groups_count_in_every_chat_and_only_while_they_are_known(house: House) -> None:
    house.settle({("slack", "U1"): ANA, ("slack", "U2"): BO}, {"sre": frozenset({"S1"})})
    sends(house, code(house))
    roles = []

    for known in (True, False, None):
        house.groups["U2"] = {"S1": known}
        person = house.dispatcher.person("telegram", "7")
        assert person
        roles.append(person.roles)

    assert roles == [BO.roles | {"sre"}, BO.roles, BO.roles]


def test_every_step_is_on_record_with_whose_account_it_is_about_and_without_the_code(house: House) -> None:
    shown = code(house)
    sends(house, "wrong")
    sends(house, shown)
    sends(house, shown)
    house.hears_from("telegram", "7", "unlink telegram")

    assert record(house) == [
        ("VK132W", "telegram:7", "", "telegram 7 was not linked: no such code."),
        ("VK130I", "telegram:7", "bo", "telegram 7 is linked to bo, by a code that slack U2 requested."),
        ("VK132W", "bo", "bo", "telegram 7 was not linked: used before."),
        ("VK131I", "bo", "bo", "telegram 7 is no longer linked to bo."),
    ]
    with house.store.read() as reading:
        assert shown not in repr(audit_log.entries(reading.sql, EntryFilter()))


def test_what_the_settings_end_is_on_record_too(house: House) -> None:
    sends(house, code(house))

    house.settle({("slack", "U1"): ANA})

    assert record(house)[-1] == (
        "VK131I",
        "bot",
        "bo",
        "telegram 7 is no longer linked to bo: the settings overrule it.",
    )


def record(house: House) -> list[tuple[str, ...]]:
    """(code, by, target, said) of what the audit log has about links."""
    with house.store.read() as reading:
        bodies = [json.loads(one.body) for one in audit_log.entries(reading.sql, EntryFilter())]
    said = [tuple(str(body.get(key, "")) for key in ("code", "by", "target", "said")) for body in bodies]
    return [one for one in said if one[0].startswith("VK13")]


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("link ABC", "link (a code)"),
        (" /LINK  ABC def", "LINK (a code)"),
        ("link", "link"),
        ("ack 1", "ack 1"),
        ("unlink telegram", "unlink telegram"),
    ],
)
def test_words_are_written_down_without_a_code(words: str, written: str) -> None:
    assert without_code(words) == written


def test_what_nobody_needs_any_more_is_forgotten(house: House) -> None:
    code(house)
    sends(house, "wrong")

    house.clock.pass_by(days=31)
    house.watch.delete_old()

    with house.store.begin() as tx:
        assert [tx.sql.scalar(f"SELECT count(*) FROM {table}") for table in ("link_code", "link_try")] == [0, 0]


def test_a_word_to_the_asker_is_kept_until_it_is_told(house: House) -> None:
    sends(house, code(house))
    house.clock.pass_by(days=29)

    house.watch.delete_old()

    with house.store.begin() as tx:
        assert len(account_links.MESSAGES.take_messages(tx, ("slack", "U2"))) == 1
        account_links.delete_old(tx, codes_before=tx.now + timedelta(days=1))


def test_a_persons_account_is_that_of_the_settings_or_the_linked_one(house: House) -> None:
    sends(house, code(house))

    found = {
        (person, channel): house.linking.account_of(house.store, person, channel)
        for person in ("ana", "bo", "nobody")
        for channel in ("slack", "telegram")
    }

    assert found == {
        ("ana", "slack"): "U1",
        ("ana", "telegram"): "",
        ("bo", "slack"): "U2",
        ("bo", "telegram"): "7",
        ("nobody", "slack"): "",
        ("nobody", "telegram"): "",
    }


def test_an_account_is_not_looked_up_where_people_have_none_or_the_settings_say_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(**_: object) -> NoReturn:
        raise AssertionError("a query that is not needed")

    monkeypatch.setattr(house.store, "read", read)

    assert house.linking.account_of(house.store, "ana", "slack") == "U1"
    assert house.linking.account_of(house.store, "ana", "console") == ""


def test_a_database_that_does_not_answer_costs_a_mention_and_no_message(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(**_: object) -> NoReturn:
        raise Unavailable("locked")

    monkeypatch.setattr(house.store, "read", read)

    assert house.linking.account_of(house.store, "bo", "telegram") == ""
