"""What a request claims about its origin, and what the kernel's table says about its sender."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bot.web.local_request import is_near, is_of_a_proxy, is_of_another_site
from bot.web.socket_owner import Address, UnixAccount, account_behind, is_service, uid_in

#: As their makers document them.
PROXIES = """
Forwarded Via Max-Forwards X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Forwarded-Server
X-Forwarded-Prefix X-Forwarded-Client-Cert X-Forwarded X-Forward-For Forwarded-For X-Real-IP X-Client-IP Client-IP
X-Original-Forwarded-For X-Original-Host X-Original-URL X-Original-URI X-Rewrite-URL X-Scheme X-Host X-Remote-Addr
X-Remote-IP Remote-User X-Auth-Request-User Proxy Proxy-Connection Proxy-Authorization WL-Proxy-Client-IP X-ProxyUser-IP
X-Cluster-Client-IP True-Client-IP CDN-Loop CF-Connecting-IP CF-Connecting-IPv6 CF-Ray CF-Visitor CF-IPCountry
X-Azure-ClientIP X-Azure-SocketIP X-Azure-FDID X-AppGW-Trace-Id X-ARR-LOG-ID X-Amzn-Trace-Id X-Amz-Cf-Id
CloudFront-Viewer-Address X-Cloud-Trace-Context X-AppEngine-User-IP Fastly-Client-IP Akamai-Origin-Hop
X-Akamai-Edgescape
Fly-Client-IP X-Vercel-Forwarded-For X-NF-Client-Connection-IP DO-Connecting-IP X-Sucuri-ClientIP Incap-Client-IP
X-Envoy-External-Address X-Envoy-Expected-Rq-Timeout-Ms X-Envoy-Attempt-Count X-Envoy-Original-Path l5d-client-id
Tailscale-User-Login X-Varnish X-Served-By SSL-Client-Verify X-SSL-Client-Cert X-Client-Cert X-Kong-Request-Id
"""
#: What browsers and API clients send.
ORDINARY = """
Host User-Agent Accept Accept-Language Accept-Encoding Connection Content-Type Content-Length Origin Referer Cookie
Cache-Control Pragma Upgrade-Insecure-Requests DNT Sec-GPC Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-User
Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-CH-UA-Full-Version-List Sec-CH-Prefers-Color-Scheme Sec-Purpose
Purpose Priority TE Save-Data Last-Event-ID X-Vakhta-Page Authorization If-None-Match If-Modified-Since Range Expect
Device-Memory Downlink RTT ECT Viewport-Width Width DPR X-Client-Data Early-Data Alt-Used X-Requested-With traceparent
tracestate baggage X-Request-Id X-Correlation-Id
"""


@pytest.mark.parametrize("header", PROXIES.split())
def test_a_header_that_a_proxy_sets_means_elsewhere(header: str) -> None:
    assert is_of_a_proxy(header.lower())
    assert not is_near("127.0.0.1", "1.1", {"host": "127.0.0.1", header.lower(): "127.0.0.1"})


def test_what_browsers_and_programs_send_means_no_proxy() -> None:
    assert [header for header in ORDINARY.split() if is_of_a_proxy(header.lower())] == []


@pytest.mark.parametrize(
    ("peer", "version", "near"),
    [
        ("127.0.0.1", "1.1", True),
        ("127.0.0.6", "1.1", True),
        ("::1", "1.1", True),
        ("::ffff:127.0.0.1", "1.1", True),
        ("127.0.0.1", "1.0", False),
        ("127.0.0.1", "2", False),
        ("10.0.0.1", "1.1", False),
        ("::ffff:10.0.0.1", "1.1", False),
        ("", "1.1", False),
    ],
)
def test_near_is_a_loopback_peer_that_speaks_as_browsers_do(peer: str, version: str, *, near: bool) -> None:
    assert is_near(peer, version, {"host": "localhost"}) is near


@pytest.mark.parametrize(
    ("site", "mode", "dest", "other"),
    [
        (None, None, None, False),
        ("none", "navigate", "document", False),
        ("same-origin", "cors", "empty", False),
        ("cross-site", "navigate", "document", False),
        ("same-site", "navigate", "document", False),
        ("cross-site", "navigate", "iframe", True),
        ("cross-site", "no-cors", "image", True),
        ("cross-site", "no-cors", "script", True),
        ("same-site", "cors", "empty", True),
        ("cross-site", None, None, True),
        ("something", "navigate", "empty", True),
    ],
)
def test_a_link_may_be_followed_and_nothing_else_of_another_site(
    site: str | None, mode: str | None, dest: str | None, *, other: bool
) -> None:
    told = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}

    assert is_of_another_site({name: value for name, value in told.items() if value is not None}) is other


@pytest.mark.parametrize(
    ("uid", "shell", "own", "service"),
    [
        (33, "/usr/sbin/nologin", 0, True),
        (33, "/usr/sbin/nologin", 33, False),
        (999, "/bin/bash", 1000, True),  # PostgreSQL's account has a shell
        (65534, "/bin/sh", 1000, True),
        (61200, "/bin/sh", 1000, True),
        (1500, "/bin/false", 998, True),
        (1337, None, 10001, True),  # a container beside ours
        (100_033, None, 1000, True),  # a container's account on this machine
        (0, None, 10001, False),
        (10001, None, 10001, False),
        (0, "/bin/bash", 998, False),
        (1000, "/bin/bash", 998, False),
        (60001, "/usr/bin/zsh", 998, False),
        (1_200_000_111, "/bin/bash", 998, False),  # of a directory
    ],
)
def test_no_account_but_a_persons_roots_and_the_bots_is_taken_for_a_person(
    uid: int, shell: str | None, own: int, *, service: bool
) -> None:
    assert is_service(UnixAccount(uid, shell), own=own) is service


def test_a_socket_that_nobody_holds_is_nobodys_though_its_uid_is_roots() -> None:
    row = " 0100007F:A001 0100007F:1F90 "
    left = f"   4:{row}05 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000"
    held = f"   4:{row}01 00000000:00000000 00:00000000 00000000    33        0 4242 1 0000000000000000"

    assert uid_in([left], [row]) is None
    assert uid_in(["  sl  local_address rem_address", left, held], [row]) == 33
    assert uid_in([held], [" 0100007F:A002 0100007F:1F90 "]) is None


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "::1")], ids=["4", "6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket, and the server's of the same connection."""
    family, listen, to = request.param
    yield from _joined(family, listen, to)


def _joined(family: int, listen: str, to: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        door = stack.enter_context(socket.create_server((listen, 0), family=family, dualstack_ipv6=listen == "::"))
        client = stack.enter_context(socket.create_connection((to, door.getsockname()[1])))
        server = stack.enter_context(door.accept()[0])
        yield client, server


def test_the_kernel_tells_whose_the_other_end_is(pair: tuple[socket.socket, socket.socket]) -> None:
    client, server = pair
    ends = server.getpeername()[:2], server.getsockname()[:2]

    assert _uid(*ends) == os.geteuid()
    client.shutdown(socket.SHUT_WR)
    assert _uid(*ends) == os.geteuid()
    client.close()
    assert account_behind(*ends) is None


def test_a_client_of_ipv4_is_found_by_a_server_of_both() -> None:
    for _, server in _joined(socket.AF_INET6, "::", "127.0.0.1"):
        peer, here = server.getpeername()[:2], server.getsockname()[:2]

        assert peer[0] == "::ffff:127.0.0.1"
        assert _uid(peer, here) == os.geteuid()


def _uid(client: Address, server: Address) -> int:
    found = account_behind(client, server)
    assert found is not None
    return found.uid
