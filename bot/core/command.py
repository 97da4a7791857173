"""The verbs: what a source, a channel and a command must be able to do, and the two ways to fail.

Everything that plugs in knows this file and `model`, and nothing else of the house.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from bot.core.alert import Severity
from bot.core.channel import CommandInfo
from bot.core.incident import Event, Incident
from bot.core.plan import Plan
from bot.core.request import Reply, Request
from bot.core.run_state import RunStatus

Args = TypeVar("Args")


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


KnownNames = Mapping[
    str, Collection[str]
]  #: what a name is of -> the names that exist; of a mapping, its keys are aliases
