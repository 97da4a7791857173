"""The one caller of HTTP APIs: what it sends, and which of the three ways each call ends in."""

from __future__ import annotations

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr

from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.http import HttpApi
from tests.fakes.calls import Answer, Call
from tests.fakes.server import StrictServer
from tests.running import free_port

pytestmark = pytest.mark.waits

_TOKEN = "local/only+token=of-the-test"
_AGES = timedelta(seconds=10)
_BRIEF = timedelta(seconds=1)


class Echo(StrictServer):
    """Answers what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.says = Answer.json({"ok": True})

    def answer(self, call: Call) -> Answer:
        return self.says


@pytest.fixture
def there() -> Iterator[Echo]:
    with Echo() as echo:
        yield echo


def api(url: str, *, timeout: timedelta = _AGES, user: str | None = None, most: int = 1000) -> HttpApi:
    return HttpApi(url, called="The shop", token=SecretStr(_TOKEN), user=user, timeout=timeout, most=most)


def look(api: HttpApi) -> object:
    return api.get("GET", "/things")


def change(api: HttpApi) -> object:
    return api.send("POST", "/things", body={"a": 1})


def refused(ask: Callable[[HttpApi], object], of: HttpApi) -> Rejected:
    with pytest.raises(Rejected) as caught:
        ask(of)
    return caught.value


def test_an_answer_is_decoded(there: Echo) -> None:
    told = api(f"{there.url}/prefix/").get("GET", "/things", query=[("filter", 'a="b & c"'), ("active", "true")])

    (call,) = there.received
    assert told == {"ok": True}
    assert (call.verb, call.path) == ("GET", "/prefix/things")
    assert call.query == {"filter": 'a="b & c"', "active": "true"}
    assert call.headers["accept-encoding"] == "identity"


def test_a_body_goes_out_as_json(there: Echo) -> None:
    change(api(there.url))

    (call,) = there.received
    assert (call.verb, json.loads(call.body), call.headers["content-type"]) == ("POST", {"a": 1}, "application/json")


def test_an_empty_answer_is_none(there: Echo) -> None:
    there.says = Answer()

    assert change(api(there.url)) is None


def test_the_token_is_a_bearer_s_or_the_password_of_the_user(there: Echo) -> None:
    look(api(there.url))
    look(api(there.url, user="vakhta"))

    bearer, basic = (call.headers["authorization"] for call in there.received)
    assert bearer == f"Bearer {_TOKEN}"
    assert basic == "Basic dmFraHRhOmxvY2FsL29ubHkrdG9rZW49b2YtdGhlLXRlc3Q="


def test_nothing_of_the_environment_is_obeyed(there: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "")

    assert look(api(there.url)) == {"ok": True}


@pytest.mark.parametrize("ask", [look, change])
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "refused"), (401, "no_entry"), (403, "no_entry"), (404, "not_found"), (429, "too_many"), (499, "refused")],
)
def test_what_is_refused_was_not_done(there: Echo, ask: Callable[[HttpApi], object], status: int, code: str) -> None:
    there.says = Answer.json("no such\n\tthing", status=status)

    error = refused(ask, api(there.url))

    assert error.code == code
    assert error.message == f"The shop refused ({status}): no such thing. Nothing was done."


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"code":602,"message":"createdBy in body is required"}', "createdBy in body is required."),
        (b'{"error":"undefined"}', "undefined."),
        (b"plain text!", "plain text!"),
        (b"", "no reason given."),
        (b'{"message":[1]}', "no reason given."),
        (b"[" * 900, "[" * 300 + "..."),
        (b"\xff\x00", "\ufffd."),
        (b"x" * 1001, "no reason given."),
    ],
)
def test_the_reason_is_shown_as_one_short_line(there: Echo, body: bytes, said: str) -> None:
    there.says = Answer(status=400, body=body)

    assert refused(change, api(there.url)).message == f"The shop refused (400): {said} Nothing was done."


def test_no_secret_is_shown_that_the_other_side_repeats(there: Echo) -> None:
    there.says = Answer.json(f"bad token {_TOKEN}, bad password=hunter2hunter2, https://u:hunter2@h/", status=401)

    said = refused(change, api(there.url)).message

    assert "bad token [redacted]" in said
    assert "hunter2" not in said
    assert _TOKEN not in said


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(there: Echo, status: int) -> None:
    there.says = Answer(status=status, headers={"Location": f"{there.url}/elsewhere"})

    error = refused(change, api(there.url))

    assert error.code == "redirected"
    assert len(there.received) == 1


@pytest.mark.parametrize("ask", [look, change])
def test_where_nobody_listens_nothing_was_done(ask: Callable[[HttpApi], object]) -> None:
    error = refused(ask, api(f"http://127.0.0.1:{free_port()}"))

    assert error.code == "unreachable"
    assert error.message.startswith("The shop could not be reached (NewConnectionError). Nothing was done.")


@pytest.mark.parametrize("url", ["http://no-such-host.invalid", f"http://{'a' * 64}.example", "http://[::1%25no"])
def test_a_name_that_leads_nowhere_is_unreachable(url: str) -> None:
    assert refused(change, api(url)).code == "unreachable"


def test_a_token_that_is_no_header_is_not_sent_and_not_shown(there: Echo) -> None:
    bad = HttpApi(there.url, called="The shop", token=SecretStr("two\nlines"))

    error = refused(change, bad)

    assert error.code == "unreachable"
    assert "lines" not in error.message
    assert there.received == []


def test_a_server_that_speaks_no_tls_is_not_reached_by_it(there: Echo) -> None:
    https = api(there.url.replace("http:", "https:"), timeout=_BRIEF)

    with pytest.raises((Rejected, OutcomeUnknown)):
        change(https)
    assert there.received == []


def _fails(there: Echo) -> None:
    there.answer_next(status=503, body=b'"the store is away"', after_effect=True)


def _resets(there: Echo) -> None:
    there.answer_next(reset=True, after_effect=True)


def _hangs(there: Echo) -> None:
    there.answer_next(hang=True, after_effect=True)


def _says_too_much(there: Echo) -> None:
    there.says = Answer.json("x" * 1000)


def _says_no_json(there: Echo) -> None:
    there.says = Answer(body=b"ok")


def _says_it_too_deep(there: Echo) -> None:
    there.says = Answer(body=b"[" * 999)


_AMBIGUOUS = [
    (_fails, "failed", "The shop failed (503): the store is away."),
    (_resets, "no_answer", "The shop gave no answer ("),
    (_hangs, "no_answer", "The shop gave no answer (ReadTimeoutError)."),
    (_says_too_much, "unreadable", "The answer of The shop is over 1000 bytes."),
    (_says_no_json, "unreadable", "The answer of The shop is not JSON."),
    (_says_it_too_deep, "unreadable", "The answer of The shop is not JSON."),
]


@pytest.mark.parametrize(("goes_wrong", "code", "said"), _AMBIGUOUS)
def test_a_change_that_is_not_answered_may_have_been_made_and_is_not_sent_again(
    there: Echo, goes_wrong: Callable[[Echo], None], code: str, said: str
) -> None:
    goes_wrong(there)

    with pytest.raises(OutcomeUnknown) as caught:
        change(api(there.url, timeout=_BRIEF))

    assert caught.value.message.startswith(said)
    assert caught.value.message.endswith(" It is not known whether it took effect.")
    assert len(there.received) == 1


@pytest.mark.parametrize(("goes_wrong", "code", "said"), _AMBIGUOUS)
def test_a_look_that_is_not_answered_did_nothing(
    there: Echo, goes_wrong: Callable[[Echo], None], code: str, said: str
) -> None:
    goes_wrong(there)

    error = refused(look, api(there.url, timeout=_BRIEF))

    assert error.code == code
    assert error.message.startswith(said)
    assert "Nothing was done. Try again" in error.message


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"SSH-2.0\r\n",
    ],
)
def test_half_an_answer_is_none(given: bytes) -> None:
    with _listening(lambda end, _: end.sendall(given)) as url, pytest.raises(OutcomeUnknown):
        change(api(url))


def test_an_answer_that_never_ends_is_not_waited_for() -> None:
    def drip(end: socket.socket, over: threading.Event) -> None:
        end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while not over.wait(0.02):
            end.sendall(b" ")

    with _listening(drip) as url, pytest.raises(OutcomeUnknown, match="did not finish its answer in time"):
        change(api(url, timeout=_BRIEF))


def test_a_file_is_taken_as_it_is_and_one_that_is_too_large_is_not_taken(there: Echo) -> None:
    there.says = Answer(body=b"-----BEGIN\xff")
    taken = api(there.url).download("/a.pem")

    there.says = Answer(body=b"x" * 100_000)
    with pytest.raises(Rejected, match="is over 1000 bytes") as caught:
        api(there.url).download("/a.pem")

    assert taken == b"-----BEGIN\xff"
    assert caught.value.code == "unreadable"
    assert [call.path for call in there.received] == ["/a.pem", "/a.pem"]


def test_what_is_not_read_to_its_end_leaves_no_connection_open(there: Echo) -> None:
    there.says = Answer(body=b"x" * 1_000_000)
    with pytest.raises(Rejected):
        api(there.url).download("/a.pem")

    gc.collect()  # a socket that was left open is a warning here, and warnings are errors

    assert len(there.received) == 1


@contextmanager
def _listening(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server below HTTP: `serve` has one connection, whose request has been read."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            end, _ = listener.accept()
            with end:
                end.recv(65536)
                try:
                    serve(end, over)
                except OSError:
                    over.set()

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(60)


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (403, b"<html><head><title>ERR &amp; DENIED</title></head></html>", '403 with the page "ERR & DENIED"'),
        (407, b"", "407"),
        (404, b"<!DOCTYPE html><title>Lost</title>", '404 with the page "Lost"'),
    ],
)
def test_what_a_proxy_refuses_was_never_asked(there: Echo, status: int, body: bytes, shown: str) -> None:
    there.says = Answer(status=status, body=body)

    for ask in (look, change):
        refusal = refused(ask, api(there.url))

        assert refusal.code == "proxy"
        assert refusal.message == (
            f"Something between this machine and The shop answered ({shown}), not The shop. Check the proxy and the"
            " network of this machine. Nothing was done."
        )


def test_a_portals_page_with_200_is_told_and_a_change_stays_unknown(there: Echo) -> None:
    there.says = Answer(body=f"<html><title>Hello {_TOKEN}</title></html>".encode())

    refusal = refused(look, api(there.url))
    with pytest.raises(OutcomeUnknown) as unknown:
        change(api(there.url))

    assert "Something between this machine and The shop answered (200" in refusal.message
    assert _TOKEN not in refusal.message
    assert "It is not known whether it took effect" in unknown.value.message


def test_a_body_of_bytes_goes_out_as_it_is_and_a_change_may_have_a_query(there: Echo) -> None:
    api(there.url).send("POST", "/", query=[("database", "a b")], body=b"SELECT 'x'")

    (call,) = there.received
    assert call.body == b"SELECT 'x'"
    assert call.query == {"database": "a b"}
    assert "json" not in call.headers.get("content-type", "")


def test_a_server_error_that_the_service_itself_has_marked_is_an_answer(there: Echo) -> None:
    marked = HttpApi(there.url, called="The shop", error_header="X-Shop-Error")
    there.says = Answer(status=500, body=b"no such table", headers={"X-Shop-Error": "60"})

    assert refused(change, marked).code == "60"
    assert "no such table" in refused(look, marked).message

    there.says = Answer(status=502, body=b"of a proxy")
    with pytest.raises(OutcomeUnknown):
        change(marked)
