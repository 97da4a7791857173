"""What the systems of backups call things, made fit to be shown. Pure.

The trap: whoever may write to a bucket names what is in it. A name with a line break would be a line of its own in a
chat's plan, and a command in the plan for a disaster. So such a backup is shown on one line and restored by nobody.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.backup import Backup, Inventory
from bot.lib.redact import shown

_MOST_NAMED = 200
#: Characters of one sentence of an engine.
MOST_SAID = 500


def made_plain(found: Inventory) -> Inventory:
    """The same, with every text on one line; a backup whose name is none is not usable."""
    log = found.continuity
    return replace(
        found,
        backups=tuple(map(_plain, found.backups)),
        continuity=None if log is None else replace(log, gap=shown(log.gap, MOST_SAID)),
        blockers=tuple(shown(one, MOST_SAID) for one in found.blockers),
    )


def _plain(one: Backup) -> Backup:
    typed = one.id.isprintable()
    return replace(
        one,
        id=one.id if typed else shown(one.id, _MOST_NAMED),
        problem=shown(one.problem, MOST_SAID) if typed else "its name has characters that nobody can type; rename it",
        damage=shown(one.damage, MOST_SAID),
        kind=shown(one.kind, _MOST_NAMED),
    )
