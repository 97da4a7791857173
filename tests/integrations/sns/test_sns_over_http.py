"""Amazon SNS to committed incidents: the whole bot over HTTP, AWS on a loopback port, and nothing else left out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from bot.app import build_sources
from bot.app.bot import Bot
from bot.app.build import build_alert_rules
from bot.config.settings import Settings
from bot.core.alert import AlertBatch, Severity
from bot.integrations.sns.source import SnsSource
from bot.web import sender_verification
from tests.alerts.alerts_of import body as alertmanagers_body
from tests.fakes.sns import STRANGER, TOPIC, FakeSns, alarm, letter, signed, unsigned
from tests.house import NOON, House
from tests.web.web_house import wait_for

SENDER_TOKEN = "the-token-of-alertmanagers-32-by"
#: As SNS sends them, whatever is inside.
HEADERS = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}


@pytest.fixture(scope="module")
def amazon() -> Iterator[FakeSns]:
    with FakeSns() as fake:
        yield fake


@pytest.fixture(scope="module")
def bot(amazon: FakeSns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    folder = tmp_path_factory.mktemp("sns")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_sources, "_fetch_certificate", amazon.fetch)
        patch.setenv("AWS_ENDPOINT_URL_SNS", amazon.url)
        made = Bot(_settings(folder, {"topics": [TOPIC], "severity": {"alarms/*": "critical"}}))
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _settings(folder: Path, sns: dict[str, Any] | None) -> Settings:
    return Settings.model_validate(
        {
            "server": {"listen": "127.0.0.1:0"},
            "store": {"url": f"sqlite:///{folder}/vakhta.db"},
            "sources": {"alertmanager": {"tokens": [SENDER_TOKEN]}, "sns": sns},
        }
    )


@pytest.fixture(scope="module")
def http(bot: Bot) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=bot.web.url(), trust_env=False, timeout=60) as client:
        yield client


Post = Callable[..., httpx.Response]


@pytest.fixture
def post(http: httpx.Client, amazon: FakeSns) -> Post:
    """Send one message; what the fakes have heard before is forgotten."""
    amazon.received.clear()
    amazon.confirmed.clear()

    def posted(body: bytes, **headers: str) -> httpx.Response:
        return http.post("/alerts/sns", content=body, headers=HEADERS | headers)

    return posted


def incidents(http: httpx.Client, title: str) -> list[dict[str, Any]]:
    found = http.get("/api/incidents", params={"limit": 200}).json()["incidents"]
    return [one for one in found if title in one["title"]]


def kept(bot: Bot) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(str(bot.store.url.database))) as database:
        return database.execute("SELECT source, code, why FROM quarantine ORDER BY id").fetchall()


def code_of(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "request_id"}
    return str(error["code"])


def refusals(bot: Bot) -> float:
    return bot.meters.registry.get_sample_value("vakhta_auth_failures_total", {"place": "sns"}) or 0.0


def test_an_alarm_opens_an_incident_and_its_ok_resolves_it(post: Post, http: httpx.Client) -> None:
    now = datetime.now(UTC)

    fired = post(letter(Message=alarm(at=now, name="checkout-5xx")))
    opened = incidents(http, "checkout-5xx")
    ended = post(letter(Message=alarm("OK", at=now + timedelta(minutes=1), name="checkout-5xx")))

    assert (fired.status_code, ended.status_code) == (200, 200)
    assert [(one["status"], one["severity"], one["source"]) for one in opened] == [("open", "critical", "sns")]
    assert [one["status"] for one in incidents(http, "checkout-5xx")] == ["resolved"]


def test_a_message_that_comes_twice_is_a_duplicate(post: Post, http: httpx.Client) -> None:
    body = letter(Message="Backup failed", Subject="Nightly backup")

    codes = [post(body).json()["status"] for _ in range(3)]

    assert codes == ["accepted", "duplicate", "duplicate"]
    assert len(incidents(http, "Nightly backup ")) == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"}, "foreign_certificate"),
        ({"SigningCertURL": "https://sns.s3.amazonaws.com/evil.pem"}, "foreign_certificate"),
        ({"SignatureVersion": "1"}, "old_signature"),
        ({"TopicArn": STRANGER}, "topic_not_listed"),
    ],
)
def test_row_80_what_cannot_be_genuine_is_403_and_no_certificate_is_fetched(
    bot: Bot, amazon: FakeSns, post: Post, changed: dict[str, str], code: str
) -> None:
    before, quarantined = refusals(bot), kept(bot)

    answer = post(signed({**unsigned(), **changed}))

    assert (answer.status_code, code_of(answer)) == (403, code)
    assert amazon.received == []
    assert refusals(bot) == before + 1
    assert kept(bot) == quarantined


@pytest.mark.parametrize("kind", ["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_what_somebody_else_has_signed_is_403_and_nothing_of_it_is_kept(
    bot: Bot, amazon: FakeSns, post: Post, kind: str
) -> None:
    quarantined = kept(bot)

    answer = post(letter(kind, by="mallory", TopicArn=STRANGER if kind.startswith("Sub") else TOPIC))

    assert (answer.status_code, code_of(answer)) == (403, "forged")
    assert amazon.confirmed == []
    assert kept(bot) == quarantined


def test_row_81_a_topic_that_is_not_listed_is_202_kept_told_and_not_confirmed(
    bot: Bot, amazon: FakeSns, post: Post, http: httpx.Client
) -> None:
    body = letter("SubscriptionConfirmation", TopicArn=STRANGER)

    answer = post(body)
    again = post(body)

    assert (answer.status_code, again.status_code) == (202, 202)
    assert amazon.confirmed == []
    (row,) = [row for row in kept(bot) if row[1] == "topic_not_listed"]
    assert row[0] == "sns"
    assert STRANGER in row[2]
    (told,) = incidents(http, "SnsNotListed")
    assert STRANGER in told["title"]
    assert told["status"] == "open"


def test_a_listed_topic_is_confirmed_and_its_end_is_told_until_it_comes_back(
    amazon: FakeSns, post: Post, http: httpx.Client
) -> None:
    now = datetime.now(UTC)

    first = post(letter("SubscriptionConfirmation", at=now - timedelta(minutes=3)))
    gone = post(letter("UnsubscribeConfirmation", at=now - timedelta(minutes=2)))
    told = incidents(http, "SnsUnsubscribed")
    back = post(letter("SubscriptionConfirmation", at=now))

    assert [one.status_code for one in (first, gone, back)] == [200, 200, 200]
    assert amazon.confirmed == [TOPIC, TOPIC]
    assert [(one["status"], one["severity"]) for one in told] == [("open", "error")]
    assert [one["status"] for one in incidents(http, "SnsUnsubscribed")] == ["resolved"]


def test_a_confirmation_that_does_not_work_is_503_so_that_it_comes_again(amazon: FakeSns, post: Post) -> None:
    amazon.answer_next(status=500, path="/", times=2)

    answer = post(letter("SubscriptionConfirmation"))

    assert (answer.status_code, code_of(answer)) == (503, "not_confirmed")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("given", ["application/json", "text/plain", "image/png", ""])
def test_whatever_the_headers_say_the_message_is_what_counts(post: Post, given: str) -> None:
    headers = {"Content-Type": given, "Content-Encoding": "br", "Authorization": f"Bearer {SENDER_TOKEN}"}

    answers = [post(letter(), **headers).status_code, post(letter(by="mallory"), **headers).status_code]

    assert answers == [200, 403]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"Type": "Notification"}', b"\xff", b"[" * 100_000])
def test_what_is_no_message_is_refused_and_not_kept(bot: Bot, post: Post, body: bytes) -> None:
    quarantined = kept(bot)

    answer = post(body)

    assert 400 <= answer.status_code < 500
    assert code_of(answer)
    assert kept(bot) == quarantined


def test_a_body_beyond_all_that_sns_sends_is_413_and_not_kept(bot: Bot, post: Post) -> None:
    quarantined = kept(bot)

    answer = post(letter(Message="x" * sender_verification.MOST))

    assert (answer.status_code, code_of(answer)) == (413, "too_large")
    assert kept(bot) == quarantined


def test_the_largest_message_of_sns_fits(post: Post) -> None:
    answer = post(letter(Message="\x01" * 256 * 1024, Subject="large"))

    assert answer.status_code == 200


def test_a_message_that_the_bot_cannot_read_by_a_fault_of_its_own_is_kept(
    bot: Bot, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SnsSource, "read", lambda self, headers, body: 1 / 0)

    answer = post(letter())

    assert (answer.status_code, code_of(answer)) == (422, "not_read")
    assert kept(bot)[-1][:2] == ("sns", "not_read")


@pytest.mark.parametrize("sns", [None, {}, {"topics": []}])
def test_without_topics_there_is_no_such_address(tmp_path: Path, sns: dict[str, Any] | None) -> None:
    made = Bot(_settings(tmp_path, sns))
    made.start()
    try:
        answer = httpx.post(f"{made.web.url()}/alerts/sns", content=letter(), trust_env=False)
    finally:
        made.stop()

    assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_while_a_certificate_is_waited_for_others_are_answered_and_strangers_do_not_pile_up(
    tmp_path: Path, amazon: FakeSns, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = Event(), Event()

    def fetch(address: str) -> bytes:
        asked.set()
        assert go_on.wait(60)
        return amazon.fetch(address)

    monkeypatch.setattr(build_sources, "_fetch_certificate", fetch)
    monkeypatch.setattr(sender_verification, "_MOST_WAITING", 6)
    amazon.received.clear()
    made = Bot(_settings(tmp_path, {"topics": [TOPIC]}))
    made.start()
    try:
        with httpx.Client(base_url=made.web.url(), trust_env=False, timeout=60) as http, ThreadPoolExecutor(6) as six:
            waiting = [six.submit(http.post, "/alerts/sns", content=letter()) for _ in range(6)]
            wait_for(lambda: made._alerts._verifiers._waiting == 6 and asked.is_set())
            one_more = http.post("/alerts/sns", content=letter())
            token = {"Authorization": f"Bearer {SENDER_TOKEN}", "Content-Type": "application/json"}
            other = http.post("/alerts/alertmanager", content=alertmanagers_body(), headers=token)
            early = [one.done() for one in waiting]
            go_on.set()
            answers = [one.result(60).status_code for one in waiting]
    finally:
        go_on.set()
        made.stop()

    assert other.status_code == 200
    assert (one_more.status_code, code_of(one_more)) == (503, "busy")
    assert early == [False] * 6
    assert answers == [200] * 6
    assert amazon.fetched() == 1


def test_a_message_of_sns_never_goes_the_short_way(bot: Bot) -> None:
    headers = {b"authorization": f"Bearer {SENDER_TOKEN}".encode(), b"content-type": b"application/json"}

    assert bot._alerts.read_ordinary("/alerts/sns", headers, letter()) is None
    assert bot._alerts.read_ordinary("/alerts/sns", {}, letter()) is None
    assert bot._alerts.read_ordinary("/alerts/alertmanager", headers, alertmanagers_body()) is not None


def test_without_an_alertmanager_a_severity_is_what_it_says() -> None:
    rules = build_alert_rules(Settings.model_validate({"sources": {"sns": {"topics": [TOPIC]}}}))

    assert [rules.severity({"severity": str(one)}) for one in Severity] == list(Severity)
    assert rules.severity({}) is Severity.WARNING


def test_what_is_kept_beside_its_alert_is_kept_once_and_in_the_same_commit(house: House) -> None:
    body = json.dumps({**unsigned("SubscriptionConfirmation", TopicArn=STRANGER, at=NOON), "Signature": ""}).encode()
    told = SnsSource(lambda: NOON, topics=[TOPIC]).read({}, body)

    taken = house.hears_all(told, told)

    assert [one.code for one in taken] == ["accepted", "duplicate"]
    assert [one.title.partition(" ")[0] for one in house.incidents()] == ["SnsNotListed"]
    with house.store.read() as reading:
        assert reading.sql.scalar("SELECT count(*) FROM quarantine WHERE code = 'topic_not_listed'") == 1


def of(message: str, number: int) -> AlertBatch:
    fields = unsigned(Message=message, at=NOON, MessageId=f"m-{number}")
    return SnsSource(lambda: NOON, topics=[TOPIC]).read({}, json.dumps({**fields, "Signature": ""}).encode())


def test_an_alarm_that_comes_an_hour_after_its_end_stays_ended(house: House) -> None:
    fired, ended = (of(alarm(state, at=NOON + timedelta(minutes=at)), at) for state, at in (("ALARM", 0), ("OK", 2)))

    house.hears_all(ended)
    house.clock.pass_by(minutes=55)
    house.hears_all(fired)
    house.clock.pass_by(minutes=30)
    house.watch.accept_doubted_alerts()

    assert [(one.status, one.firing) for one in house.incidents()] == [("resolved", 0)]


def test_a_copy_of_what_a_person_has_resolved_does_not_open_it_again(house: House) -> None:
    message = of("Backup failed", 1)
    house.hears_all(message)
    house.says("resolve 1")
    house.clock.pass_by(minutes=30)

    (taken,) = house.hears_all(message)

    assert taken.code == "duplicate"
    assert [one.status for one in house.incidents()] == ["resolved"]
