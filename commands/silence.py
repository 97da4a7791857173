"""silence: Alertmanager stops telling of some alerts, for a while."""

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
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.request import Principal
from bot.core.silences import MatchedAlert, Matcher
from bot.lib.text import spell

_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class SilenceArgs:
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    held: Annotated[timedelta, Duration(minimum=_SHORTEST, maximum=_LONGEST), Keyword("for")]
    because: Annotated[str, FreeText(500), Keyword("because")] = ""


@dataclass(frozen=True)
class SilenceAction:
    verb: str = "silence"
    usage: str = "silence <name=value ...> for <duration> [because <text>]"
    summary: str = "let Alertmanager be quiet about some alerts for a while"
    args: type[SilenceArgs] = SilenceArgs
    risk: Risk = Risk.REVERSIBLE
    read_only: bool = False
    long_running: bool = False
    limits: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType(
            {
                "duration": f"{spell(_SHORTEST)} to {spell(_LONGEST)}",
                "matchers": "at least one names something; none matches whatever it is",
                "kinds of alert": f"at most {silencing.MOST_KINDS} that fire now",
            }
        )
    )

    def target(self, args: SilenceArgs) -> str:
        """The service, where the silence cannot reach beyond one; else all of them, because it may be any."""
        return next((one.value for one in args.matchers if (one.name, one.op) == ("service", "=") and one.value), "*")

    def plan(self, args: SilenceArgs, tools: Tools) -> Plan:
        silencing.check_specific(args.matchers)
        if not _SHORTEST <= args.held <= _LONGEST:
            message = (
                f"A silence lasts {spell(_SHORTEST)} to {spell(_LONGEST)}. Nothing was done. Choose another duration."
            )
            raise Rejected(message, code="bad_duration")
        silences = silencing.silences_of(tools)
        covered, firing = silences.matching_alerts(args.matchers), silences.matching_alerts(())
        seen = silencing.alert_kinds(covered)
        self._check_kinds(covered)
        return Plan(
            target=self.target(args),
            effect=(
                (
                    f"For {spell(args.held)} Alertmanager tells nobody of alerts with "
                    f"{silencing.format_matchers(args.matchers)}."
                ),
                *_of_what_fires(covered, firing),
                "Nor does it tell that they end: their incidents stay as they are until then.",
                "It is undone by `unsilence` and the number that the silence gets.",
            ),
            blast_radius=silencing.describe_scope(covered),
            preconditions={"covers": seen},
            hidden=("covers",),  # the effect tells the same for people
        )

    def run(self, args: SilenceArgs, plan: Plan, run: str, by: Principal, tools: Tools) -> Outcome:
        silences = silencing.silences_of(tools)
        unseen = silencing.new_kinds(silences.matching_alerts(args.matchers), plan.preconditions["covers"])
        if unseen:
            more = f" and {len(unseen) - 1} more" if len(unseen) > 1 else ""
            raise Conflict(f"It would now also cover {unseen[0]}{more}. Nothing was done.")
        until = tools.now() + args.held
        comment = f"{args.because} {_mark(run)}".strip()
        number = silences.create(args.matchers, until=until, by=by.id, comment=comment)
        return _done(number, f"until {until:%Y-%m-%d %H:%M} UTC")

    def probe(self, args: SilenceArgs, plan: Plan, run: str, tools: Tools) -> Outcome:
        found = silencing.silences_of(tools).active(_mark(run), ended=True)
        mine = [one for one in found if one.comment.endswith(_mark(run))]
        if not mine:
            return Outcome(
                result=Result.FAILED, message="Alertmanager has no silence of this run. Nothing was changed."
            )
        return _done(mine[0].id, f"until {mine[0].ends_at:%Y-%m-%d %H:%M} UTC")

    def _check_kinds(self, covered: Sequence[MatchedAlert]) -> None:
        kinds = len({(one.title, one.severity, one.service) for one in covered})
        if kinds > silencing.MOST_KINDS:
            message = f"That covers {kinds} kinds of alert, and {silencing.MOST_KINDS} are the most. Nothing was done."
            raise Rejected(f"{message} Name fewer: one service, or one alertname.", code="too_wide")


def _of_what_fires(covered: Sequence[MatchedAlert], firing: Sequence[MatchedAlert]) -> tuple[str, ...]:
    if not covered:
        return ("Nothing that fires now is covered.",)
    message = f"It covers {silencing.describe_count(covered)} of the {len(firing)} that fire now:"
    # Alerts may begin between the two looks.
    if len(covered) >= len(firing):
        message = f"It covers ALL of what fires now, {silencing.describe_count(covered)}:"
    return (message, *silencing.describe_kinds(covered))


def _mark(run: str) -> str:
    """At the end of the comment, where no words of the asker come after it."""
    return f"(vakhta run {run})"


def _done(number: str, until: str) -> Outcome:
    undo = f"unsilence {number}"
    return Outcome(result=Result.DONE, message=f"Silence {number} stands {until}. `{undo}` ends it.", undo_command=undo)


action = SilenceAction()
