"""A small world of dials that actions turn: it keeps every call, and can refuse, hang or forget to answer.

The action is a real one in every part (plan, limits, check, undo, probe); only its world is this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from bot.chatops.arguments import Duration, Integer, Keyword, Name
from bot.core.action import Tools
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal


@dataclass
class Dials:
    """Values by name, each with the run that set it. `turned` is every mutation: (name, value, run)."""

    values: dict[str, int] = field(default_factory=lambda: {"prod/api": 3, "prod/web": 1})
    last_run: dict[str, str] = field(default_factory=dict)
    turned: list[tuple[str, int, str]] = field(default_factory=list)
    before: list[Callable[[], None]] = field(default_factory=list)  #: happens when a call arrives
    after: list[Callable[[], None]] = field(default_factory=list)  #: happens once it had its effect
    silent: bool = False  #: nothing can be read
    odd: Exception | None = None  #: what reading comes to where the world is not as anybody thought
    unwell: str = ""  #: why a dial that was turned does not hold
    others: int = 0  #: how many other people a plan asks for
    steps: list[Callable[[], str]] = field(default_factory=list)  #: what a call says on its way

    def read(self, name: str) -> int:
        if self.odd is not None:
            raise self.odd
        if self.silent:
            raise Rejected("The dials do not answer. Nothing was done.", code="unreachable", status=503)
        if name not in self.values:
            raise Rejected(f"No dial {name}. Nothing was done.", code="no_dial", status=404)
        return self.values[name]

    def turn(self, name: str, value: int, run: str) -> None:
        if self.before:
            self.before.pop(0)()
        self.values[name] = value
        self.last_run[name] = run
        self.turned.append((name, value, run))
        if self.after:
            self.after.pop(0)()


def lost() -> None:
    """The answer to a call is lost."""
    raise OutcomeUnknown("the connection was cut")


@dataclass(frozen=True, kw_only=True)
class TurnArgs:
    service: Annotated[str, Name()]
    value: Annotated[int, Integer(0, 100)]
    held: Annotated[timedelta | None, Duration(maximum=timedelta(days=1)), Keyword("for")] = None


_MANUAL = Manual(
    topic=Topic.WORKLOADS,
    examples=("turn {service} 6", "turn {service} 6 for 30m"),
    way_back="`undo` and the run.",
    needs=(Facility.CLUSTER,),
)


@dataclass(frozen=True)
class Turn:
    """`turn prod/api 6 for 30m`."""

    dials: Dials
    verb: str = "turn"
    usage: str = "turn <service> <value 0-100> [for <duration>]"
    summary: str = "turn a dial"
    manual: Manual = _MANUAL
    args: type[TurnArgs] = TurnArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(default_factory=lambda: {"value": "0 to 100"})
    check: str = ""
    typed: bool = False  #: a dial is turned to 0 only by a yes that names it

    def target(self, args: TurnArgs) -> str:
        return args.service

    def plan(self, args: TurnArgs, tools: Tools) -> Plan:
        now = self.dials.read(args.service)
        return Plan(
            target=args.service,
            effect=(f"{args.service} goes from {now} to {args.value}",),
            blast_radius="one dial",
            preconditions={"value": str(now)},
            undo_command=f"turn {args.service} {now}",
            check=self.check,
            check_duration=timedelta(minutes=5) if self.check else timedelta(0),
            undo_after=args.held or timedelta(0),
            confirm_name=args.service if self.typed and args.value == 0 else "",
            approvals_needed=self.dials.others,
        )

    def run(self, args: TurnArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        now = self.dials.read(args.service)
        if str(now) != plan.preconditions["value"]:
            raise Conflict(f"value: {plan.preconditions['value']} -> {now}")
        for step in self.dials.steps:
            tools.report_progress(step())
        self.dials.turn(args.service, args.value, run)
        return self._done(args)

    def probe(self, args: TurnArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        self.dials.read(args.service)
        if self.dials.last_run.get(args.service) == run:
            return self._done(args)
        return Outcome(result=Result.FAILED, message="It was not turned. Nothing was changed.")

    def _done(self, args: TurnArgs) -> Outcome:
        said, left = f"{args.service} is at {args.value}.", {"value": str(args.value)}
        return Outcome(result=Result.DONE, message=said, degraded=self.dials.unwell, expected_state=left)
