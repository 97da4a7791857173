"""Decides whether a person may do something: one pure decision from person, permission, policy and context.

The promise: nothing is allowed without a rule that allows it, a rule that denies beats all that allow, and the reason
names the rule, or what is missing and who could do it. Three rights come before the rules: the verbs that every known
person may use (`policy.ALWAYS_ALLOWED`), to acknowledge an incident that one is on call for, and to tell of what has
happened in a pager already (docs/decisions/0010).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from bot.access.conditions import Context, Impact
from bot.access.policy import ALWAYS_ALLOWED, EVERYTHING, CompiledRule, Freeze, Policy
from bot.core.access import Decision, Permission
from bot.core.request import Principal
from bot.lib.text import TextMatcher, spell_list, spell_moment
from bot.lib.time_windows import has_no_end, open_until

_MOST_NAMED = 3  #: people or rules in one sentence
ACK, LINK, YES = "ack", "link", "yes"
#: What a pager tells of. It changes incidents here, and nothing else.
_IN_PAGER = frozenset({ACK, "unack", "resolve", "reopen", "assign", "note"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Able:
    """Some of the others who may do something now."""

    people: tuple[Principal, ...]  #: of the settings, by their own roles
    roles: tuple[str, ...] = ()  #: that allow it, and that a group of a platform gives to people not known here


def decide(who: Principal, wanted: Permission, policy: Policy, context: Context) -> Decision:
    """Whether they may, now. Never raises. The order of the rules does not change the answer."""
    always = _before_the_rules(who, wanted, context)
    if always is not None:
        return always
    found = _apply_rules(who, wanted, policy, context)
    if found.denied is not None:
        return _denied(found.denied, wanted)
    if found.best is None:
        return Decision(allowed=False, reason=_missing(found, who, wanted, policy, context))
    if found.freeze is not None:
        return Decision(allowed=False, reason=_frozen(found.freeze, who, wanted, policy, context))
    return _allowed(found.best, who, wanted, policy, context)


def able_others(who: Principal, wanted: Permission, policy: Policy, context: Context, *, most: int) -> list[Principal]:
    """The people of the settings, other than `who`, who may do it now by their own roles: the first `most` by id."""
    return _able(who, wanted, policy, context, most=most)[:most]


def allowing_roles(roles: Iterable[str], wanted: Permission, policy: Policy, context: Context) -> tuple[str, ...]:
    """Those of the roles that allow it by themselves to somebody who is not on call."""
    off = _off_duty(context)
    held = ((role, Principal(id=role, roles=frozenset({role}))) for role in sorted(roles))
    return tuple(role for role, one in held if _apply_rules(one, wanted, policy, off).allows)


def freeze_refusal(wanted: Permission, policy: Policy, context: Context) -> str:
    """Why a freeze forbids it to the scheduler, which is never exempt; "" when none does."""
    freeze = _freeze(frozenset(), wanted, policy, context)
    if freeze is None:
        return ""
    return f'{_quoted(wanted)} is denied: freeze "{freeze.name}" is on until {spell_moment(freeze.until)}.'


def policy_input(who: Principal, wanted: Permission, policy: Policy, context: Context) -> Mapping[str, object]:
    """The same question as a JSON document, for an external policy; docs/security.md describes its keys."""
    return {
        "person": {"id": who.id, "human": who.human, "roles": sorted(policy.active_roles(who.roles, context))},
        "verb": wanted.verb,
        "target": wanted.target,
        "at": context.now.isoformat(),
        "service": context.service,
        "environment": context.environment,
        "severity": context.severity,
        "on_call": context.is_on_call,
        "open_incident": context.service is not None and context.service in context.open_on,
        "budget_left": context.budget_left,
        "broken_glass": context.is_break_glass_active,
    }


def _before_the_rules(who: Principal, wanted: Permission, context: Context) -> Decision | None:
    if not who.id:
        if wanted.verb == LINK:
            return Decision(allowed=True, reason="An unknown account may be linked.")
        return Decision(allowed=False, reason="Link your account first: /link. Nothing was done.")
    if wanted.verb in ALWAYS_ALLOWED:
        return Decision(allowed=True, reason="Every known person may.")
    if _is_paged(wanted, context):
        return Decision(allowed=True, reason="Allowed: a person who is paged for an incident may acknowledge it.")
    if context.paged and wanted.verb in _IN_PAGER:
        return Decision(allowed=True, reason="Allowed: it has happened in the pager already.")
    return None


def _is_paged(wanted: Permission, context: Context) -> bool:
    return wanted.verb == ACK and (context.paged or context.is_on_call)


@dataclass(kw_only=True, slots=True)
class _Found:
    """The rules that apply, before the reason is written."""

    denied: CompiledRule | None = None
    best: CompiledRule | None = None  #: the rule that allows
    freeze: Freeze | None = None
    short: list[tuple[CompiledRule, list[str]]] = field(
        default_factory=list
    )  #: rules that would allow, and what they lack

    @property
    def allows(self) -> bool:
        return self.denied is None and self.best is not None and self.freeze is None


def _apply_rules(who: Principal, wanted: Permission, policy: Policy, context: Context) -> _Found:
    found = _Found()
    roles = policy.active_roles(who.roles, context)
    for compiled in policy.rules_of(roles, wanted.verb).matching(wanted, context):
        missing = compiled.missing_conditions(wanted, context)
        if compiled.denies:
            if not missing and (found.denied is None or compiled.precedence < found.denied.precedence):
                found.denied = compiled
        elif missing:
            found.short.append((compiled, missing))
        elif found.best is None or compiled.precedence < found.best.precedence:
            found.best = compiled
    found.freeze = _freeze(roles, wanted, policy, context)
    return found


def _freeze(roles: frozenset[str], wanted: Permission, policy: Policy, context: Context) -> Freeze | None:
    """Of the freezes that hold now, the one that ends last; the policy sorts them by their ends."""
    if context.impact is not Impact.ACTION:
        return None
    holding = None
    for freeze, targets in policy.freezes:
        if freeze.since <= context.now < freeze.until and _is_frozen(freeze, targets, roles, wanted, context):
            holding = freeze
    return holding


def _is_frozen(
    freeze: Freeze, targets: Iterable[TextMatcher], roles: frozenset[str], wanted: Permission, context: Context
) -> bool:
    if not roles.isdisjoint(freeze.exempt):
        return False
    return wanted.target == EVERYTHING or any(
        match(wanted.target) or (context.service is not None and match(context.service)) for match in targets
    )


def _denied(compiled: CompiledRule, wanted: Permission) -> Decision:
    do = compiled.rule.do
    message = f'{_quoted(wanted)} is denied by "{do}" under deny of role {compiled.role}'
    return Decision(allowed=False, reason=f"{message}; it overrules every rule that allows.", rule=do)


def _allowed(best: CompiledRule, who: Principal, wanted: Permission, policy: Policy, context: Context) -> Decision:
    rule, by_break_glass = best.rule, _only_by_break_glass(best, who, wanted, policy, context)
    until = _ends(best, who, wanted, policy, context, by_break_glass=by_break_glass)
    message = [f'Allowed by "{rule.do}" of role {best.role}']
    if by_break_glass and context.break_glass_until is not None:
        message.append(
            f", because break-glass is active until {spell_moment(context.break_glass_until)}; it will be reviewed"
        )
    elif until is not None:
        message.append(f", until {spell_moment(until)}")
    if rule.approvals:
        yes = Permission(verb=YES, target=wanted.target)
        able = spell_list(_names(_able(who, yes, policy, context))) or "nobody now"
        others = "1 other person has" if rule.approvals == 1 else f"{rule.approvals} other people have"
        message.append(f". {others} to approve: {able} can")
    reason = f"{''.join(message)}."
    return Decision(
        allowed=True, reason=reason, rule=rule.do, approvals=rule.approvals, until=until, break_glass=by_break_glass
    )


def _only_by_break_glass(
    best: CompiledRule, who: Principal, wanted: Permission, policy: Policy, context: Context
) -> bool:
    """Whether only break-glass allows it: by one of its rules, or because nothing would allow it otherwise."""
    if not context.is_break_glass_active:
        return False
    return best.break_glass or not _apply_rules(who, wanted, policy, replace(context, break_glass_until=None)).allows


def _ends(
    best: CompiledRule, who: Principal, wanted: Permission, policy: Policy, context: Context, *, by_break_glass: bool
) -> datetime | None:
    """The first of: the rule's hours end, break-glass ends, a freeze begins."""
    ends = []
    if by_break_glass and context.break_glass_until is not None:
        ends.append(context.break_glass_until)
    if best.rule.when.during:
        closes = open_until(best.rule.when.during, context.now)
        if closes is not None and not has_no_end(context.now, closes):
            ends.append(closes)
    if context.impact is Impact.ACTION:
        roles = policy.active_roles(who.roles, context)
        ends += [
            freeze.since
            for freeze, targets in policy.freezes
            if context.now < freeze.since and _is_frozen(freeze, targets, roles, wanted, context)
        ]
    return min(ends, default=None)


def _missing(found: _Found, who: Principal, wanted: Permission, policy: Policy, context: Context) -> str:
    message = [f"{_quoted(wanted)} is denied."]
    nearest = sorted(found.short, key=lambda one: (len(one[1]), one[0].precedence))[:_MOST_NAMED]
    message += [f'Rule "{one.rule.do}" (role {one.role}) {"; it ".join(lacks)}.' for one, lacks in nearest]
    if not nearest:
        held = ", ".join(sorted(who.roles))
        message.append(f"No role of {who.id} ({held}) allows it." if held else f"{who.id or 'The sender'} has no role.")
    return " ".join([*message, *_who_could(who, wanted, policy, context)])


def _who_could(who: Principal, wanted: Permission, policy: Policy, context: Context) -> Iterator[str]:
    """Which roles have a rule for it, who could do it now, and whether break-glass would allow it."""
    allowing = [one for one in policy.all_rules(wanted.verb).matching(wanted, context) if not one.denies]
    roles = sorted({one.role for one in allowing} - policy.break_glass_roles)
    if not roles:
        yield "No role has a rule that allows it."
    else:
        yield f"{'Roles' if len(roles) > 1 else 'Role'} with a rule for it: {', '.join(roles)}."
        able = _names(_able(who, wanted, policy, context))
        yield f"{spell_list(able)} could do it now." if able else "Nobody else could do it now."
    if any(one.break_glass for one in allowing) and not context.is_break_glass_active:
        yield "Break-glass would allow it."


def _frozen(freeze: Freeze, who: Principal, wanted: Permission, policy: Policy, context: Context) -> str:
    message = f'{_quoted(wanted)} is denied: freeze "{freeze.name}" is on until {spell_moment(freeze.until)}.'
    if freeze.exempt:
        message += f" Exempt: {spell_list(sorted(freeze.exempt), 'and')}."
    able = _names(_able(who, wanted, policy, context))
    return f"{message} {spell_list(able)} could do it now." if able else f"{message} Nobody else could do it now."


def _able(
    who: Principal, wanted: Permission, policy: Policy, context: Context, *, most: int = _MOST_NAMED
) -> list[Principal]:
    """Others who may do it now, one more than `most` if there are so many. People with the same roles who are not on
    call are decided together.
    """
    off = _off_duty(context)
    duty = policy.on_call(context.service)
    able = _able_on_duty(who, wanted, policy, off) if duty else []
    for group in policy.alike:
        if _apply_rules(group[0], wanted, policy, off).allows:
            others = (one for one in group if one.id != who.id and one.id not in duty)
            able += islice(others, most + 1)
    return sorted(able, key=lambda one: one.id)


def _off_duty(context: Context) -> Context:
    """The context of somebody else, who is not on call."""
    return replace(context, on_call_for=frozenset(), paged=False, break_glass_until=None)


def _able_on_duty(who: Principal, wanted: Permission, policy: Policy, off: Context) -> list[Principal]:
    on = replace(off, on_call_for=frozenset() if off.service is None else frozenset({off.service}))
    others = (one for one in policy.people_of(policy.on_call(off.service)) if one.id != who.id)
    return [one for one in others if _is_paged(wanted, on) or _apply_rules(one, wanted, policy, on).allows]


def _names(able: Sequence[Principal]) -> list[str]:
    return [one.display_name for one in able[:_MOST_NAMED]] + ["others"] * (len(able) > _MOST_NAMED)


def _quoted(wanted: Permission) -> str:
    return f'"{wanted.verb} {wanted.target}"' if wanted.target else f'"{wanted.verb}"'
