"""One request's open transaction, its audit entries, and the work that follows the commit.

All parts of the context share it. Nothing in it outlives the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.access.identity import without_code
from bot.chatops.next_steps import NextStep
from bot.core.access import Account, Decision, rule_with_break_glass
from bot.core.audit import AuditEntry, Code
from bot.core.incident import Committed, Incident
from bot.core.request import Request, split_verb
from bot.store import audit_log
from bot.store.transaction import Tx


@dataclass(kw_only=True, slots=True)
class UnitOfWork:
    tx: Tx
    request: Request
    account_problems: Mapping[Account, str]  #: reported by the platforms just now
    about: Incident | None = None  #: the incident that the request names
    written: Committed = field(default_factory=Committed)  #: all changes of the transaction, for `on_commit`
    next_step: NextStep | None = None  #: what the dispatcher does after the commit

    @property
    def verb(self) -> str:
        return split_verb(self.request.text)[0]

    def add_written(self, written: Committed) -> None:
        self.written |= written

    def record(
        self, code: Code, message: str, decision: Decision | None = None, *, run: str = "", target: str = ""
    ) -> None:
        """Write one audit entry about this request, in its transaction."""
        request = self.request
        rule = rule_with_break_glass(decision.rule, glass=decision.break_glass) if decision else ""
        more = {"words": without_code(request.text)} | ({"rule": rule} if rule else {})
        entry = AuditEntry(
            code=code,
            by=request.by.id or f"{request.channel}:{request.account}",
            message=message,
            run=run,
            verb=self.verb,
            target=target,
            channel=request.channel,
            account=request.account,
            idempotency_key=request.idempotency_key,
            incident_id=self.about.id if self.about else request.incident_id,
            details=more,
        )
        audit_log.append(self.tx, [entry])
