"""The protocols between a chat or pager and the bot: what a channel implements, and what it may call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

from bot.core.form import Form, SubmittedForm
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import Principal, Reply, Request


class CommandInfo(Protocol):
    """What `help` and a chat's menu show of a verb."""

    @property
    def verb(self) -> str: ...
    @property
    def usage(self) -> str: ...
    @property
    def summary(self) -> str: ...


class Gateway(Protocol):
    """The bot's API for channels, called when somebody writes to the bot or presses a button."""

    def handle(self, request: Request) -> Reply:
        """Carry out the request durably, and answer it. A refusal is a reply with ok=False, not an exception."""
        ...

    def person(self, channel: str, account: str) -> Principal | None:
        """The person that this account belongs to, with their current roles; None for an unknown account.

        A channel where people have accounts may still pass on a request from one, as `request.UNKNOWN_PRINCIPAL`: the
        bot accepts a linking code from it and nothing else.
        """
        ...

    def incident_at(self, channel: str, ref: str) -> int | None:
        """The incident whose card is at `ref` in that channel (the root of a thread), or None."""
        ...

    def incident_paged_as(self, page_key: str) -> int | None:
        """The newest incident paged under that dedup_key, or None."""
        ...

    def form(self, request: Request) -> Form | None:
        """The form for a verb that was typed without its arguments; None when there is nothing to fill in.

        None as well for people who may not use the verb at all: they are refused when they ask.
        """
        ...

    def submit_form(self, request: Request, values: Mapping[str, str]) -> SubmittedForm:
        """Turn a form's values, by field name, into the text of a command. Nothing is executed yet."""
        ...

    def record_refusal(self, request: Request, reason: str) -> bool:
        """Audit a refusal that the channel decided by itself; True when the same request was refused before."""
        ...

    def menu(self) -> Sequence[CommandInfo]:
        """The verbs that this installation can do, whoever may use them; from memory, without blocking."""
        ...


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """At most `count` requests in any `per`: a provider's limit with our own margin already taken off."""

    count: int
    per: timedelta


@dataclass(frozen=True, kw_only=True)
class WebhookResponse:
    """The HTTP answer to the platform."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class ChannelFacts(Protocol):
    """What the rest of the bot has to know of a channel, whether or not it runs."""

    name: str
    kinds: frozenset[MessageKind]  #: the kinds of message it takes
    event_types: frozenset[EventType]  #: the events it is notified about
    accounts: bool  #: people have accounts there, which the settings name and people may link
    pages: bool  #: it wakes people by name, so whoever acknowledges there was paged for the incident

    def accepts(self, incident: Incident) -> bool:
        """Whether the channel handles this incident at all; the answer never changes for one incident."""
        ...


class Channel(ChannelFacts, Protocol):
    """One chat or pager, built from its own section of the settings alone.

    `deliver` blocks, keeps no state of the incident, and may be called twice for one key.
    """

    title: str  #: the platform's name, as people write it
    limits: tuple[RateLimit, ...]
    threads: int  #: how many deliveries may run at the same time
    local: bool  #: it is the console on the board of this machine, and is not served under /in/
    #: Requests with more bytes than this are ignored with a 202, for a platform that stops sending after a few
    #: refusals. None: they are refused like any request that is too large.
    ignores_above: int | None

    def deliver(self, notification: Notification) -> str | None:
        """Send it. Returns a reference to the message, to edit it later or to answer in its thread.

        Raises:
            Undelivered: it did not arrive, or nobody knows whether it did.
        """
        ...

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:
        """Handle one request of the platform: check signature, freshness and sender, then call the gateway.

        Raises:
            Rejected: the request is not genuine or not readable; nothing was done.
        """
        ...

    def start(self, gateway: Gateway) -> None:
        """Start listening (socket, polling); `receive` and `deliver` work from here on. Does not block."""
        ...

    def stop(self) -> None:
        """Stop listening, at once; no thread of the channel outlives the call."""
        ...

    def health_problem(self) -> str | None:
        """What is wrong with the connection, for the health check; None when no problem is known."""
        ...


@runtime_checkable
class Messenger(Protocol):
    """A channel that can also send a message which belongs to no incident. Declared by having `post`."""

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        """Send it, or replace the message at `instead_of`; returns its reference. Raises `Undelivered`.

        `to`: one of the platform's rooms, or a message to answer, as ROOM:MESSAGE; None: where incidents are sent.
        """


@runtime_checkable
class Previewer(Protocol):
    """A channel that can show, without sending anything, how people would read a message. Declared by `preview`."""

    def preview(self, notification: Notification) -> str:
        """The message as text: what a phone's notification shows first, then all of it, buttons in brackets."""
        ...


@runtime_checkable
class AccountVerifier(Protocol):
    """A channel whose platform can confirm that an account is still active."""

    def account_problems(self, accounts: Collection[str]) -> Mapping[str, str]:
        """For each account a sentence that says why it may not act; "" when it may.

        Asks the platform anew, group membership included; blocks for seconds at most.
        """
        ...


#: Account -> each of the platform's groups (ids) that carry roles, and whether the account is in it; None while that
#: is unknown.
GroupLookup = Callable[[str], Mapping[str, bool | None]]


@dataclass(frozen=True, kw_only=True)
class GroupPlatform:
    """The platform whose groups carry roles."""

    channel: str  #: its channel's name
    name: str  #: its name, as people write it
    read: GroupLookup


@runtime_checkable
class UserGroupChannel(Protocol):
    """A channel whose platform has groups of people, such as Slack's user groups."""

    def watch_groups(self, groups: Collection[str]) -> None:
        """The groups that carry roles. Called before `start`."""
        ...

    def groups_of(self, account: str) -> Mapping[str, bool | None]:
        """As `GroupLookup`, at most five minutes old. Does not block."""
        ...


class KeptFacts(Protocol):
    """What a channel has learned from its platform and needs after a restart, kept for it by name.

    Both calls block and never raise: without its database the bot goes on with what it knows.
    """

    def recall(self, name: str) -> str | None: ...

    def remember(self, name: str, value: str) -> bool:
        """False: it could not be kept now; the channel tries again at its next occasion."""
        ...


@runtime_checkable
class LearningChannel(Protocol):
    """A channel that keeps facts. Declared by having `learn_into`."""

    def learn_into(self, facts: KeptFacts) -> None:
        """Called once, before `start`."""
        ...
