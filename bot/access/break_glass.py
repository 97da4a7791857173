"""Break-glass: activated, ended and reviewed, each in the caller's transaction: row, audit entry, and alert.

The promise: nobody has break-glass rights without an incident that pages; both are in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.access import break_glass_rules
from bot.access.authorizer import Authorizer
from bot.alerts import ingest, internal
from bot.alerts.classification import AlertRules
from bot.core.access import BreakGlassUse
from bot.core.audit import AuditEntry, Code
from bot.core.command import KnownNames
from bot.core.errors import Rejected
from bot.core.incident import Committed, EventType
from bot.core.message import Subscription
from bot.core.request import SCHEDULER, Principal, Reply, Request, split_verb
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import ActionReported, AddNote
from bot.lib import text
from bot.lib.text import spell_moment
from bot.store import audit_log
from bot.store import break_glass as rows
from bot.store.transaction import Tx

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class BreakGlass:
    """`activate`, `review` and `expire` change it; the rest reports it."""

    authorizer: Authorizer
    subscriptions: Sequence[Subscription]
    rules: AlertRules
    contact: str = ""  #: a person's id or a channel's name; "" where the settings name nobody

    def activate(self, tx: Tx, request: Request, because: str) -> tuple[Reply, Committed]:
        """Give the requester the break-glass rights for a while. Raises `Rejected`; then nothing was done."""
        if self.authorizer.person(tx, request.by.id) is None:
            raise Rejected(
                "You are not listed under `people` in the settings. Nothing was done.",
                code="glass_not_listed",
                status=403,
            )
        if not self.authorizer.policy.break_glass_roles:
            message = (
                "No role in the settings has `break_glass: true`, so break-glass gives no rights. Nothing was done."
            )
            raise Rejected(message, code="glass_nothing", status=409)
        reason = tx.scrub(text.storable(" ".join(because.split())))
        break_glass_rules.check_activation(request.by, reason, rows.unreviewed(tx.sql))
        use = BreakGlassUse(
            id=rows.next_id(tx),
            person=request.by.id,
            reason=reason,
            opened_at=tx.now,
            until=tx.now + break_glass_rules.BREAK_GLASS_LASTS,
            channel=request.channel,
            account=request.account,
        )
        alarm = internal.glass_broken(use, request.by.display_name, self.contact)
        (opened,), written = ingest.ingest_own(tx, alarm, self.rules, self.subscriptions)
        use = replace(use, incident_id=opened)
        rows.put(tx, use)
        _record(tx, Code.GLASS_BROKEN, f"{request.by.display_name} activated break-glass: {reason}", use, request)
        message = (
            f"Break-glass is active for you until {use.until:%H:%M} UTC. Incident {opened} pages for it"
            f"{f', and {self.contact} reviews it' if self.contact else ''}. Everything that you do by it is marked."
        )
        return Reply(text=message), written

    def review(self, tx: Tx, request: Request, person: str, because: str) -> tuple[Reply, Committed]:
        """Record a review. It ends a use that is still active. Raises `Rejected` if the review does not count."""
        use = rows.unreviewed(tx.sql, person)
        if use is None:
            message = f"{person} has no use of break-glass to review. Nothing was done. `glass` lists the last ones."
            raise Rejected(message, code="glass_none", status=404)
        found = tx.scrub(text.storable(" ".join(because.split())))
        break_glass_rules.check_review(request.by, found, use, self.authorizer.break_glass_holder(tx, use))
        early = use.is_active(tx.now)
        if rows.close(tx, use):
            reason = f"{request.by.display_name} ended it early" if early else "its time was over"
            _record(tx, Code.GLASS_MENDED, f"Break-glass of {use.person} has ended: {reason}.", use, request)
        rows.review(tx, use, request.by.id, found)
        _record(
            tx,
            Code.GLASS_REVIEWED,
            f"{request.by.display_name} reviewed the break-glass use of {use.person}: {found}",
            use,
            request,
        )
        written = self._note(
            tx, use, AddNote(by=request.by.id, name=request.by.display_name, via=request.channel, text=found)
        )
        over = internal.glass_broken(use, use.person, self.contact, ended_at=tx.now)
        written |= ingest.ingest_own(tx, over, self.rules, self.subscriptions)[1]
        ended = " It has ended." if early else ""
        message = f"The break-glass use of {use.person} is reviewed.{ended} Break-glass can be activated again."
        return Reply(text=message), written

    def known_names(self, tx: Tx, verb: str, known: KnownNames) -> KnownNames:
        """The names that a command may use. For a review they include the person of the use that waits for it, who may
        have left since: nobody can activate break-glass before that review.
        """
        use = rows.unreviewed(tx.sql) if verb == "review-glass" else None
        if use is None:
            return known
        listed = known.get("person", ())
        ids = listed if isinstance(listed, Mapping) else {one: one for one in listed}
        return {**known, "person": {use.person: use.person, **ids}}

    def expire(self, tx: Tx) -> Committed:
        """Close the uses whose time is over, each once, and ask for their review on the incident."""
        written = Committed()
        for use in rows.expired(tx):
            if not rows.close(tx, use):
                continue
            message = f"Break-glass of {use.person} has ended: its time was over."
            _record(tx, Code.GLASS_MENDED, message, use, None)
            todo = f"{message} Review it: review-glass {use.person} because <text>"
            written |= self._note(tx, use, AddNote(by=SCHEDULER.id, name=SCHEDULER.display_name, via="", text=todo))
        return written

    def report_use(self, tx: Tx, request: Request, about: int | None) -> Committed:
        """A command was allowed by break-glass: report it on its incident, and on that of the break-glass use."""
        use = rows.active(tx.sql, request.by.id, tx.now)
        if use is None:
            return Committed()
        message = f"{request.by.display_name}, with break-glass: {request.text}"
        report = ActionReported(type=EventType.ACTION_DONE, by=request.by.id, text=message, via=request.channel)
        written = Committed()
        for incident_id in dict.fromkeys((about, use.incident_id)):
            written |= _change(tx, incident_id, report, self.subscriptions)
        return written

    def status_lines(self, tx: Tx, who: Principal) -> Sequence[str]:
        """For `whoami`: one line while break-glass is active for the person."""
        use = rows.active(tx.sql, who.id, tx.now)
        return [] if use is None else [f"Break-glass is active for you until {spell_moment(use.until)}: {use.reason}"]

    def history_lines(self, tx: Tx) -> Sequence[str]:
        """The last uses, a line each, newest first."""
        return [break_glass_rules.describe_use(one, tx.now) for one in rows.newest(tx.sql, _SHOWN)]

    def _note(self, tx: Tx, use: BreakGlassUse, transition: AddNote) -> Committed:
        return _change(tx, use.incident_id, transition, self.subscriptions)


def _change(
    tx: Tx, incident_id: int | None, report: AddNote | ActionReported, subscriptions: Sequence[Subscription]
) -> Committed:
    incident = tx.incident(incident_id) if incident_id else None
    if incident is None:
        return Committed()
    return timeline.write(tx, [lifecycle.change(incident, report, now=tx.now)], subscriptions)


def _record(tx: Tx, code: Code, message: str, use: BreakGlassUse, request: Request | None) -> None:
    """`request` is None for the scheduler."""
    details: Mapping[str, str] = {"glass": str(use.id), "person": use.person, "until": use.until.isoformat()}
    entry = AuditEntry(
        code=code,
        by=request.by.id if request else SCHEDULER.id,
        message=message,
        verb=split_verb(request.text)[0] if request else "",
        target=use.person,
        channel=request.channel if request else SCHEDULER.id,
        account=request.account if request else "",
        idempotency_key=request.idempotency_key if request else "",
        incident_id=use.incident_id,
        details=details,
    )
    audit_log.append(tx, [entry])
