"""silence: Alertmanager sends no notifications for some alerts, for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated

from bot.alerts import silences as silencing
from bot.chatops.arguments import Duration, FreeText, Keyword, Matchers
from bot.core.action import Tools
from bot.core.errors import Conflict, Rejected
from bot.core.manual import Facility, Manual, Topic
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import MatchedAlert, Matcher
from bot.lib.text import spell_duration

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class SilenceArgs:
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    held: Annotated[timedelta, Duration(minimum=SHORTEST, maximum=LONGEST), Keyword("for")]
    because: Annotated[str, FreeText(max_length=500, question="Why?"), Keyword("because")] = ""


_MANUAL = Manual(
    topic=Topic.SILENCES,
    examples=(
        "silence alertname=HighErrorRate for 2h",
        'silence alertname=DiskFull instance=~"db-.*" for 30m because the disk is being replaced',
    ),
    details="It says first which alerts it covers.",
    way_back="`unsilence` and the silence's id.",
    needs=(Facility.SILENCES,),
)


@dataclass(frozen=True)
class SilenceAction:
    verb: str = "silence"
    usage: str = "silence <name=value ...> for <duration> [because <text>]"
    summary: str = "silence some alerts in Alertmanager for a while"
    manual: Manual = _MANUAL
    args: type[SilenceArgs] = SilenceArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "duration": f"{spell_duration(SHORTEST)} to {spell_duration(LONGEST)}",
                "matchers": "at least one has to name a specific value, and none may match every value",
                "kinds of alert": f"at most {silencing.MOST_KINDS} that fire now",
            }
        )
    )

    def target(self, args: SilenceArgs) -> str:
        """The service, if a matcher limits the silence to one; else "*", because it may cover any service."""
        return next((one.value for one in args.matchers if (one.name, one.op) == ("service", "=") and one.value), "*")

    def plan(self, args: SilenceArgs, tools: Tools) -> Plan:
        silencing.check_specific(args.matchers)
        if not SHORTEST <= args.held <= LONGEST:
            message = f"A silence lasts {spell_duration(SHORTEST)} to {spell_duration(LONGEST)}. Nothing was done."
            raise Rejected(f"{message} Choose another duration.", code="bad_duration")
        silences = silencing.silences_of(tools)
        covered, firing = silences.matching_alerts(args.matchers), silences.matching_alerts(())
        seen = silencing.alert_kinds(covered)
        self._check_kinds(covered)
        return Plan(
            target=self.target(args),
            effect=(
                (
                    f"For {spell_duration(args.held)} Alertmanager sends no notifications for alerts with "
                    f"{silencing.format_matchers(args.matchers)}."
                ),
                *_coverage(covered, firing),
                "Nor does it report that they end: until then their incidents stay as they are.",
                "Undo: `unsilence` with the id of the silence, which the result shows.",
            ),
            blast_radius=silencing.describe_scope(covered),
            preconditions={"covers": seen},
            hidden=("covers",),  # the effect says the same for people
        )

    def run(self, args: SilenceArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        silences = silencing.silences_of(tools)
        added = silencing.new_kinds(silences.matching_alerts(args.matchers), plan.preconditions["covers"])
        if added:
            more = f" and {len(added) - 1} more" if len(added) > 1 else ""
            raise Conflict(f"It would now also cover {added[0]}{more}. Nothing was done.")
        until = tools.now() + args.held
        comment = f"{args.because} {_mark(run)}".strip()
        number = silences.create(args.matchers, until=until, by=by.id, comment=comment)
        return _done(number, f"until {until:%Y-%m-%d %H:%M} UTC")

    def probe(self, args: SilenceArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        found = silencing.silences_of(tools).active(_mark(run), ended=True)
        mine = [one for one in found if one.comment.endswith(_mark(run))]
        if not mine:
            return Outcome(
                result=Result.FAILED, message="Alertmanager has no silence from this run. Nothing was changed."
            )
        return _done(mine[0].id, f"until {mine[0].ends_at:%Y-%m-%d %H:%M} UTC")

    def _check_kinds(self, covered: Sequence[MatchedAlert]) -> None:
        kinds = len({(one.title, one.severity, one.service) for one in covered})
        if kinds > silencing.MOST_KINDS:
            message = f"That covers {kinds} kinds of alert; the limit is {silencing.MOST_KINDS}. Nothing was done."
            raise Rejected(f"{message} Narrow it to one service or one alertname.", code="too_wide")


def _coverage(covered: Sequence[MatchedAlert], firing: Sequence[MatchedAlert]) -> tuple[str, ...]:
    if not covered:
        return ("It covers no alert that fires now.",)
    message = f"It covers {len(covered)} of the {len(firing)} alerts that fire now:"
    # Not `==`: an alert may begin between the two requests.
    if len(covered) >= len(firing):
        message = f"It covers ALL alerts that fire now ({len(covered)}):"
    return (message, *silencing.describe_kinds(covered))


def _mark(run: str) -> str:
    """At the end of the comment, so that no text of the asker can follow it."""
    return f"(vakhta run {run})"


def _done(number: str, until: str) -> Outcome:
    undo = f"unsilence {number}"
    return Outcome(
        result=Result.DONE, message=f"Silence {number} is active {until}. `{undo}` ends it.", undo_command=undo
    )


action = SilenceAction()
