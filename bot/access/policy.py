"""The access policy: roles with their rules, freezes, and the index that finds the rules for a verb and a target.

A policy is compiled when it is made; the rules of one set of roles for one verb are indexed at the first request.
Rules are found by the fixed prefix of their target, so their number hardly matters.
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
from bot.core.rota import OnCallNow
from bot.lib.text import TextMatcher, glob_matcher

#: Every known person may use these, and no rule can deny them.
ALWAYS_ALLOWED = frozenset({"whoami", "help", "link", "unlink"})
_VIEWER = (
    "show *", "incidents", "home", "approvals", "whoami", "help", "silences", "services", "glass", "status *",
    "backups *", "dr *", "oncall",
)  # fmt: skip
_RESPONDER = (
    "ack", "unack", "resolve", "reopen", "assign", "note", "severity", "page", "resend", "silence", "unsilence",
    "override", "remove-override", "runs", "break-glass",
)  # fmt: skip

#: The allowing rules of built-in roles; a role of the same name in the settings replaces them.
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "viewer": _VIEWER,
    "responder": (*_VIEWER, *_RESPONDER),
    "approver": (*_VIEWER, "yes", "no", "review-glass"),
    "admin": ("*",),
}

_VERB = re.compile(r"[a-z0-9*?_-]+")
_MOST_REMEMBERED = 1024
INCIDENT_PREFIX = "incident/"  #: begins the target of a verb that is about an incident
EVERYTHING = "*"  #: the target of an action that touches everything, such as a silence for no particular service


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """`do` is "<verb glob> <target glob>"; a verb alone is for every target, and "*" is everything."""

    do: str
    when: Conditions = field(default_factory=Conditions)
    approvals: int = 0  #: how many other people have to approve


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """With `break_glass`, its rules apply only while break-glass is active, and then to the person who activated it."""

    name: str
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    break_glass: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """From `since` on and before `until` nobody may act on the targets, except people with an exempt role."""

    name: str
    since: datetime
    until: datetime
    targets: tuple[str, ...]
    exempt: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledRule:
    """A compiled rule with its role."""

    rule: Rule
    role: str
    denies: bool
    break_glass: bool
    verb: TextMatcher
    target: TextMatcher
    target_prefix: str  #: the prefix of every target that it matches
    checks: tuple[ConditionCheck, ...]
    precedence: tuple[object, ...]  #: of several rules that allow, the lowest counts
    matches_everything: bool  #: its target glob is "*"

    def missing_conditions(self, wanted: Permission, context: Context) -> list[str]:
        """The conditions that do not hold, for people; empty if the rule applies."""
        return [message for check in self.checks if (message := check(wanted, context))]


class Policy:
    """Roles, freezes, people with their roles, and who is on call for which service; with the built-in roles.

    Raises:
        ValueError: a rule cannot be read.
    """

    def __init__(
        self,
        roles: Iterable[Role] = (),
        *,
        freezes: Iterable[Freeze] = (),
        people: Iterable[Principal] = (),
        on_call: OnCallNow | Mapping[str, Collection[str]] | None = None,
    ) -> None:
        named = {name: _built_in(name) for name in BUILT_IN} | {role.name: role for role in roles}
        self._people = {one.id: one for one in sorted(people, key=lambda one: one.id)}
        groups: dict[frozenset[str], list[Principal]] = defaultdict(list)
        for one in self._people.values():
            groups[one.roles].append(one)
        self.alike = tuple(map(tuple, groups.values()))  #: people grouped by equal roles
        self.freezes: tuple[tuple[Freeze, tuple[TextMatcher, ...]], ...] = tuple(
            (freeze, tuple(map(glob_matcher, freeze.targets)))
            for freeze in sorted(freezes, key=lambda one: (one.until, one.name))
        )
        self.break_glass_roles = frozenset(name for name, role in named.items() if role.break_glass)
        self._on_call = _Always(on_call or {}) if on_call is None or isinstance(on_call, Mapping) else on_call
        self._rules = {name: tuple(_compiled(role)) for name, role in named.items()}
        self._by_roles: dict[tuple[frozenset[str], str], RuleIndex] = {}
        self._by_verb: dict[str, RuleIndex] = {}

    def rules_of(self, roles: frozenset[str], verb: str) -> RuleIndex:
        """The rules for that verb that people with those roles have."""
        found = self._by_roles.get((roles, verb))
        if found is None:
            if len(self._by_roles) >= _MOST_REMEMBERED:
                self._by_roles.clear()
            found = self._by_roles[roles, verb] = self._index(roles, verb)
        return found

    def all_rules(self, verb: str) -> RuleIndex:
        """The rules for that verb of any role, with those of break-glass."""
        found = self._by_verb.get(verb)
        if found is None:
            if len(self._by_verb) >= _MOST_REMEMBERED:
                self._by_verb.clear()
            found = self._by_verb[verb] = self._index(self._rules, verb)
        return found

    def active_roles(self, roles: frozenset[str], context: Context) -> frozenset[str]:
        """The roles that count now: while break-glass is active with all break-glass roles, otherwise with none."""
        if not self.break_glass_roles:
            return roles  # Itself, because its hash is kept.
        return roles | self.break_glass_roles if context.is_break_glass_active else roles - self.break_glass_roles

    def on_call_for(self, person: str) -> frozenset[str]:
        """The services that the person is on call for now."""
        return self._on_call.services_of(person)

    def on_call_by_service(self) -> Mapping[str, frozenset[str]]:
        """The ids of the people on call now, by service."""
        return self._on_call.by_service()

    def on_call(self, service: str | None) -> frozenset[str]:
        """The ids of the people on call for it now."""
        return self._on_call.people(service) if service is not None else frozenset()

    def people_with(self, verb: str) -> list[Principal]:
        """The people of the settings whose own roles allow that verb on some target."""
        able = (group for group in self.alike if self.rules_of(group[0].roles, verb).allows_something())
        return sorted((one for group in able for one in group), key=lambda one: one.id)

    def people_of(self, ids: Iterable[str]) -> list[Principal]:
        """Those of them who are in the settings."""
        return [self._people[one] for one in sorted(ids) if one in self._people]

    def _index(self, roles: Iterable[str], verb: str) -> RuleIndex:
        held = [compiled for role in roles for compiled in self._rules.get(role, ()) if compiled.verb(verb)]
        return RuleIndex(sorted(held, key=lambda one: one.precedence))


class _Always:
    """People who are on call at every time."""

    def __init__(self, on_call: Mapping[str, Collection[str]]) -> None:
        self._on_call = {service: frozenset(ids) for service, ids in on_call.items()}

    def people(self, service: str) -> frozenset[str]:
        return self._on_call.get(service, frozenset())

    def services_of(self, person: str) -> frozenset[str]:
        return frozenset(service for service, ids in self._on_call.items() if person in ids)

    def by_service(self) -> Mapping[str, frozenset[str]]:
        return self._on_call


class RuleIndex:
    """Rules of one verb, in order of precedence, by the prefix of their targets."""

    def __init__(self, rules: Iterable[CompiledRule]) -> None:
        by: dict[int, dict[str, list[CompiledRule]]] = defaultdict(lambda: defaultdict(list))
        rules = tuple(rules)
        for compiled in rules:
            by[len(compiled.target_prefix)][compiled.target_prefix].append(compiled)
        self._of_everything = tuple(compiled for compiled in rules if compiled.denies or compiled.matches_everything)
        self._by = [(length, {start: tuple(some) for start, some in starts.items()}) for length, starts in by.items()]

    def allows_something(self) -> bool:
        """Whether any of them allows anything on any target."""
        return any(True for _ in self.allowing())

    def allowing(self) -> Iterator[CompiledRule]:
        """The rules that allow something, in order of precedence only within one prefix."""
        return (one for _, starts in self._by for some in starts.values() for one in some if not one.denies)

    def matching(self, wanted: Permission, context: Context) -> Sequence[CompiledRule]:
        """The rules that match this target.

        A denying rule, and any rule if the target is an incident, matches by service too: "ack prod/*" is the incidents
        of prod/*. A target of everything is matched by every denying rule.
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
            compiled
            for length, starts in self._by
            for compiled in starts.get(text[:length], ())
            if compiled.target(text)
        ]


def split_rule(do: str) -> tuple[str, str]:
    """The globs of verb and target.

    Raises:
        ValueError: it has no word or more than two, or the first cannot be a verb.
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
