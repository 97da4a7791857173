"""What comes to a fake and what it answers: one request, one answer, and one way in which it may go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as it arrived."""

    at: float  #: seconds of time.monotonic
    verb: str
    path: str  #: without the query
    query: dict[str, str]
    headers: dict[str, str]  #: names in lower case
    body: bytes
    asked: tuple[tuple[str, str], ...] = ()  #: the query again, where a name may come more than once
    heads: tuple[tuple[str, str], ...] = ()  #: the headers likewise

    @property
    def fields(self) -> dict[str, object]:
        """The parameters, whichever of JSON object, form and query they came in."""
        if "json" in self.headers.get("content-type", ""):
            told = json.loads(self.body or b"{}")
            return {**self.query, **told} if isinstance(told, dict) else dict(self.query)
        return {**self.query, **dict(parse_qsl(self.body.decode(), keep_blank_values=True))}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None  #: sent one by one as they come, in the place of a body

    @classmethod
    def json(cls, told: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
        kind = {"Content-Type": "application/json; charset=utf-8"}
        return cls(status=status, body=json.dumps(told).encode(), headers=kind | (headers or {}))


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """How one coming request shall go wrong, once."""

    status: int | None = None
    retry_after: int | None = None
    body: bytes = b""
    reset: bool = False  #: the connection is aborted
    hang: bool = False  #: no answer until the client gives up or the fake ends
    after_effect: bool = False  #: the request has its effect first: the sender cannot know that it arrived
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str | None = None  #: only a request whose path ends so
