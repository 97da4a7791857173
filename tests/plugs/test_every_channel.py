"""The contract of a channel, run over every channel found."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channels import load, names
from bot.model import STORY, Kind, Status, What
from bot.ports import Heard, Limit, Rejected, Undelivered
from tests.fakes.door import ANA
from tests.plugs.contract import TEXTS, Bench, class_of, incident, notice

TAKERS = {kind: [name for name in names() if kind in class_of(name).kinds] for kind in Kind}
#: The benches of `conftest.py` that try another way of listening.
OTHER_WAYS = ("slack in socket mode", "telegram polling")
SENDERS = [name for name in names() if class_of(name).kinds]

every_channel = pytest.mark.parametrize("bench", names(), indirect=True)
every_sender = pytest.mark.parametrize("bench", SENDERS, indirect=True)
every_card_taker = pytest.mark.parametrize("bench", TAKERS[Kind.CARD], indirect=True)
every_line_taker = pytest.mark.parametrize("bench", TAKERS[Kind.LINE], indirect=True)
every_pager = pytest.mark.parametrize("bench", TAKERS[Kind.PAGE], indirect=True)
every_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())

one_bench_for_all_examples = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
headers_of_somebody = st.dictionaries(
    st.sampled_from(
        [
            "X-PagerDuty-Signature",
            "X-Slack-Signature",
            "X-Slack-Request-Timestamp",
            "X-Telegram-Bot-Api-Secret-Token",
            "Authorization",
            "Content-Type",
        ]
    ),
    st.text(max_size=80) | st.sampled_from(["v0=", "v1=", "0", "-1", "application/json", "1795444200"]),
)


def first(bench: Bench) -> str | None:
    """Deliver the first thing that the channel takes."""
    if Kind.CARD in bench.channel.kinds:
        return bench.channel.deliver(notice(Kind.CARD))
    return bench.channel.deliver(notice(Kind.PAGE, what=What.OPENED))


def test_the_four_channels_of_the_product_are_found() -> None:
    assert {"console", "pagerduty", "slack", "telegram"} <= set(names())


def test_a_channel_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(LookupError, match=r"no channel 'pagerdooty'.*pagerduty"):
        load("pagerdooty")


@pytest.mark.parametrize("name", names())
def test_a_channel_is_named_as_its_file(name: str) -> None:
    assert class_of(name).name == name


@every_channel
def test_what_a_channel_says_about_itself_can_be_relied_on(bench: Bench) -> None:
    channel = bench.channel

    assert all(isinstance(kind, Kind) for kind in channel.kinds)
    assert all(isinstance(what, What) for what in channel.wants)
    assert bool(channel.kinds) == bool(channel.wants), "a channel that wants nothing is never owed anything"
    assert Kind.LINE not in channel.kinds or channel.wants >= STORY
    assert Kind.LINE not in channel.kinds or Kind.CARD in channel.kinds, "a line stands in a card's thread"
    assert bool(channel.kinds) == bool(channel.limits), "the house paces nothing that declares no limit"
    assert all(isinstance(limit, Limit) and limit.count > 0 and limit.per > timedelta(0) for limit in channel.limits)
    assert 1 <= channel.threads <= 16


@every_card_taker
def test_a_first_card_is_posted_and_says_where_it_stands(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(Kind.CARD))

    assert ref
    assert len(bench.standing()) == 1
    assert "HighLatency prod/api" in bench.standing()[0]


@every_card_taker
def test_a_card_with_a_ref_is_edited_in_place_and_nothing_new_is_posted(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(Kind.CARD))
    later = incident(title="HighLatency prod/api and 9 more", status=Status.ACKED, version=2)

    again = bench.channel.deliver(notice(Kind.CARD, about=later, ref=ref))

    assert again == ref
    assert len(bench.standing()) == 1
    assert "and 9 more" in bench.standing()[0]


@every_card_taker
def test_the_same_card_twice_is_harmless(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(Kind.CARD))

    refs = [bench.channel.deliver(notice(Kind.CARD, ref=ref)) for _ in range(2)]

    assert refs == [ref, ref]
    assert len(bench.standing()) == 1


@every_line_taker
def test_a_line_lands_in_the_thread_of_its_card(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(Kind.CARD))
    assert ref

    for said in ("Ana has it.", "Ana: disk is full"):
        bench.channel.deliver(notice(Kind.LINE, what=What.NOTED, ref=ref, said=said, key=said))

    told = bench.thread_of(ref)
    assert len(told) == 2
    assert "Ana has it." in told[0]
    assert "disk is full" in told[1]
    assert len(bench.standing()) == 1


@every_line_taker
def test_the_same_line_twice_is_no_error(bench: Bench) -> None:
    ref = bench.channel.deliver(notice(Kind.CARD))
    assert ref

    for _ in range(2):
        bench.channel.deliver(notice(Kind.LINE, what=What.ACKED, ref=ref, key="one"))

    assert 1 <= len(bench.thread_of(ref)) <= 2


@every_pager
def test_a_page_twice_is_one_page(bench: Bench) -> None:
    refs = [bench.channel.deliver(notice(Kind.PAGE, what=What.OPENED)) for _ in range(2)]

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
    for what in (What.OPENED, What.ACKED, What.RESOLVED):
        bench.channel.deliver(notice(Kind.PAGE, what=what))

    assert bench.standing() == []


@every_sender
def test_a_provider_that_asks_to_wait_is_told_on_with_how_long(bench: Bench) -> None:
    bench.fail_next("slow_down")
    began = time.monotonic()

    with pytest.raises(Undelivered) as slow:
        first(bench)

    assert slow.value.after == timedelta(seconds=7)
    assert not slow.value.permanent
    assert time.monotonic() - began < 2, "the channel waited by itself; that is the house's affair"


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
@every_text
def test_whatever_is_in_an_alert_can_be_told(bench: Bench, text: str) -> None:
    about = incident(title=text, service=text or None)

    if Kind.PAGE in bench.channel.kinds:
        bench.channel.deliver(notice(Kind.PAGE, what=What.OPENED, about=about, said=text, lines=(text,) * 5))
    if Kind.CARD in bench.channel.kinds:
        ref = bench.channel.deliver(notice(Kind.CARD, about=about, lines=(text,) * 5))
        bench.channel.deliver(notice(Kind.CARD, about=about, lines=(text,) * 60, ref=ref))
    if Kind.LINE in bench.channel.kinds:
        bench.channel.deliver(notice(Kind.LINE, what=What.NOTED, about=about, ref=ref, said=text))

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
        seen.append(refused.value.said)
    seen.append(caplog.text)

    assert bench.secrets
    for secret in bench.secrets:
        assert not [text for text in seen if secret in text], f"shown: {secret}"


@every_channel
@given(headers=headers_of_somebody, body=st.binary(max_size=400))
@one_bench_for_all_examples
def test_a_request_that_is_not_genuine_is_refused_and_does_nothing(
    bench: Bench, headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(Rejected) as refused:
        bench.channel.receive(headers, body)

    assert refused.value.status == 401 if bench.signs else 400 <= refused.value.status < 500
    assert not bench.door.heard


@every_channel
@given(body=st.binary(max_size=400) | st.from_regex(rb'\{"[a-z_]{1,12}": ?[\[{"0-9a-z\]}]{0,20}\}', fullmatch=True))
@one_bench_for_all_examples
def test_a_genuine_request_with_anything_in_it_is_answered_or_refused(bench: Bench, body: bytes) -> None:
    sent = bench.genuine(body)

    try:
        status = bench.channel.receive(sent.headers, sent.body).status
    except Rejected as error:
        status = error.status

    assert 200 <= status < 500
    assert not bench.door.heard


@every_channel
def test_a_button_pressed_by_somebody_listed_is_one_ask_though_it_was_told_twice(bench: Bench) -> None:
    sent = bench.act(listed=True, once="1001")

    heard = [bench.channel.receive(sent.headers, sent.body) for _ in range(2)]

    assert all(isinstance(one, Heard) and 200 <= one.status < 300 for one in heard)
    (ask,) = bench.door.wait_for_asks(1)
    assert ask.words == "ack 42"
    assert ask.by == ANA
    assert ask.place == bench.channel.name
    assert ask.once


@every_channel
def test_somebody_who_is_not_listed_is_refused_and_told_why(bench: Bench) -> None:
    if not bench.refuses_strangers:
        sent = bench.act(listed=False, once="1002")

        bench.channel.receive(sent.headers, sent.body)

        assert bench.door.asks[0].by.id.startswith(f"{bench.channel.name}:"), "mirrored, but as somebody known"
        return
    sent = bench.act(listed=False, once="1002")

    said = bench.said_after(sent)

    assert "not listed under `people`" in said
    assert "Nothing was done" in said
    assert not bench.door.heard


@pytest.mark.parametrize("bench", [*names(), *OTHER_WAYS], indirect=True)
def test_stopping_leaves_no_thread_and_can_be_done_twice(bench: Bench) -> None:
    if bench.channel.kinds:
        first(bench)

    bench.channel.stop()
    bench.channel.stop()

    deadline = time.monotonic() + 5
    while (left := [thread for thread in threading.enumerate() if _is_of_a_channel(thread)]) and (
        time.monotonic() < deadline
    ):
        left[0].join(0.05)
    assert not left


def _is_of_a_channel(thread: threading.Thread) -> bool:
    """Not the test's own, and none of the fakes' (see `tests/fakes/server.py`)."""
    ours = ("MainThread", "fake", "process_request_thread", "conn_handler", "pytest", "execnet")
    return not any(name in thread.name for name in ours)
