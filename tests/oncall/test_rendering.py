"""Who is on call by a rota: layers, leave, holidays, what is different for a time, and what people changed."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.rota import GapRule, HolidayRule, Override, RotaGap, ShiftSource, WeeklyHours
from bot.oncall.rendering import duty_spans, gaps, render
from tests.oncall.written import all_day, away, fixed, layer, more, put, rota, told, utc

WEEK = utc("2026-11-02 09:00"), utc("2026-11-09 09:00")
TWO = utc("2026-11-02 09:00"), utc("2026-11-16 09:00")


def test_of_several_layers_the_greatest_priority_that_has_somebody_counts() -> None:
    office = (WeeklyHours(days=frozenset(range(5)), begin=8 * 60, end=18 * 60),)
    written = rota(all_day("cy", priority=1), layer("ana", priority=2, only=office))

    found = render(written, utc("2026-11-06 09:00"), utc("2026-11-09 09:00"))

    assert told(found) == [
        "11-06 09:00 - 11-06 17:00 ana",
        "11-06 17:00 - 11-09 07:00 cy",
        "11-09 07:00 - 11-09 09:00 ana",
    ]
    assert [one.layer for one in found] == ["weekly", "always", "weekly"]


def test_layers_of_one_priority_are_on_call_together_and_so_is_a_list() -> None:
    written = rota(layer(("ana", "bo")), all_day("cy"))

    assert told(render(written, *WEEK)) == ["11-02 09:00 - 11-09 09:00 ana+bo", "11-02 09:00 - 11-09 09:00 cy"]


def test_a_vacant_turn_passes_to_a_lower_layer_or_is_a_gap() -> None:
    alone, backed = rota(layer("ana", ())), rota(layer("ana", (), priority=1), all_day("cy"))

    assert told(render(backed, *TWO)) == ["11-02 09:00 - 11-09 09:00 ana", "11-09 09:00 - 11-16 09:00 cy"]
    assert gaps(backed, *TWO) == ()
    assert told(render(alone, *TWO)) == ["11-02 09:00 - 11-09 09:00 ana"]
    assert gaps(alone, *TWO) == (
        RotaGap(start=utc("2026-11-09 09:00"), end=utc("2026-11-16 09:00"), have=0, need=1, vacant=("weekly",)),
    )


def test_who_is_on_leave_is_on_call_by_no_layer_and_the_gap_says_so() -> None:
    written = rota(layer("ana", "bo"), leave=(away("ana", "2026-11-03", "2026-11-04"),))

    assert told(render(written, *WEEK)) == ["11-02 09:00 - 11-03 00:00 ana", "11-04 00:00 - 11-09 09:00 ana"]
    assert gaps(written, *WEEK) == (
        RotaGap(start=utc("2026-11-03"), end=utc("2026-11-04"), have=0, need=1, away=("ana",)),
    )


def test_one_of_two_on_leave_leaves_the_other_and_fewer_than_needed() -> None:
    written = rota(layer(("ana", "bo")), at_least=2, leave=(away("ana", "2026-11-03", "2026-11-04"),))

    assert told(render(written, *WEEK))[1] == "11-03 00:00 - 11-04 00:00 bo"
    assert [(one.have, one.need, one.away) for one in gaps(written, *WEEK)] == [(1, 2, ("ana",))]


def test_somebody_is_put_in_the_place_of_a_person_a_layer_or_everyone() -> None:
    for whom, left in (
        ({"person": "ana"}, "cy"),
        ({"layer": "weekly"}, "cy"),
        ({}, ""),
    ):
        instead = put("2026-11-04", "2026-11-05", "eve", **whom)
        written = rota(layer("ana"), all_day("cy"), replace=(instead,))

        found = [one for one in render(written, *WEEK) if one.start <= utc("2026-11-04 12:00") < one.end]

        assert {"+".join(one.people) for one in found} == {"eve", left} - {""}
        [eve] = [one for one in found if one.people == ("eve",)]
        assert (eve.source, eve.start, eve.end) == (ShiftSource.REPLACE, utc("2026-11-04"), utc("2026-11-05"))
        assert eve.instead_of == (("ana", "cy") if not whom else ("ana",))


def test_an_override_of_a_person_ends_where_that_person_s_turn_does() -> None:
    written = rota(layer("ana", "bo"), replace=(put("2026-11-08", "2026-11-12", "eve", person="ana"),))

    assert told(render(written, *TWO)) == [
        "11-02 09:00 - 11-08 00:00 ana",
        "11-08 00:00 - 11-09 09:00 eve",
        "11-09 09:00 - 11-16 09:00 bo",
    ]


def test_an_override_of_a_layer_fills_its_vacant_turn_and_none_of_the_hours_it_does_not_have() -> None:
    office = (WeeklyHours(days=frozenset(range(5)), begin=8 * 60, end=18 * 60),)
    written = rota(layer((), only=office), replace=(put("2026-11-04", "2026-11-05", "eve", layer="weekly"),))

    assert told(render(written, *WEEK)) == ["11-04 07:00 - 11-04 17:00 eve"]


def test_of_overlapping_overrides_the_last_one_counts() -> None:
    first = put("2026-11-03", "2026-11-06", "eve", person="ana")
    for second in (
        put("2026-11-04", "2026-11-05", "dora", person="ana"),
        put("2026-11-04", "2026-11-05", "dora", layer="weekly"),
        put("2026-11-04", "2026-11-05", "dora"),
    ):
        same_kind = put("2026-11-03", "2026-11-06", "eve", layer=second.layer) if second.layer else first
        written = rota(layer("ana"), replace=(same_kind, second))

        assert told(render(written, utc("2026-11-03"), utc("2026-11-06"))) == [
            "11-03 00:00 - 11-04 00:00 eve",
            "11-04 00:00 - 11-05 00:00 dora",
            "11-05 00:00 - 11-06 00:00 eve",
        ], second


def test_an_override_without_length_changes_nothing() -> None:
    plain = rota(layer("ana"))
    written = rota(layer("ana"), replace=(put("2026-11-04", "2026-11-04", "eve"),))

    assert render(written, *WEEK) == render(plain, *WEEK)


def test_within_a_fixed_period_only_its_shifts_count() -> None:
    period = fixed("2026-11-03", "2026-11-05", more("2026-11-03", "2026-11-04 12:00", "bo"))
    written = rota(
        layer("ana"),
        fixed=(period,),
        replace=(put("2026-11-02", "2026-11-06", "eve"),),
        add=(more("2026-11-02", "2026-11-06", "dora"),),
    )

    assert told(render(written, utc("2026-11-03"), utc("2026-11-05"))) == ["11-03 00:00 - 11-04 12:00 bo"]
    assert [(one.start, one.have) for one in gaps(written, *WEEK)] == [(utc("2026-11-04 12:00"), 0)]


def test_what_a_person_changed_in_a_chat_counts_over_everything() -> None:
    period = fixed("2026-11-03", "2026-11-05", more("2026-11-03", "2026-11-05", "bo"))
    written = rota(layer("ana"), fixed=(period,), replace=(put("2026-11-02", "2026-11-08", "dora", layer="weekly"),))
    changes = (
        put("2026-11-04", "2026-11-04 12:00", "cy", person="bo", by="cy"),
        put("2026-11-06", "2026-11-07", "eve", layer="weekly", by="ana"),
    )

    found = render(written, utc("2026-11-03"), utc("2026-11-08"), changes)

    assert [(f"{one.start:%d %H}", one.people[0], one.source.value, one.by) for one in found] == [
        ("03 00", "bo", "fixed", ""),
        ("04 00", "cy", "change", "cy"),
        ("04 12", "bo", "fixed", ""),
        ("05 00", "dora", "replace", ""),
        ("06 00", "eve", "change", "ana"),
        ("07 00", "dora", "replace", ""),
    ]
    assert found[4].instead_of == ("ana",)


def test_a_swap_is_two_overrides_and_each_has_the_other_s_turn() -> None:
    swap = (
        put("2026-11-02 09:00", "2026-11-09 09:00", "bo", person="ana", by="bo"),
        put("2026-11-09 09:00", "2026-11-16 09:00", "ana", person="bo", by="bo"),
    )

    assert told(render(rota(layer("ana", "bo")), *TWO, swap)) == [
        "11-02 09:00 - 11-09 09:00 bo",
        "11-09 09:00 - 11-16 09:00 ana",
    ]


def test_a_holiday_layer_counts_on_holidays_alone_and_there_before_all_others() -> None:
    rule = HolidayRule(calendar="DE", layer="feast", dates=lambda year: frozenset({date(year, 11, 4)}))
    written = rota(layer("ana", priority=5), all_day("cy", "feast"), holidays=rule)

    found = render(written, *WEEK)

    assert told(found) == [
        "11-02 09:00 - 11-03 23:00 ana",
        "11-03 23:00 - 11-04 23:00 cy",
        "11-04 23:00 - 11-09 09:00 ana",
    ]
    assert found[1].source is ShiftSource.HOLIDAY


def test_a_shadow_hears_of_it_and_never_counts() -> None:
    written = rota(layer("ana", ()), all_day("dora", "learning", shadow=True, priority=9))

    found = render(written, *TWO)

    assert [(one.people[0], one.shadow) for one in found] == [("ana", False), ("dora", True)]
    assert [(one.start, one.end) for one in gaps(written, *TWO)] == [(utc("2026-11-09 09:00"), utc("2026-11-16 09:00"))]


def test_a_rota_may_allow_gaps() -> None:
    assert gaps(rota(layer("ana", ()), gaps=GapRule.ALLOWED), *TWO) == ()


def test_a_member_who_is_removed_from_a_day_on_leaves_what_was_before_as_it_was() -> None:
    """The layer ends and another one begins, as the page about rotas says; nobody's past turns are dealt anew."""
    before = rota(layer("ana", "bo", "cy"))
    change = utc("2026-11-30 09:00")
    after = rota(
        layer("ana", "bo", "cy", name="until november", until=change),
        layer("bo", "ana", name="since december", anchor=date(2026, 11, 30)),
    )

    def people(of: tuple[object, ...]) -> list[str]:
        return [row[:37] for row in told(of)]  # type: ignore[arg-type]

    assert people(render(after, utc("2026-11-01"), change)) == people(render(before, utc("2026-11-01"), change))
    assert told(render(after, change, utc("2026-12-07 09:00"))) == ["11-30 09:00 - 12-07 09:00 bo"]


PEOPLE = ("ana", "bo", "cy", "dora")
HOURS = st.integers(0, 24 * 28)


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    start, end = sorted((draw(HOURS), draw(HOURS)))
    whom = draw(st.sampled_from([{}, {"person": "ana"}, {"person": "bo"}, {"layer": "weekly"}]))
    begin = utc("2026-11-01")
    return Override(
        start=begin.fromtimestamp(begin.timestamp() + start * 3600, begin.tzinfo),
        end=begin.fromtimestamp(begin.timestamp() + end * 3600, begin.tzinfo),
        people=(draw(st.sampled_from(PEOPLE)),),
        by="cy",
        **whom,
    )


@settings(max_examples=60)
@given(st.lists(overrides(), max_size=5), st.integers(0, 24 * 27))
def test_an_instant_is_the_same_whatever_is_rendered_around_it(changes: list[Override], hour: int) -> None:
    written = rota(layer("ana", "bo", (), priority=1), all_day("cy"), leave=(away("ana", "2026-11-05", "2026-11-07"),))
    since, until = utc("2026-11-01"), utc("2026-11-29")
    at = since.fromtimestamp(since.timestamp() + hour * 3600, since.tzinfo)

    whole = list(duty_spans(written, since, until, changes))
    around = next(one for one in whole if one.start <= at < one.end)
    alone = next(duty_spans(written, at, until, changes))

    assert (alone.duties, alone.vacant, alone.away) == (around.duties, around.vacant, around.away)
    assert whole[0].start == since
    assert whole[-1].end == until
    assert all(before.end == after.start for before, after in pairwise(whole))
