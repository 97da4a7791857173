"""Which copies are a drill's own, and their removal.

The promise: a copy is removed only if its label names the drill's run, says that it is a drill's, and it was not made
before that run began. A name proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.backups.broken_engine import ask
from bot.backups.polling import Polling
from bot.core.action import Tools
from bot.core.backup import Copy, Restorer
from bot.core.errors import OutcomeUnknown, Rejected

#: How far the clock of an engine may be from the bot's.
SKEW = timedelta(minutes=5)
#: How long a removal is waited for. What is there after that is a leftover, for the reaper.
_AT_MOST = timedelta(minutes=15)


def owned(copies: Sequence[Copy], run: str, began_at: datetime) -> list[Copy]:
    """Those of that drill. A copy whose engine cannot say when it was made is known by its label alone."""
    return [
        one
        for one in copies
        if one.run == run and one.drill and (one.created_at is None or one.created_at >= began_at - SKEW)
    ]


def disowned(copies: Sequence[Copy], run: str, began_at: datetime) -> list[Copy]:
    """Those that carry the run's label and are not the drill's by the other marks: a person has to look at them."""
    ours = owned(copies, run, began_at)
    return [one for one in copies if one.run == run and one not in ours]


def tear_down(engine: Restorer, run: str, began_at: datetime, tools: Tools) -> tuple[str, ...]:
    """Remove the copies of that drill, and wait until they are gone. Returns what is left, each with the reason."""
    until, polling = tools.elapsed() + _AT_MOST.total_seconds(), Polling(tools)
    removed: set[str] = set()
    while True:
        try:
            found = ask(engine.copies)
            left = {one.name: "it is still being removed" for one in owned(found, run, began_at)}
            problems = _remove(engine, [one for one in owned(found, run, began_at) if one.name not in removed])
        except (Rejected, OutcomeUnknown) as down:
            left, problems = {"the copy of this drill": down.message}, {}
        else:
            strange = [
                f"{one.name} (not removed: it is not marked as this drill's)" for one in disowned(found, run, began_at)
            ]
            if not left:
                return tuple(strange)
            asked = left.keys() - problems.keys() - removed
            removed |= asked
            if asked:
                continue  # Most engines remove it before they answer: a look at once spares the pause.
        if tools.elapsed() >= until:
            return tuple(f"{name} ({problems.get(name, why)})" for name, why in left.items())
        polling.pause()


def _remove(engine: Restorer, ours: Sequence[Copy]) -> dict[str, str]:
    """Name -> why it is not removed."""
    problems = {}
    for one in ours:
        try:
            ask(partial(engine.remove, one))
        except (Rejected, OutcomeUnknown) as trouble:
            problems[one.name] = trouble.message
    return problems
