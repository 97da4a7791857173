"""Who may send alerts and how, over real HTTP; the numbers are the rows of the bad-input table."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.alerts.intake import NotStored
from bot.core.errors import Rejected
from bot.web.content_encoding import inflate
from tests.alerts.alerts_of import body
from tests.web.edge_house import NEXT_TOKEN, OTHER_TOKEN, TOKEN, Answer, EdgeHouse
from tests.web.web_house import wait_for

pytestmark = pytest.mark.waits

AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
HEAD = b"POST /alerts/alertmanager HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module", params=[True, False], ids=["in one go", "head, then body"])
def running(request: pytest.FixtureRequest) -> Iterator[EdgeHouse]:
    with EdgeHouse(in_one_go=request.param) as house:
        yield house


@pytest.fixture
def edge(running: EdgeHouse) -> EdgeHouse:
    """The running edge with an empty ledger."""
    fresh = type(running.ledger)()
    vars(running.ledger).update(vars(fresh))
    return running


def test_a_delivery_is_answered_with_what_became_of_it(edge: EdgeHouse) -> None:
    answer = edge.post(body())

    assert answer.status == 200
    assert answer.said == {"accepted": 1, "status": "accepted", "incidents": [1], "flags": []}
    assert edge.ledger.taken[0].body == body()


def test_nothing_is_answered_before_the_commit(edge: EdgeHouse) -> None:
    edge.ledger.held = []
    answers: list[Answer] = []
    sender = threading.Thread(target=lambda: answers.append(edge.post(body())))
    sender.start()
    wait_for(lambda: edge.ledger.held)
    early = list(answers)

    edge.ledger.held[0]()
    sender.join(60)

    assert early == []
    assert [answer.status for answer in answers] == [200]


@pytest.mark.parametrize("sent", [None, "", "Basic dTpw", TOKEN])
def test_row_1_without_a_bearer_token(edge: EdgeHouse, sent: str | None) -> None:
    answer = edge.post(body(), {"Authorization": sent})

    assert (answer.status, answer.error["code"]) == (401, "auth_required")
    assert answer.error["message"].startswith("Send the receiver's bearer token")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert edge.ledger.alarms == [("alertmanager", "auth_required")]
    assert (edge.ledger.taken, edge.ledger.kept) == ([], [])


@pytest.mark.parametrize("token", ["revoked-token-0123", TOKEN[:-1], f"{TOKEN}x", "", "\xff"])
def test_row_2_with_a_wrong_token(edge: EdgeHouse, token: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = edge.post(body(), {"Authorization": f"Bearer {token}"})

    assert (answer.status, answer.error["code"]) == (401, "auth_invalid")
    assert "revoked" not in answer.body.decode() + caplog.text
    assert edge.ledger.alarms == [("alertmanager", "auth_invalid")]
    assert edge.ledger.addresses == ["127.0.0.1"]
    assert (edge.ledger.taken, edge.ledger.kept) == ([], [])


def test_row_3_with_a_token_of_another_receiver(edge: EdgeHouse) -> None:
    answer = edge.post(body(), {"Authorization": f"Bearer {OTHER_TOKEN}"})

    assert (answer.status, answer.error["code"]) == (403, "wrong_receiver")
    assert edge.ledger.alarms == [("alertmanager", "wrong_receiver")]
    assert edge.ledger.taken == []


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"Bearer {NEXT_TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_two_tokens_are_valid_at_once(edge: EdgeHouse, given: str) -> None:
    assert edge.post(body(), {"Authorization": given}).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_row_4_another_method(edge: EdgeHouse, method: str) -> None:
    answer = edge.send(method, "/alerts/alertmanager")

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", ["text/xml", "application/x-www-form-urlencoded", "application/jsonp"])
def test_row_5_another_kind_is_kept_and_refused(edge: EdgeHouse, kind: str) -> None:
    answer = edge.post(b"<alerts/>", {"Content-Type": kind})

    assert (answer.status, answer.error["code"]) == (415, "unsupported_type")
    assert "must be application/json" in answer.error["message"]
    assert "add -H 'Content-Type: application/json'." in answer.error["message"]
    assert edge.ledger.kept == [("alertmanager", b"<alerts/>", "unsupported_type")]


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.am+json", None]
)
def test_json_by_its_other_names_is_taken(edge: EdgeHouse, kind: str | None) -> None:
    assert edge.post(body(), {"Content-Type": kind}).status == 200


def test_row_6_a_gzip_bomb_is_kept_as_it_came_and_refused(edge: EdgeHouse) -> None:
    bomb = gzip.compress(b"0" * 2**24 + b"00", 9)

    answer = edge.post(bomb, {"Content-Encoding": "gzip"})

    assert (answer.status, answer.error["code"]) == (413, "too_large")
    assert edge.ledger.kept == [("alertmanager", bomb, "too_large")]


def test_row_6_no_more_of_a_bomb_is_held_than_the_limit() -> None:
    bomb = gzip.compress(bytes(2**24), 9)
    tracemalloc.start()
    try:
        with pytest.raises(Rejected):
            inflate(bomb, 2**16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 2**20


@pytest.mark.parametrize("parts", [1, 2])
def test_a_gzip_body_is_read_also_in_members(edge: EdgeHouse, parts: int) -> None:
    sent = body()
    cut = len(sent) // parts
    packed = gzip.compress(sent[:cut]) + (gzip.compress(sent[cut:]) if parts > 1 else b"")

    assert edge.post(packed, {"Content-Encoding": "gzip"}).said["accepted"] == 1


@pytest.mark.parametrize(
    ("sent", "coding", "status", "code"),
    [
        (b"not gzip", "gzip", 400, "bad_encoding"),
        (gzip.compress(body())[:-9], "gzip", 400, "bad_encoding"),
        (gzip.compress(body()) + b"more", "gzip", 400, "bad_encoding"),
        (body(), "br", 415, "unsupported_encoding"),
    ],
    ids=["no gzip", "cut off", "more after it", "unknown coding"],
)
def test_a_coding_that_does_not_hold_is_kept(edge: EdgeHouse, sent: bytes, coding: str, status: int, code: str) -> None:
    answer = edge.post(sent, {"Content-Encoding": coding})

    assert (answer.status, answer.error["code"]) == (status, code)
    assert edge.ledger.kept == [("alertmanager", sent, code)]


@pytest.mark.parametrize("chunked", [False, True])
def test_row_7_17_mib_are_refused_in_words_and_the_head_is_kept(edge: EdgeHouse, chunked: bool) -> None:  # noqa: FBT001
    sent = b"x" * (17 * 2**20)
    coding = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(sent)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent) if chunked else sent

    heard = edge.speak(HEAD + AUTH + b"Connection: close\r\n" + coding, framed)

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"The limit of the body is 16 MiB" in heard
    assert b"max_alerts" in heard
    assert edge.ledger.kept == [("alertmanager", b"x" * 65536, "too_large")]


def test_16_mib_are_read(edge: EdgeHouse) -> None:
    sent = body(extra="x" * (16 * 2**20 - len(body(extra=""))))

    answer = edge.post(sent)

    assert len(sent) == 16 * 2**20
    assert answer.said["accepted"] == 1


@pytest.mark.parametrize("arrived", [b"", b"{"])
def test_row_8_a_body_that_stalls(arrived: bytes) -> None:
    with EdgeHouse(within=timedelta(seconds=1)) as edge:
        heard = edge.speak(HEAD + AUTH + b"Content-Length: 10\r\n\r\n" + arrived)
        after = edge.post(body())

    assert heard.startswith(b"HTTP/1.1 503 ")  # a 4xx is final for Alertmanager, and it may be we who were slow
    assert b'"too_slow"' in heard
    assert b"retry-after: 5" in heard
    assert b"connection: close" in heard
    assert after.status == 200
    assert len(edge.ledger.taken) == 1


def test_a_sender_that_hangs_up_is_forgotten(edge: EdgeHouse) -> None:
    with socket.create_connection(("127.0.0.1", edge.port)) as line:
        line.sendall(HEAD + AUTH + b"Content-Length: 10\r\n\r\n{")

    answer = edge.post(body())

    assert answer.status == 200
    assert len(edge.ledger.taken) == 1
    assert edge.ledger.kept == []


@pytest.mark.parametrize("sent", [body(), b"{"])
def test_row_38_what_could_not_be_stored_is_503_and_nothing_else(edge: EdgeHouse, sent: bytes) -> None:
    edge.ledger.broken = OSError("disk full at /var/lib/secret-place")

    answer = edge.post(sent)

    assert (answer.status, answer.error["code"]) == (503, "not_stored")
    assert answer.headers["retry-after"] == "5"
    assert "secret-place" not in answer.body.decode()


@pytest.mark.parametrize("sent", [body(), b"{"])
@pytest.mark.parametrize(("trouble", "traces"), [(NotStored("disk full"), 0), (ZeroDivisionError(), 1)])
def test_trouble_of_the_database_is_told_in_one_line_and_a_fault_of_ours_with_its_trace(
    edge: EdgeHouse, caplog: pytest.LogCaptureFixture, sent: bytes, trouble: Exception, traces: int
) -> None:
    edge.ledger.broken = trouble

    answer = edge.post(sent)

    told = [record for record in caplog.records if record.name == "bot.web.alerts"]
    assert (answer.status, answer.error["code"]) == (503, "not_stored")
    assert [record.levelname for record in told] == ["ERROR" if traces else "WARNING"]
    assert sum(record.exc_info is not None for record in told) == traces
    assert [vars(record)["request_id"] for record in told] == [answer.error["request_id"]]


def test_what_is_refused_can_be_found_in_the_log(edge: EdgeHouse, caplog: pytest.LogCaptureFixture) -> None:
    answer = edge.post(b"{")

    told = [vars(record)["request_id"] for record in caplog.records if record.msg == "delivery kept unread"]
    assert told == [answer.error["request_id"]]


def test_a_bug_in_a_source_costs_no_page(edge: EdgeHouse) -> None:
    answer = edge.post(body(), path="/alerts/clumsy")

    assert (answer.status, answer.error["code"]) == (422, "not_read")
    assert "ZeroDivisionError" not in answer.body.decode()
    assert edge.ledger.kept == [("clumsy", body(), "not_read")]


@pytest.mark.parametrize(
    "head",
    [
        b"Host: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Host: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n",
        b"Host: localhost\r\nX: " + b"a" * 65536 + b"\r\nContent-Length: 0\r\n",
        b"Host: local host\r\nContent-Length: 0\r\n",
        b"Host: a\r\nHost: b\r\nContent-Length: 0\r\n",
        b"Content-Length: 0\r\n",
    ],
)
def test_row_82_a_head_that_can_be_read_in_two_ways(edge: EdgeHouse, head: bytes) -> None:
    heard = edge.speak(b"POST /alerts/alertmanager HTTP/1.1\r\n" + AUTH + head + b"\r\n")

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert (edge.ledger.taken, edge.ledger.kept) == ([], [])


def test_row_82_a_spoofed_forwarded_header_opens_no_door(edge: EdgeHouse) -> None:
    spoofed = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "admin", "Authorization": None}

    assert edge.post(body(), spoofed).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/alerts/",
        "/alerts/nagios",
        "/alerts/alertmanager/",
        "/alerts/alertmanager/..%2f",
        "/alerts/%00",
        "/alerts/../in",
    ],
)
def test_row_83_an_unknown_path_tells_no_routes(edge: EdgeHouse, path: str) -> None:
    answer = edge.post(body(), path=path)

    assert (answer.status, answer.error["code"]) == (404, "not_found")
    assert "alertmanager" not in answer.body.decode()


def test_the_senders_request_id_is_repeated_only_when_it_is_one(edge: EdgeHouse) -> None:
    good = edge.post(b"{", {"X-Request-Id": "run-42_a"})
    bad = edge.post(b"{", {"X-Request-Id": "<script>"})

    assert good.error["request_id"] == "run-42_a"
    assert len(bad.error["request_id"]) == 16


def test_one_connection_carries_many_deliveries_also_after_a_refusal(edge: EdgeHouse) -> None:
    good = HEAD + AUTH + b"Content-Length: %d\r\n\r\n" % len(body()) + body()
    bad = HEAD + AUTH + b"Content-Length: 1\r\n\r\n{"

    heard = edge.speak(good, bad, good.replace(b"Host:", b"Connection: close\r\nHost:"))

    assert re.findall(rb"HTTP/1\.1 (\d+)", heard) == [b"200", b"400", b"200"]
    assert json.loads(heard.rpartition(b"\r\n")[2])["status"] == "duplicate"


def test_a_refused_sender_may_go_on_with_the_right_token_on_the_same_connection(edge: EdgeHouse) -> None:
    long = b" " * 2**20
    bad = HEAD + b"Authorization: Bearer no\r\nContent-Length: %d\r\n\r\n" % len(long) + long
    good = HEAD + AUTH + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body()) + body()

    heard = edge.speak(bad, good)

    assert re.findall(rb"HTTP/1\.1 (\d+)", heard) == [b"401", b"200"]
