"""The settings' section about PagerDuty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from bot.core.alert import Severity
from bot.lib.settings_fields import Address, ChannelSection, Mistake, Secret, host_of, text_of

_KEY = re.compile(r"[A-Za-z0-9]{32}")
_USER = re.compile(r"[A-Z0-9]+")
#: The hosts of PagerDuty's own regions: of events, and of its REST API.
_REGIONS = (("events.pagerduty.com", "api.pagerduty.com"), ("events.eu.pagerduty.com", "api.eu.pagerduty.com"))


class PagerDutySettings(ChannelSection):
    """One PagerDuty service: pages out by Events v2, what people do there in by webhooks v3."""

    called: ClassVar[str] = "PagerDuty"

    routing_key: Secret = Field(description="Integration key (Events API v2) of the service.")
    api_token: Secret | None = Field(None, description="REST API token, to look incidents up.")
    webhook_secrets: tuple[Secret, ...] = Field((), description="Signing secrets of the webhook; two while you rotate.")
    events_url: Address = "https://events.pagerduty.com"
    api_url: Address = "https://api.pagerduty.com"
    severities: tuple[Severity, ...] = Field(tuple(Severity), description="Which severities page somebody.")

    @property
    def summary(self) -> str:
        return ", ".join(self.severities)

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        key, token = text_of(given, "routing_key"), text_of(given, "api_token")
        own = (host_of(text_of(given, "events_url")) or _REGIONS[0][0]).endswith(".pagerduty.com")
        if key and own and not _KEY.fullmatch(key):
            yield ("routing_key",), _key_fault(key)
        if token and token == key:
            yield ("api_token",), "is the routing key; a REST API token is made under Integrations, API Access Keys"
        yield from _address_mistakes(given)

    @classmethod
    def doubts(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if given.get("severities") == []:
            yield ("severities",), "is empty, so no incident pages; leave this key out to page for all"


def account_fault(account: str) -> str:
    """Why this cannot be a user's id in PagerDuty; "" if it can."""
    if _USER.fullmatch(account):
        return ""
    return "must be the user's id, P..., not a name or an e-mail: it ends the address of the user's page in PagerDuty"


def _key_fault(key: str) -> str:
    where = "in the service's Integrations, Events API V2"
    if "://" in key:
        return f"is an address; give the integration key of 32 characters alone ({where})"
    if len(key) != len("0" * 32):
        return f"must be the integration key of 32 characters, and has {len(key)} ({where})"
    return f"must be 32 letters and digits ({where})"


def _address_mistakes(given: Mapping[str, object]) -> Iterator[Mistake]:
    events, api = (host_of(text_of(given, key)) or usual for key, usual in zip(_KEYS, _REGIONS[0], strict=True))
    hosts = {host: (region, part) for region, some in enumerate(_REGIONS) for part, host in enumerate(some)}
    for key, host, part in (("events_url", events, 0), ("api_url", api, 1)):
        if host in hosts and hosts[host][1] != part:
            yield (key,), f"is the address of the other API; write https://{_REGIONS[hosts[host][0]][part]}"
            return
    if text_of(given, "api_token") and events in hosts and api in hosts and hosts[events][0] != hosts[api][0]:
        message = f"is of another region than events_url; write https://{_REGIONS[hosts[events][0]][1]}"
        yield ("api_url",), message
    for key in _KEYS:
        path = urlsplit(text_of(given, key)).path if host_of(text_of(given, key)) in hosts else ""
        if path.strip("/"):
            yield (key,), "must be the address without a path, which the bot adds"


_KEYS = ("events_url", "api_url")
