"""All that can be said, by verb: what `commands/` holds, as the gate and its parts are given it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot import filling, grammar, words
from bot.acting import Action
from bot.acts import Risk
from bot.breaking import Breaking
from bot.forms import Filled, Form
from bot.model import Ask
from bot.people import People
from bot.plans import Drawn
from bot.ports import Command, Rejected
from bot.sentence import Known


@dataclass(frozen=True, kw_only=True)
class Verbs:
    """All that can be said, by verb."""

    commands: Mapping[str, Command[Any]]
    actions: dict[str, Action[Any]]

    @property
    def all(self) -> Mapping[str, Command[Any] | Action[Any]]:
        return dict(sorted((*self.commands.items(), *self.actions.items())))

    @property
    def risks(self) -> Mapping[str, Risk]:
        return {verb: one.risk for verb, one in self.actions.items()}

    def action(self, verb: str) -> Action[Any]:
        """That of a plan or run on record, which an older version may have made.

        Raises:
            Rejected: this version has none of that name.
        """
        found = self.actions.get(verb)
        if found is None:
            said = f"The bot no longer has the command {verb[:40]!r}. Nothing was done. Do it by hand."
            raise Rejected(said, code="no_such_action", status=409)
        return found


def args_of(verbs: Verbs, drawn: Drawn) -> object:
    """A plan's words, read again."""
    _, rest = words.split(drawn.words)
    action = verbs.actions[drawn.verb]
    return grammar.read(action.args, rest, drawn.incident_id, action.usage)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every ask is served with."""

    verbs: Verbs
    breaking: Breaking  #: with the rights


def names_said(people: People, services: Sequence[str], verbs: Verbs, ask: Ask) -> Known:
    """The names that may be said. A person is also their account where it is said, and the asker is `me`.

    `services`: where none is listed, any well-formed name is taken.
    """
    mentioned = {account: one for (place, account), one in people.accounts.items() if place == ask.place}
    names: dict[str, Collection[str]] = {
        "person": {**mentioned, **{one: one for one in people.persons}, "me": ask.by.id},
        "command": tuple(verbs.all),
    }
    return {**names, "service": services} if services else names


def form_of(house: Parts, ask: Ask) -> Form | None:
    """The form of a verb that was said without its arguments, where the asker may say it somewhere, some time."""
    verb, rest = words.split(ask.words)
    said, rights = house.verbs.all.get(verb), house.breaking.rights
    if said is None or rest or not ask.by.id or not rights.ever(ask.by, verb):
        return None
    action = house.verbs.actions.get(verb)
    limits = action.limits if action else {}
    return filling.form_of(said, known=rights.known(ask), here=ask.incident_id, limits=limits)


def fill(house: Parts, ask: Ask, values: Mapping[str, str]) -> Filled:
    """Whether they may say it is decided when the words are asked. Of a verb that is no more, and for somebody who is
    not known, only the verb is left, to be refused like any other words."""
    verb, _ = words.split(ask.words)
    said = house.verbs.all.get(verb)
    if said is None or not ask.by.id:
        return Filled(words=verb)
    return filling.fill(said, values, known=house.breaking.rights.known(ask), here=ask.incident_id)


def clean(ask: Ask) -> Ask:
    """The same in text that every database can hold."""
    who = replace(ask.by, name=words.clean(ask.by.name))
    return replace(
        ask, by=who, words=words.clean(ask.words), once=words.clean(ask.once), account=words.clean(ask.account)
    )
