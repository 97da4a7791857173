"""May they? One pure decision from who, what, the book of rights and what is the case; nothing else decides.

The promise: nothing is allowed that no rule allows, a rule that denies beats all that allow, and the reason says which
rule it was, or what is missing and who has it. Two things stand above the rules: what everybody who is known may say
(`book.FREE`), and that whoever is paged for an incident may acknowledge it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from bot.acts import Decision, Permission
from bot.book import EVERYTHING, FREE, Book, Freeze, Ruling
from bot.circumstances import Around, Matcher, Weight, one_of, said_at
from bot.hours import lasts_for_good, open_until
from bot.model import Principal

_MOST_NAMED = 3  #: people or rules in one sentence
ACK, LINK, YES = "ack", "link", "yes"


def decide(who: Principal, wanted: Permission, book: Book, around: Around) -> Decision:
    """Whether they may, now. Never raises; the same question gets the same answer, in whichever order rules stand."""
    above = _above_the_rules(who, wanted, around)
    if above is not None:
        return above
    found = _weigh(who, wanted, book, around)
    if found.denied is not None:
        return _denied(found.denied, wanted)
    if found.best is None:
        return Decision(allowed=False, reason=_what_is_missing(found, who, wanted, book, around))
    if found.freeze is not None:
        return Decision(allowed=False, reason=_frozen(found.freeze, who, wanted, book, around))
    return _allowed(found.best, who, wanted, book, around)


def document(who: Principal, wanted: Permission, book: Book, around: Around) -> Mapping[str, object]:
    """The same question as a JSON document, for a second opinion; docs/security.md tells its keys."""
    return {
        "person": {"id": who.id, "human": who.human, "roles": sorted(book.in_force(who.roles, around))},
        "verb": wanted.verb,
        "target": wanted.target,
        "at": around.now.isoformat(),
        "service": around.service,
        "environment": around.environment,
        "severity": around.severity,
        "on_call": around.is_on_call,
        "open_incident": around.service is not None and around.service in around.open_on,
        "budget_left": around.budget_left,
        "broken_glass": around.glass_is_broken,
    }


def _above_the_rules(who: Principal, wanted: Permission, around: Around) -> Decision | None:
    if not who.id:
        if wanted.verb == LINK:
            return Decision(allowed=True, reason="Whoever is not known may link their account.")
        return Decision(allowed=False, reason="Link your account first: /link. Nothing was done.")
    if wanted.verb in FREE:
        return Decision(allowed=True, reason="Everybody who is known may.")
    if _is_paged(wanted, around):
        return Decision(allowed=True, reason="Allowed: whoever is paged for an incident may acknowledge it.")
    return None


def _is_paged(wanted: Permission, around: Around) -> bool:
    return wanted.verb == ACK and (around.paged or around.is_on_call)


@dataclass(kw_only=True, slots=True)
class _Found:
    """What the rules say, before it is put into words."""

    denied: Ruling | None = None
    best: Ruling | None = None  #: the rule that allows
    freeze: Freeze | None = None
    short: list[tuple[Ruling, list[str]]] = field(default_factory=list)  #: rules that would allow, and what they lack

    @property
    def allows(self) -> bool:
        return self.denied is None and self.best is not None and self.freeze is None


def _weigh(who: Principal, wanted: Permission, book: Book, around: Around) -> _Found:
    found = _Found()
    roles = book.in_force(who.roles, around)
    for ruling in book.held(roles, wanted.verb).matching(wanted, around):
        missing = ruling.missing(wanted, around)
        if ruling.denies:
            if not missing and (found.denied is None or ruling.order < found.denied.order):
                found.denied = ruling
        elif missing:
            found.short.append((ruling, missing))
        elif found.best is None or ruling.order < found.best.order:
            found.best = ruling
    found.freeze = _freeze(roles, wanted, book, around)
    return found


def _freeze(roles: frozenset[str], wanted: Permission, book: Book, around: Around) -> Freeze | None:
    """The one that ends last of those that hold now; the order of the book is by their ends."""
    if around.weight is not Weight.ACTION:
        return None
    holding = None
    for freeze, targets in book.freezes:
        if freeze.since <= around.now < freeze.until and _is_frozen(freeze, targets, roles, wanted, around):
            holding = freeze
    return holding


def _is_frozen(
    freeze: Freeze, targets: Iterable[Matcher], roles: frozenset[str], wanted: Permission, around: Around
) -> bool:
    if not roles.isdisjoint(freeze.exempt):
        return False
    return wanted.target == EVERYTHING or any(
        match(wanted.target) or (around.service is not None and match(around.service)) for match in targets
    )


def _denied(ruling: Ruling, wanted: Permission) -> Decision:
    do = ruling.rule.do
    said = (
        f'{_act(wanted)} is denied by "{do}" under deny of role {ruling.role}; no rule that allows it counts beside it.'
    )
    return Decision(allowed=False, reason=said, rule=do)


def _allowed(best: Ruling, who: Principal, wanted: Permission, book: Book, around: Around) -> Decision:
    rule, glass = best.rule, _only_by_glass(best, who, wanted, book, around)
    until = _ends(best, who, wanted, book, around, glass=glass)
    said = [f'Allowed by "{rule.do}" of role {best.role}']
    if glass and around.glass_until is not None:
        said.append(f", because the glass is broken until {said_at(around.glass_until)}; it will be reviewed")
    elif until is not None:
        said.append(f", until {said_at(until)}")
    if rule.approvals:
        yes = Permission(verb=YES, target=wanted.target)
        able = one_of(_names(_able(who, yes, book, around))) or "nobody now"
        others = "1 other person has" if rule.approvals == 1 else f"{rule.approvals} other people have"
        said.append(f". {others} to say yes: {able} can")
    reason = f"{''.join(said)}."
    return Decision(allowed=True, reason=reason, rule=rule.do, approvals=rule.approvals, until=until, glass=glass)


def _only_by_glass(best: Ruling, who: Principal, wanted: Permission, book: Book, around: Around) -> bool:
    """Whether it is a sleeping rule that allows, or nothing would allow while the glass is whole."""
    if not around.glass_is_broken:
        return False
    return best.glass or not _weigh(who, wanted, book, replace(around, glass_until=None)).allows


def _ends(
    best: Ruling, who: Principal, wanted: Permission, book: Book, around: Around, *, glass: bool
) -> datetime | None:
    """The first of: the rule's hours are over, the glass mends, a freeze begins."""
    ends = []
    if glass and around.glass_until is not None:
        ends.append(around.glass_until)
    if best.rule.when.during:
        closes = open_until(best.rule.when.during, around.now)
        if closes is not None and not lasts_for_good(around.now, closes):
            ends.append(closes)
    if around.weight is Weight.ACTION:
        roles = book.in_force(who.roles, around)
        ends += [
            freeze.since
            for freeze, targets in book.freezes
            if around.now < freeze.since and _is_frozen(freeze, targets, roles, wanted, around)
        ]
    return min(ends, default=None)


def _what_is_missing(found: _Found, who: Principal, wanted: Permission, book: Book, around: Around) -> str:
    said = [f"{_act(wanted)} is denied."]
    nearest = sorted(found.short, key=lambda one: (len(one[1]), one[0].order))[:_MOST_NAMED]
    said += [f'Your rule "{one.rule.do}" (role {one.role}) {"; it ".join(lacks)}.' for one, lacks in nearest]
    if not nearest:
        said.append(f"None of your roles ({', '.join(sorted(who.roles)) or 'you have none'}) allows it.")
    return " ".join([*said, *_who_could(who, wanted, book, around)])


def _who_could(who: Principal, wanted: Permission, book: Book, around: Around) -> Iterator[str]:
    """Which roles hold a rule for it, who could do it now, and whether breaking the glass would help."""
    rulings = [one for one in book.everywhere(wanted.verb).matching(wanted, around) if not one.denies]
    roles = sorted({one.role for one in rulings} - book.sleeping)
    if not roles:
        yield "No role has a rule that allows it."
    else:
        yield f"{'Roles' if len(roles) > 1 else 'Role'} with a rule for it: {', '.join(roles)}."
        able = _names(_able(who, wanted, book, around))
        yield f"{one_of(able)} could do it now." if able else "Nobody else could do it now."
    if any(one.glass for one in rulings) and not around.glass_is_broken:
        yield "Whoever breaks the glass may."


def _frozen(freeze: Freeze, who: Principal, wanted: Permission, book: Book, around: Around) -> str:
    said = f'{_act(wanted)} is denied: freeze "{freeze.name}" is on until {said_at(freeze.until)}.'
    if freeze.exempt:
        said += f" It does not hold for {one_of(sorted(freeze.exempt))}."
    able = _names(_able(who, wanted, book, around))
    return f"{said} {one_of(able)} could do it now." if able else f"{said} Nobody else could do it now."


def _able(who: Principal, wanted: Permission, book: Book, around: Around) -> list[Principal]:
    """Some of the others who may do it now. People off duty who have the same roles are weighed once."""
    off = replace(around, on_call_for=frozenset(), paged=False, glass_until=None)
    duty = book.on_duty(around.service)
    able = _able_on_duty(who, wanted, book, off) if duty else []
    for group in book.alike:
        if _weigh(group[0], wanted, book, off).allows:
            others = (one for one in group if one.id != who.id and one.id not in duty)
            able += islice(others, _MOST_NAMED + 1)
    return sorted(able, key=lambda one: one.id)


def _able_on_duty(who: Principal, wanted: Permission, book: Book, off: Around) -> list[Principal]:
    on = replace(off, on_call_for=frozenset() if off.service is None else frozenset({off.service}))
    others = (one for one in book.people_of(book.on_duty(off.service)) if one.id != who.id)
    return [one for one in others if _is_paged(wanted, on) or _weigh(one, wanted, book, on).allows]


def _names(able: Sequence[Principal]) -> list[str]:
    return [one.called for one in able[:_MOST_NAMED]] + ["others"] * (len(able) > _MOST_NAMED)


def _act(wanted: Permission) -> str:
    return f'"{wanted.verb} {wanted.target}"' if wanted.target else f'"{wanted.verb}"'
