"""What `vakhta check --live` asks an outside system: the protocol, and what an answer says.

Beside an integration stands a `live_check.py` with a class that has these attributes; it is found by being there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

_PAGE = ("<!doctype", "<html")


class LiveVerdict(StrEnum):
    """The result of one question. Refusing is a fault; being down says nothing about the settings."""

    OK = "ok"
    FAULT = "fault"
    NO_ANSWER = "no answer"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, kw_only=True)
class LiveAnswer:
    """The result of one question, in one line without secrets: what was found, and what to do about it."""

    verdict: LiveVerdict
    text: str


@dataclass(frozen=True, kw_only=True)
class LiveQuestion:
    """One question. `ask` only reads, ends within seconds, and answers instead of raising."""

    key: str  #: the settings key within the section that it is about
    ask: Callable[[], LiveAnswer]


class LiveCheck(Protocol):
    """The questions about one section of the settings. The class is made without arguments."""

    section: type[Any]  #: the class of the section

    def questions(self, section: Any, place: str) -> Sequence[LiveQuestion]:
        """Asks nothing yet. Questions run at the same time, each on a thread of its own.

        `place`: of the section in the settings, such as "clusters.main".
        """
        ...


def ok(text: str) -> LiveAnswer:
    return LiveAnswer(verdict=LiveVerdict.OK, text=text)


def fault(text: str) -> LiveAnswer:
    return LiveAnswer(verdict=LiveVerdict.FAULT, text=text)


def no_answer(text: str) -> LiveAnswer:
    return LiveAnswer(verdict=LiveVerdict.NO_ANSWER, text=text)


def failed(called: str, message: str, *, refused: bool) -> LiveAnswer:
    """A failed question. A web page is of a proxy or a login in between, and no word of the system `called`."""
    if any(sign in message.lower() for sign in _PAGE):
        return no_answer(f"A web page came back and not {called}'s API: a proxy or a login page is in between.")
    return fault(message) if refused else no_answer(message)


def not_asked(text: str) -> LiveAnswer:
    return LiveAnswer(verdict=LiveVerdict.NOT_ASKED, text=text)
