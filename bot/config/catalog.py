"""Finds what is wrong in the service catalog: `services`, `teams` and `default_service` together.

Works on plain values, as `bot.config.consistency` does. The trap: a catalog may have a thousand services, so no two of
them are compared: which matches may fit the same alert is found by sets of services, kept as the bits of one number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.config.consistency import FoundFault, Tree, entries
from bot.config.faults import Loc, Plain, nearest
from bot.core.catalog import MatchIndex

#: What the verb `services` reads as a word of its own.
UNOWNED = "unowned"
#: Warnings of one kind that are told one by one, and names for which the nearest one is looked for, which is slow.
_TOLD, _HINTS = 20, 20
_LOOKED_AT = 100  #: services before one, of which the first that may take its alerts is looked for


@dataclass
class _Hints:
    """The nearest of the names that there are, for the first few unknown ones."""

    known: Collection[str]
    _found: dict[str, str] = field(default_factory=dict)

    def __call__(self, word: str) -> str:
        if word not in self._found and len(self._found) < _HINTS:
            hint = nearest(word, self.known)
            self._found[word] = hint if len(self.known) <= _HINTS or hint.startswith("did you") else ""
        hint = self._found.get(word, "")
        return f"; {hint}" if hint else ""


def contradictions(tree: Tree) -> Iterator[FoundFault]:
    """Faults with which the bot must not start."""
    default = tree.get("default_service")
    names = _names(tree, "services")
    if isinstance(default, str) and default not in names:
        yield ("default_service",), f"is not under `services`{_Hints(names)(default)}"
    for loc, service in entries(tree, "services"):
        name = service.get("name")
        if not service.get("match") and (not isinstance(name, str) or name != default):
            message = "is missing or empty, so no alert belongs to it; only the default_service may be without"
            yield (*loc, "match"), message
    yield from _unknown(tree, "services", "depends_on", names, "is not under `services`")
    people = {str(person.get("id")) for _, person in entries(tree, "people")}
    yield from _unknown(tree, "teams", "members", people, "is not the id of a person under `people`")
    first: dict[str, int] = {}
    for place, (loc, team) in enumerate(entries(tree, "teams")):
        name = str(team.get("name"))
        if name in first:
            yield (*loc, "name"), f"is also the name of teams[{first[name]}]; each name belongs to one entry"
        first.setdefault(name, place)


def doubts(tree: Tree, accounts: Collection[str]) -> Iterator[FoundFault]:
    """Warnings: nobody owns it, nobody is reached, an alert may fit several. `accounts`: a person's keys for these."""
    for loc, service in entries(tree, "services"):
        if service.get("name") == UNOWNED:
            yield (*loc, "name"), f"cannot be shown: the command `services {UNOWNED}` lists alerts without a service"
    yield from _bounded(_doubtful_owners(tree), "services with an owner that is missing or no team")
    yield from _bounded(_unreachable_teams(tree, accounts), "teams that nobody is reached by")
    yield from _bounded(_cycles(tree), "services in circles")
    yield from _bounded(_overlaps(tree), "services whose alerts may fit another one")


def _bounded(found: Iterable[FoundFault], what: str) -> Iterator[FoundFault]:
    """The first few, and with the last of them how many more there are."""
    listed = list(found)
    yield from listed[: _TOLD - 1 if len(listed) > _TOLD else _TOLD]
    if len(listed) > _TOLD:
        loc, message = listed[_TOLD - 1]
        yield loc, f"{message} ({len(listed) - _TOLD} more {what} are not listed)"


def _unknown(tree: Tree, section: str, key: str, known: Collection[str], what: str) -> Iterator[FoundFault]:
    hint = _Hints(known)
    for loc, entry in entries(tree, section):
        for number, name in enumerate(_listed(entry, key)):
            if isinstance(name, str) and name not in known:
                yield (*loc, key, number), f"{what}{hint(name)}"


def _doubtful_owners(tree: Tree) -> Iterator[FoundFault]:
    """Without `teams`, an owner is only a text, and none is missed."""
    teams = _names(tree, "teams")
    hint = _Hints(teams)
    for loc, service in entries(tree, "services") if teams else ():
        owner = service.get("owner")
        if not owner:
            yield (*loc, "owner"), "is missing, so this service is nobody's; name a team under `teams`"
        elif isinstance(owner, str) and owner not in teams:
            yield (*loc, "owner"), f"is no team under `teams`, so it is shown and reaches nobody{hint(owner)}"


def _unreachable_teams(tree: Tree, accounts: Collection[str]) -> Iterator[FoundFault]:
    reached = {str(one.get("id")) for _, one in entries(tree, "people") if any(one.get(key) for key in accounts)}
    for loc, team in entries(tree, "teams"):
        members = [one for one in _listed(team, "members") if isinstance(one, str)]
        if not members:
            yield (*loc, "members"), "is missing or empty, so nobody is in this team"
        elif not reached.intersection(members):
            keys = ", ".join(accounts)
            yield (*loc, "members"), f"has nobody who can be reached; give one of them an account ({keys})"


def _cycles(tree: Tree) -> Iterator[FoundFault]:
    """Of each circle, once, the service that closes it."""
    located = {str(one["name"]): (loc, one) for loc, one in entries(tree, "services") if one.get("name")}
    left, state = {name: iter(_listed(one, "depends_on")) for name, (_, one) in located.items()}, dict[str, int]()
    for start in located:
        path = [start] if start not in state else []
        while path:
            name = path[-1]
            state[name] = 1
            for needed in left[name]:
                if not isinstance(needed, str) or needed not in located or state.get(needed) == 2:  # noqa: PLR2004
                    continue
                if state.get(needed) == 1:
                    circle = [*path[path.index(needed) :], needed]
                    shown = circle if len(circle) <= _HINTS else [*circle[:3], "...", *circle[-2:]]
                    loc, _ = located[name]
                    yield (*loc, "depends_on"), f"closes a circle: {' -> '.join(shown)}; leave out one of them"
                    continue
                path.append(needed)
                break
            else:
                state[path.pop()] = 2


def _overlaps(tree: Tree) -> Iterator[FoundFault]:
    """Services that get no alert, or not all that their labels fit, because one before them does."""
    located = [(loc, one, _match(one)) for loc, one in entries(tree, "services")]
    matches = [match for _, _, match in located]
    index = MatchIndex(matches)
    for place, earlier in enumerate(_earlier_fits(matches)):
        loc, _, match = located[place]
        if not earlier:
            continue
        taker = index.first(match)
        if taker is not None and taker < place:
            message = f"gets no alert: {_called(located, taker)} comes before it and fits all that this fits"
            yield (*loc, "match"), f"{message}; the first that fits wins, so put this one before it"
            continue
        rival, exceptions = _first_rival(earlier, matches, match)
        if rival is not None:
            count = earlier.bit_count() - exceptions - 1
            more = f" (and {count} more before it)" if count else ""
            message = f"and {_called(located, rival)}{more} may fit the same alert, which then belongs to the first"
            yield (*loc, "match"), f"{message}; add a label that tells them apart, or leave it so"


def _earlier_fits(matches: Sequence[Mapping[str, str]]) -> Iterator[int]:
    """For each match, which ones before it may fit the same alert: bit n is match n.

    Two may, unless they want different values of one label.
    """
    having: dict[str, int] = defaultdict(int)  #: label -> the matches that want it
    wanting: dict[tuple[str, str], int] = defaultdict(int)
    fitting = 0  #: all matches that are not empty
    for place, match in enumerate(matches):
        others = fitting if match else 0
        for name, value in match.items():
            others &= ~having[name] | wanting[name, value]
        yield others
        for pair in match.items():
            having[pair[0]] |= 1 << place
            wanting[pair] |= 1 << place
        fitting |= bool(match) << place


def _first_rival(
    earlier: int, matches: Sequence[Mapping[str, str]], match: Mapping[str, str]
) -> tuple[int | None, int]:
    """The first of these matches that is not narrower than `match`, and how many that are stand before it.

    A narrower one that stands first is clearly an exception. Only the first few are looked at.
    """
    for passed in range(_LOOKED_AT):
        if not earlier:
            break
        place = (earlier & -earlier).bit_length() - 1
        if not matches[place].items() > match.items():
            return place, passed
        earlier &= earlier - 1
    return None, 0


def _called(located: Sequence[tuple[Loc, Tree, Mapping[str, str]]], place: int) -> str:
    loc, service, _ = located[place]
    return f"services[{loc[1]}] ({service.get('name')})"


def _match(service: Tree) -> dict[str, str]:
    match = service.get("match")
    return {str(name): str(value) for name, value in match.items()} if isinstance(match, dict) else {}


def _names(tree: Tree, section: str) -> set[str]:
    return {str(one["name"]) for _, one in entries(tree, section) if one.get("name")}


def _listed(tree: Tree, key: str) -> list[Plain]:
    found = tree.get(key)
    return found if isinstance(found, list) else []
