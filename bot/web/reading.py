"""What the web needs from the store to show things: reading only, in one consistent view.

The web commits nothing. Whoever wants a change goes through a channel to the door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from bot.model import Event, Incident, Status


class AlertRow(Protocol):
    """One stored episode of an alert."""

    @property
    def source(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def firing(self) -> bool: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def notes(self) -> Mapping[str, str]: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def link(self) -> str: ...


class DeliveryRow(Protocol):
    """One message that was or is owed to a channel."""

    @property
    def id(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def what(self) -> str | None: ...
    @property
    def state(self) -> str: ...  # "owed", "leased", "sent" or "dead"
    @property
    def owed_at(self) -> datetime: ...
    @property
    def sent_at(self) -> datetime | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def said(self) -> str: ...  # what the last try that failed said, "" when none did
    @property
    def not_before(self) -> datetime: ...


class Reading(Protocol):
    """One consistent view of the store."""

    def incidents(
        self, *, status: Status | None = None, limit: int = 50, before: int | None = None
    ) -> Sequence[Incident]:
        """Newest first; `before` is the id of the last one already shown."""
        ...

    def incident(self, incident_id: int, /) -> Incident | None: ...

    def alerts(self, incident_id: int, /, limit: int = 500) -> Sequence[AlertRow]: ...

    def events(self, incident_id: int, /) -> Sequence[tuple[int, Event]]: ...

    def events_since(self, after_id: int, /, limit: int) -> Sequence[tuple[int, Event]]:
        """Of all incidents, oldest first, each with its id."""
        ...

    def newest_event(self) -> int:
        """Its id, 0 when there is none."""
        ...

    def deliveries(self, incident_id: int, /) -> Sequence[DeliveryRow]: ...

    def ping(self) -> None:
        """Raises when the database does not answer."""
        ...


class Shelf(Protocol):
    """The store, as far as the web may see it."""

    def read(self) -> AbstractContextManager[Reading]: ...
