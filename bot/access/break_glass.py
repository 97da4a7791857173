"""The glass is broken, mended and reviewed, each in the caller's one transaction: the row, the record, and the alarm.

The promise: nobody holds what sleeps behind the glass without an incident that pages; both are in one commit.
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
from bot.core.request import Principal, Reply, Request, split_verb
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
    """What it takes to break it, and to tell of it."""

    authorizer: Authorizer
    subscriptions: Sequence[Subscription]
    rules: AlertRules
    contact: str = ""  #: a person's id or a channel's name; "" where the settings name nobody

    def activate(self, tx: Tx, request: Request, because: str) -> tuple[Reply, Committed]:
        """Raises `Rejected`, and then it is whole."""
        if self.authorizer.person(tx, request.by.id) is None:
            raise Rejected("You are not listed under `people`. Nothing was done.", code="glass_not_listed", status=403)
        if not self.authorizer.policy.break_glass_roles:
            message = "No role has `break_glass: true`, so there is nothing behind the glass. Nothing was done."
            raise Rejected(message, code="glass_nothing", status=409)
        reason = tx.scrub(text.storable(" ".join(because.split())))
        break_glass_rules.check_activation(request.by, reason, rows.unreviewed(tx.sql))
        broken = BreakGlassUse(
            id=rows.next_id(tx),
            person=request.by.id,
            reason=reason,
            opened_at=tx.now,
            until=tx.now + break_glass_rules.BREAK_GLASS_LASTS,
            channel=request.channel,
            account=request.account,
        )
        alarm = internal.glass_broken(broken, request.by.display_name, self.contact)
        (opened,), written = ingest.ingest_own(tx, alarm, self.rules, self.subscriptions)
        broken = replace(broken, incident_id=opened)
        rows.put(tx, broken)
        _record(tx, Code.GLASS_BROKEN, f"{request.by.display_name} broke the glass: {reason}", broken, request)
        message = (
            f"The glass is broken for you until {broken.until:%H:%M} UTC. Incident {opened} pages for it"
            f"{f', and {self.contact} is to look at it' if self.contact else ''}. Each thing that you do is marked."
        )
        return Reply(text=message), written

    def review(self, tx: Tx, request: Request, person: str, because: str) -> tuple[Reply, Committed]:
        """Raises `Rejected` where it does not count. One that still counts is ended by it, at once."""
        broken = rows.unreviewed(tx.sql, person)
        if broken is None:
            message = f"There is no broken glass of {person} to review. Nothing was done. `glass` lists the last ones."
            raise Rejected(message, code="glass_none", status=404)
        found = tx.scrub(text.storable(" ".join(because.split())))
        break_glass_rules.check_review(request.by, found, broken, self.authorizer.break_glass_holder(tx, broken))
        early = broken.is_active(tx.now)
        if rows.close(tx, broken):
            reason = f"{request.by.display_name} ended it before its time" if early else "its time was over"
            _record(tx, Code.GLASS_MENDED, f"The glass of {broken.person} is mended: {reason}.", broken, request)
        rows.review(tx, broken, request.by.id, found)
        _record(
            tx,
            Code.GLASS_REVIEWED,
            f"{request.by.display_name} reviewed the glass of {broken.person}: {found}",
            broken,
            request,
        )
        written = self._note(
            tx, broken, AddNote(by=request.by.id, name=request.by.display_name, via=request.channel, text=found)
        )
        over = internal.glass_broken(broken, broken.person, self.contact, ended_at=tx.now)
        written |= ingest.ingest_own(tx, over, self.rules, self.subscriptions)[1]
        ended = " It counts no longer." if early else ""
        return Reply(text=f"The glass of {broken.person} is reviewed.{ended} The next one may be broken."), written

    def known_names(self, tx: Tx, verb: str, known: KnownNames) -> KnownNames:
        """The names that may be said, with whoever broke the glass that is to be reviewed: they may have left since,
        and nobody breaks the next one before that.
        """
        broken = rows.unreviewed(tx.sql) if verb == "review-glass" else None
        if broken is None:
            return known
        listed = known.get("person", ())
        whose = listed if isinstance(listed, Mapping) else {one: one for one in listed}
        return {**known, "person": {broken.person: broken.person, **whose}}

    def expire(self, tx: Tx) -> Committed:
        """Close those whose time is over, once, and say so."""
        written = Committed()
        for broken in rows.expired(tx):
            if not rows.close(tx, broken):
                continue
            message = f"The glass of {broken.person} is mended: its time was over."
            _record(tx, Code.GLASS_MENDED, message, broken, None)
            todo = f"{message} Review it: review-glass {broken.person} because <text>"
            written |= self._note(tx, broken, AddNote(by="watch", name="The watch", via="", text=todo))
        return written

    def report_use(self, tx: Tx, request: Request, about: int | None) -> Committed:
        """A command was done behind the glass: the incident that it was about says so, and the one of the glass."""
        broken = rows.active(tx.sql, request.by.id, tx.now)
        if broken is None:
            return Committed()
        message = f"{request.by.display_name}, behind broken glass: {request.text}"
        wish = ActionReported(type=EventType.ACTION_DONE, by=request.by.id, text=message, via=request.channel)
        written = Committed()
        for incident_id in dict.fromkeys((about, broken.incident_id)):
            written |= _change(tx, incident_id, wish, self.subscriptions)
        return written

    def status_lines(self, tx: Tx, who: Principal) -> Sequence[str]:
        """What `whoami` tells of it: one line while the person's glass is broken."""
        broken = rows.active(tx.sql, who.id, tx.now)
        return (
            []
            if broken is None
            else [f"The glass is broken for you until {spell_moment(broken.until)}: {broken.reason}"]
        )

    def history_lines(self, tx: Tx) -> Sequence[str]:
        """The last ones, a line each, newest first."""
        return [break_glass_rules.describe_use(one, tx.now) for one in rows.newest(tx.sql, _SHOWN)]

    def _note(self, tx: Tx, use: BreakGlassUse, transition: AddNote) -> Committed:
        return _change(tx, use.incident_id, transition, self.subscriptions)


def _change(
    tx: Tx, incident_id: int | None, wish: AddNote | ActionReported, subscriptions: Sequence[Subscription]
) -> Committed:
    incident = tx.incident(incident_id) if incident_id else None
    if incident is None:
        return Committed()
    return timeline.write(tx, [lifecycle.change(incident, wish, now=tx.now)], subscriptions)


def _record(tx: Tx, code: Code, message: str, use: BreakGlassUse, request: Request | None) -> None:
    """`request` None: it is the watch."""
    more: Mapping[str, str] = {"glass": str(use.id), "person": use.person, "until": use.until.isoformat()}
    entry = AuditEntry(
        code=code,
        by=request.by.id if request else "watch",
        message=message,
        verb=split_verb(request.text)[0] if request else "",
        target=use.person,
        channel=request.channel if request else "watch",
        account=request.account if request else "",
        idempotency_key=request.idempotency_key if request else "",
        incident_id=use.incident_id,
        details=more,
    )
    audit_log.append(tx, [entry])
