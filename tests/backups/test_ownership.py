"""Whose a copy is: by its label, by what it is marked as, and by when it was made; never by its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.backups.ownership import disowned, owned
from bot.core.backup import Copy
from tests.house import NOON

OURS = Copy(run="5f" * 16, name="orders_restore_5f5f5f5f", created_at=NOON + timedelta(minutes=1), drill=True)


def test_a_copy_is_a_drill_s_own_only_if_all_its_marks_say_so() -> None:
    others = [
        replace(OURS, run="6e" * 16),
        replace(OURS, run=OURS.run[:8]),
        replace(OURS, drill=False),
        replace(OURS, created_at=NOON - timedelta(minutes=6)),
    ]

    assert owned([OURS, *others], OURS.run, NOON) == [OURS]
    assert disowned([OURS, *others], OURS.run, NOON) == others[2:]


def test_the_clock_of_an_engine_may_be_some_minutes_behind_and_one_that_has_none_is_known_by_its_label() -> None:
    late, none = replace(OURS, created_at=NOON - timedelta(minutes=4)), replace(OURS, created_at=None)

    assert owned([late, none], OURS.run, NOON) == [late, none]
