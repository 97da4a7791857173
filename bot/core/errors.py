"""The ways to fail that more than one package speaks of.

Each carries a text that is shown to people word for word: what is wrong, what was not done, what to do.
"""

from __future__ import annotations

from datetime import timedelta


class Conflict(Exception):
    """The world is not as the plan saw it; nothing was done. `message` names what moved."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class OutcomeUnknown(Exception):
    """A call was sent and nobody knows whether it had its effect. The run is probed, never repeated."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Rejected(Exception):
    """You are wrong. `message` is shown to the sender word for word: what is wrong, what was not done, what to do.

    `code` is a stable snake_case word, `status` the HTTP status where HTTP is how it came.
    """

    def __init__(self, message: str, *, code: str = "rejected", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Undelivered(Exception):
    """They are down, or will not take it. `permanent`: trying the same again cannot help.

    `retry_after`: how long the provider asked us to wait (Retry-After); the whole channel waits.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent
        self.retry_after = retry_after
