"""The answer to each kind of body over real HTTP, without a database; the numbers are rows of the bad-input table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.alerts.alerts_of import alert, body
from tests.web.edge_house import EdgeHouse


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


def test_row_9_an_empty_body_is_kept_and_refused(edge: EdgeHouse) -> None:
    answer = edge.post(b"")

    assert (answer.status, answer.error["code"]) == (400, "empty_body")
    assert edge.ledger.kept == [("alertmanager", b"", "empty_body")]


@pytest.mark.parametrize(
    ("row", "sent", "status", "code"),
    [
        (10, b"{", 400, "bad_json"),
        (11, b"[]", 422, "not_an_object"),
        (12, b"[" * 100_000, 400, "too_deep"),
        (13, b'{"a":' + b"9" * 5000 + b"}", 400, "bad_number"),
        (14, b'{"a":NaN}', 400, "bad_number"),
        (15, body().decode().encode("utf-16"), 400, "bad_encoding"),
        (16, b'{"status":1,"status":2}', 400, "duplicate_key"),
        (17, body(version="3"), 422, "unsupported_version"),
        (19, body(alerts={}), 422, "bad_alerts"),
        (20, body(alert(status="pending")), 422, "bad_status"),
    ],
)
def test_rows_10_to_20_what_cannot_be_read_is_kept_before_it_is_refused(
    edge: EdgeHouse, row: int, sent: bytes, status: int, code: str
) -> None:
    answer = edge.post(sent)

    assert (answer.status, answer.error["code"]) == (status, code)
    assert edge.ledger.kept == [("alertmanager", sent, code)]


def test_row_18_no_alerts(edge: EdgeHouse) -> None:
    answer = edge.post(body(alerts=[]))

    assert answer.status == 200
    assert (answer.said["accepted"], answer.said["flags"]) == (0, ["no_alerts"])


def test_row_19_one_of_50_is_malformed(edge: EdgeHouse) -> None:
    fifty = [alert(fingerprint=f"{number:016x}") for number in range(49)]

    answer = edge.post(body(*fifty, alert(labels=3)))

    assert answer.status == 202
    assert answer.said["accepted"] == 49
    assert answer.said["rejected"] == [{"path": "alerts[49].labels", "message": "must be an object of texts."}]
    assert edge.ledger.kept == []


def test_row_25_a_replaced_time_is_told(edge: EdgeHouse) -> None:
    answer = edge.post(body(alert(startsAt="yesterday")))

    assert (answer.status, answer.said["flags"]) == (202, ["time_replaced"])


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        (21, body(status="resolved")),
        (22, body(alert(fingerprint=None))),
        (23, body(alert(labels={}))),
        (26, body().replace(b"api", b"\\u0000")),
        (27, body().replace(b"api", b"\\ud800")),
        (28, body(alert(labels={f"l{number}": "x" * 2**20 for number in range(8)}))),
        (29, body(alert(labels={"пример.метка": "🔥\u202e"}))),
        (30, body(alert(annotations={"summary": "<!channel> <@U1>"}))),
        (31, body(alert(annotations={"summary": "</b><script>"}))),
        (32, body(alert(annotations={"summary": "AKIAIOSFODNN7EXAMPLE"}))),
        (33, body(alert(generatorURL="javascript:alert(1)"))),
        (34, body(truncatedAlerts=900)),
        (37, body(groupKey=None)),
        (37, body(groupKey="k" * 2**20)),
        (39, body(alert(labels={"severity": "SEV0!!"}))),
    ],
)
def test_rows_21_to_39_what_can_be_mended_is_accepted(edge: EdgeHouse, row: int, sent: bytes) -> None:
    answer = edge.post(sent)

    assert (answer.status, answer.said["accepted"]) == (200, 1)


def test_row_35_the_same_body_three_times(edge: EdgeHouse) -> None:
    answers = [edge.post(body()) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [answer.said["status"] for answer in answers] == ["accepted", "duplicate", "duplicate"]


def test_row_36_an_end_of_what_never_began(edge: EdgeHouse) -> None:
    answer = edge.post(body(alert(status="resolved")))

    assert (answer.status, answer.said["status"]) == (200, "nothing_to_resolve")
