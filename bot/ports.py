"""The verbs: what a source, a channel and a command must be able to do, and the two ways to fail.

Everything that plugs in knows this file and `model`, and nothing else of the house.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar, runtime_checkable

from bot.accounts import Accounts
from bot.acts import Plan
from bot.forms import Filled, Form
from bot.model import Ask, Delivered, Event, Incident, Kind, Notice, Principal, Reply, Severity, What
from bot.states import Standing


class Rejected(Exception):
    """You are wrong. `said` is shown to the sender word for word: what is wrong, what was not done, what to do.

    `code` is a stable snake_case word, `status` the HTTP status where HTTP is how it came.
    """

    def __init__(self, said: str, *, code: str = "rejected", status: int = 400) -> None:
        super().__init__(said)
        self.said = said
        self.code = code
        self.status = status


class Undelivered(Exception):
    """They are down, or will not take it. `permanent`: trying the same again cannot help.

    `after`: how long the provider asked us to wait (Retry-After); the whole channel waits.
    """

    def __init__(self, said: str, *, permanent: bool = False, after: timedelta | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.permanent = permanent
        self.after = after


class Source(Protocol):
    """One kind of alert sender. `read` is pure but for the time: bytes in, alerts out, or `Rejected`."""

    name: str

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: asked for the time that takes the place of one that cannot be right."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivered: ...


class Proof(Protocol):
    """How a sender without a token is known: the message itself shows it."""

    def admit(self, body: bytes) -> None:
        """Check it, and do what has to be done before it is read. Blocks: others may have to be asked.

        Raises:
            Rejected: below 500, it is not genuine and nothing is kept of it; else nobody can say now, try again.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Limit:
    """At most `count` requests in any `per`. What a provider allows, with our own margin already taken off."""

    count: int
    per: timedelta


class Door(Protocol):
    """What a channel may ask of the house when somebody speaks to it."""

    def ask(self, ask: Ask) -> Reply:
        """Do it, durably, and say how it went. Refusals are replies with ok=False, not exceptions."""
        ...

    def person(self, place: str, account: str) -> Principal | None:
        """Whose account of this platform that is, with their roles of now; None when it is nobody's.

        A platform where people have accounts of their own may still ask, as `model.NOBODY`: the house lets that one
        say a linking code and nothing else.
        """
        ...

    def standing_at(self, place: str, ref: str) -> int | None:
        """The incident whose card stands at `ref` in that channel (a thread's root), or None."""
        ...

    def paged_as(self, page_key: str) -> int | None:
        """The newest incident paged under that dedup_key, or None."""
        ...

    def form(self, ask: Ask) -> Form | None:
        """What the verb wants to be told, where it was said without it; None where there is nothing to fill in.

        Nor is there anything for those who may not say it at all: they are refused when they ask.
        """
        ...

    def fill(self, ask: Ask, values: Mapping[str, str]) -> Filled:
        """What was filled in, by the blanks' names, as the words to ask. Nothing is done yet, whatever comes of it."""
        ...

    def turn_away(self, ask: Ask, why: str) -> bool:
        """Put on record that the channel refused this by itself; True when the same act was turned away before."""
        ...

    def menu(self) -> Sequence[Sayable]:
        """All that can be said, whoever may say it; at once, from memory."""
        ...


class Channel(Protocol):
    """One chat or pager, made from its own section of the settings alone.

    `deliver` blocks, holds no state of the incident, and may be called twice for one key.
    """

    name: str
    kinds: frozenset[Kind]  #: which kinds of delivery it takes
    wants: frozenset[What]  #: which events make it owe one
    limits: tuple[Limit, ...]
    threads: int  #: how many deliveries may be under way at once
    accounts: bool  #: people have accounts of their own there, which the settings name and people may link
    pages: bool  #: it wakes people by name, so whoever acknowledges there was paged for the incident
    local: bool  #: it is the line on the board of this machine, and is not served under /in/
    #: Bytes of a request above which it is ignored with a 202, for a platform that stops sending after a few refusals;
    #: None: a larger one is refused, as any that is too large.
    ignores_above: int | None

    def deliver(self, notice: Notice) -> str | None:
        """Put it there. Returns where it now stands, to edit it later or to answer in its thread.

        Raises:
            Undelivered: it did not arrive, or nobody knows whether it did.
        """
        ...

    def receive(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """Read one request of the platform: check signature, freshness and sender, then ask the house.

        Raises:
            Rejected: the request is not genuine or not readable; nothing was done.
        """
        ...

    def start(self, door: Door) -> None:
        """Begin to listen (socket, polling); `receive` and `deliver` work from here on. Does not block."""
        ...

    def stop(self) -> None:
        """Stop listening, at once; no thread of the channel outlives it."""
        ...

    def healthy(self) -> str | None:
        """What is wrong with the connection, for the health check; None when nothing is known to be."""
        ...

    def takes(self, incident: Incident) -> bool:
        """Whether this incident is the channel's business at all; the same answer for as long as it lasts."""
        ...


@runtime_checkable
class Speaks(Protocol):
    """A channel that can also say a line which belongs to no incident. Declared by having `say`."""

    def say(self, text: str, to: str | None, *, instead_of: str = "") -> str:
        """Say it there, or in the place of what stands at `instead_of`; returns where it is. Raises `Undelivered`.

        `to`: one of the platform's rooms, or a message to answer, ROOM:MESSAGE; None: where incidents are told.
        """


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What to answer the platform."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


Args = TypeVar("Args")


class Sayable(Protocol):
    """What `help` and a chat's menu tell of a verb."""

    @property
    def verb(self) -> str: ...
    @property
    def usage(self) -> str: ...
    @property
    def says(self) -> str: ...


class Drawn(Protocol):
    """A plan that waits for a yes."""

    @property
    def handle(self) -> str: ...
    @property
    def short(self) -> str: ...
    @property
    def by(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def until(self) -> datetime: ...
    @property
    def needs(self) -> int: ...
    @property
    def plan(self) -> Plan: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Mine:
    """What is somebody's to look after."""

    incidents: tuple[Incident, ...]  #: unresolved: theirs, and of services that they are on call for; the worst first
    more: int  #: how many such are left out
    others: int  #: how many more are unresolved
    to_approve: tuple[Drawn, ...]  #: plans in which their yes would count, newest first
    asked: tuple[Drawn, ...]  #: plans that they asked for and that wait, newest first
    runs: tuple[Standing, ...]  #: of the last day: theirs that go on, or that somebody has to do something about
    on_call: Mapping[str, tuple[str, ...]]  #: what those who are on call are called, by service; their own first


class Command(Protocol[Args]):
    """One verb that asks, or changes incidents. `commands/` finds every module that has a `command` of this shape."""

    verb: str
    usage: str  #: "ack <incident>": what `grammar.usage` makes of `args`
    says: str  #: what it does, one line for `help`
    args: type[Args]  #: a frozen dataclass whose fields are annotated with their `kinds`
    reads: bool  #: it only answers, and changes nothing

    def run(self, ask: Ask, args: Args, desk: Desk) -> Reply:
        """Do it through the desk. Raises `Rejected` with the text for the asker."""
        ...


class Desk(Accounts, Protocol):
    """What a command may do to incidents and accounts; each call is inside the ask's one transaction."""

    def incident(self, incident_id: int) -> Incident:
        """Raises `Rejected` when there is none of that number."""
        ...

    def unresolved(self, limit: int) -> Sequence[Incident]: ...
    def mine(self, limit: int) -> Mine:
        """What is the asker's, with at most so many incidents."""
        ...

    def acknowledge(self, incident: Incident, ask: Ask) -> Incident: ...
    def resolve(self, incident: Incident, ask: Ask) -> Incident: ...
    def note(self, incident: Incident, ask: Ask, text: str) -> Incident: ...
    #: Raises `Rejected` when there is a newer incident of the same alerts.
    def reopen(self, incident: Incident, ask: Ask, because: str) -> Incident: ...
    def assign(self, incident: Incident, ask: Ask, person: str) -> Incident: ...
    def weigh(self, incident: Incident, ask: Ask, severity: Severity) -> Incident: ...
    #: Opens a critical incident of its own. `about`: that one's story tells of it.
    def page(self, ask: Ask, text: str, *, service: str | None = None, about: Incident | None = None) -> Incident: ...
    #: Titles of alerts that fire in it, those that began first.
    def firing(self, incident: Incident, limit: int) -> Sequence[str]: ...
    #: The newest, oldest of them first.
    def notes(self, incident: Incident, limit: int) -> Sequence[Event]: ...
    def commands(self) -> Sequence[Sayable]:
        """What this person may say at all, somewhere."""
        ...

    def waiting(self) -> Sequence[Drawn]:
        """Plans that can still be approved, newest first."""
        ...

    #: The last ones, newest first.
    def runs(self) -> Sequence[Standing]: ...
    def approve(self, handle: str, named: str = "") -> Reply:
        """Count the asker's yes. Raises `Rejected` where it does not count."""
        ...

    def drop(self, handle: str) -> Reply: ...

    def undo(self, run: str) -> Reply: ...

    def keep(self, run: str) -> Reply: ...

    def settle(self, run: str, ended: str, because: str) -> Reply: ...

    def break_glass(self, because: str) -> Reply:
        """What sleeps behind the glass counts for the asker from now on, for a while. Raises `Rejected`."""
        ...

    def review_glass(self, person: str, because: str) -> Reply: ...

    def glasses(self) -> Sequence[str]:
        """The last times that it was broken, a line each, newest first."""
        ...
