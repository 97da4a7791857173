"""The verbs: what a source, a channel and a command must be able to do, and the two ways to fail.

Everything that plugs in knows this file and `model`, and nothing else of the house.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar, runtime_checkable

from bot.acts import Plan
from bot.forms import Form, SubmittedForm
from bot.model import (
    AlertBatch,
    Event,
    EventType,
    Incident,
    MessageKind,
    Notification,
    Principal,
    Reply,
    Request,
    Severity,
)
from bot.states import RunStatus


class Rejected(Exception):
    """You are wrong. `message` is shown to the sender word for word: what is wrong, what was not done, what to do.

    `code` is a stable snake_case word, `status` the HTTP status where HTTP is how it came.
    """

    def __init__(self, message: str, *, code: str = "rejected", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Undelivered(Exception):
    """They are down, or will not take it. `permanent`: trying the same again cannot help.

    `retry_after`: how long the provider asked us to wait (Retry-After); the whole channel waits.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.retry_after = retry_after


class Source(Protocol):
    """One kind of alert sender. `read` is pure but for the time: bytes in, alerts out, or `Rejected`."""

    name: str

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: asked for the time that takes the place of one that cannot be right."""

    def read(self, headers: Mapping[str, str], body: bytes) -> AlertBatch: ...


class SenderVerifier(Protocol):
    """How a sender without a token is known: the message itself shows it."""

    def verify(self, body: bytes) -> None:
        """Check it, and do what has to be done before it is read. Blocks: others may have to be asked.

        Raises:
            Rejected: below 500, it is not genuine and nothing is kept of it; else nobody can say now, try again.
        """
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


Args = TypeVar("Args")


class CommandInfo(Protocol):
    """What `help` and a chat's menu tell of a verb."""

    @property
    def verb(self) -> str: ...
    @property
    def usage(self) -> str: ...
    @property
    def summary(self) -> str: ...


class WaitingPlan(Protocol):
    """A plan that waits for a yes."""

    @property
    def handle(self) -> str: ...
    @property
    def short_handle(self) -> str: ...
    @property
    def requester(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def approvals_needed(self) -> int: ...
    @property
    def plan(self) -> Plan: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """What the asker has to look after."""

    incidents: tuple[Incident, ...]  #: unresolved: theirs, and of services that they are on call for; the worst first
    more: int  #: how many such are left out
    others: int  #: how many more are unresolved
    to_approve: tuple[WaitingPlan, ...]  #: plans in which their yes would count, newest first
    requested: tuple[WaitingPlan, ...]  #: plans that they asked for and that wait, newest first
    runs: tuple[RunStatus, ...]  #: of the last day: theirs that go on, or that somebody has to do something about
    on_call: Mapping[str, tuple[str, ...]]  #: what those who are on call are called, by service; their own first


class Command(Protocol[Args]):
    """One verb that asks, or changes incidents. `commands/` finds every module that has a `command` of this shape."""

    verb: str
    usage: str  #: "ack <incident>": what `grammar.usage` makes of `args`
    summary: str  #: what it does, one line for `help`
    args: type[Args]  #: a frozen dataclass whose fields are annotated with their `kinds`
    read_only: bool  #: it only answers, and changes nothing

    def run(self, request: Request, args: Args, context: CommandContext) -> Reply:
        """Do it through the desk. Raises `Rejected` with the text for the asker."""
        ...


class CommandContext(Protocol):
    """What a command may do, in parts. Each call is made in the asker's name, inside the request's one transaction."""

    @property
    def incidents(self) -> IncidentOperations: ...
    @property
    def plans(self) -> PlanOperations: ...
    @property
    def runs(self) -> RunOperations: ...
    @property
    def accounts(self) -> AccountOperations: ...
    @property
    def break_glass(self) -> BreakGlassOperations: ...

    def list_commands(self) -> Sequence[CommandInfo]:
        """The commands and actions that the asker may use on some target."""
        ...

    def get_overview(self, limit: int) -> Overview:
        """What the asker has to look after, with at most `limit` incidents."""
        ...


class IncidentOperations(Protocol):
    """`desk.incidents`. A change that does not apply raises `Rejected`."""

    def get(self, incident_id: int) -> Incident:
        """Raises `Rejected` when there is none of that number."""
        ...

    def list_unresolved(self, limit: int) -> Sequence[Incident]: ...
    def acknowledge(self, incident: Incident) -> Incident: ...
    def resolve(self, incident: Incident) -> Incident: ...
    def reopen(self, incident: Incident, reason: str) -> Incident:
        """Raises `Rejected` when there is a newer incident of the same alerts."""
        ...

    def assign(self, incident: Incident, person: str) -> Incident: ...
    def set_severity(self, incident: Incident, severity: Severity) -> Incident: ...
    def add_note(self, incident: Incident, text: str) -> Incident: ...
    def page(self, text: str, *, service: str | None = None, about: Incident | None = None) -> Incident:
        """Open a critical incident of its own. `about`: the incident whose timeline tells of it."""
        ...

    def list_firing_alerts(self, incident: Incident, limit: int) -> Sequence[str]:
        """The titles of the alerts that fire in it, those that began first."""
        ...

    def list_notes(self, incident: Incident, limit: int) -> Sequence[Event]:
        """The newest notes, oldest of them first."""
        ...


class PlanOperations(Protocol):
    """`desk.plans`. A plan is named by the first characters of its handle."""

    def list_waiting(self) -> Sequence[WaitingPlan]:
        """Plans that can still be approved, newest first."""
        ...

    def approve(self, handle: str, typed: str = "") -> Reply:
        """Count the asker's approval. `typed`: what a plan wants named with each approval (`Plan.confirm_name`).

        Raises:
            Rejected: their approval does not count, or the plan is over.
        """
        ...

    def reject(self, handle: str) -> Reply:
        """The plan is over for everybody; nothing of it is run."""
        ...


class RunOperations(Protocol):
    """`desk.runs`. A run is named by the first characters of its id."""

    def list_recent(self) -> Sequence[RunStatus]:
        """The last runs, newest first."""
        ...

    def undo(self, run_id: str) -> Reply:
        """Plan the way back. Raises `Rejected` where the run left none, or is undone already."""
        ...

    def cancel_timed_undo(self, run_id: str) -> Reply:
        """The run stays as it is after its time is over. Raises `Rejected` where no time ends it."""
        ...

    def record_result(self, run_id: str, ended: str, reason: str) -> Reply:
        """The asker says how a run ended whose result is unknown. Raises `Rejected` where it is known."""
        ...


class AccountOperations(Protocol):
    """`desk.accounts`: the asker's own. A refusal that is stored is a reply with ok=False."""

    def issue_link_code(self) -> Reply:
        """A code by which the asker links another account; for an unknown asker, how to get one."""
        ...

    def redeem_link_code(self, code: str) -> Reply:
        """The account that asks is linked to the person who was issued the code."""
        ...

    def unlink(self, channel: str) -> Reply:
        """End the link of the asker's account in that place."""
        ...

    def describe_identity(self) -> Sequence[str]:
        """The asker, their accounts, their roles and the reason for each, a line each."""
        ...


class BreakGlassOperations(Protocol):
    """`desk.break_glass`: rights for an emergency."""

    def activate(self, reason: str) -> Reply:
        """The rules of break-glass roles apply to the asker for a while. Raises `Rejected`."""
        ...

    def review(self, person: str, finding: str) -> Reply:
        """Review the last use by that person, which ends it. Raises `Rejected`."""
        ...

    def list_recent(self) -> Sequence[str]:
        """The last uses, a line each, newest first."""
        ...
