"""Alerts folded into incidents inside one transaction: what the intake does for all, and the bot for its own.

An alert of the bot's own that belongs to a change is raised in the change's commit. Handed to the intake afterwards it
would be lost with a process that dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot import story
from bot.folding import Fold
from bot.model import Alert, Delivered, Severity
from bot.owing import Mouth
from bot.rules import Rules
from bot.store.known import Question, question
from bot.store.sql import Row
from bot.store.tx import Tx
from bot.story import Written


def raise_own(tx: Tx, delivered: Delivered, rules: Rules, mouths: Sequence[Mouth]) -> tuple[list[int], Written]:
    """Fold one delivery of the bot's own; returns the incidents that it changed, and what is owed for them."""
    # Whatever the settings make of other senders' words, the bot's own severities are what they say.
    own = replace(rules, severities={str(one): one for one in Severity}, severity_labels=("severity",))
    fold = Fold(tx, own, tx.now)
    load(tx, fold, delivered.alerts)
    changed = fold.take(delivered)
    return changed, write(tx, fold, mouths)


def question_of(alerts: Sequence[Alert], *, postgres: bool) -> Question:
    """What is stored of these?"""
    prints = {(one.source, one.fingerprint) for one in alerts}
    return question(prints, {(one.source, one.group) for one in alerts}, postgres=postgres)


def load(tx: Tx, fold: Fold, alerts: Sequence[Alert]) -> None:
    """What is stored of these, asked for all at once."""
    asked = question_of(alerts, postgres=tx.sql.postgres)
    know(tx, fold, asked, tx.sql.all_of(asked.asked))


def know(tx: Tx, fold: Fold, of: Question, answers: Sequence[Sequence[Row]]) -> None:
    """Let the fold know what the answers tell, and what else belongs to that."""
    found = tx.know(of, answers)
    held = {one.incident_id for one in found.standings.values() if one.incident_id is not None}
    known = {one.id: one for one in found.newest.values()}
    known |= tx.incidents([of for of in held if of not in known])
    fold.know(found.standings, known.values())


def write(tx: Tx, fold: Fold, mouths: Sequence[Mouth]) -> Written:
    """Store what was folded since the last time."""
    folded = fold.drain()
    written = story.write(tx, folded.changes, mouths)
    tx.put_alerts(folded.new)
    tx.move_alerts(folded.moved)
    return written
