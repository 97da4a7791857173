"""Redis's protocol; the only file that knows the package redis.

Each call has a connection of its own, one attempt, and a time limit. A command that reads fails as `Rejected`; one
that changes something and was cut off fails as `OutcomeUnknown`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any, cast

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, NoPermissionError
from redis.retry import Retry

from bot.core.errors import OutcomeUnknown, Rejected
from bot.lib.redact import redact

_MAX_SHOWN = 200


class RedisLoading(Exception):
    """The server loads its file, and answers nothing else."""


class RedisClient:
    """One server. `called`: its name in messages."""

    def __init__(self, url: SecretStr, *, called: str, timeout: timedelta, db: int | None = None) -> None:
        self._url = url.get_secret_value()
        self._called = called
        self._timeout_s = timeout.total_seconds()
        self._db = db

    def ask(self, *command: str | bytes) -> Any:
        """The answer of a command that only reads.

        Raises:
            Rejected: with the server's word for the error (NOAUTH) in small letters, or "unreachable", as `code`.
            RedisLoading: it still loads.
        """
        try:
            return self._execute(command)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise self._unreachable(error) from None

    def change(self, *command: str | bytes) -> Any:
        """The answer of a command that changes something.

        Raises:
            Rejected: nothing was done.
            OutcomeUnknown: it was sent, and its answer did not come.
            RedisLoading: it still loads.
        """
        try:
            self._execute(("PING",))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise self._unreachable(error) from None
        try:
            return self._execute(command)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            message = f"{self._called} gave no answer to {_word(command)} ({type(error).__name__})."
            raise OutcomeUnknown(f"{message} It is not known whether it took effect.") from None

    def info(self, section: str) -> Mapping[str, str]:
        """Raises as `ask`."""
        said = self.ask("INFO", section)
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
        return {key: value for key, _, value in pairs}

    def config(self, key: str) -> str:
        """One setting of the server; "" where it may not be read. Raises as `ask`."""
        try:
            said = self.ask("CONFIG", "GET", key)
        except Rejected as refused:
            if refused.code in ("noperm", "err"):
                return ""
            raise
        found = cast("Sequence[bytes]", said)
        return found[1].decode(errors="replace") if len(found) > 1 else ""

    def pipeline(self, commands: Sequence[Sequence[str | bytes]]) -> Sequence[Any]:
        """The answers of commands that only read, in one exchange; an exception in the place of each that failed.

        Raises as `ask`.
        """
        try:
            with self._connected() as client, client.pipeline(transaction=False) as line:
                for command in commands:
                    line.execute_command(*command)
                return list(line.execute(raise_on_error=False))
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise self._unreachable(error) from None

    def _execute(self, command: Sequence[str | bytes]) -> Any:
        with self._connected() as client:
            try:
                return client.execute_command(*command)
            except BusyLoadingError:
                raise RedisLoading from None
            except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
                raise self._refused(error, "no_entry") from None
            except redis.ResponseError as error:
                raise self._refused(error, "") from None

    def _connected(self) -> redis.Redis:
        client = redis.Redis.from_url(
            self._url,
            socket_timeout=self._timeout_s,
            socket_connect_timeout=self._timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            # Nothing but the command itself, so that an old server, or one that loads, is not asked about its features.
            driver_info=None,
            **({} if self._db is None else {"db": self._db}),
        )
        client.response_callbacks.clear()  # answers as they are
        return client

    def _refused(self, error: Exception, code: str) -> Rejected:
        said = redact(str(error))[:_MAX_SHOWN]
        word = said.partition(" ")[0]
        message = f"{self._called} refused: {said or type(error).__name__}. Nothing was done."
        return Rejected(message, code=code or (word.lower() if word.isupper() else "err"))

    def _unreachable(self, error: Exception) -> Rejected:
        message = f"{self._called} could not be reached ({type(error).__name__}). Nothing was done."
        return Rejected(
            f"{message} Check its address and that it runs.", code="unreachable", status=HTTPStatus.BAD_GATEWAY
        )


def as_text(answer: object) -> str:
    """An answer as people read it."""
    if isinstance(answer, bytes):
        return answer.decode(errors="replace")
    if isinstance(answer, list):
        return ", ".join(as_text(one) for one in answer)
    return "" if answer is None else str(answer)


def _word(command: Sequence[str | bytes]) -> str:
    return as_text(command[0])
