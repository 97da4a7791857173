"""PagerDuty, the way out: what is sent, and what each answer means for the page."""

from __future__ import annotations

import dataclasses
import json
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pdpyras
import pytest
from msgspec import structs

from bot.core.alert import AlertView, Severity
from bot.core.catalog import Catalog, Service
from bot.core.errors import Undelivered
from bot.core.incident import Event, EventType
from bot.core.message import Card, MessageKind, Notification
from bot.integrations.pagerduty.channel import PagerDuty
from bot.notifications.card import CardSettings, incident_card
from tests.fakes.calls import Answer, Call
from tests.fakes.pagerduty import ROUTING_KEY, FakePagerDuty
from tests.integrations.contract import LINK, NOW, TEXTS, incident, page
from tests.integrations.pagerduty.bench import PAGE_KEY, section
from tests.notifications.pods import ONE, SETTINGS, pod


@pytest.fixture
def fake() -> Iterator[FakePagerDuty]:
    with FakePagerDuty() as fake:
        yield fake


@pytest.fixture
def channel(fake: FakePagerDuty) -> Iterator[PagerDuty]:
    channel = PagerDuty(section(fake))
    yield channel
    channel.stop()


@pytest.fixture
def _sleepless(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        pytest.fail(f"pdpyras would have slept for {seconds} s and tried again by itself")

    monkeypatch.setattr(pdpyras, "time", SimpleNamespace(sleep=sleep))


def test_an_opened_incident_is_one_alert_under_the_key_alertmanager_would_use(
    fake: FakePagerDuty, channel: PagerDuty
) -> None:
    ref = channel.deliver(page(EventType.OPENED, said="3 alerts fire."))

    sent = fake.story[0].event
    assert ref == PAGE_KEY
    assert sent["dedup_key"] == PAGE_KEY
    assert sent["payload"]["summary"] == "HighLatency prod/api (3 firing)"
    assert sent["payload"]["severity"] == "critical"
    assert sent["payload"]["source"] == "prod/api"
    assert sent["payload"]["custom_details"]["what happened"] == "3 alerts fire."
    assert sent["client_url"] == LINK
    assert sent["links"] == [{"href": LINK, "text": "Incident 42"}]


def test_a_command_in_a_page_stands_in_quotes(fake: FakePagerDuty, channel: PagerDuty) -> None:
    marked = incident(title="Say `ack 42`")

    channel.deliver(
        page(EventType.OPENED, marked, said="`undo 7` undoes it.", lines=("Runs: 1 waits; `runs` says why",))
    )

    payload = fake.story[0].event["payload"]
    assert payload["summary"] == 'Say "ack 42" (3 firing)'
    assert payload["custom_details"]["what happened"] == '"undo 7" undoes it.'
    assert payload["custom_details"]["lines"] == ['Runs: 1 waits; "runs" says why']


def test_a_page_by_a_person_counts_no_alerts_and_says_nothing_twice(fake: FakePagerDuty, channel: PagerDuty) -> None:
    by_hand = incident(title="Ana: the checkout hangs", firing=0, total=0)

    channel.deliver(page(EventType.OPENED, by_hand, said="Ana: the checkout hangs"))

    payload = fake.story[0].event["payload"]
    assert payload["summary"] == "prod/api: Ana: the checkout hangs"
    assert not {"firing", "alerts so far", "what happened"} & payload["custom_details"].keys()


def test_a_page_lives_as_its_incident_does(fake: FakePagerDuty, channel: PagerDuty) -> None:
    for what in (EventType.OPENED, EventType.SEVERITY_RAISED, EventType.ACKED, EventType.RESOLVED, EventType.REOPENED):
        channel.deliver(page(what))

    assert fake.became() == ["opened", "folded", "acknowledged", "resolved", "opened_again"]
    assert fake.story[4].event["payload"]["summary"] == "HighLatency prod/api (3 firing). Ana has it."
    assert fake.story[1].event["payload"]["summary"] == "HighLatency prod/api (3 firing). Ana has it."


def test_a_page_sent_again_after_a_lost_answer_folds_into_the_first(fake: FakePagerDuty, channel: PagerDuty) -> None:
    fake.answer_next(reset=True, after_effect=True)

    with pytest.raises(Undelivered) as lost:
        channel.deliver(page(EventType.OPENED))
    channel.deliver(page(EventType.OPENED))

    assert not lost.value.permanent
    assert fake.became() == ["opened", "folded"]
    assert len(fake.alerts) == 1


@pytest.mark.usefixtures("_sleepless")
@pytest.mark.parametrize(
    ("given", "waits"),
    [
        (7, timedelta(seconds=7)),
        (None, timedelta(seconds=30)),
        (7_200, timedelta(hours=2)),
        (999_999, timedelta(hours=24)),
        (-5, timedelta(seconds=30)),
    ],
)
def test_429_is_told_at_once_with_how_long_to_wait(
    fake: FakePagerDuty,
    channel: PagerDuty,
    caplog: pytest.LogCaptureFixture,
    given: int | None,
    waits: timedelta,
) -> None:
    fake.answer_next(status=429, retry_after=given)

    with pytest.raises(Undelivered) as slow:
        channel.deliver(page(EventType.OPENED))

    assert slow.value.retry_after == waits
    assert not slow.value.permanent
    assert len(fake.received) == 1
    assert "Non-transient" not in caplog.text, "pdpyras told it as well"


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408, 425, 302])
def test_trouble_on_their_side_is_worth_another_try(fake: FakePagerDuty, channel: PagerDuty, status: int) -> None:
    fake.answer_next(status=status)

    with pytest.raises(Undelivered) as failed:
        channel.deliver(page(EventType.OPENED))

    assert not failed.value.permanent
    assert failed.value.retry_after is None
    assert len(fake.received) == 1


@pytest.mark.parametrize("body", [b"", b"<html>proxy</html>", b"[]", b"{}", b"null"])
def test_an_acceptance_that_cannot_be_read_counts_as_not_arrived(
    fake: FakePagerDuty, channel: PagerDuty, body: bytes
) -> None:
    fake.answer_next(status=202, body=body)

    with pytest.raises(Undelivered) as odd:
        channel.deliver(page(EventType.OPENED))

    assert not odd.value.permanent


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refusal_is_for_good_and_says_it_in_pagerdutys_words(
    fake: FakePagerDuty, channel: PagerDuty, status: int
) -> None:
    told = {"status": "invalid event", "message": "Event object is invalid", "errors": ["'payload.summary' is blank"]}
    fake.answer_next(status=status, body=json.dumps(told).encode())

    with pytest.raises(Undelivered) as refused:
        channel.deliver(page(EventType.OPENED))

    shown = "".join(traceback.format_exception(refused.value))
    assert refused.value.permanent
    assert "Event object is invalid 'payload.summary' is blank" in refused.value.message
    assert ROUTING_KEY[-4:] not in shown


def test_a_refused_routing_key_is_unhealthy_until_it_is_taken_again_and_is_never_shown(
    fake: FakePagerDuty, channel: PagerDuty
) -> None:
    told = {"message": f"Invalid routing key {ROUTING_KEY}", "errors": [f"routing_key {ROUTING_KEY}\u202e"]}
    fake.answer_next(status=400, body=json.dumps(told).encode())

    with pytest.raises(Undelivered) as refused:
        channel.deliver(page(EventType.OPENED))
    broken = channel.health_problem()
    channel.deliver(page(EventType.OPENED))

    assert ROUTING_KEY not in refused.value.message
    assert ROUTING_KEY[-4:] not in refused.value.message
    assert broken == refused.value.message
    assert channel.health_problem() is None


def test_a_key_is_never_sent_on_to_where_a_redirect_points(fake: FakePagerDuty) -> None:
    class Moved(FakePagerDuty):
        def answer(self, call: Call) -> Answer:
            return Answer(status=307, headers={"Location": f"{fake.url}/v2/enqueue"})

    with Moved() as moved:
        channel = PagerDuty(section(moved))
        with pytest.raises(Undelivered) as lost:
            channel.deliver(page(EventType.OPENED))
        channel.stop()

    assert not lost.value.permanent
    assert not fake.received


def test_nobody_there_is_worth_another_try() -> None:
    with FakePagerDuty() as gone:
        channel = PagerDuty(section(gone))

    with pytest.raises(Undelivered) as unreachable:
        channel.deliver(page(EventType.OPENED))

    assert not unreachable.value.permanent
    assert "did not answer (ConnectionError)" in unreachable.value.message


def test_only_the_severities_of_the_settings_page(fake: FakePagerDuty) -> None:
    channel = PagerDuty(section(fake, severities=(Severity.CRITICAL, Severity.ERROR)))

    taken = [severity for severity in Severity if channel.accepts(incident(severity=severity))]

    assert taken == [Severity.CRITICAL, Severity.ERROR]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_what_goes_out_is_one_readable_line_within_pagerdutys_limits(
    fake: FakePagerDuty, channel: PagerDuty, text: str
) -> None:
    about = incident(title=text, service=text, truncated=900)

    channel.deliver(page(EventType.OPENED, about, said=text, lines=(text,) * 200))

    summary = fake.alerts[0].summary
    assert len(summary) <= 1024
    assert summary.endswith(" (3 firing)")
    assert "\u202e" not in json.dumps(fake.story[0].event, ensure_ascii=False)
    assert "\x00" not in summary
    assert fake.story[0].event["payload"]["custom_details"]["alerts not sent by the source"] == 900


def test_a_link_that_is_no_web_address_is_left_out(fake: FakePagerDuty, channel: PagerDuty) -> None:
    told = page(EventType.OPENED)
    bare = Notification(
        key="k",
        kind=told.kind,
        incident=told.incident,
        event=told.event,
        card=Card(title="t", link="javascript:alert(1)"),
        ref=None,
        due_at=told.due_at,
    )

    channel.deliver(bare)

    assert fake.story[0].event.keys() == {"routing_key", "event_action", "dedup_key", "payload", "client"}


def test_four_threads_page_at_once_each_over_its_own_connection(fake: FakePagerDuty, channel: PagerDuty) -> None:
    pages = [page(EventType.OPENED, incident(id=number, key=f"group {number}")) for number in range(40)]
    meeting = threading.Barrier(channel.threads)

    def deliver(some: list[Notification]) -> list[str]:
        meeting.wait(60)
        return [channel.deliver(one) for one in some]

    with ThreadPoolExecutor(channel.threads) as pool:
        refs = [ref for some in pool.map(deliver, (pages[at::4] for at in range(4))) for ref in some]

    assert sorted(refs) == sorted(told.key for told in fake.story)
    assert len(set(refs)) == 40
    assert len(channel._open_sessions) == channel.threads


def test_the_limit_it_declares_is_never_over_pagerdutys(channel: PagerDuty) -> None:
    (limit,) = channel.limits

    assert limit.count <= 120
    assert limit.per > timedelta(seconds=60)


def test_the_fake_refuses_the_event_over_the_limit() -> None:
    with FakePagerDuty(per_minute=3) as fake:
        channel = PagerDuty(section(fake))
        for _ in range(3):
            channel.deliver(page(EventType.OPENED))

        with pytest.raises(Undelivered) as over:
            channel.deliver(page(EventType.OPENED))
        channel.stop()

    assert over.value.retry_after == timedelta(seconds=30)
    assert fake.window.refused == 1
    assert fake.became() == ["opened", "folded", "folded"]


def test_a_login_in_netrc_is_not_used_and_its_file_not_opened(
    fake: FakePagerDuty, channel: PagerDuty, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password x\n")
    monkeypatch.setenv("NETRC", str(netrc))

    channel.deliver(page(EventType.OPENED))

    assert "authorization" not in fake.received[0].headers


@pytest.mark.parametrize(("direct", "arrives"), [("", False), ("127.0.0.1", True)])
def test_the_proxy_of_the_environment_is_used_but_for_what_is_excepted(
    fake: FakePagerDuty,
    channel: PagerDuty,
    monkeypatch: pytest.MonkeyPatch,
    direct: str,
    arrives: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("no_proxy", direct)

    with nullcontext() if arrives else pytest.raises(Undelivered, match="did not answer"):
        channel.deliver(page(EventType.OPENED))

    assert bool(fake.became()) == arrives


def test_a_last_page_that_failed_is_unhealthy_until_one_arrives(fake: FakePagerDuty, channel: PagerDuty) -> None:
    fake.answer_next(status=503)

    with pytest.raises(Undelivered) as failed:
        channel.deliver(page(EventType.OPENED))
    ill = channel.health_problem()
    channel.deliver(page(EventType.OPENED))

    assert ill == failed.value.message
    assert channel.health_problem() is None


def paged(*alerts: AlertView) -> Notification:
    card = incident_card(ONE, SETTINGS, channel="pagerduty", alerts=alerts)
    event = Event(incident_id=ONE.id, at=NOW, type=EventType.OPENED, by="alertmanager", text=ONE.title)
    return Notification(
        key="1", kind=MessageKind.PAGE, incident=ONE, event=event, card=card, ref=None, due_at=NOW, alerts=alerts
    )


def test_a_page_says_who_owns_its_service_and_not_what_a_label_says(fake: FakePagerDuty, channel: PagerDuty) -> None:
    known = Catalog(services=(Service(name="shop", owner="team web", runbooks=("https://wiki.example.com/shop",)),))
    labelled = structs.replace(pod(0), labels={"alertname": "Down", "owner": "somebody"}, notes={})
    for service in ("shop", None):
        about = structs.replace(ONE, service=service)
        card = incident_card(about, CardSettings(catalog=known), alerts=[labelled])
        channel.deliver(dataclasses.replace(paged(labelled), incident=about, card=card))

    owned, unowned = (one.event for one in fake.story)
    assert owned["payload"]["custom_details"]["owner"] == "team web"
    assert {"href": "https://wiki.example.com/shop", "text": "Runbook"} in owned["links"]
    assert "owner" not in unowned["payload"]["custom_details"]


def test_a_page_says_where_it_is_and_what_the_alert_says(fake: FakePagerDuty, channel: PagerDuty) -> None:
    channel.deliver(paged(pod(0)))

    sent = fake.story[0].event
    assert sent["payload"]["summary"] == "KubePodCrashLooping payments/cart-0: Pod is crash looping."
    fields = {name: sent["payload"][name] for name in ("source", "component", "group", "class", "severity")}
    assert fields == {
        "source": "payments/cart-0",
        "component": "payments",
        "group": "payments",
        "class": "KubePodCrashLooping",
        "severity": "critical",
    }
    details = sent["payload"]["custom_details"]
    assert details["description"] == "Container app restarts every 40 s."
    assert details["labels"] == dict(pod(0).labels)
    assert details["annotations"] == dict(pod(0).notes)
    assert details["on call"] == ["Ana Lima"]
    assert sent["links"] == [
        {"href": "https://runbooks.example.com/loop", "text": "Runbook"},
        {"href": f"https://vakhta.example/incidents/7?mark={ONE.mark}", "text": "Incident 7"},
    ]


def test_a_page_takes_the_order_of_places_from_the_settings(fake: FakePagerDuty, channel: PagerDuty) -> None:
    racked = structs.replace(pod(0), labels={**pod(0).labels, "rack": "r7"})

    channel.deliver(dataclasses.replace(paged(racked), place_order=("rack", "namespace")))

    assert fake.story[0].event["payload"]["source"] == "payments r7"


def test_the_class_of_a_page_is_the_name_of_the_alert_also_without_an_alertname(
    fake: FakePagerDuty, channel: PagerDuty
) -> None:
    unnamed = structs.replace(pod(0), labels={"rulename": "Checkout errors", "namespace": "payments"})

    channel.deliver(paged(unnamed))

    assert fake.story[0].event["payload"]["class"] == "Checkout errors"


def test_labels_and_annotations_of_a_page_are_bounded(fake: FakePagerDuty, channel: PagerDuty) -> None:
    wordy = structs.replace(
        pod(0), notes={f"note {n}": "\x07" * n + "ы" * 4096 for n in range(64)}, labels={"l" * 500: "v" * 1024}
    )

    channel.deliver(paged(wordy))

    details = fake.story[0].event["payload"]["custom_details"]
    assert len(details["annotations"]) == 30
    assert {len(text) for text in details["annotations"].values()} == {500}
    assert [(len(name), len(text)) for name, text in details["labels"].items()] == [(100, 500)]


def test_a_board_that_its_reader_cannot_open_is_no_link_of_a_page(fake: FakePagerDuty, channel: PagerDuty) -> None:
    card = Card(title="t", link="http://127.0.0.1:8080/incidents/42")

    channel.deliver(dataclasses.replace(page(EventType.OPENED), card=card))

    assert fake.story[0].event.keys() & {"client_url", "links"} == set()
