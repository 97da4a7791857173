"""The rights as they are written: rules, roles, freezes, and the book that finds those that speak of an act.

A book is compiled when it is made, and what one set of roles holds of one verb is put together the first time it is
asked for. Rules are found by the fixed beginning of their target, so their number hardly matters.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.access.conditions import ConditionCheck, Conditions, Context, checks_of
from bot.core.access import Permission
from bot.core.request import Principal
from bot.lib.text import TextMatcher, glob_matcher

#: Everybody who is known may say these, and nobody can be kept from them: who am I, what is there, what is mine.
ALWAYS_ALLOWED = frozenset({"whoami", "help", "link", "unlink"})
_VIEWER = ("show *", "incidents", "home", "approvals", "whoami", "help", "silences", "glass", "status *")
_RESPONDER = (
    "ack", "resolve", "reopen", "assign", "note", "severity", "page", "silence", "unsilence", "runs",
    "break-glass",
)  # fmt: skip

#: What a role of that name may do where the settings do not say it: the rules that allow.
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "viewer": _VIEWER,
    "responder": (*_VIEWER, *_RESPONDER),
    "approver": (*_VIEWER, "yes", "no", "review-glass"),
    "admin": ("*",),
}

_VERB = re.compile(r"[a-z0-9*?_-]+")
_MOST_REMEMBERED = 1024
INCIDENT_PREFIX = "incident/"  #: how the target of a verb begins that is about an incident
EVERYTHING = "*"  #: the target of what touches all there is, such as a silence of no service in particular


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """`do` is "<verb glob> <target glob>"; the verb alone is for every target, and "*" is everything."""

    do: str
    when: Conditions = field(default_factory=Conditions)
    approvals: int = 0  #: how many other people have to say yes


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """With `break_glass`, its rules sleep: they count only for somebody who has broken the glass."""

    name: str
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    break_glass: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """From `since` on, and before `until`, no action on what the globs name, but for people of the exempt roles."""

    name: str
    since: datetime
    until: datetime
    targets: tuple[str, ...]
    exempt: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledRule:
    """A rule, compiled, and whose it is."""

    rule: Rule
    role: str
    denies: bool
    break_glass: bool
    verb: TextMatcher
    target: TextMatcher
    target_prefix: str  #: what every target that it matches begins with
    checks: tuple[ConditionCheck, ...]
    precedence: tuple[object, ...]  #: the first of several that allow counts
    matches_everything: bool  #: its glob is of all there is

    def missing_conditions(self, wanted: Permission, context: Context) -> list[str]:
        """What would have to be the case besides, in words; empty when it holds."""
        return [message for check in self.checks if (message := check(wanted, context))]


class Policy:
    """Roles, freezes, people with their roles, and who is on call for which service. Built-in roles are added.

    Raises:
        ValueError: a rule cannot be read.
    """

    def __init__(
        self,
        roles: Iterable[Role] = (),
        *,
        freezes: Iterable[Freeze] = (),
        people: Iterable[Principal] = (),
        on_call: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        named = {name: _built_in(name) for name in BUILT_IN} | {role.name: role for role in roles}
        self._people = {one.id: one for one in sorted(people, key=lambda one: one.id)}
        groups: dict[frozenset[str], list[Principal]] = defaultdict(list)
        for one in self._people.values():
            groups[one.roles].append(one)
        self.alike = tuple(map(tuple, groups.values()))  #: people of the same roles together
        self.freezes: tuple[tuple[Freeze, tuple[TextMatcher, ...]], ...] = tuple(
            (freeze, tuple(map(glob_matcher, freeze.targets)))
            for freeze in sorted(freezes, key=lambda one: (one.until, one.name))
        )
        self.break_glass_roles = frozenset(name for name, role in named.items() if role.break_glass)
        duties: dict[str, set[str]] = defaultdict(set)
        for service, ids in (on_call or {}).items():
            for person in ids:
                duties[person].add(service)
        self._on_call = {service: frozenset(ids) for service, ids in (on_call or {}).items()}
        self._duties = {person: frozenset(services) for person, services in duties.items()}
        self._rulings = {name: tuple(_compiled(role)) for name, role in named.items()}
        self._known: dict[tuple[frozenset[str], str], RuleIndex] = {}
        self._everywhere: dict[str, RuleIndex] = {}

    def rules_of(self, roles: frozenset[str], verb: str) -> RuleIndex:
        """The rules that people of those roles hold of that verb."""
        found = self._known.get((roles, verb))
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[roles, verb] = self._shelf(roles, verb)
        return found

    def all_rules(self, verb: str) -> RuleIndex:
        """The rules that any role holds of that verb, the sleeping ones too."""
        found = self._everywhere.get(verb)
        if found is None:
            if len(self._everywhere) >= _MOST_REMEMBERED:
                self._everywhere.clear()
            found = self._everywhere[verb] = self._shelf(self._rulings, verb)
        return found

    def active_roles(self, roles: frozenset[str], context: Context) -> frozenset[str]:
        """Those of the roles that count now: the sleeping ones only behind broken glass, and then all of them."""
        if not self.break_glass_roles:
            return roles  # Itself, because its hash is kept.
        return roles | self.break_glass_roles if context.is_break_glass_active else roles - self.break_glass_roles

    def on_call_for(self, person: str) -> frozenset[str]:
        """The services that the person is on call for."""
        return self._duties.get(person, frozenset())

    def on_call_by_service(self) -> Mapping[str, frozenset[str]]:
        """Ids of those who are on call, by service."""
        return self._on_call

    def on_call(self, service: str | None) -> frozenset[str]:
        """Ids of those who are on call for it."""
        return self._on_call.get(service, frozenset()) if service is not None else frozenset()

    def people_of(self, ids: Iterable[str]) -> list[Principal]:
        """Those of them who are in the book."""
        return [self._people[one] for one in sorted(ids) if one in self._people]

    def _shelf(self, roles: Iterable[str], verb: str) -> RuleIndex:
        held = [ruling for role in roles for ruling in self._rulings.get(role, ()) if ruling.verb(verb)]
        return RuleIndex(sorted(held, key=lambda one: one.precedence))


class RuleIndex:
    """Rules of one verb, in their order, by what their targets begin with."""

    def __init__(self, rulings: Iterable[CompiledRule]) -> None:
        by: dict[int, dict[str, list[CompiledRule]]] = defaultdict(lambda: defaultdict(list))
        rulings = tuple(rulings)
        for ruling in rulings:
            by[len(ruling.target_prefix)][ruling.target_prefix].append(ruling)
        self._of_everything = tuple(ruling for ruling in rulings if ruling.denies or ruling.matches_everything)
        self._by = [(length, {start: tuple(some) for start, some in starts.items()}) for length, starts in by.items()]

    def allows_something(self) -> bool:
        """Whether any of them allows anything, somewhere."""
        return any(not one.denies for _, starts in self._by for some in starts.values() for one in some)

    def matching(self, wanted: Permission, context: Context) -> Sequence[CompiledRule]:
        """Those that speak of this target. A rule that denies, and any rule about an incident, goes by service too:
        "ack prod/*" is the incidents of prod/*. What touches everything touches what any rule denies.
        """
        target, service = wanted.target, context.service
        if target == EVERYTHING:
            return self._of_everything
        found = self._of(target)
        if service is None or service == target:
            return found
        of_incident = target.startswith(INCIDENT_PREFIX)
        by_service = [one for one in self._of(service) if (of_incident or one.denies) and not one.target(target)]
        return found + by_service

    def _of(self, text: str) -> list[CompiledRule]:
        return [
            ruling for length, starts in self._by for ruling in starts.get(text[:length], ()) if ruling.target(text)
        ]


def split_rule(do: str) -> tuple[str, str]:
    """The globs of verb and target.

    Raises:
        ValueError: it is not one or two words, or the first cannot be a verb.
    """
    verb, *target = do.split() or [""]
    if not _VERB.fullmatch(verb) or len(target) > 1:
        raise ValueError('must be "<verb> <target glob>", such as "scale prod/*", or a verb alone, such as "ack"')
    return verb, target[0] if target else "*"


def _built_in(name: str) -> Role:
    return Role(name=name, allow=tuple(Rule(do=do) for do in BUILT_IN[name]))


def _compiled(role: Role) -> Iterator[CompiledRule]:
    for denies, rules in ((False, role.allow), (True, role.deny)):
        for rule in rules:
            verb, target = split_rule(rule.do)
            checks = checks_of(rule.when, denies=denies)
            yield CompiledRule(
                rule=rule,
                role=role.name,
                denies=denies,
                break_glass=role.break_glass,
                verb=glob_matcher(verb),
                target=glob_matcher(target),
                target_prefix=re.split(r"[*?]", target, maxsplit=1)[0],
                checks=checks,
                precedence=(rule.approvals, role.break_glass, len(checks), role.name, rule.do, repr(rule.when)),
                matches_everything=not target.strip("*"),
            )
