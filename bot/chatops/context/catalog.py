"""`context.catalog`: the services of the settings, with their incidents, and the alerts that none of them owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.alerts.internal import OWN
from bot.alerts.unowned import unowned
from bot.core.catalog import Service, ServiceState, UnownedAlerts
from bot.core.errors import Rejected
from bot.notifications.card import CardSettings
from bot.store import incident_lists, views
from bot.store.transaction import Tx

#: The most that are read: other requests wait meanwhile.
_INCIDENTS, _ALERTS, _DEPENDENCIES = 500, 2000, 50


class CatalogService:
    """Implements `core.command.CatalogOperations` for one request."""

    def __init__(self, tx: Tx, cards: CardSettings) -> None:
        self._tx = tx
        self._cards = cards
        self._catalog = cards.catalog

    @property
    def default(self) -> str | None:
        return self._catalog.default

    def list_services(self) -> Sequence[ServiceState]:
        troubled = self._troubled()
        return [self._state(one, troubled) for one in self._catalog.services]

    def describe(self, name: str) -> ServiceState:
        found = self._catalog.service(name)
        if found is None:
            message = f"The settings have no service {name}. Nothing was done. `services` lists the known ones."
            raise Rejected(message, code="no_service", status=404)
        return self._state(found, self._troubled())

    def dependencies_in_trouble(self, service: str | None) -> tuple[str, ...]:
        needed = list(self._catalog.dependencies(service, _DEPENDENCIES))
        troubled = self._troubled() if needed else {}
        return tuple(
            f"{name}, which {by} depends on, has {_incidents(troubled[name])} open"
            for name, by in needed
            if name in troubled
        )

    def list_unowned(self) -> Sequence[UnownedAlerts]:
        return unowned(views.newest_labels(self._tx.sql, _ALERTS, without_source=OWN), self._catalog)

    def _troubled(self) -> Mapping[str, Sequence[int]]:
        return incident_lists.unresolved_by_service(self._tx.sql, _INCIDENTS)

    def _state(self, one: Service, troubled: Mapping[str, Sequence[int]]) -> ServiceState:
        team = self._catalog.team(one.name)
        return ServiceState(
            service=one,
            members=tuple(self._cards.names.get(person) or person for person in (team.members if team else ())),
            on_call=tuple(contact.name or contact.id for contact in self._cards.on_call(one.name, "")),
            incidents=tuple(troubled.get(one.name, ())),
            needed_by=tuple(other.name for other in self._catalog.services if one.name in other.depends_on),
        )


def _incidents(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"incident {numbers[0]}"
    return f"{len(numbers)} incidents, the worst is {numbers[0]},"
