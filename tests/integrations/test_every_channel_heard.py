"""The contract of a channel, the way in, run over every channel found."""

from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.channel import WebhookResponse
from bot.core.errors import Rejected
from bot.integrations import channel_names
from tests.fakes.door import ANA
from tests.integrations.benches import BENCHES
from tests.integrations.contract import Bench, first

pytestmark = pytest.mark.waits

#: The benches of `benches.py` that try another way of listening.
OTHER_WAYS = ("slack in socket mode", "telegram polling")

every_channel = pytest.mark.parametrize("bench", channel_names(), indirect=True)
one_bench_for_all_examples = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
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

    assert all(isinstance(one, WebhookResponse) and 200 <= one.status < 300 for one in heard)
    (ask,) = bench.door.wait_for_asks(1)
    assert ask.text == "ack 42"
    assert ask.by == ANA
    assert ask.channel == bench.channel.name
    assert ask.idempotency_key


@every_channel
def test_somebody_who_is_not_listed_is_refused_and_told_why(bench: Bench) -> None:
    if not bench.refuses_strangers:
        sent = bench.act(listed=False, once="1002")

        bench.channel.receive(sent.headers, sent.body)

        assert bench.door.asks[0].by.id.startswith(f"{bench.channel.name}:"), "mirrored, but as somebody known"
        return
    sent = bench.act(listed=False, once="1002")

    said = bench.said_after(sent)

    assert ("Link your account first: /link." if bench.links else "not listed under `people`") in said
    assert "Nothing was done" in said
    assert not bench.door.heard
    assert len(bench.door.unknown) == (1 if bench.links else 0), "the house is asked, so that it is on record"


@pytest.mark.parametrize("bench", [*channel_names(), *OTHER_WAYS], indirect=True)
def test_stopping_leaves_no_thread_and_can_be_done_twice(bench: Bench) -> None:
    if bench.channel.kinds:
        first(bench)

    bench.channel.stop()
    bench.channel.stop()

    for thread in set(threading.enumerate()) - bench.threads_before:
        if _is_of_a_channel(thread):
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("name", [*channel_names(), *OTHER_WAYS])
def test_it_stops_at_once_also_in_the_midst_of_its_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep over the first 30 ms: what is under way when the stop comes is another thing each time."""
    for delay_ms in (0, 2, 5, 10, 15, 20, 30):
        with BENCHES[name](monkeypatch) as bench:
            stopping = threading.Thread(target=bench.channel.stop, name="fake stopper", daemon=True)
            bench.channel.start(bench.door)
            threading.Event().wait(delay_ms / 1000)

            stopping.start()
            stopping.join(60)

            assert not stopping.is_alive(), f"stop() hangs when it comes {delay_ms} ms after start()"


def _is_of_a_channel(thread: threading.Thread) -> bool:
    """Not the test's own, and none of the fakes' (see `tests/fakes/server.py`)."""
    ours = ("MainThread", "fake", "process_request_thread", "conn_handler", "pytest", "execnet")
    return not any(name in thread.name for name in ours)
