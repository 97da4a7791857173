"""Whether a plan's approval still counts: the facts, gathered in the caller's transaction, and the verdict on them.

The verdict itself is pure (`yeses.weigh`). What each person may do now is decided by `Rights`, as for any request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot import plans, yeses
from bot.access import YES
from bot.acts import Decision, Permission, Risk
from bot.circumstances import Weight
from bot.model import Ask, Principal
from bot.people import Account, Voice
from bot.plans import Drawn
from bot.rights import Rights
from bot.store.tx import Tx
from bot.yeses import Now, Verdict


def weigh(rights: Rights, tx: Tx, drawn: Drawn, risk: Risk, outside: Mapping[Account, str] | None = None) -> Verdict:
    """What is left now of the approval of a plan that a person asked for.

    `outside`: what platforms have just said against accounts.
    """
    against = outside or {}
    asker = _asker(rights, tx, drawn, against)
    given = [said_yes(rights, tx, drawn, one, against) for one in drawn.given]
    return yeses.weigh(drawn, asker, given, plans.needed(risk, asker.decision, drawn.plan))


def said_yes(rights: Rights, tx: Tx, drawn: Drawn, voice: Voice, outside: Mapping[Account, str] | None = None) -> Now:
    """What is the case now of somebody who says, or has said, yes to it."""
    against = outside or {}
    if voice.person == drawn.by:  # who may do it may confirm it
        return replace(_asker(rights, tx, drawn, against), held=rights.linking.held(tx.sql, voice.from_account))
    ask = Ask(by=_as_now(rights, tx, voice), words=YES, place=voice.place)
    wanted = Permission(verb=YES, target=drawn.plan.target)
    return _now(rights, tx, voice, rights.may(tx, ask, wanted, None, Weight.CALM), against)


def _asker(rights: Rights, tx: Tx, drawn: Drawn, outside: Mapping[Account, str]) -> Now:
    by = _as_now(rights, tx, drawn.asker)
    ask = Ask(by=by, words=drawn.words, place=drawn.place, incident_id=drawn.incident_id)
    return _now(rights, tx, drawn.asker, rights.may_act(tx, ask, drawn.verb, drawn.plan.target), outside)


def _now(rights: Rights, tx: Tx, voice: Voice, decision: Decision, outside: Mapping[Account, str]) -> Now:
    return Now(
        listed=rights.person(tx, voice.person) is not None,
        held=rights.linking.held(tx.sql, voice.from_account),
        decision=decision,
        outside=outside.get(voice.from_account, ""),
    )


def _as_now(rights: Rights, tx: Tx, voice: Voice) -> Principal:
    return rights.person(tx, voice.person) or Principal(id=voice.person)
