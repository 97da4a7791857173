"""The door for people: an ask becomes a change, once, in one commit with its events and its answer.

A platform delivers an act more than once; its id (`Ask.once`) and what was answered are stored in the commit that
holds the effect, so the second delivery finds the first one's answer and has no effect of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from bot import incidents, story, words
from bot.failpoints import failpoint
from bot.incidents import Acked, Noted, Resolved, Wish
from bot.model import Ask, Incident, Principal, Reply
from bot.owing import Mouth
from bot.ports import Command, Rejected
from bot.store.engine import Store
from bot.store.tx import Tx
from bot.story import Told, Written

#: How far a platform's clock and ours may lie apart.
_CLOCKS_DIFFER = timedelta(seconds=30)

Accounts = Mapping[tuple[str, str], Principal]  #: (place, account there) -> person


class Desk:
    """Implements `ports.Door`. `told` is called after each commit that changed something."""

    def __init__(
        self,
        store: Store,
        *,
        commands: Mapping[str, Command],
        accounts: Accounts,
        mouths: Sequence[Mouth],
        told: Told,
    ) -> None:
        self._store = store
        self._commands = commands
        self._accounts = accounts
        self._mouths = mouths
        self._told = told

    def ask(self, ask: Ask) -> Reply:
        """Do what was asked. A refusal is a reply with ok=False; what a person is refused changes nothing."""
        who = replace(ask.by, name=words.clean(ask.by.name))
        ask = replace(ask, by=who, words=words.clean(ask.words), once=words.clean(ask.once))
        with self._store.begin() as tx:
            before = tx.answered(ask.place, ask.once) if ask.once else None
            if before is not None:
                return Reply(said=before[0], ok=before[1], repeated=True)
            counter = _Counter(tx, self._commands, self._mouths)
            reply = counter.serve(ask)
            if ask.once:
                tx.answer(ask.place, ask.once, reply.said, ok=reply.ok)
            failpoint("desk.written")
        failpoint("desk.committed")
        if counter.written:
            self._told(counter.written)
        return reply

    def person(self, place: str, account: str) -> Principal | None:
        return self._accounts.get((place, account))

    def standing_at(self, place: str, ref: str) -> int | None:
        with self._store.read() as reading:
            return reading.standing_at(place, ref)

    def paged_as(self, page_key: str) -> int | None:
        with self._store.read() as reading:
            return reading.paged_as(page_key)

    def seen(self, place: str, once: str) -> bool:
        once = words.clean(once)
        with self._store.begin() as tx:
            if tx.answered(place, once) is not None:
                return True
            tx.answer(place, once, "", ok=True)
            return False


class _Counter:
    """Implements `ports.Desk` for one ask, inside its transaction."""

    def __init__(self, tx: Tx, commands: Mapping[str, Command], mouths: Sequence[Mouth]) -> None:
        self._tx = tx
        self._commands = commands
        self._mouths = mouths
        self.written = Written()

    def serve(self, ask: Ask) -> Reply:
        verb, rest = words.split(ask.words)
        try:
            command = self._commands.get(verb)
            if command is None:
                raise words.unknown(verb, self._commands)
            return command.run(ask, rest, self)
        except Rejected as refused:
            return Reply(said=refused.said, ok=False)

    def incident(self, incident_id: int) -> Incident:
        found = self._tx.incident(incident_id)
        if found is None:
            raise Rejected(f"Incident {incident_id} does not exist. Nothing was done.", code="no_incident", status=404)
        return found

    def unresolved(self, limit: int) -> Sequence[Incident]:
        return self._tx.unresolved(limit)

    def acknowledge(self, incident: Incident, ask: Ask) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Acked(by=ask.by.id, name=ask.by.called, via=ask.place, human=ask.by.human))

    def resolve(self, incident: Incident, ask: Ask) -> Incident:
        self._check_age(incident, ask)
        return self._change(incident, Resolved(by=ask.by.id, name=ask.by.called, via=ask.place))

    def note(self, incident: Incident, ask: Ask, text: str) -> Incident:
        return self._change(incident, Noted(by=ask.by.id, name=ask.by.called, via=ask.place, text=text))

    def commands(self) -> Sequence[Command]:
        return tuple(self._commands.values())

    def _check_age(self, incident: Incident, ask: Ask) -> None:
        """A platform may deliver an act hours late; one that was meant for an earlier opening is not for this one."""
        began = self._tx.began(incident.id)
        if ask.said_at is not None and began is not None and ask.said_at < began - _CLOCKS_DIFFER:
            raise Rejected(
                f"That was said {ask.said_at:%H:%M} UTC, before incident {incident.id} opened again {began:%H:%M} UTC."
                " Nothing was done. Say it again if it still holds.",
                code="said_before",
                status=409,
            )

    def _change(self, incident: Incident, wish: Wish) -> Incident:
        change = incidents.change(incident, wish, now=self._tx.now)
        self.written |= story.write(self._tx, [change], self._mouths)
        return change.incident
