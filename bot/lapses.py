"""A plan's approval that counts no longer, in the caller's transaction: taken back, on record, and told.

A yes that lapsed is asked for again: from whoever said it, while the account is still theirs, and the asker hears why
nothing runs yet. Where it is the asker who may no longer, the plan is over, and all who said yes are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bot import incidents, story, yeses
from bot.acts import Code
from bot.model import Ask, What
from bot.owing import Mouth
from bot.people import Voice, as_settled
from bot.plans import Drawn
from bot.steps import entry_of
from bot.store import drawn as drawn_up
from bot.store import ledger, notices
from bot.store.tx import Tx
from bot.story import Written
from bot.wishes import Acted
from bot.yeses import Verdict


def write(tx: Tx, drawn: Drawn, verdict: Verdict, ask: Ask, mouths: Sequence[Mouth]) -> Written:
    """`ask`: the one during which it came out; its asker hears it in the answer."""
    said = yeses.told(drawn, verdict)
    if not said:
        return Written()
    for one in verdict.lapsed:
        drawn_up.take_back(tx, drawn.handle, one.voice.person)
    if verdict.stopped is None:  # else the refusal is on record
        ledger.record(tx, [entry_of(ask, Code.NOT_APPROVED, said, drawn)])
    _send(tx, _letters(drawn, verdict, said), ask)
    return _tell(tx, drawn, said, ask, mouths, over=verdict.stopped is not None)


def write_begun(tx: Tx, drawn: Drawn, verdict: Verdict, said: str, ask: Ask) -> None:
    """As `write`, where its run had an intent already, and ends without a call: its end is on record by itself."""
    letters = [(one.voice, f"{drawn.words}: {said}") for one in verdict.lapsed if one.tellable]
    if verdict.stopped is None or verdict.stopped.tellable:
        letters.append((drawn.asker, f"{drawn.words}: {said}"))
    _send(tx, letters, ask)


def _send(tx: Tx, letters: Iterable[tuple[Voice, str]], ask: Ask) -> None:
    """Whoever asks now hears it in the answer."""
    here = as_settled(ask.place, ask.account)
    for account, text in {to.from_account: text for to, text in letters if to.account}.items():
        if account != here:
            notices.owe(tx, account, text)


def _letters(drawn: Drawn, verdict: Verdict, said: str) -> Iterator[tuple[Voice, str]]:
    """Whom it concerns, and what each is told."""
    about = f"{drawn.words}: {said}"
    if verdict.stopped is not None:
        yield from ((one, about) for one in verdict.counting)
    else:
        yield from ((one.voice, yeses.asked_again(drawn, one)) for one in verdict.lapsed if one.tellable)
    if verdict.stopped is None or verdict.stopped.tellable:
        yield drawn.asker, about


def _tell(tx: Tx, drawn: Drawn, said: str, ask: Ask, mouths: Sequence[Mouth], *, over: bool) -> Written:
    """On the incident in whose thread it was asked for."""
    incident = tx.incident(drawn.incident_id) if drawn.incident_id else None
    if incident is None:
        return Written()
    what = What.NOT_ACTED if over else What.ASKED
    wish = Acted(what=what, by=drawn.by, said=f"{drawn.words}: {said}", via=ask.place)
    return story.write(tx, [incidents.change(incident, wish, now=tx.now)], mouths)
