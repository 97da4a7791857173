"""What a channel must be able to do, and what it may ask of the bot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from bot.core.form import Form, SubmittedForm
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import Principal, Reply, Request

#: Each of a platform's groups (ids) that count, and whether the account is in it: None while that cannot be known.
GroupLookup = Callable[[str], Mapping[str, bool | None]]


@runtime_checkable
class UserGroupChannel(Protocol):
    """A channel whose platform has groups of people, such as Slack's user groups."""

    def watch_groups(self, groups: Collection[str]) -> None:
        """Which of them count. Told before `start`."""
        ...

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        """As `GroupLookup`: what was known at most five minutes ago. It does not block."""
        ...


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most `count` requests in any `per`. What a provider allows, with our own margin already taken off."""

    count: int
    per: timedelta


class Gateway(Protocol):
    """What a channel may ask of the house when somebody speaks to it."""

    def handle(self, request: Request) -> Reply:
        """Do it, durably, and say how it went. Refusals are replies with ok=False, not exceptions."""
        ...

    def person(self, channel: str, account: str) -> Principal | None:
        """Whose account of this platform that is, with their roles of now; None when it is nobody's.

        A platform where people have accounts of their own may still ask, as `model.UNKNOWN_PRINCIPAL`: the house lets
        that one say a linking code and nothing else.
        """
        ...

    def incident_at(self, channel: str, ref: str) -> int | None:
        """The incident whose card stands at `ref` in that channel (a thread's root), or None."""
        ...

    def incident_paged_as(self, page_key: str) -> int | None:
        """The newest incident paged under that dedup_key, or None."""
        ...

    def form(self, request: Request) -> Form | None:
        """What the verb wants to be told, where it was said without it; None where there is nothing to fill in.

        Nor is there anything for those who may not say it at all: they are refused when they ask.
        """
        ...

    def submit_form(self, request: Request, values: Mapping[str, str]) -> SubmittedForm:
        """What was filled in, by the blanks' names, as the words to ask. Nothing is done yet, whatever comes of it."""
        ...

    def record_refusal(self, request: Request, reason: str) -> bool:
        """Put on record that the channel refused this by itself; True when the same act was turned away before."""
        ...

    def menu(self) -> Sequence[CommandInfo]:
        """All that can be said, whoever may say it; at once, from memory."""
        ...


class Channel(Protocol):
    """One chat or pager, made from its own section of the settings alone.

    `deliver` blocks, holds no state of the incident, and may be called twice for one key.
    """

    name: str
    kinds: frozenset[MessageKind]  #: which kinds of delivery it takes
    event_types: frozenset[EventType]  #: which events make it owe one
    limits: tuple[RateLimit, ...]
    threads: int  #: how many deliveries may be under way at once
    accounts: bool  #: people have accounts of their own there, which the settings name and people may link
    pages: bool  #: it wakes people by name, so whoever acknowledges there was paged for the incident
    local: bool  #: it is the line on the board of this machine, and is not served under /in/
    #: Bytes of a request above which it is ignored with a 202, for a platform that stops sending after a few refusals;
    #: None: a larger one is refused, as any that is too large.
    ignores_above: int | None

    def deliver(self, notification: Notification) -> str | None:
        """Put it there. Returns where it now stands, to edit it later or to answer in its thread.

        Raises:
            Undelivered: it did not arrive, or nobody knows whether it did.
        """
        ...

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Read one request of the platform: check signature, freshness and sender, then ask the house.

        Raises:
            Rejected: the request is not genuine or not readable; nothing was done.
        """
        ...

    def start(self, gateway: Gateway) -> None:
        """Begin to listen (socket, polling); `receive` and `deliver` work from here on. Does not block."""
        ...

    def stop(self) -> None:
        """Stop listening, at once; no thread of the channel outlives it."""
        ...

    def health_problem(self) -> str | None:
        """What is wrong with the connection, for the health check; None when nothing is known to be."""
        ...

    def accepts(self, incident: Incident) -> bool:
        """Whether this incident is the channel's business at all; the same answer for as long as it lasts."""
        ...


@runtime_checkable
class Messenger(Protocol):
    """A channel that can also say a line which belongs to no incident. Declared by having `post`."""

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        """Say it there, or in the place of what stands at `instead_of`; returns where it is. Raises `Undelivered`.

        `to`: one of the platform's rooms, or a message to answer, ROOM:MESSAGE; None: where incidents are told.
        """


@dataclass(frozen=True, kw_only=True)
class WebhookResponse:
    """What to answer the platform."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class CommandInfo(Protocol):
    """What `help` and a chat's menu tell of a verb."""

    @property
    def verb(self) -> str: ...
    @property
    def usage(self) -> str: ...
    @property
    def summary(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class GroupPlatform:
    """The platform whose groups carry roles."""

    channel: str  #: its channel's name
    name: str  #: its name, as people write it
    read: GroupLookup


@runtime_checkable
class AccountVerifier(Protocol):
    """A channel whose platform can say whether an account may still act."""

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Ask it anew, also who is in the groups that count; it blocks, for seconds at most.

        What is against each account, as a sentence; "" for nothing.
        """
        ...
