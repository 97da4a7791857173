"""A plan is shown: stored with whoever asked for it and with which account, on record, and told on its incident."""

from __future__ import annotations

from collections.abc import Sequence

from bot import incidents, plans, story
from bot.acts import Code, Decision
from bot.failpoints import failpoint
from bot.model import Ask, What
from bot.owing import Mouth
from bot.plans import Drawn, State
from bot.steps import entry_of
from bot.store import drawn as drawn_up
from bot.store import ledger
from bot.store.tx import Tx
from bot.story import Written
from bot.wishes import Acted


def write(tx: Tx, drawn: Drawn, ask: Ask, decision: Decision, mouths: Sequence[Mouth]) -> Written:
    """One that is approved already, because nobody has to say yes to it, is not told: its end is."""
    drawn_up.put_plan(tx, drawn, plans.written(drawn.verb, drawn.words, drawn.plan))
    ledger.record(tx, [entry_of(ask, Code.PLANNED, "; ".join(drawn.plan.effect), drawn, decision=decision)])
    approved = drawn.state is State.APPROVED
    if approved and ask.by.human:  # to ask for it was to confirm it
        drawn_up.approve(tx, drawn.handle, drawn.asker)
    incident = tx.incident(drawn.incident_id) if drawn.incident_id else None
    written = Written()
    if incident is not None and not approved:
        who = f"{ask.by.called}, behind broken glass," if decision.glass else ask.by.called
        said = f"{who} asks: {drawn.words}. {'; '.join(drawn.plan.effect)}. `{plans.yes_to(drawn)}`"
        wish = Acted(what=What.ASKED, by=ask.by.id, said=said, via=ask.place)
        written = story.write(tx, [incidents.change(incident, wish, now=tx.now)], mouths)
    failpoint("gate.showing")
    return written
