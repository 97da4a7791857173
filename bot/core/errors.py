"""The errors that more than one package uses.

Each carries a text that people are shown word for word: what is wrong, what was not done, what to do.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class Rejected(Exception):
    """The caller is wrong. `message` is shown to them word for word: what is wrong, what was not done, what to do.

    `code` is a stable snake_case word, `status` the HTTP status for a request that came by HTTP.
    """

    def __init__(self, message: str, *, code: str = "rejected", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Refusal(StrEnum):
    """What a platform refuses, where it refuses every message alike; one repair makes all of them good."""

    KEY = "key"  #: the bot's token or routing key
    PLACE = "place"  #: the chat: it is archived, closed or gone, or the bot is not in it


class Undelivered(Exception):
    """The provider is down or does not take the message. `permanent`: the same try cannot succeed later.

    `retry_after`: how long the provider asked us to wait (Retry-After); the whole channel waits. `refused`: a permanent
    failure of the whole channel, which a person can repair; the message is sent again after that.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: timedelta | None = None,
        refused: Refusal | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent or refused is not None
        self.retry_after = retry_after
        self.refused = refused


class Conflict(Exception):
    """The world is not as the plan saw it; nothing was done. `message` names what has changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OutcomeUnknown(Exception):
    """A call was sent and nobody knows whether it had its effect. The run is probed, never repeated."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
