"""The glass is broken, mended and reviewed, each in the caller's one transaction: the row, the record, and the alarm.

The promise: nobody holds what sleeps behind the glass without an incident that pages; both are in one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot import alarms, glass, incidents, raising, story, words
from bot.acts import AuditEntry, Code
from bot.circumstances import said_at
from bot.glass import Broken
from bot.model import Ask, Principal, Reply, What
from bot.owing import Mouth
from bot.ports import Rejected
from bot.rights import Rights
from bot.rules import Rules
from bot.sentence import Known
from bot.store import glass as rows
from bot.store import ledger
from bot.store.tx import Tx
from bot.story import Written
from bot.wishes import Acted, Noted

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Breaking:
    """What it takes to break it, and to tell of it."""

    rights: Rights
    mouths: Sequence[Mouth]
    rules: Rules
    contact: str = ""  #: a person's id or a channel's name; "" where the settings name nobody

    def break_glass(self, tx: Tx, ask: Ask, because: str) -> tuple[Reply, Written]:
        """Raises `Rejected`, and then it is whole."""
        if self.rights.person(tx, ask.by.id) is None:
            raise Rejected("You are not listed under `people`. Nothing was done.", code="glass_not_listed", status=403)
        if not self.rights.book.sleeping:
            said = "No role has `break_glass: true`, so there is nothing behind the glass. Nothing was done."
            raise Rejected(said, code="glass_nothing", status=409)
        reason = tx.scrub(words.clean(" ".join(because.split())))
        glass.check_break(ask.by, reason, rows.unreviewed(tx.sql))
        broken = Broken(
            id=rows.next_id(tx),
            person=ask.by.id,
            reason=reason,
            opened_at=tx.now,
            until=tx.now + glass.LASTS,
            place=ask.place,
            account=ask.account,
        )
        alarm = alarms.glass_broken(broken, ask.by.called, self.contact)
        (opened,), written = raising.raise_own(tx, alarm, self.rules, self.mouths)
        broken = replace(broken, incident_id=opened)
        rows.put(tx, broken)
        _record(tx, Code.GLASS_BROKEN, f"{ask.by.called} broke the glass: {reason}", broken, ask)
        said = (
            f"The glass is broken for you until {broken.until:%H:%M} UTC. Incident {opened} pages for it"
            f"{f', and {self.contact} is to look at it' if self.contact else ''}. Each thing that you do is marked."
        )
        return Reply(said=said), written

    def review(self, tx: Tx, ask: Ask, person: str, because: str) -> tuple[Reply, Written]:
        """Raises `Rejected` where it does not count. One that still counts is ended by it, at once."""
        broken = rows.unreviewed(tx.sql, person)
        if broken is None:
            said = f"There is no broken glass of {person} to review. Nothing was done. `glass` lists the last ones."
            raise Rejected(said, code="glass_none", status=404)
        found = tx.scrub(words.clean(" ".join(because.split())))
        glass.check_review(ask.by, found, broken, self.rights.breaker_now(tx, broken))
        early = broken.counts(tx.now)
        if rows.close(tx, broken):
            why = f"{ask.by.called} ended it before its time" if early else "its time was over"
            _record(tx, Code.GLASS_MENDED, f"The glass of {broken.person} is mended: {why}.", broken, ask)
        rows.review(tx, broken, ask.by.id, found)
        _record(tx, Code.GLASS_REVIEWED, f"{ask.by.called} reviewed the glass of {broken.person}: {found}", broken, ask)
        written = self._note(tx, broken, Noted(by=ask.by.id, name=ask.by.called, via=ask.place, text=found))
        over = alarms.glass_broken(broken, broken.person, self.contact, ended_at=tx.now)
        written |= raising.raise_own(tx, over, self.rules, self.mouths)[1]
        ended = " It counts no longer." if early else ""
        return Reply(said=f"The glass of {broken.person} is reviewed.{ended} The next one may be broken."), written

    def known(self, tx: Tx, verb: str, known: Known) -> Known:
        """The names that may be said, with whoever broke the glass that is to be reviewed: they may have left since,
        and nobody breaks the next one before that.
        """
        broken = rows.unreviewed(tx.sql) if verb == "review-glass" else None
        if broken is None:
            return known
        listed = known.get("person", ())
        whose = listed if isinstance(listed, Mapping) else {one: one for one in listed}
        return {**known, "person": {broken.person: broken.person, **whose}}

    def mend(self, tx: Tx) -> Written:
        """Close those whose time is over, once, and say so."""
        written = Written()
        for broken in rows.over(tx):
            if not rows.close(tx, broken):
                continue
            said = f"The glass of {broken.person} is mended: its time was over."
            _record(tx, Code.GLASS_MENDED, said, broken, None)
            todo = f"{said} Review it: review-glass {broken.person} because <text>"
            written |= self._note(tx, broken, Noted(by="watch", name="The watch", via="", text=todo))
        return written

    def tell(self, tx: Tx, ask: Ask, about: int | None) -> Written:
        """A command was done behind the glass: the incident that it was about says so, and the one of the glass."""
        broken = rows.standing(tx.sql, ask.by.id, tx.now)
        if broken is None:
            return Written()
        said = f"{ask.by.called}, behind broken glass: {ask.words}"
        wish = Acted(what=What.ACTED, by=ask.by.id, said=said, via=ask.place)
        written = Written()
        for incident_id in dict.fromkeys((about, broken.incident_id)):
            written |= _change(tx, incident_id, wish, self.mouths)
        return written

    def of(self, tx: Tx, who: Principal) -> Sequence[str]:
        """What `whoami` tells of it: one line while the person's glass is broken."""
        broken = rows.standing(tx.sql, who.id, tx.now)
        return [] if broken is None else [f"The glass is broken for you until {said_at(broken.until)}: {broken.reason}"]

    def listed(self, tx: Tx) -> Sequence[str]:
        """The last ones, a line each, newest first."""
        return [glass.line(one, tx.now) for one in rows.newest(tx.sql, _SHOWN)]

    def _note(self, tx: Tx, broken: Broken, wish: Noted) -> Written:
        return _change(tx, broken.incident_id, wish, self.mouths)


def _change(tx: Tx, incident_id: int | None, wish: Noted | Acted, mouths: Sequence[Mouth]) -> Written:
    incident = tx.incident(incident_id) if incident_id else None
    if incident is None:
        return Written()
    return story.write(tx, [incidents.change(incident, wish, now=tx.now)], mouths)


def _record(tx: Tx, code: Code, said: str, broken: Broken, ask: Ask | None) -> None:
    """`ask` None: it is the watch."""
    more: Mapping[str, str] = {"glass": str(broken.id), "person": broken.person, "until": broken.until.isoformat()}
    entry = AuditEntry(
        code=code,
        by=ask.by.id if ask else "watch",
        said=said,
        verb=words.split(ask.words)[0] if ask else "",
        target=broken.person,
        place=ask.place if ask else "watch",
        account=ask.account if ask else "",
        once=ask.once if ask else "",
        incident_id=broken.incident_id,
        more=more,
    )
    ledger.record(tx, [entry])
