"""Whether a request says of itself that it comes from this machine: peer, protocol, proxies' headers, Host, browser.

Pure decisions. What a request says can be left out by whoever sends it, so that none of this proves anything alone:
`guard.py` asks the kernel and for the page's own key besides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address

from bot.core.errors import Rejected

#: What is in the names of fields that proxies, balancers and content networks set, and no browser.
_TELLING = re.compile(
    r"forward|original-|rewrite-ur|proxy|remote-user|auth-request|webauth"
    r"|(?:client|connecting|peer|real|remote|source|user)[-_]?(?:addr|cert|dn|ip|port|verify)"
)
#: And how the names of fields begin that are of one maker alone.
_OF_MAKERS = (
    *("akamai-", "cf-", "cloudfront-", "fastly-", "fly-", "incap-", "l5d-", "ssl-", "tailscale-"),
    *("x-akamai-", "x-amz-cf-", "x-amzn-", "x-appengine-", "x-appgw-", "x-arr-", "x-azure-", "x-edge-", "x-envoy-"),
    *("x-fastly-", "x-goog-", "x-haproxy-", "x-istio-", "x-kong-", "x-nf-", "x-ssl-", "x-sucuri-", "x-tls-"),
    *("x-traefik-", "x-varnish", "x-vercel-"),
)
_OF_PROXIES = frozenset(
    {"cdn-loop", "max-forwards", "via", "x-cloud-trace-context", "x-host", "x-http-host-override", "x-iinfo"}
    | {"x-scheme", "x-served-by"}
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?P<port>:[0-9]{1,5})?")
#: What browsers say of who made them ask: this very page, or a person who typed the address or chose a bookmark.
_OWN = frozenset({"", "same-origin", "none"})


def is_near(peer: str, http_version: str, headers: Mapping[str, str]) -> bool:
    """A loopback peer that speaks as a browser or a program of today does, and that no proxy speaks for.

    HTTP/1.0 is what nginx speaks to a server behind it unless it is told otherwise; browsers left it in 1999.
    """
    return is_loopback(peer) and http_version == "1.1" and not any(is_of_a_proxy(name) for name in headers)


def is_of_a_proxy(header: str) -> bool:
    """`header`: a field's name in lower case."""
    return header in _OF_PROXIES or header.startswith(_OF_MAKERS) or _TELLING.search(header) is not None


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser asks because another site's page told it to; a link to here that a person follows is none."""
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site", "") not in _OWN and not followed


def host_name(hosts: Sequence[str]) -> str:
    """The name in a request's Host headers, lower case, without port and brackets. Raises `Rejected`."""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None:
        raise Rejected("Send one Host header with a name and, if need be, a port.", code="bad_host", status=400)
    return found["name"].strip("[]").lower()


def is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # A dual-stack socket shows 127.0.0.1 as ::ffff:127.0.0.1, which Python before 3.13 calls not loopback.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
