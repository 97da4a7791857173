"""What drills say: the post with its chart, the alarm, and the row as auditors want it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.backups.drill_report import chart, chart_lines, describe, drill_alarm, export_json, export_markdown, percentile
from bot.core.backup import BackupStore, CheckResult, Drill, DrillPhase, DrillResult, DrillRules
from tests.backups.test_drill_schedule import store
from tests.house import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = DrillRules(every=7 * DAY)
STORE: BackupStore = replace(store(), rto=4 * HOUR, rpo=HOUR)
PASSED = Drill(
    run="5f" * 16,
    store="prod/orders",
    engine="pgbackrest",
    version="2.50",
    began_at=NOON,
    result=DrillResult.PASSED,
    backup_id="20261123-010000F",
    data_at=NOON - 20 * MINUTE,
    size_bytes=10_000_000_000,
    sentinel="t1",
    restored_at=NOON + 9 * MINUTE,
    finished_at=NOON + 12 * MINUTE,
    phases=(
        DrillPhase(name="restore", start=NOON, end=NOON + 9 * MINUTE, size_bytes=10_000_000_000),
        DrillPhase(name="verify", start=NOON + 9 * MINUTE, end=NOON + 11 * MINUTE),
        DrillPhase(name="teardown", start=NOON + 11 * MINUTE, end=NOON + 12 * MINUTE),
    ),
    rto=11 * MINUTE,
    rpo=20 * MINUTE,
    checks=(CheckResult(name="orders", expected="3", got="3", ok=True),),
    cost="0.40 USD",
)


def ended(result: DrillResult, *, days_ago: float = 0, rto: timedelta | None = None, message: str = "Why.") -> Drill:
    return replace(
        PASSED, run=f"{days_ago}", began_at=NOON - days_ago * DAY, result=result, rto=rto, rpo=rto, message=message
    )


def test_the_post_says_all_of_a_drill_in_lines_that_a_phone_shows() -> None:
    assert describe(PASSED, [PASSED], STORE).splitlines() == [
        "Drill of prod/orders: PASSED.",
        "From 20261123-010000F (data of 2026-11-23 11:40 UTC), Reads",
        "RTO 11 min of 4 h: restore 9 min, verify 2 min, teardown 1 min",
        "RPO 20 min of 1 h, by a sentinel",
        "Checks: 1 of 1 hold",
        "Cost: 0.40 USD",
    ]


def test_what_failed_says_why_and_what_is_left_behind() -> None:
    failed = replace(ended(DrillResult.FAILED, message="Not restored: no space."), leftovers=("database x (in use)",))
    post = describe(failed, [failed], STORE)

    assert post.startswith("Drill of prod/orders: FAILED. Not restored: no space.\n")
    assert "LEFT BEHIND: database x (in use)" in post
    assert "RTO" not in post


def test_a_chart_shows_the_oldest_first_its_full_height_is_the_promise_and_what_failed_is_an_x() -> None:
    drills = [
        ended(DrillResult.PASSED, rto=4 * HOUR),
        ended(DrillResult.ABORTED, days_ago=7),
        ended(DrillResult.FAILED, days_ago=14),
        ended(DrillResult.PASSED, days_ago=21, rto=2 * HOUR),
        ended(DrillResult.PASSED, days_ago=28, rto=timedelta(0)),
    ]

    assert chart(drills, [one.rto for one in drills], 4 * HOUR) == "▁▄x·█"
    assert chart(drills, [one.rto for one in drills], 2 * HOUR) == "▁▄x·█"
    assert chart([], [], timedelta(0)) == ""


def test_a_promise_that_is_not_kept_is_told_in_words() -> None:
    drills = [ended(DrillResult.PASSED, days_ago=7 * n, rto=(5 - n) * HOUR) for n in range(3)]

    rto, rpo = chart_lines(drills, STORE)
    assert rto == "RTO `▅▇█` p50 4 h, p95 5 h, promised 4 h: NOT KEPT"
    assert rpo.endswith("promised 1 h: NOT KEPT")
    assert chart_lines([PASSED], STORE) == []
    assert chart_lines([PASSED, PASSED], STORE)[0].endswith("kept")


def test_a_chart_fits_a_line_of_a_phone_however_many_drills_there_are() -> None:
    drills = [ended(DrillResult.PASSED, days_ago=n, rto=HOUR) for n in range(200)]

    assert chart(drills, [one.rto for one in drills], HOUR) == "█" * 20


def test_a_percentile_is_one_of_the_figures() -> None:
    figures = [n * MINUTE for n in range(1, 21)]

    assert [percentile(figures, of) for of in (0, 50, 95, 100)] == [MINUTE, 10 * MINUTE, 19 * MINUTE, 20 * MINUTE]


@pytest.mark.parametrize(
    ("drills", "alarm"),
    [
        ([], ""),
        ([ended(DrillResult.PASSED)], ""),
        ([ended(DrillResult.FAILED)], "DrillFailed"),
        ([ended(DrillResult.DAMAGED)], "DrillFailed"),
        ([ended(DrillResult.ABORTED), ended(DrillResult.PASSED, days_ago=7)], ""),
        ([ended(DrillResult.ABORTED), ended(DrillResult.FAILED, days_ago=7)], "DrillFailed"),
        ([ended(DrillResult.MISSED), ended(DrillResult.PASSED, days_ago=7)], "DrillMissed"),
        ([ended(DrillResult.MISSED), ended(DrillResult.FAILED, days_ago=7)], "DrillFailed"),
        ([ended(DrillResult.MISSED)], "DrillMissed"),
        ([ended(DrillResult.ABORTED), ended(DrillResult.MISSED, days_ago=1)], "DrillMissed"),
        ([ended(DrillResult.PASSED), ended(DrillResult.MISSED, days_ago=7)], ""),
        ([ended(DrillResult.PASSED), ended(DrillResult.FAILED, days_ago=7)], ""),
        ([ended(DrillResult.RUNNING), ended(DrillResult.FAILED, days_ago=7)], "DrillFailed"),
        ([ended(DrillResult.RUNNING, days_ago=1)], "DrillHangs"),
        ([ended(DrillResult.PASSED, days_ago=-99), ended(DrillResult.FAILED)], "DrillFailed"),
        ([ended(DrillResult.FAILED, days_ago=-99), ended(DrillResult.PASSED)], ""),
        ([ended(DrillResult.RUNNING, days_ago=-99), ended(DrillResult.RUNNING, days_ago=1)], "DrillHangs"),
    ],
)
def test_the_alarm_is_about_what_did_not_pass_and_ends_with_what_does(drills: list[Drill], alarm: str) -> None:
    found = drill_alarm(drills, RULES, NOON + MINUTE)

    assert (found.name if found else "") == alarm


def test_the_row_for_auditors_has_every_figure_in_plain_units() -> None:
    row = json.loads(json.dumps(export_json(PASSED)))

    assert (row["rto_seconds"], row["rpo_seconds"]) == (660.0, 1200.0)
    assert row["checks"] == [{"name": "orders", "expected": "3", "got": "3", "ok": True}]
    assert row["phases"][0]["size_bytes"] == 10_000_000_000
    assert (row["backup_id"], row["result"], row["version"]) == ("20261123-010000F", "passed", "2.50")
    assert "told_at" not in row


def test_what_comes_out_of_a_database_does_not_become_part_of_the_page() -> None:
    bad = CheckResult(name="a|b", expected="<script>", got="x\n| y |", ok=False)
    page = export_markdown(replace(PASSED, checks=(bad,)))

    assert "| a\\|b | &lt;script> | x \\| y \\| | NO |" in page.splitlines()
    assert "| RTO | 11 min |" in page
    assert "| restore | 2026-11-23T12:00:00+00:00 | 2026-11-23T12:09:00+00:00 | 10000000000 |" in page
