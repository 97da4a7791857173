"""How a run ended, written down once: its row, its record, the story of its incident, and a page where nobody knows.

The trap: two processes may have an end to write for one run. The first one counts; what the other found goes to a
person where it says something else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot import incidents, story
from bot.acts import AuditEntry, Code, Ended, Outcome
from bot.failpoints import failpoint
from bot.model import Ask, What
from bot.owing import Mouth
from bot.plans import Drawn
from bot.store import gates, ledger, ran, tellings
from bot.store import glass as glasses
from bot.store.engine import Store, Unavailable
from bot.store.ran import Run
from bot.store.tx import Tx
from bot.story import Told, Written
from bot.wishes import Acted

logger = logging.getLogger(__name__)

#: Called with the alert's name, the run and what is to be looked at; returns once that is stored, so that somebody will
#: be paged, and raises `Unavailable` where it could not be.
Alarm = Callable[[str, str, str], None]

_CODES = {Ended.DONE: Code.DONE, Ended.FAILED: Code.FAILED, Ended.UNKNOWN: Code.UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class Endings:
    """`write` is the one way in which a run ends."""

    store: Store
    mouths: Sequence[Mouth]
    told: Told
    alarm: Alarm

    def write(self, run: Run, drawn: Drawn, outcome: Outcome) -> None:
        """Once; a database in trouble leaves the run to be looked at."""
        plan, done = drawn.plan, outcome.ended is Ended.DONE
        held = done and not outcome.unwell  # what is not well already needs no check to say so
        written = Written()
        try:
            self._page(run, drawn, outcome)  # before its row says so: after that nobody comes back to it
            with self.store.begin() as tx:
                ours = ran.end(
                    tx,
                    run,
                    outcome,
                    revert_at=tx.now + plan.lasts if done and plan.lasts and outcome.undo else None,
                    check_until=tx.now + plan.within if held and plan.check and plan.within else None,
                )
                if ours:
                    gates.close(tx, run.id)  # What it has opened and left open would go on without it.
                    ledger.record(tx, [entry(_code(outcome), outcome.said, run, drawn, None)])
                    written = self._tell(tx, run, drawn, outcome)
                    (tellings.told if drawn.incident_id else tellings.over)(tx, run)
                    failpoint("run.ending")
            if done and not ours:
                self._correct(run, drawn, outcome)
        except Unavailable as trouble:
            logger.warning("how a run ended is not stored yet", extra={"run": run.id, "why": str(trouble)})
        self.told(written)

    def _page(self, run: Run, drawn: Drawn, outcome: Outcome) -> None:
        """Somebody, about what nobody sees. Who asked for what is not well hears so themselves, but time asks too."""
        if outcome.ended is Ended.UNKNOWN:
            self.alarm("RunUnknown", run.id, f"{drawn.words}: {outcome.said}")
        elif outcome.unwell and drawn.place == "watch":
            self.alarm("RunUnwell", run.id, f"{drawn.words}: {outcome.said}")

    def _correct(self, run: Run, drawn: Drawn, outcome: Outcome) -> None:
        """It was frozen inside its call, judged failed, and had its effect after that: a person has to hear of it."""
        said = f"Judged failed while its process was held up, and done after that: {outcome.said}"
        late = replace(outcome, ended=Ended.UNKNOWN, said=said)
        with self.store.begin() as tx:
            if not ran.doubt(tx, run, late):
                return
            ledger.record(tx, [entry(Code.UNKNOWN, said, run, drawn, None)])
            written = self._tell(tx, run, drawn, late)
        self.told(written)
        self.alarm("RunUnknown", run.id, f"{drawn.words}: {said}")

    def _tell(self, tx: Tx, run: Run, drawn: Drawn, outcome: Outcome) -> Written:
        """On the incident in whose thread it was asked, and on that of the broken glass behind which it ran."""
        broken = glasses.by_id(tx.sql, run.glass) if run.glass else None
        what = What.ACTED if outcome.ended is Ended.DONE else What.NOT_ACTED
        behind = ", behind broken glass" if run.glass else ""
        wish = Acted(what=what, by=run.by, said=f"{run.by}{behind}: {drawn.words}: {outcome.said}", via=drawn.place)
        about = dict.fromkeys((drawn.incident_id, broken.incident_id if broken else None))
        found = tx.incidents([one for one in about if one is not None])
        changes = [incidents.change(found[one], wish, now=tx.now) for one in about if one in found]
        return story.write(tx, changes, self.mouths)


def whole(outcome: Outcome, drawn: Drawn) -> Outcome:
    """With the way back that its plan knew, and with all that is to be said in one text."""
    said = f"{outcome.said} NOT WELL: {outcome.unwell}" if outcome.unwell else outcome.said
    return replace(outcome, said=said, undo=outcome.undo or drawn.plan.undo)


def _code(outcome: Outcome) -> Code:
    return Code.UNWELL if outcome.unwell else _CODES[outcome.ended]


def entry(code: Code, said: str, run: Run, drawn: Drawn, ask: Ask | None) -> AuditEntry:
    more = {
        "plan": drawn.handle,
        "digest": drawn.digest,
        "asked_by": drawn.by,
        "approved_by": " ".join(drawn.approvers),
    }
    return AuditEntry(
        code=code,
        by=run.by,
        said=said,
        run=run.id,
        verb=drawn.verb,
        target=run.target,
        place=ask.place if ask else drawn.place,
        account=ask.account if ask else "",
        once=ask.once if ask else "",
        incident_id=drawn.incident_id,
        more=more | ({"rule": run.rule} if run.rule else {}) | ({"glass": str(run.glass)} if run.glass else {}),
    )
