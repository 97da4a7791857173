"""The contract of a channel, the way out, run over every channel found."""

from __future__ import annotations

import errno
import logging
import re
import time
import traceback
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from bot import integrations
from bot.config.access import PersonSettings
from bot.config.settings import channels_known
from bot.core.channel import RateLimit
from bot.core.errors import Rejected, Undelivered
from bot.core.incident import CONSOLE, TIMELINE_EVENTS, EventType, Status
from bot.core.message import MessageKind
from bot.integrations import channel_names, load_channel
from bot.lib.settings_fields import ChannelSection
from bot.store.outbox import SLOW
from bot.web import channel_webhooks
from tests.integrations.contract import FOREIGN_ANSWERS, TEXTS, Bench, class_of, first, incident, notice

pytestmark = pytest.mark.waits

TAKERS = {kind: [name for name in channel_names() if kind in class_of(name).kinds] for kind in MessageKind}
SENDERS = [name for name in channel_names() if class_of(name).kinds]

every_channel = pytest.mark.parametrize("bench", channel_names(), indirect=True)
every_sender = pytest.mark.parametrize("bench", SENDERS, indirect=True)
every_card_taker = pytest.mark.parametrize("bench", TAKERS[MessageKind.CARD], indirect=True)
every_line_taker = pytest.mark.parametrize("bench", TAKERS[MessageKind.LINE], indirect=True)
every_pager = pytest.mark.parametrize("bench", TAKERS[MessageKind.PAGE], indirect=True)
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())


def test_the_four_channels_of_the_product_are_found() -> None:
    assert {"console", "pagerduty", "slack", "telegram"} <= set(channel_names())


def test_a_channel_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(LookupError, match=r"no channel 'pagerdooty'.*pagerduty"):
        load_channel("pagerdooty")


@pytest.mark.parametrize("name", channel_names())
def test_a_channel_is_named_as_its_file(name: str) -> None:
    assert class_of(name).name == name


@pytest.mark.parametrize("name", channel_names())
def test_no_channel_knows_another(name: str) -> None:
    files = sorted(Path(integrations.__file__).parent.glob(f"{name}/*.py"))
    known = [
        other
        for file in files
        for other in re.findall(r"^from bot\.integrations(?:\.| import )(\w+)", file.read_text(), re.MULTILINE)
    ]

    assert files
    assert set(known) & set(channel_names()) <= {name}


@every_channel
def test_what_a_channel_says_about_itself_can_be_relied_on(bench: Bench) -> None:
    channel = bench.channel

    assert all(isinstance(kind, MessageKind) for kind in channel.kinds)
    assert all(isinstance(what, EventType) for what in channel.event_types)
    assert bool(channel.kinds) == bool(channel.event_types), "a channel that wants nothing is never owed anything"
    assert MessageKind.LINE not in channel.kinds or channel.event_types >= TIMELINE_EVENTS
    assert MessageKind.LINE not in channel.kinds or MessageKind.CARD in channel.kinds, (
        "a line stands in a card's thread"
    )
    assert bool(channel.kinds) == bool(channel.limits), "the house paces nothing that declares no limit"
    assert all(
        isinstance(limit, RateLimit) and limit.count > 0 and limit.per > timedelta(0) for limit in channel.limits
    )
    assert all(limit.per % timedelta(seconds=1) > SLOW for limit in channel.limits), "no margin over whole seconds"
    assert 1 <= channel.threads <= 16
    assert not channel.pages or MessageKind.PAGE in channel.kinds, "who is never paged there was not paged there"
    assert channel.ignores_above is None or 0 < channel.ignores_above <= channel_webhooks._MOST


@pytest.mark.parametrize("name", channel_names())
def test_a_channel_can_be_set_up_and_its_section_tells_its_name(name: str) -> None:
    assert channels_known()[name].called


@every_channel
def test_accounts_are_named_in_the_settings_where_people_have_some_and_only_there(bench: Bench) -> None:
    assert bench.channel.accounts == (bench.channel.name in PersonSettings.account_keys())


def test_one_channel_alone_is_the_line_on_the_board() -> None:
    assert [name for name in channel_names() if class_of(name).local] == [CONSOLE]


@pytest.mark.parametrize(("name", "kind"), channels_known().items())
def test_what_a_mode_needs_is_a_key_of_the_section(name: str, kind: type[ChannelSection]) -> None:
    modes = get_args(kind.model_fields["mode"].annotation) if kind.mode_needs else ()

    assert set(kind.mode_needs) <= set(modes)
    assert set(kind.mode_needs.values()) <= set(kind.model_fields)
    assert not kind.mode_needs or kind.usual_mode() in modes


@every_card_taker
def test_a_first_card_is_posted_and_says_where_it_stands(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(MessageKind.CARD))

    assert ref
    assert len(bench.standing()) == 1
    assert "HighLatency prod/api" in bench.standing()[0]


@every_card_taker
def test_a_card_with_a_ref_is_edited_in_place_and_nothing_new_is_posted(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(MessageKind.CARD))
    later = incident(title="HighLatency prod/api and 9 more", status=Status.ACKED, version=2)

    again = bench.channel.deliver(notice(MessageKind.CARD, about=later, ref=ref))

    assert again == ref
    assert len(bench.standing()) == 1
    assert "and 9 more" in bench.standing()[0]


@every_card_taker
def test_the_same_card_twice_is_harmless(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(MessageKind.CARD))

    refs = [bench.channel.deliver(notice(MessageKind.CARD, ref=ref)) for _ in range(2)]

    assert refs == [ref, ref]
    assert len(bench.standing()) == 1


@every_line_taker
def test_a_line_lands_in_the_thread_of_its_card(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(MessageKind.CARD))
    assert ref

    for said in ("Ana has it.", "Ana: disk is full"):
        bench.channel.deliver(notice(MessageKind.LINE, what=EventType.NOTED, ref=ref, said=said, key=said))

    told = bench.thread_of(ref)
    assert len(told) == 2
    assert "Ana has it." in told[0]
    assert "disk is full" in told[1]
    assert len(bench.standing()) == 1


@every_line_taker
def test_the_same_line_twice_is_no_error(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(MessageKind.CARD))
    assert ref

    for _ in range(2):
        bench.channel.deliver(notice(MessageKind.LINE, what=EventType.ACKED, ref=ref, key="one"))

    assert 1 <= len(bench.thread_of(ref)) <= 2


@every_pager
def test_a_page_twice_is_one_page(bench: Bench) -> None:
    refs = [bench.channel.deliver(notice(MessageKind.PAGE, what=EventType.OPENED)) for _ in range(2)]

    assert refs[0]
    assert refs[0] == refs[1]
    assert len(bench.standing()) == 1


@every_pager
def test_a_page_whose_answer_was_lost_is_still_one_page(bench: Bench) -> None:
    bench.fail_next("lost_answer")

    with pytest.raises(Undelivered):
        first(bench)
    first(bench)

    assert len(bench.standing()) == 1


@every_pager
def test_a_resolved_incident_pages_nobody(bench: Bench) -> None:
    for what in (EventType.OPENED, EventType.ACKED, EventType.RESOLVED):
        bench.channel.deliver(notice(MessageKind.PAGE, what=what))

    assert bench.standing() == []


@every_sender
def test_a_provider_that_asks_to_wait_is_told_on_with_how_long(bench: Bench) -> None:
    bench.fail_next("slow_down")
    began = time.monotonic()

    with pytest.raises(Undelivered) as slow:
        first(bench)

    assert slow.value.retry_after == timedelta(seconds=7)
    assert not slow.value.permanent
    assert time.monotonic() - began < 7, "the channel waited by itself; that is the house's affair"


@every_sender
def test_a_refusal_is_permanent(bench: Bench) -> None:
    bench.fail_next("refusal")

    with pytest.raises(Undelivered) as refused:
        first(bench)

    assert refused.value.permanent


@every_sender
@pytest.mark.parametrize("trouble", ["failure", "reset", "hang"])
def test_trouble_that_may_pass_is_not_permanent(bench: Bench, trouble: str) -> None:
    bench.fail_next(trouble)

    with pytest.raises(Undelivered) as failed:
        first(bench)
    first(bench)

    assert not failed.value.permanent
    assert len(bench.standing()) == 1


@every_sender
@pytest.mark.parametrize("given", FOREIGN_ANSWERS)
def test_what_a_proxy_answers_is_not_the_providers_word(bench: Bench, given: str) -> None:
    bench.answer_next(*FOREIGN_ANSWERS[given])

    with pytest.raises(Undelivered) as failed:
        first(bench)
    first(bench)

    assert not failed.value.permanent
    assert failed.value.retry_after is None
    assert "Something between this machine and" in failed.value.message
    assert len(bench.standing()) == 1
    assert bench.channel.health_problem() is None


@every_sender
def test_an_error_of_this_machine_is_not_permanent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as machine:
        for where in ("requests.Session.send", "telegram.request.HTTPXRequest.do_request", "socket.create_connection"):
            machine.setattr(where, fail)
        with pytest.raises(Undelivered) as failed:
            first(bench)
    first(bench)

    assert not failed.value.permanent
    assert len(bench.standing()) == 1


@every_sender
@every_text
def test_whatever_is_in_an_alert_can_be_told(bench: Bench, text: str) -> None:
    about = incident(title=text, service=text or None)

    if MessageKind.PAGE in bench.channel.kinds:
        bench.channel.deliver(
            notice(MessageKind.PAGE, what=EventType.OPENED, about=about, said=text, lines=(text,) * 5)
        )
    if MessageKind.CARD in bench.channel.kinds:
        ref = bench.channel.deliver(notice(MessageKind.CARD, about=about, lines=(text,) * 5))
        bench.channel.deliver(notice(MessageKind.CARD, about=about, lines=(text,) * 60, ref=ref))
    if MessageKind.LINE in bench.channel.kinds:
        bench.channel.deliver(notice(MessageKind.LINE, what=EventType.NOTED, about=about, ref=ref, said=text))

    assert len(bench.standing()) == 1
    assert bench.pinged() == []


@every_sender
def test_no_secret_shows_in_an_error_a_repr_or_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    seen = [repr(bench.channel), str(vars(bench.channel))]

    with caplog.at_level(logging.DEBUG):
        for trouble in ("refusal", "failure", "slow_down", "reset", "hang"):
            bench.fail_next(trouble)
            with pytest.raises(Undelivered) as failed:
                first(bench)
            seen.append("".join(traceback.format_exception(failed.value)))
        first(bench)
        with pytest.raises(Rejected) as refused:
            bench.channel.receive({}, b"{}")
        seen.append(refused.value.message)
    seen.append(caplog.text)

    assert bench.secrets
    for secret in bench.secrets:
        assert not [text for text in seen if secret in text], f"shown: {secret}"
