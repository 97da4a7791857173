"""`context.help`: which verbs the requester may use here, and what `help` says of one, with names that exist here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bot.access.conditions import Conditions
from bot.access.decision import YES
from bot.access.policy import CompiledRule, split_rule
from bot.chatops.context.unit_of_work import UnitOfWork
from bot.chatops.registry import RequestParts
from bot.chatops.tokens import list_names, shorten
from bot.core.action import Action
from bot.core.command import NO_SUCH_VERB, Command, VerbHelp
from bot.core.errors import Rejected
from bot.core.manual import Facility, Topic
from bot.core.plan import HANDLE_LENGTH, Risk
from bot.lib.text import spell_list
from bot.store import plans as plan_rows
from bot.store import runs as run_rows

#: Names for the examples of an installation that has none of that sort yet.
_SERVICE, _STORE, _INCIDENT, _PERSON, _RUN = "prod/api", "prod/orders-db", 42, "ana", "1a2b3c4d"
_MOST_APPROVERS, _MOST_CASES = 3, 4
_YOURSELF = "you confirm the plan yourself"


class HelpService:
    """Implements `core.command.HelpOperations` for one request."""

    def __init__(self, unit: UnitOfWork, shared: RequestParts, own_run_verbs: Collection[str]) -> None:
        """`own_run_verbs`: those that need no right of their own on one's own runs."""
        self._unit = unit
        self._registry = shared.registry
        self._authorizer = shared.break_glass.authorizer
        self._targets = shared.targets
        self._own_run_verbs = own_run_verbs

    def list_verbs(self, topic: Topic | None = None) -> Sequence[Command[Any] | Action[Any]]:
        own = self._own_run_verbs if self._may_act() else ()
        return [
            one
            for verb, one in self._registry.usable.items()
            if topic in (None, one.manual.topic)
            and (verb in own or self._authorizer.ever_allowed(self._unit.request.by, verb))
        ]

    def describe(self, verb: str) -> VerbHelp:
        found = next((one for one in self.list_verbs() if one.verb == verb), None)
        if found is None:
            raise self._refusal(verb)
        manual, names = found.manual, self._names(found)
        action = self._registry.actions.get(verb)
        return VerbHelp(
            verb=verb,
            usage=found.usage,
            summary=found.summary,
            details=manual.details.format_map(names),
            examples=tuple(one.format_map(names) for one in manual.examples),
            approval="" if action is None or action.read_only else self._approval(action),
            way_back=manual.way_back.format_map(names),
            limits=() if action is None else tuple(f"{name}: {limit}" for name, limit in action.limits.items()),
        )

    def _may_act(self) -> bool:
        """Whether the requester may use some action that can leave a run."""
        usable = self._registry.usable
        return any(
            not one.read_only and verb in usable and self._authorizer.ever_allowed(self._unit.request.by, verb)
            for verb, one in self._registry.actions.items()
        )

    def _refusal(self, verb: str) -> Rejected:
        known = self._registry.all.get(verb)
        if known is None:
            message = f"There is no command or topic {shorten(verb)}. Nothing was done."
            topics = spell_list(list(Topic), "and")
            return Rejected(f"{message} Topics: {topics}; `help` lists all commands.", code=NO_SUCH_VERB)
        if verb not in self._registry.usable:
            needs = " or ".join(known.manual.needs)
            message = f"`{verb}` cannot be used here: this bot needs {needs}. Nothing was done."
            return Rejected(message, code="not_set_up", status=409)
        message = f"No role of yours allows `{verb}`. Nothing was done. `whoami` shows your roles."
        return Rejected(message, code="unknown_command")

    def _names(self, of: Command[Any] | Action[Any]) -> Mapping[str, object]:
        """Names of this installation for the examples."""
        request, tx = self._unit.request, self._unit.tx
        newest, runs = tx.unresolved(1), run_rows.runs(tx.sql, 1)
        plans = plan_rows.waiting_plans(tx.sql, tx.now, 1)
        people = [one.id for one in self._authorizer.policy.people_with("ack") if one.id != request.by.id]
        return {
            "service": self._service(of),
            "store": min(self._authorizer.stores, default=_STORE),
            "incident": request.incident_id or (newest[0].id if newest else _INCIDENT),
            "person": people[0] if people else _PERSON,
            "run": runs[0].id[:HANDLE_LENGTH] if runs else _RUN,
            "plan": plans[0].short_handle if plans else _RUN,
        }

    def _service(self, of: Command[Any] | Action[Any]) -> str:
        """A service that the verb works on; the requester's own first."""
        known: Collection[str] = self._authorizer.environments
        if Facility.CLUSTER in of.manual.needs or of.manual.topic is Topic.WORKLOADS:
            known = self._targets.names() if self._targets is not None else ()
        own = self._authorizer.policy.on_call_for(self._unit.request.by.id)
        return min(known, key=lambda one: (one not in own, one), default=_SERVICE)

    def _approval(self, action: Action[Any]) -> str:
        """Who must approve its plans, by the rules that allow it to the requester."""
        least = 1 if action.risk is Risk.IRREVERSIBLE else 0
        rules = [*self._authorizer.policy.rules_of(self._unit.request.by.roles, action.verb).allowing()]
        usual = [one for one in rules if not one.break_glass]
        cases = _cases(usual, least)
        if not usual:
            message = "only with break-glass"
        elif len(cases) == 1 and "" in cases:
            message = self._approvers(cases[""])
        else:
            shown = [f"{case}: {self._approvers(needed)}" for case, needed in list(cases.items())[:_MOST_CASES]]
            message = "; ".join([*shown, *(["..."] if len(cases) > _MOST_CASES else [])])
        return " ".join(filter(None, (f"{message}.", action.manual.approval)))

    def _approvers(self, needed: int) -> str:
        if needed == 0:
            return _YOURSELF
        able = [one for one in self._authorizer.policy.people_with(YES) if one.id != self._unit.request.by.id]
        names = [one.display_name for one in able[:_MOST_APPROVERS]]
        such = f", such as {spell_list(names)}" if names else ""
        return f"1 other person approves{such}" if needed == 1 else f"{needed} other people approve{such}"


def _cases(rules: Sequence[CompiledRule], least: int) -> dict[str, int]:
    """In which case ("" for every one) how many other people approve: of several rules, the one that asks for fewest.

    A case that a rule for everything covers with no more approvals is left out.
    """
    found: dict[str, int] = {}
    for one in sorted(rules, key=lambda one: one.precedence):
        found.setdefault(_case(one), max(one.rule.approvals, least))
    everywhere = found.pop("", None)
    if everywhere is None:
        return found
    easier = {case: needed for case, needed in found.items() if needed < everywhere}
    return {**easier, "otherwise": everywhere} if easier else {"": everywhere}


def _case(compiled: CompiledRule) -> str:
    return " ".join(_parts(split_rule(compiled.rule.do)[1], compiled.rule.when))


def _parts(target: str, when: Conditions) -> Iterator[str]:
    if target.strip("*"):
        yield target
    if when.service:
        yield f"on {list_names(when.service)}"
    if when.environment:
        yield f"in {list_names(when.environment)}"
    if when.on_call:
        yield "while you are on call"
    if when.incident:
        yield "while an incident is open"
    if when.severity or when.during or when.budget is not None:
        yield "under the conditions of its rule"
