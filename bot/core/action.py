"""What an action is, and the tools it may use: the protocol of verbs that change something outside the bot.

An action plans with reads only, runs once, and can be probed afterwards. It fails in three ways: `Rejected`, the call
was refused and nothing was done; `Conflict`, the world is not as the plan saw it and nothing was done;
`OutcomeUnknown`, nobody knows whether it was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Protocol, TypeVar

from bot.core.backup import Backups
from bot.core.flagger import Gates
from bot.core.manual import Manual
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.core.silences import Silences
from bot.core.site import ServiceTargets

Args = TypeVar("Args")


class MetricsStore(Protocol):
    """Evaluates PromQL expressions."""

    def holds(self, expression: str) -> bool | None:
        """Whether the expression is true now (some sample, none of them 0); None when it cannot be evaluated."""
        ...


def pause(much: timedelta) -> None:
    """Wait that long, by the real clock."""
    sleep(much.total_seconds())


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What an action may use; None where the settings have no section for it."""

    #: The time of day, which may be set back.
    now: Callable[[], datetime]
    #: Seconds since some fixed moment, by a clock that is never set. All waits use it.
    elapsed: Callable[[], float] = monotonic
    silences: Silences | None = None
    metrics: MetricsStore | None = None
    targets: ServiceTargets | None = None
    backups: Backups | None = None
    #: Flagger's gates.
    gates: Gates | None = None
    #: The person it is planned or run for; None where the bot only probes.
    by: Principal | None = None
    #: The run whose undo is planned; "" for a plan that undoes nothing.
    undo_of: str = ""
    #: How long a waiting run pauses between two polls.
    poll_interval: timedelta = timedelta(seconds=2)
    #: Waits that long between two looks. Tests move their clock instead.
    pause: Callable[[timedelta], None] = pause
    #: Reports the progress of a long run in a few words: "3 of 6 pods are ready". May be called at any rate; not every
    #: call is shown.
    report_progress: Callable[[str], None] = lambda _: None
    #: Stores what the wait after the write needs and the world does not show later. Called right before the write.
    #: Raises `Rejected` when it cannot be stored, and then nothing may be written.
    remember: Callable[[Mapping[str, str]], None] = lambda _: None
    #: What the run stored with `remember`; given to its probe.
    remembered: Mapping[str, str] = field(default_factory=dict)
    #: Called with the deadline of a wait that begins; returns the deadline that counts, which is the first that this
    #: run had. None: the wait was interrupted too often to be started once more.
    deadline: Callable[[datetime], datetime | None] = lambda until: until


class Action(Protocol[Args]):
    """One verb that changes something outside the bot. `commands/` finds every module that has an `action`.

    It is registered only if it has a plan, limits, a probe and the command that undoes it. The dispatcher decides,
    shows the plan, waits for approval, writes the intent, and only then calls `run` with the approved plan.
    """

    verb: str
    usage: str
    summary: str
    manual: Manual
    args: type[Args]
    risk: Risk
    #: It only reads and answers: no plan is shown, nothing is run, and the answer is audited.
    read_only: bool
    #: It takes longer than people wait for an answer: it runs on a thread of its own, and reports progress and result.
    long_running: bool
    #: What it refuses to everybody, for people: {"duration": "at most 7 d"}; never empty.
    limits: Mapping[str, str]

    def target(self, args: Args) -> str:
        """The target that rights are checked for: a service's name, or a name for everything that is touched."""
        ...

    def plan(self, args: Args, tools: Tools) -> Plan:
        """What would be done. Reads only. Raises `Rejected`; its text is shown."""
        ...

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        """Do it, once. `run` is the run's id; it must be possible to find it in the world afterwards.

        Raises:
            Conflict: the world is not as the plan saw it; nothing was done.
            Rejected: refused; nothing was done.
            OutcomeUnknown: nobody knows whether it was done.
        """
        ...

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        """Find out, read-only, whether that run had its effect: DONE, FAILED (it had none) or UNKNOWN.

        If it had, and `run` would have waited for it to settle, the wait goes on here: until `tools.deadline`, which
        is the run's own, and with `tools.remembered`.
        """
        ...


#: Called with the alert's name, the run and the sentence to show. Returns once the alert is stored, so somebody will be
#: paged; raises `Unavailable` when it could not be stored.
RaiseAlert = Callable[[str, str, str], None]
