"""What an action is, and what it may use of the world: the verbs of doing, beside those of `ports`.

An action plans by reading alone, runs once, and can be looked for afterwards. It fails in three ways: `Rejected`, the
world refuses and nothing was done; `Conflict`, it is not as the plan saw it and nothing was done; `OutcomeUnknown`,
nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Protocol, TypeVar

from bot.core.flagger import Gates
from bot.core.plan import Outcome, Plan, Risk
from bot.core.request import Principal
from bot.core.silences import Silences
from bot.core.site import ServiceTargets

Args = TypeVar("Args")


class Action(Protocol[Args]):
    """One verb that changes something outside of the house. `commands/` finds every module that has an `action`.

    Without a plan, limits, a probe and words for its undo it is not registered. The gate decides, shows the plan, asks
    for a yes, writes the intent, and only then calls `run`, with the plan that was approved.
    """

    verb: str
    usage: str
    summary: str
    args: type[Args]
    risk: Risk
    read_only: (
        bool  #: it only asks the world and answers: no plan is shown, nothing is run, and the answer is on record
    )
    long_running: (
        bool  #: it outlasts the patience of whoever asks: it goes on apart, tells how it goes, and its end later
    )
    limits: Mapping[str, str]  #: what it refuses whoever asks, for people: {"duration": "at most 7 d"}; never empty

    def target(self, args: Args) -> str:
        """What the rights are asked for: a service's name, or what stands for everything that is touched."""
        ...

    def plan(self, args: Args, tools: Tools) -> Plan:
        """Look, and say what would be done. Reads only. Raises `Rejected`; the text is shown."""
        ...

    def run(self, args: Args, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        """Do it, once. `run` is the run's id, and has to be findable in the world afterwards.

        Raises:
            Moved: it is not as the plan saw it; nothing was done.
            Rejected: the world refuses; nothing was done.
            Unsure: nobody knows.
        """
        ...

    def probe(self, args: Args, plan: Plan, run: str, tools: Tools) -> Outcome:
        """Look, read-only, whether that run had its effect: DONE, FAILED (it had none) or UNKNOWN.

        Where it had, and `run` would have watched it, it is watched on here: with `tools.deadline`, which is the one
        that the run had, and with `tools.noted`.
        """
        ...


class MetricsStore(Protocol):
    """Asks a metrics store whether all is well."""

    def holds(self, expression: str) -> bool | None:
        """Whether the PromQL expression is true now (some sample, none of them 0); None when it cannot be asked."""
        ...


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What an action may use of the world; None where the settings have no section for it."""

    now: Callable[[], datetime]  #: the time of day, which may be put back
    elapsed: Callable[[], float] = (
        monotonic  #: seconds since any moment, by a clock that nobody sets: all waits go by it
    )
    silences: Silences | None = None
    metrics: MetricsStore | None = None
    targets: ServiceTargets | None = None
    gates: Gates | None = None  #: those of Flagger
    by: Principal | None = None  #: for whom it is planned or run; None where the bot only looks
    undo_of: str = ""  #: the run whose undo is planned; "" where it is asked for its own sake
    poll_interval: timedelta = timedelta(
        seconds=2
    )  #: how long a run that waits for the world leaves it between two looks
    report_progress: Callable[[str], None] = lambda _: None
    """How a slow run goes, in a few words: "3 of 6 pods are ready". Called as often as one likes; not all is shown."""
    remember: Callable[[Mapping[str, str]], None] = lambda _: None
    """Called right before the write with what the watch over it needs and the world does not show afterwards.

    Raises `Rejected` where that cannot be stored, and then nothing may be written.
    """
    remembered: Mapping[str, str] = field(default_factory=dict)  #: what the run noted, where it is probed
    deadline: Callable[[datetime], datetime | None] = lambda until: until
    """Called when a watch begins, with its deadline; returns the one that counts: the first that this run had. None:
    its watch was cut off too often to be begun once more."""


#: Called with the alert's name, the run and what is to be looked at; returns once that is stored, so that somebody will
#: be paged, and raises `Unavailable` where it could not be.
RaiseAlert = Callable[[str, str, str], None]
