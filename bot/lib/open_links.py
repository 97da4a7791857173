"""Whether a person, with a phone in a chat, can open a link. Pure: nothing is looked up or fetched.

The trap: Prometheus and Alertmanager put the address into an alert by which they know themselves, such as
`http://prometheus-k8s-0:9090`. It is a dead link for everybody outside of the cluster.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

#: Ends of names that resolve inside of a cluster or on one network segment alone.
_INSIDE = (".svc", ".cluster.local", ".local", ".localhost", ".localdomain", ".pod", ".consul", ".docker")


@lru_cache(maxsize=1024)
def can_open(url: str) -> bool:
    """Whether it is http(s) to a host that has a name or an address beyond this machine and its cluster."""
    try:
        split = urlsplit(url)
        host, _ = (split.hostname or "").rstrip("."), split.port
    except ValueError:
        return False
    if split.scheme not in {"http", "https"} or not host or "@" in split.netloc or not url.isprintable():
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(_INSIDE)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified)
