"""A missing header makes nobody local: smuggled, proxied and old requests at the board and the console."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request
from pydantic import SecretStr

from bot.core.errors import Rejected
from bot.store import audit_log
from bot.web.auth import Auth
from bot.web.proxied_connections import ProxiedConnections
from bot.web.socket_owner import Address, UnixAccount
from tests.running import Program, free_port
from tests.web.edges import speak
from tests.web.web_house import TOKEN, WebHouse

pytestmark = pytest.mark.waits

NGINX = "/usr/sbin/nginx"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    with WebHouse(tmp_path, api_token=TOKEN) as house:
        yield house


def on_record(house: WebHouse) -> list[tuple[str, dict[str, Any]]]:
    house.strangers.record()
    bodies = [
        json.loads(one.body) for one in house.read(lambda seen: audit_log.entries(seen.sql, audit_log.EntryFilter()))
    ]
    return [(body["place"], body["more"]) for body in bodies if body["code"] == "VK104W"]


def typed(house: WebHouse, words: str, *more: bytes) -> bytes:
    """A POST to the console as its page sends it, without the key."""
    body = json.dumps({"words": words}).encode()
    head = [b"POST /console HTTP/1.1", b"Host: 127.0.0.1:%d" % house.port, b"Origin: " + house.url.encode()]
    head += [b"Content-Type: application/json", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ([], "page_required"),
        ([b"X-Vakhta-Console: 1"], "page_required"),
        ([b"X-Vakhta-Page: "], "page_old"),
        ([b"X-Vakhta-Page: guessed"], "page_old"),
        ([b"Cookie: vakhta=guessed", b"X-Vakhta-Page: true"], "page_old"),
        ([b"Authorization: Bearer " + TOKEN.encode()], "page_required"),
    ],
)
def test_words_in_a_request_that_bears_no_key_do_nothing_and_are_on_record(
    house: WebHouse, more: list[bytes], code: str
) -> None:
    number = house.fire("Smuggled")

    answer = speak(house.port, typed(house, f"ack {number}", *more))

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert code.encode() in answer
    assert house.incident(number)["status"] == "open"
    assert on_record(house) == [("console", {"reason": code, "count": "1"})]


def test_the_right_key_sent_twice_or_beside_another_is_refused(house: WebHouse) -> None:
    number = house.fire("Twice")
    key = b"X-Vakhta-Page: " + house.page()["X-Vakhta-Page"].encode()

    answers = [
        speak(house.port, typed(house, f"ack {number}", key, key)),
        speak(house.port, typed(house, f"ack {number}", b"X-Vakhta-Page: x", key)),
        speak(house.port, typed(house, f"ack {number}", key).replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    ]

    assert [answer.split(b" ")[1] for answer in answers] == [b"403", b"403", b"401"]
    assert house.incident(number)["status"] == "open"


def test_a_page_of_an_earlier_start_is_told_so_and_does_nothing(tmp_path: Path) -> None:
    with WebHouse(tmp_path) as first:
        old = first.page()
    with WebHouse(tmp_path) as second:
        number = second.fire("Restarted")
        answers = [
            second.http.post("/console", json={"words": f"ack {number}"}, headers={"Origin": second.url, **old}),
            second.http.get("/api/incidents", headers=old),
            second.http.get("/events", headers=old),
        ]

        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(403, "page_old")}
        assert "Reload" in answers[0].json()["error"]["message"]
        assert second.incident(number)["status"] == "open"
        assert second.say(f"ack {number}").json()["ok"] is True
        assert old != second.page()


@pytest.mark.parametrize("carrier", ["/livez", "/", "/alerts/alertmanager", "/in/slack", "/nothing"])
@pytest.mark.parametrize("header", ["X-Forwarded-For: 203.0.113.9", "Via: 1.1 proxy", "X-Envoy-Internal: true"])
def test_whatever_comes_on_a_connection_on_which_a_proxy_spoke_is_not_from_this_machine(
    house: WebHouse, carrier: str, header: str
) -> None:
    """A smuggled request lacks the proxy's headers, also if the proxy runs as root or under the bot's own account."""
    number = house.fire("Carried")
    key = b"X-Vakhta-Page: " + house.page()["X-Vakhta-Page"].encode()
    here = f"Host: 127.0.0.1:{house.port}\r\n"
    smuggled = [f"GET / HTTP/1.1\r\n{here}\r\n".encode(), typed(house, f"ack {number}", key)]

    with socket.create_connection(("127.0.0.1", house.port), timeout=60) as line:
        line.sendall(f"GET {carrier} HTTP/1.1\r\n{here}{header}\r\n\r\n".encode())
        heard = [one_answer(line)]
        for sent in smuggled:
            line.sendall(sent)
            heard.append(one_answer(line))

    assert [answer.split(b" ")[1] for answer in heard[1:]] == [b"401", b"401"]
    assert b"vakhta-page" not in b"".join(heard)
    assert house.incident(number)["status"] == "open"


def one_answer(line: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard:
        piece = line.recv(1)
        assert piece, heard
        heard += piece
    length = int(re.findall(rb"(?i)content-length: (\d+)", heard)[0])
    while length:
        piece = line.recv(length)
        assert piece, heard
        length -= len(piece)
        heard += piece
    return heard


def test_a_proxys_connection_is_remembered_for_as_long_as_it_may_be_open_and_its_port_is_free_again_then() -> None:
    seconds = [1000.0]
    carriers = ProxiedConnections(lambda: seconds[0])
    proxied = {"client": ("127.0.0.1", 40000), "headers": [(b"via", b"1.1 p")]}
    bare = {"client": ("127.0.0.1", 40000), "headers": [(b"host", b"127.0.0.1")]}

    carriers.observe(proxied)
    seconds[0] += 179
    carriers.observe(bare)
    seconds[0] += 179
    open_still = carriers.has_seen_proxy(("127.0.0.1", 40000))
    seconds[0] += 2
    free_again = not carriers.has_seen_proxy(("127.0.0.1", 40000))
    for port in range(5000):
        carriers.observe(proxied | {"client": ("127.0.0.1", port)})
        seconds[0] += 1

    assert (open_still, free_again) == (True, True)
    assert len(carriers._until) <= 4096
    assert not carriers.has_seen_proxy(("127.0.0.1", 40001))


def test_many_connections_of_a_proxy_are_not_all_looked_at_again_for_each_request() -> None:
    asked = 0

    def now() -> float:
        nonlocal asked
        asked += 1  # twice for each request, and once for each look at all that are remembered
        return 1000.0

    carriers = ProxiedConnections(now)
    for port in range(20_000):
        carriers.observe({"client": ("127.0.0.1", port), "headers": [(b"via", b"1.1 p")]})

    assert asked <= 2 * 20_000 + 3


@pytest.mark.parametrize("path", ["/", "/incidents/1", "/events", "/api/incidents"])
def test_a_proxy_that_speaks_http_1_0_is_given_no_page(tmp_path: Path, path: str) -> None:
    with WebHouse(tmp_path) as house:
        asked = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{house.port}\r\nConnection: close\r\n\r\n"

        answer = speak(house.port, asked.encode())

        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"vakhta-page" not in answer


CONF = """
{user} pid {place}/pid; error_log {place}/error.log; daemon off; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  server {{
    listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; {more} }}
  }}
}}
"""
#: What nginx up to 1.28 does where nothing is said.
USUAL = "proxy_http_version 1.0;"
#: As kind to an attacker as it can be: the very version, headers and Host of somebody at this machine.
SILENT = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host 127.0.0.1:{behind};"


@pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed (Debian package nginx-light)")
@pytest.mark.parametrize("more", [USUAL, SILENT], ids=["as it is", "made to look like a person"])
def test_what_comes_through_a_real_nginx_that_says_nothing_of_itself_is_refused(tmp_path: Path, more: str) -> None:
    """Started by root, as Debian starts it, its workers have an account of their own."""
    if more == SILENT and os.geteuid() != 0:
        pytest.skip("only root can start an nginx whose workers have another account")
    port = free_port()
    place = tmp_path / "nginx"
    place.mkdir()
    with WebHouse(tmp_path) as house:
        user = "user www-data;" if os.geteuid() == 0 else ""
        conf = CONF.format(place=place, port=port, behind=house.port, user=user, more=more.format(behind=house.port))
        (place / "nginx.conf").write_text(conf)
        command = [NGINX, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
        with (
            Program(command, log=place / "log", ready=lambda: is_open(port)).start() as nginx,
            ExitStack() as after,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as stranger,
        ):
            after.callback(nginx.stop)  # one that is killed leaves its workers behind
            assert nginx.alive()
            assert stranger.get("/livez").status_code == 200
            answers = [stranger.get(path) for path in ("/", "/incidents/1", "/api/incidents", "/api/docs")]

        assert [answer.status_code for answer in answers] == [401] * 4
        assert "vakhta-page" not in "".join(answer.text for answer in answers)
        assert ("board", {"reason": "auth_required", "count": "4"}) in on_record(house)


def is_open(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


class _Kernel:
    """What `account_behind` returns for every connection."""

    def __init__(self, answer: UnixAccount | OSError | None) -> None:
        self.answer = answer

    def __call__(self, client: Address, server: Address) -> UnixAccount | None:
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (UnixAccount(1000, "/bin/bash"), 0),
        (UnixAccount(0, "/bin/bash"), 0),
        (UnixAccount(33, "/usr/sbin/nologin"), 401),
        (UnixAccount(1337, None), 401),
        (None, 401),
        (OSError(24, "Too many open files"), 503),
        (PermissionError(13, "Permission denied"), 503),
        (FileNotFoundError(2, "No such file or directory"), 0),  # a system without the table
    ],
)
def test_only_who_is_known_to_be_a_person_is_given_the_page(told: UnixAccount | OSError | None, status: int) -> None:
    assert asyncio.run(asked(_Kernel(told))) == status


async def asked(kernel: _Kernel) -> int:
    """The status for opening the page on a connection with that owner; 0: admitted."""
    with ThreadPoolExecutor(1) as threads:
        guard = Auth(
            public_url="http://127.0.0.1:8080",
            api_token=SecretStr(TOKEN),
            on_refused=lambda _door, _code: None,
            threads=threads,
            proxied=ProxiedConnections(),
            holder=kernel,
        )
        scope = {
            "type": "http",
            "http_version": "1.1",
            "headers": [(b"host", b"127.0.0.1:8080")],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8080),
        }
        try:
            await guard.admit_local(Request(scope))
        except Rejected as refused:
            return refused.status
        return 0
