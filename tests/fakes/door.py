"""A small gateway behind a channel: it keeps the requests and handles each act once, in memory.

Strict: a request that the real bot could not use (no text, no idempotency key, a leading slash) is a fault, and so is
an account that is not text. A fault raises at once, and again at the end of the `with` block, because a thread of the
channel may have swallowed the first one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from bot.access.identity import LINK_FIRST
from bot.chatops import forms
from bot.core.action import Action
from bot.core.command import Command
from bot.core.form import Form, SubmittedForm
from bot.core.request import UNKNOWN_PRINCIPAL, Principal, Reply, Request

_WITHOUT_IDS = ("console", "cli")  #: places where an act may have none
ANA = Principal(id="ana", name="Ana", roles=frozenset({"responder"}))


@dataclass(frozen=True)
class Said:
    """A verb as a menu shows it."""

    verb: str
    usage: str
    summary: str


ACK = Said("ack", "ack <incident>", "take an incident")
BREAK_GLASS = Said("break-glass", "break-glass because <text>", "take the rights for an emergency")


class SmallDoor:
    """A real `Gateway`. All requests can be read afterwards; every method may be called from any thread."""

    def __init__(
        self,
        *,
        people: Mapping[tuple[str, str], Principal] | None = None,
        standing: Mapping[tuple[str, str], int] | None = None,
        paged: Mapping[str, int] | None = None,
        verbs: Mapping[str, Command[Any] | Action[Any]] | None = None,
    ) -> None:
        self.people = dict(people or {})  #: (place, account id as text) -> who that is
        self.standing = dict(standing or {})  #: (place, ref) -> incident id
        self.paged = dict(paged or {})  #: page_key -> incident id
        self.offered: tuple[Said, ...] = (ACK, BREAK_GLASS)  #: what can be said
        self.verbs = dict(verbs or {})  #: those that have a form
        self.heard: list[Request] = []  #: every request, repeated ones too
        self.asks: list[Request] = []  #: the requests that had an effect, once each
        self.strangers: list[tuple[str, str]] = []  #: accounts that were looked up and not found
        self.unknown: list[Request] = []  #: requests of unknown accounts, once each; only their `link` has an effect
        self.away: list[tuple[Request, str]] = []  #: what the channel refused by itself, once each, with the reason
        self.faults: list[str] = []
        self._done: dict[tuple[str, str], Reply] = {}
        self._noted: set[tuple[str, str]] = set()
        self._next: list[Reply | Exception] = []
        self.unlocked = threading.Event()  #: while it is cleared, whoever asks waits
        self.unlocked.set()
        self._moved = threading.Condition(threading.RLock())

    def answer_next(self, reply: Reply | Exception) -> None:
        """What the next new ask gets: this reply (a refusal has ok=False), or this exception instead of an effect."""
        with self._moved:
            self._next.append(reply)

    def wait_for_asks(self, count: int, within_s: float = 60.0) -> list[Request]:
        """The asks that had an effect, as soon as there are `count`; an AssertionError when that takes too long."""
        with self._moved:
            there = self._moved.wait_for(lambda: len(self.asks) >= count, within_s)
            assert there, f"{count} asks expected within {within_s} s, got {self.asks!r}"
            return list(self.asks)

    def wait_for_heard(self, count: int, within_s: float = 60.0) -> list[Request]:
        """Like `wait_for_asks`, repeated ones counted too."""
        with self._moved:
            there = self._moved.wait_for(lambda: len(self.heard) >= count, within_s)
            assert there, f"{count} asks expected to be heard within {within_s} s, got {self.heard!r}"
            return list(self.heard)

    def handle(self, ask: Request) -> Reply:
        self._check_ask(ask)
        if not self.unlocked.wait(60):
            self._fault(f"nobody unlocked the door for {ask.text!r}")
        if ask.by == UNKNOWN_PRINCIPAL and ask.text.split()[0] != "link":
            return self._refuse(ask)
        with self._moved:
            self.heard.append(ask)
            self._moved.notify_all()
            before = self._done.get((ask.channel, ask.idempotency_key)) if ask.idempotency_key else None
            if before is not None:
                return replace(before, repeated=True)
            reply = self._next.pop(0) if self._next else Reply(text=f"Done: {ask.text}")
            if isinstance(reply, Exception):
                raise reply
            self._done[ask.channel, ask.idempotency_key] = reply
            self.asks.append(ask)
            self._moved.notify_all()
            return reply

    def _refuse(self, ask: Request) -> Reply:
        with self._moved:
            repeated = self._is_noted(ask)
            self.unknown += [] if repeated else [ask]
            return Reply(text=LINK_FIRST, ok=False, repeated=repeated)

    def person(self, place: str, account: str) -> Principal | None:
        self._check_text("person", place, account)
        found = self.people.get((place, account))
        if found is None:
            with self._moved:
                self.strangers.append((place, account))
                self._moved.notify_all()
        return found

    def incident_at(self, place: str, ref: str) -> int | None:
        self._check_text("standing_at", place, ref)
        return self.standing.get((place, ref))

    def incident_paged_as(self, page_key: str) -> int | None:
        self._check_text("paged_as", page_key)
        return self.paged.get(page_key)

    def form(self, ask: Request) -> Form | None:
        self._check_ask(ask)
        said = self.verbs.get(ask.text)
        return forms.form_of(said, known={}, limits={"kept": "in memory"}) if said and ask.by.id else None

    def submit_form(self, ask: Request, values: Mapping[str, str]) -> SubmittedForm:
        self._check_ask(ask)
        if not all(isinstance(value, str) for value in values.values()):
            self._fault(f"values that are no text: {values!r}")
        known = ask.by.id and ask.text in self.verbs
        return forms.fill(self.verbs[ask.text], values, known={}) if known else SubmittedForm(text=ask.text)

    def record_refusal(self, ask: Request, why: str) -> bool:
        if ask.by.id or not ask.channel or not (ask.idempotency_key or ask.channel in _WITHOUT_IDS) or not why:
            self._fault(f"turned away without its place, its id or a reason, or in somebody's name: {ask!r}")
        with self._moved:
            repeated = self._is_noted(ask)
            self.away += [] if repeated else [(ask, why)]
            return repeated

    def menu(self) -> Sequence[Said]:
        return self.offered

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            assert not self.faults, "the door was misused:\n" + "\n".join(self.faults)

    def _is_noted(self, ask: Request) -> bool:
        noted = bool(ask.idempotency_key) and (ask.channel, ask.idempotency_key) in self._noted
        self._noted.add((ask.channel, ask.idempotency_key))
        return noted

    def _check_ask(self, ask: Request) -> None:
        if not isinstance(ask.by, Principal) or (not ask.by.id and ask.by != UNKNOWN_PRINCIPAL):
            self._fault(f"an ask by nobody: {ask!r}")
        if not ask.account and (ask.by.human or ask.private):
            self._fault(f"a person without their account: {ask!r}")
        if not ask.text.strip() or ask.text != ask.text.strip():
            self._fault(f"words that are empty or have space around them: {ask!r}")
        if ask.text.startswith("/"):
            self._fault(f"a platform's slash was left on the words: {ask!r}")
        if not ask.channel or not (ask.idempotency_key or ask.channel in _WITHOUT_IDS):
            self._fault(f"an ask without its place or without the id of the act: {ask!r}")
        if ask.incident_id is not None and type(ask.incident_id) is not int:
            self._fault(f"an incident id that is no int: {ask!r}")

    def _check_text(self, method: str, *texts: str) -> None:
        if not all(isinstance(text, str) and text for text in texts):
            self._fault(f"{method} takes texts that are not empty, got {texts!r}")
        if any("\x00" in text or not text.isprintable() for text in texts):
            self._fault(f"{method} was given what a database cannot look up: {texts!r}")

    def _fault(self, said: str) -> None:
        with self._moved:
            self.faults.append(said)
        raise AssertionError(said)
