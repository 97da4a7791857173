"""The heads that are refused because programs could parse them differently, and the split of a connection's bytes."""

from __future__ import annotations

import h11
import pytest

from bot.web.framing import HOSTS, LENGTHS, MOST_HEAD, NOT_HTTP, TOO_LARGE, TRAILERS, TWICE, StrictParser, fault_of

HEAD = b"POST /alerts/alertmanager HTTP/1.1\r\nHost: a:8080\r\nContent-Length: 2"


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        HEAD + b"\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB",
        HEAD + b"\r\nAuthorization: Bearer a",
        HEAD + b"\r\na:" * 98,
        HEAD + b"\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8",
        HEAD + b"\r\nX-Name: caf\xc3\xa9\ttab\r\nX-Empty:\r\nX-None: ",
        b"GET /livez?a=%20#b HTTP/1.1\r\nhOST:[::1]:80 ",
        b"GET /livez HTTP/1.0",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked",
    ],
)
def test_what_everybody_reads_in_one_way_is_taken(head: bytes) -> None:
    assert fault_of(head) is None


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", NOT_HTTP),
        (b"\r\n" + HEAD, NOT_HTTP),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/2.0"), NOT_HTTP),
        (HEAD.replace(b"HTTP/1.1", b"HTTP/1.2"), NOT_HTTP),
        (HEAD.replace(b"HTTP/1.1", b"http/1.1"), NOT_HTTP),
        (HEAD.replace(b" HTTP/1.1", b""), NOT_HTTP),
        (HEAD.replace(b"POST ", b"POST  "), NOT_HTTP),
        (HEAD.replace(b"POST", b"CONNECT"), NOT_HTTP),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443", NOT_HTTP),
        (HEAD.replace(b"/alerts", b"http://a:8080/alerts"), NOT_HTTP),
        (HEAD.replace(b"/alerts", b"http://b/alerts"), NOT_HTTP),
        (HEAD.replace(b"/alerts", b"alerts"), NOT_HTTP),
        (b"OPTIONS * HTTP/1.1\r\nHost: a", NOT_HTTP),
        (HEAD.replace(b"/alerts", b"/\xc3\xa9"), NOT_HTTP),
        (HEAD.replace(b"\r\nContent", b"\r\n Content"), NOT_HTTP),
        (HEAD.replace(b"\r\nContent", b"\r\n\tContent"), NOT_HTTP),
        (HEAD.replace(b"\r\nContent", b"\nContent"), NOT_HTTP),
        (HEAD.replace(b"\r\nContent", b"\rContent"), NOT_HTTP),
        (HEAD.replace(b"Content-Length:", b"Content-Length :"), NOT_HTTP),
        (HEAD.replace(b"Content-Length:", b"Content-Length"), NOT_HTTP),
        (HEAD.replace(b"Content-Length:", b":"), NOT_HTTP),
        (HEAD + b"\r\nX: a\x00b", NOT_HTTP),
        (HEAD + b"\r\nX: a\x0bb", NOT_HTTP),
        (HEAD + b"\r\nX: a\x7f", NOT_HTTP),
        (HEAD + b"\r\nX\x00: a", NOT_HTTP),
        (HEAD + b"\r\nTransfer-Encoding: chunked", LENGTHS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", LENGTHS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity", LENGTHS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked", NOT_HTTP),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:", LENGTHS),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked", LENGTHS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", TWICE),
        (HEAD + b"\r\nContent-Length: 2", TWICE),
        (HEAD + b"\r\ncontent-length: 3", TWICE),
        (HEAD + b", 2", LENGTHS),
        (HEAD.replace(b": 2", b": +2"), LENGTHS),
        (HEAD.replace(b": 2", b": -2"), LENGTHS),
        (HEAD.replace(b": 2", b": 0x2"), LENGTHS),
        (HEAD.replace(b": 2", b": 2_0"), LENGTHS),
        (HEAD.replace(b": 2", b": "), LENGTHS),
        (HEAD.replace(b": 2", b": " + b"9" * 16), LENGTHS),
        (HEAD + b"\r\nAuthorization: Bearer a\r\nauthorization: Bearer b", TWICE),
        (HEAD + b"\r\nContent-Type: a\r\nContent-Type: b", TWICE),
        (HEAD + b"\r\nContent-Encoding: gzip\r\nContent-Encoding: br", TWICE),
        (HEAD + b"\r\nOrigin: http://a\r\nOrigin: http://b", TWICE),
        (HEAD + b"\r\nHost: a:8080", HOSTS),
        (HEAD.replace(b"Host: a:8080", b"Host: a, b"), HOSTS),
        (HEAD.replace(b"Host: a:8080", b"Host: a@b"), HOSTS),
        (HEAD.replace(b"Host: a:8080", b"X: a"), HOSTS),
        (b"GET /api HTTP/1.0", HOSTS),
        (HEAD + b"\r\na:" * 99, TOO_LARGE),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_why(head: bytes, why: str) -> None:
    assert fault_of(head) == why


def test_a_head_of_blanks_is_read_in_the_time_that_its_length_takes() -> None:
    blanks = HEAD + b"\r\nX: " + b" " * 30_000 + b"\x00" + b" " * 2_000

    assert fault_of(blanks) == NOT_HTTP  # minutes, where an expression tries each way to share out the blanks


def read(sent: bytes, *, piece: int = 65536) -> tuple[list[tuple[bytes, bytes]], StrictParser]:
    """(target, body) of each request, each answered at once, and the connection afterwards."""
    one, told, body = StrictParser(), [], b""
    for at in range(0, len(sent), piece):
        one.receive_data(sent[at : at + piece])
        one.grant()
        while True:
            event = one.next_event()
            if isinstance(event, h11.Request):
                target, body = event.target, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                told.append((target, body))
                one.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
                one.send(h11.EndOfMessage())
                if one.their_state is not h11.DONE:
                    return told, one
                one.start_next_cycle()
            elif one.is_spent:
                one.grant()
            else:
                break
    return told, one


SMUGGLED = b"POST /console HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("piece", [1, 7, 65536])
@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Upgrade: websocket\r\n"])
def test_an_upgrade_is_ignored_and_the_body_is_as_long_as_it_says(piece: int, upgrade: bytes) -> None:
    body = b"\r\n" * 1000 + SMUGGLED
    head = b"POST /first HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n" % (upgrade, len(body))

    told, one = read(head + body + LAST, piece=piece)

    assert told == [(b"/first", body), (b"/last", b"")]
    assert not one.waits


@pytest.mark.parametrize("piece", [1, 65536])
def test_chunks_end_where_they_say_and_each_head_after_them_is_looked_at(piece: int) -> None:
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n"

    told, _ = read(chunked + LAST, piece=piece)
    with pytest.raises(h11.RemoteProtocolError, match=NOT_HTTP):
        read(chunked + LAST.replace(b"\r\nHost", b"\nHost"), piece=piece)

    assert told == [(b"/c", b"abc"), (b"/last", b"")]


@pytest.mark.parametrize("piece", [1, 2, 3, 65536])
@pytest.mark.parametrize("end", [b"0\r\n\n", b"0\r\nX: y\n\r\n", b"0\r\nX: y\r\n\n", b"0\r\nX: y\n\n"])
def test_chunks_end_with_whole_line_ends(piece: int, end: bytes) -> None:
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nc\r\n"

    told, _ = read(chunked + end.replace(b"\r", b"").replace(b"\n", b"\r\n") + LAST, piece=piece)
    with pytest.raises(h11.RemoteProtocolError, match=NOT_HTTP):
        read(chunked + end + LAST, piece=piece)

    assert told == [(b"/c", b"a\nc"), (b"/last", b"")]


def test_what_follows_the_last_request_is_nobodys() -> None:
    told, one = read(LAST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"\x00junk")

    assert told == [(b"/last", b"")]
    assert one.next_event() is h11.PAUSED


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"\x16\x03\x01", NOT_HTTP),
        (b"\r\n", NOT_HTTP),
        (b"GET / HTTP/1.1\nHost: a\n\n", NOT_HTTP),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MOST_HEAD, TOO_LARGE),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MOST_HEAD + b"\r\n\r\n", TOO_LARGE),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * MOST_HEAD * 2, TRAILERS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * MOST_HEAD * 2, TRAILERS),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", NOT_HTTP),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", NOT_HTTP),
    ],
)
def test_what_is_wrong_is_told_as_soon_as_it_is_there(sent: bytes, why: str) -> None:
    one = StrictParser()
    one.receive_data(sent)

    with pytest.raises(h11.RemoteProtocolError):
        [*iter(one.next_event, h11.NEED_DATA)]

    assert one.fault == why


@pytest.mark.parametrize("chunks", range(58, 68))
def test_after_a_body_that_took_all_of_a_turn_nothing_is_left_to_read(chunks: int) -> None:
    _, one = read(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * chunks + b"0\r\n\r\n"
    )
    one.grant()

    assert one.next_event() is h11.NEED_DATA
    assert not one.is_spent


def test_a_body_of_many_small_chunks_is_read_a_few_at_a_turn() -> None:
    one = StrictParser()
    chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 10_000
    one.receive_data(chunks)
    one.grant()
    read = 0
    while one.next_event() is not h11.PAUSED:
        read += 1

    assert one.is_spent
    assert read <= 64
    assert len(one.trailing_data[0]) > len(chunks) // 2
