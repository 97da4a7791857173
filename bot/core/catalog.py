"""The service catalog of the settings: services, the teams that own them, and which service an alert belongs to. Pure.

An alert belongs to the first service, in the order of the settings, whose labels it has. The trap: this is asked for
every new alert, and a catalog may have a thousand services, so they are found by one label of each and not one by one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One entry of the settings' `services`. `match`: the labels of its alerts; empty: none belongs to it by labels."""

    name: str
    match: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None  #: a team's name, or any text
    environment: str | None = None
    tier: int | None = None  #: 1 is the most important
    runbooks: tuple[str, ...] = ()  #: addresses, or what else the runbook is called
    links: Mapping[str, str] = field(default_factory=dict)  #: label -> address
    depends_on: tuple[str, ...] = ()  #: names of services


@dataclass(frozen=True, kw_only=True, slots=True)
class Team:
    """`members`: ids of people."""

    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceState:
    """A service now, for people."""

    service: Service
    members: tuple[str, ...]  #: names of the people of the team that owns it
    on_call: tuple[str, ...]  #: names
    incidents: tuple[int, ...]  #: numbers of its unresolved incidents, the worst first; at most the first few hundred
    needed_by: tuple[str, ...] = ()  #: the services that depend on it


@dataclass(frozen=True, kw_only=True, slots=True)
class UnownedAlerts:
    """Alerts that no service owns, by the labels that would own them."""

    match: Mapping[str, str]
    name: str  #: a name for a service of them that the catalog does not have
    count: int
    last: datetime
    alerts: tuple[str, ...]  #: the names of some of them, untrusted


class MatchIndex:
    """Finds the first of several matches that a set of labels satisfies.

    Each match is filed under one of its pairs, the one that the fewest matches have. So only those are compared whose
    pair is among the labels.
    """

    def __init__(self, matches: Sequence[Mapping[str, str]]) -> None:
        """An empty match is never found."""
        common = Counter(pair for match in matches for pair in match.items())
        self._filed: dict[str, dict[str, list[tuple[int, Mapping[str, str]]]]] = {}
        self.compared = 0  #: how many matches were compared with labels so far
        for place, match in enumerate(matches):
            if match:
                name, value = min(match.items(), key=lambda pair: (common[pair], pair))
                self._filed.setdefault(name, {}).setdefault(value, []).append((place, match))

    def first(self, labels: Mapping[str, str]) -> int | None:
        """The place of the first match whose pairs are all among the labels."""
        found: int | None = None
        for name, by_value in self._filed.items():
            value = labels.get(name)
            for place, match in by_value.get(value, ()) if value is not None else ():
                if found is not None and place > found:
                    break  # in the order of the settings
                self.compared += 1
                if all(labels.get(key) == wanted for key, wanted in match.items()):
                    found = place
                    break
        return found


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The settings' `services`, `teams` and `default_service`."""

    services: Sequence[Service] = ()
    teams: Sequence[Team] = ()
    default: str | None = None  #: the service of alerts that match none

    @cached_property
    def _index(self) -> MatchIndex:
        return MatchIndex([one.match for one in self.services])

    @cached_property
    def _by_name(self) -> Mapping[str, Service]:
        return {one.name: one for one in self.services}

    @cached_property
    def _teams(self) -> Mapping[str, Team]:
        return {one.name: one for one in self.teams}

    def service(self, name: str | None) -> Service | None:
        return self._by_name.get(name or "")

    def owned(self, labels: Mapping[str, str], own: str | None) -> str | None:
        """The service that these labels belong to; None where the catalog has none for them.

        `own`: the service that the alert names itself, which counts if the catalog has one of that name.
        """
        place = self._index.first(labels)
        if place is not None:
            return self.services[place].name
        return own if own in self._by_name else None

    def team(self, service: str | None) -> Team | None:
        """The team that owns the service; None for none, and for an owner that is only a text."""
        found = self.service(service)
        return self._teams.get(found.owner or "") if found else None

    def services_of(self, person: str) -> list[str]:
        """The services that the teams of that person own."""
        mine = {one.name for one in self.teams if person in one.members}
        return [one.name for one in self.services if one.owner in mine] if mine else []

    def dependencies(self, service: str | None, limit: int) -> Iterator[tuple[str, str]]:
        """What the service depends on, the nearest first, each with the service that depends on it; each once."""
        seen, waiting = {service}, deque([service])
        while waiting:
            found = self.service(waiting.popleft())
            for needed in found.depends_on if found else ():
                if needed in seen or len(seen) > limit:
                    continue
                seen.add(needed)
                waiting.append(needed)
                assert found is not None
                yield needed, found.name
