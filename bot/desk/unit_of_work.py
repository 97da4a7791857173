"""One request's open transaction, its audit entries, and the work that follows the commit.

All parts of the desk share it. Nothing in it outlives the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot import glass, words
from bot.acts import AuditEntry, Code, Decision
from bot.model import Ask, Incident
from bot.people import Account, on_record
from bot.steps import Next
from bot.store import ledger
from bot.store.tx import Tx
from bot.story import Written


@dataclass(kw_only=True, slots=True)
class UnitOfWork:
    tx: Tx
    ask: Ask
    outside: Mapping[Account, str]  #: what platforms have just said against accounts
    about: Incident | None = None  #: the incident that the request names
    written: Written = field(default_factory=Written)  #: what the transaction holds, for those who act on its commit
    after: Next | None = None  #: what the gate does once it is committed

    @property
    def verb(self) -> str:
        return words.split(self.ask.words)[0]

    def add_written(self, written: Written) -> None:
        self.written |= written

    def record(
        self, code: Code, said: str, decision: Decision | None = None, *, run: str = "", target: str = ""
    ) -> None:
        """Write one audit entry about this request, in its transaction."""
        ask = self.ask
        rule = glass.grounds(decision.rule, glass=decision.glass) if decision else ""
        more = {"words": on_record(ask.words)} | ({"rule": rule} if rule else {})
        entry = AuditEntry(
            code=code,
            by=ask.by.id or f"{ask.place}:{ask.account}",
            said=said,
            run=run,
            verb=self.verb,
            target=target,
            place=ask.place,
            account=ask.account,
            once=ask.once,
            incident_id=self.about.id if self.about else ask.incident_id,
            more=more,
        )
        ledger.record(self.tx, [entry])
