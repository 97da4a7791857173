"""The state of a run, derived from its row and from the run that undoes it; and its line in lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.core.run_state import RunStatus, State, count_needing_attention, describe_end, describe_run, run_state

_AT = datetime(2026, 11, 23, 3, 12, tzinfo=UTC)


def one(state: State, **more: object) -> RunStatus:
    values: dict[str, object] = {
        "run": "1a2b3c4d" * 4,
        "command": "scale prod/api 4",
        "by": "ana",
        "target": "prod/api",
        "reason": "prod/api is scaled to 4.",
        "began_at": _AT,
    }
    return RunStatus(state=state, **(values | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stored", "unwell", "undo", "word"),
    [
        ("intended", "", None, "running"),
        ("done", "", None, "done"),
        ("done", "Pod api-1: ImagePullBackOff.", None, "done but not well"),
        ("failed", "", None, "failed"),
        ("unknown", "", None, "unknown"),
        ("done", "", State.RUNNING, "undoing"),
        ("done", "", State.DONE, "undone"),
        ("done", "It crashes.", State.DONE, "undone"),
        ("done", "", State.DEGRADED, "undone"),
        ("done", "", State.FAILED, "done"),
        ("done", "It crashes.", State.FAILED, "done but not well"),
        ("done", "", State.UNKNOWN, "done"),
        ("done", "", State.UNDONE, "done"),
        ("done", "", State.UNDOING, "undone"),
    ],
)
def test_the_word_is_made_of_the_row_and_of_how_its_undo_stands(
    stored: str, unwell: str, undo: State | None, word: str
) -> None:
    assert run_state(stored, unwell=unwell, undo=undo) == word


def test_what_is_not_well_says_why_and_what_can_be_done() -> None:
    unwell = one(State.DEGRADED, reason="Pod api-1,\n  container api: ImagePullBackOff.", can_undo=True)

    assert describe_run(unwell) == (
        "1a2b3c4d done but not well: scale prod/api 4 (ana, 2026-11-23 03:12 UTC)."
        " Pod api-1, container api: ImagePullBackOff. Repair prod/api, or undo the run: `undo 1a2b3c4d`."
    )
    assert "Repair prod/api by hand" in describe_run(one(State.DEGRADED))


def test_what_failed_says_why() -> None:
    failed = describe_run(one(State.FAILED, reason="It has changed meanwhile: replicas: 3 -> 5. Nothing was done."))

    assert failed.endswith("UTC). It has changed meanwhile: replicas: 3 -> 5. Nothing was done.")


def test_what_is_unknown_says_what_is_held_and_how_it_is_settled() -> None:
    reason = "It is not known whether it was done: the target does not show it."
    said = describe_run(one(State.UNKNOWN, reason=reason))

    assert "Check prod/api, then record the result: `settle 1a2b3c4d done because <text>`, or `failed`." in said
    assert said.endswith("Until then no other run may change prod/api.")


def test_what_was_undone_says_by_whom_when_and_by_which_run_and_offers_no_undo() -> None:
    undone = one(State.UNDONE, undone_by="9f" * 16, undone_for="bo", undone_at=_AT + timedelta(minutes=9))

    assert describe_run(undone).endswith("UTC). Undone by bo at 2026-11-23 03:21 UTC, run 9f9f9f9f.")


def test_what_is_done_says_what_time_will_do_to_it() -> None:
    assert describe_run(one(State.DONE, can_undo=True)).endswith("UTC). `undo 1a2b3c4d` undoes it.")
    held = describe_run(one(State.DONE, can_undo=True, ends_at=_AT, check="up == 1", checked_until=_AT))
    assert "Its check runs until 03:12 UTC: up == 1." in held
    assert held.endswith("Undone automatically at 2026-11-23 03:12 UTC, unless `keep 1a2b3c4d`.")


def test_a_long_reason_is_cut_in_the_list() -> None:
    assert len(describe_run(one(State.FAILED, reason="x" * 5000))) < 400


def test_how_many_need_somebody_is_said_first_and_the_worst_of_them_first() -> None:
    found = [
        one(State.DONE),
        one(State.DEGRADED),
        one(State.DEGRADED),
        one(State.UNKNOWN),
        one(State.FAILED),
    ]

    assert count_needing_attention(found) == "3 of the last 5 need attention: 1 unknown, 2 done but not well."
    assert count_needing_attention([one(State.DEGRADED)]) == "1 of the last 1 needs attention: 1 done but not well."
    assert count_needing_attention([one(State.DONE), one(State.FAILED)]) == ""


def test_an_end_is_told_with_its_word_where_it_is_not_plainly_done() -> None:
    assert describe_end(State.DONE, "prod/api is at 6.") == "prod/api is at 6."
    assert describe_end(State.FAILED, "The dial is locked.") == "Failed: The dial is locked."
