"""What is somebody's to look after, seen in the ask's own transaction: incidents, plans, and who is on call.

A plan waits for somebody when their yes would count if they said it now: the same is asked here as of the yes itself,
and that one is asked it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot import approval_facts, yeses
from bot.access import YES
from bot.acts import Risk
from bot.book import Book
from bot.model import Ask
from bot.plans import Drawn
from bot.ports import Overview, Rejected
from bot.rights import Rights
from bot.store import drawn as drawn_up
from bot.store import owned, standing
from bot.store.tx import Tx

#: Plans that are looked at; they wait for a quarter of an hour, so there are hardly ever more.
_MOST_PLANS = 100
#: Runs that are looked at, and of how long.
_MOST_RUNS, _RUNS_OF = 50, timedelta(days=1)


def look(tx: Tx, rights: Rights, ask: Ask, risks: Mapping[str, Risk], limit: int) -> Overview:
    """`risks`: of each action; `limit`: of the incidents."""
    services = rights.book.on_call_for(ask.by.id)
    held = owned.look(tx.sql, ask.by.id, sorted(services), limit)
    waiting = drawn_up.waiting(tx.sql, tx.now, _MOST_PLANS)
    return Overview(
        incidents=held.incidents,
        more=held.count - len(held.incidents),
        others=held.unresolved - held.count,
        to_approve=tuple(
            one for one in waiting if one.by != ask.by.id and _counts(tx, rights, ask, one, risks.get(one.verb))
        ),
        asked=tuple(one for one in waiting if one.by == ask.by.id),
        runs=tuple(standing.unsettled(tx.sql, ask.by.id, tx.now - _RUNS_OF, _MOST_RUNS)),
        on_call=_on_call(rights.book, services),
    )


def _counts(tx: Tx, rights: Rights, ask: Ask, drawn: Drawn, risk: Risk | None) -> bool:
    """Whether the asker's yes to it would count. `risk` None: this version does not have its verb."""
    if risk is None or not rights.ever(ask.by, YES):
        return False
    voice, verdict = rights.linking.voice(tx, ask), approval_facts.weigh(rights, tx, drawn, risk)
    try:
        now = approval_facts.said_yes(rights, tx, drawn, voice)
        yeses.check_yes(drawn, voice, now, verdict, human=ask.by.human)
    except Rejected:
        return False
    return verdict.stopped is None


def _on_call(book: Book, own: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    duties = book.duties()
    names = {one.id: one.called for one in book.people_of(frozenset().union(*duties.values()))}
    return {
        service: tuple(names.get(one, one) for one in sorted(duties[service]))
        for service in sorted(duties, key=lambda service: (service not in own, service))
    }
