"""The protocol of commands, verbs that read or change incidents, and the operations that they may call.

A command knows these protocols and nothing of the packages that implement them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from bot.core.alert import Severity
from bot.core.catalog import ServiceState, UnownedAlerts
from bot.core.channel import CommandInfo
from bot.core.incident import Incident
from bot.core.incident_detail import IncidentDetail
from bot.core.manual import Manual, Topic
from bot.core.message import SentAgain
from bot.core.plan import Plan
from bot.core.request import Reply, Request
from bot.core.rota import MadeOverride, Override, RotaView
from bot.core.run_state import RunStatus

Args = TypeVar("Args")

#: What a name is of, such as "service" -> the names that exist; of a mapping, its keys are aliases.
KnownNames = Mapping[str, Collection[str]]


class WaitingPlan(Protocol):
    """A plan that waits for approval."""

    @property
    def handle(self) -> str: ...
    @property
    def short_handle(self) -> str: ...
    @property
    def requester(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def approvals_needed(self) -> int: ...
    @property
    def plan(self) -> Plan: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The open work of the person who asks."""

    incidents: tuple[
        Incident, ...
    ]  #: unresolved: their own, and of services that they are on call for or their team owns
    more: int  #: how many of these are left out
    others: int  #: how many more are unresolved
    to_approve: tuple[WaitingPlan, ...]  #: plans that they can approve, newest first
    requested: tuple[WaitingPlan, ...]  #: their own plans that wait, newest first
    runs: tuple[RunStatus, ...]  #: of the last day: their own in progress, and those that need attention
    on_call: Mapping[str, tuple[str, ...]]  #: names of the people on call, by service; their own services first
    owners: Mapping[str, str] = field(default_factory=dict)  #: service -> the team or whoever else owns it


@dataclass(frozen=True, kw_only=True, slots=True)
class PagerState:
    """A pager, and whether it takes an incident."""

    called: str
    takes_it: bool  #: False: its settings leave out incidents of that severity
    problem: str = ""  #: why it may not get through now; "" while no problem is known


@dataclass(frozen=True, kw_only=True, slots=True)
class PageReach:
    """Who hears of an incident when it opens."""

    pagers: tuple[PagerState, ...]  #: each wakes whoever is on call there, by its own schedule
    on_call: tuple[str, ...]  #: names of the people on call for the incident's service, by the settings
    chats: tuple[str, ...]  #: where it is posted
    mentioned: tuple[str, ...] = ()  #: names of those on call whom a chat's message mentions

    @property
    def paging(self) -> tuple[PagerState, ...]:
        return tuple(one for one in self.pagers if one.takes_it)


class IncidentOperations(Protocol):
    """`context.incidents`. A change that does not apply raises `Rejected`."""

    def get(self, incident_id: int) -> Incident:
        """Raises `Rejected` when no incident has that number."""
        ...

    def list_unresolved(self, limit: int) -> Sequence[Incident]:
        """The most severe first, then the one that was opened first."""
        ...

    def acknowledge(self, incident: Incident) -> Incident: ...
    def unacknowledge(self, incident: Incident, reason: str) -> Incident: ...
    def resolve(self, incident: Incident) -> Incident: ...
    def reopen(self, incident: Incident, reason: str) -> Incident:
        """Raises `Rejected` when there is a newer incident of the same alerts."""
        ...

    def assign(self, incident: Incident, person: str, reason: str) -> Incident: ...
    def set_severity(self, incident: Incident, severity: Severity) -> Incident: ...
    def add_note(self, incident: Incident, text: str) -> Incident: ...
    def page(self, text: str, *, service: str | None = None, about: Incident | None = None) -> Incident:
        """Open a new critical incident. `about`: the incident whose timeline mentions it."""
        ...

    def resend(self, incident: Incident) -> Sequence[SentAgain]:
        """Owe its messages that were given up again, by channel; empty when none was."""
        ...


class PlanOperations(Protocol):
    """`context.plans`. A plan is named by the first characters of its handle."""

    def list_waiting(self) -> Sequence[WaitingPlan]:
        """Plans that can still be approved, newest first."""
        ...

    def approve(self, handle: str, typed: str = "") -> Reply:
        """Record the requester's approval. `typed`: the name that the plan wants repeated (`Plan.confirm_name`).

        Raises:
            Rejected: their approval does not count, or the plan is closed.
        """
        ...

    def reject(self, handle: str) -> Reply:
        """Close the plan for everybody; nothing of it is run."""
        ...


class RunOperations(Protocol):
    """`context.runs`. A run is named by the first characters of its id."""

    def list_recent(self) -> Sequence[RunStatus]:
        """The last runs, newest first."""
        ...

    def undo(self, run_id: str) -> Reply:
        """Plan the undo of a run. Raises `Rejected` when the run has none, or is undone already."""
        ...

    def cancel_timed_undo(self, run_id: str) -> Reply:
        """Keep the run's change when its time is over. Raises `Rejected` when the run has no timed undo."""
        ...

    def record_result(self, run_id: str, ended: str, reason: str) -> Reply:
        """The requester states the result of a run whose result is unknown. Raises `Rejected` when it is known."""
        ...


class AccountOperations(Protocol):
    """`context.accounts`: the requester's own. A refusal that is stored is a reply with ok=False."""

    def issue_link_code(self) -> Reply:
        """A code to link another account of the requester; for an unknown account, how to get one."""
        ...

    def redeem_link_code(self, code: str) -> Reply:
        """Link the requesting account to the person who was issued the code."""
        ...

    def unlink(self, channel: str) -> Reply:
        """Remove the link of the requester's account in that channel."""
        ...

    def describe_identity(self) -> Sequence[str]:
        """The requester, their accounts, and their roles with the reason for each; one line each."""
        ...


class BreakGlassOperations(Protocol):
    """`context.break_glass`: rights for an emergency."""

    def activate(self, reason: str) -> Reply:
        """Apply the rules of break-glass roles to the requester for a limited time. Raises `Rejected`."""
        ...

    def review(self, person: str, finding: str) -> Reply:
        """Review that person's last use, which also ends it. Raises `Rejected`."""
        ...

    def list_recent(self) -> Sequence[str]:
        """The last uses, one line each, newest first."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class VerbHelp:
    """All that `help` says of one verb, for the person who asks."""

    verb: str
    usage: str
    summary: str
    details: str
    examples: tuple[str, ...]  #: with names that exist here
    approval: str  #: who must approve its plan; "" for a verb without a plan
    way_back: str  #: how to undo it; "" for a verb that changes nothing
    limits: tuple[str, ...]  #: what it refuses to everybody


#: The code of the refusal of `HelpOperations.describe` for a word that is no verb at all.
NO_SUCH_VERB = "no_such_verb"


class ListedVerb(CommandInfo, Protocol):
    """A verb as a list of `help` shows it."""

    @property
    def manual(self) -> Manual: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceOnCall:
    """Whom a service names."""

    name: str
    always: tuple[str, ...]  #: ids of people, who are on call all the time
    rotas: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class OnCallReport:
    """Who is on call at an instant."""

    at: datetime
    services: tuple[ServiceOnCall, ...]
    rotas: tuple[RotaView, ...]
    left_out: int = 0  #: services and rotas that are not among them
    overrides: tuple[MadeOverride, ...] = ()  #: of these rotas, those that are not over


@dataclass(frozen=True, kw_only=True, slots=True)
class OverrideReport:
    """What an override changes."""

    id: str
    override: Override
    zone: ZoneInfo  #: of the rota
    replaced: tuple[str, ...]  #: who would be on call in that time without it, the person put there left out


class OnCallOperations(Protocol):
    """`context.on_call`. `at`: a time as it was typed, "" for now. What is no such time raises `Rejected`."""

    def override(self, rota: str, person: str, duration: timedelta, *, instead_of: str, start: str) -> OverrideReport:
        """Put that person on call, and tell whom it concerns.

        `start`: a time as it was typed, "" for now; `instead_of`: "" for everybody.

        Raises:
            Rejected: it would change nothing, or the past.
        """
        ...

    def remove_override(self, beginning: str) -> MadeOverride:
        """By the first characters of its id. Raises `Rejected`: there is none, or it is over."""
        ...

    def look_up(self, name: str, at: str) -> OnCallReport:
        """Of a service with its rotas, or of a rota. Raises `Rejected` for a name of neither."""
        ...

    def look_up_all(self, at: str, limit: int) -> OnCallReport:
        """Of all, with at most `limit` services and as many rotas; their shifts are followed for days only."""
        ...


class CatalogOperations(Protocol):
    """`context.catalog`: the services of the settings."""

    @property
    def default(self) -> str | None:
        """The service of alerts that match none."""
        ...

    def list_services(self) -> Sequence[ServiceState]:
        """In the order of the settings."""
        ...

    def describe(self, name: str) -> ServiceState:
        """Raises `Rejected` when the settings have no such service."""
        ...

    def dependencies_in_trouble(self, service: str | None) -> tuple[str, ...]:
        """What the service depends on and has an unresolved incident: a sentence for each, the nearest first."""
        ...

    def list_unowned(self) -> Sequence[UnownedAlerts]:
        """Of the newest alerts; those that came last first."""
        ...


class HelpOperations(Protocol):
    """`context.help`: the verbs that this installation can do and that the requester may use on some target."""

    def list_verbs(self, topic: Topic | None = None) -> Sequence[ListedVerb]:
        """By name; those of one topic, or all."""
        ...

    def describe(self, verb: str) -> VerbHelp:
        """Raises `Rejected` unless it is one of `list_verbs`; for a verb that needs more than is set up, says what."""
        ...


class CommandContext(Protocol):
    """What a command may do, in parts. Each call acts for the requester, inside the request's one transaction."""

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
    @property
    def on_call(self) -> OnCallOperations: ...
    @property
    def catalog(self) -> CatalogOperations: ...
    @property
    def help(self) -> HelpOperations: ...

    def get_detail(self, incident: Incident) -> IncidentDetail: ...
    def get_page_reach(self, incident: Incident) -> PageReach: ...
    def get_name(self, person: str) -> str:
        """The name of the person with that id; the id where the settings have no name."""
        ...

    def get_overview(self, limit: int) -> Overview:
        """The requester's open work, with at most `limit` incidents."""
        ...


class Command(Protocol[Args]):
    """One verb that reads or changes incidents. `commands/` finds every module that has a `command` of this shape."""

    verb: str
    usage: str  #: "ack <incident>", as `parser.usage` derives it from `args`
    summary: str  #: what it does, one line for `help`
    manual: Manual  #: what else `help` says of it
    args: type[Args]  #: a frozen dataclass whose fields are annotated with argument types (`chatops/arguments.py`)
    read_only: bool  #: it changes nothing

    def run(self, request: Request, args: Args, context: CommandContext) -> Reply:
        """Do it through the context. Raises `Rejected` with the text for the person who asked."""
        ...
