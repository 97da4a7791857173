"""Decides whether a request claims to come from this machine: peer, protocol, proxy headers, Host, browser headers.

Pure functions. A sender can leave out any header, so none of this is proof by itself: `auth.py` also asks the kernel,
and requires the page's key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address, ip_address

from bot.core.errors import Rejected

#: Parts of the names of fields that proxies, load balancers and CDNs set, and browsers do not.
_PROXY_PARTS = re.compile(
    r"forward|original-|rewrite-ur|proxy|remote-user|auth-request|webauth"
    r"|(?:client|connecting|peer|real|remote|source|user)[-_]?(?:addr|cert|dn|ip|port|verify)"
)
#: Prefixes of fields of single products.
_PRODUCT_PREFIXES = (
    *("akamai-", "cf-", "cloudfront-", "fastly-", "fly-", "incap-", "l5d-", "ssl-", "tailscale-"),
    *("x-akamai-", "x-amz-cf-", "x-amzn-", "x-appengine-", "x-appgw-", "x-arr-", "x-azure-", "x-edge-", "x-envoy-"),
    *("x-fastly-", "x-goog-", "x-haproxy-", "x-istio-", "x-kong-", "x-nf-", "x-ssl-", "x-sucuri-", "x-tls-"),
    *("x-traefik-", "x-varnish", "x-vercel-"),
)
_PROXY_FIELDS = frozenset(
    {"cdn-loop", "max-forwards", "via", "x-cloud-trace-context", "x-host", "x-http-host-override", "x-iinfo"}
    | {"x-scheme", "x-served-by"}
)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?P<port>:[0-9]{1,5})?")
#: Values of Sec-Fetch-Site for requests from this page, and for an address that was typed or a bookmark.
_OWN = frozenset({"", "same-origin", "none"})


def is_near(peer: str, http_version: str, headers: Mapping[str, str]) -> bool:
    """Whether the peer is loopback, speaks HTTP/1.1, and sends no proxy header.

    By default, nginx speaks HTTP/1.0 to a server behind it; no browser has done so since 1999.
    """
    return is_loopback(peer) and http_version == "1.1" and not any(is_of_a_proxy(name) for name in headers)


def is_of_a_proxy(header: str) -> bool:
    """`header`: a field's name in lower case."""
    return header in _PROXY_FIELDS or header.startswith(_PRODUCT_PREFIXES) or _PROXY_PARTS.search(header) is not None


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether another site's page made the browser send this. A link that a person follows does not count."""
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return headers.get("sec-fetch-site", "") not in _OWN and not followed


def host_name(hosts: Sequence[str]) -> str:
    """The name in a request's Host headers, lower case, without port and brackets. Raises `Rejected`."""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None:
        raise Rejected(
            "Send one Host header with a name and, if needed, a port. Nothing was done.", code="bad_host", status=400
        )
    return found["name"].strip("[]").lower()


def is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    # A dual-stack socket shows 127.0.0.1 as ::ffff:127.0.0.1, which is not loopback to Python before 3.13.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
