"""silence, unsilence and silences: what they plan, refuse and do, with the strict fake and the real Alertmanager."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts import silences as silencing
from bot.chatops import parser
from bot.chatops.arguments import NoArguments
from bot.core.action import Tools
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Outcome, Plan, Result, Risk
from bot.core.silences import Matcher
from commands.silence import SilenceArgs
from commands.silence import action as silence
from commands.silences import action as silences
from commands.unsilence import UnsilenceArgs as Ending
from commands.unsilence import action as unsilence
from tests.commands.silencing_world import WORLDS, World, equal, world_of
from tests.commands.silencing_world import silences as asked_at
from tests.fakes.alertmanager import FakeAlertmanager
from tests.house import ANA
from tests.running import free_port

_API = SilenceArgs(matchers=(equal("service", "api"),), held=timedelta(hours=2), because="deploy")


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world_of(request.param, tmp_path) as made:
        made.fire("Slow", service="api", severity="critical", pod="a")
        made.fire("Slow", service="api", severity="critical", pod="b")
        made.fire("Full", service="disk", severity="warning")
        yield made


@pytest.fixture
def fake() -> Iterator[World]:
    with FakeAlertmanager() as made:
        yield World(made.url, made)


def run(world: World, args: SilenceArgs = _API, plan: Plan | None = None, *, run: str = "r1") -> Outcome:
    return silence.run(args, plan or silence.plan(args, world.tools), run, ANA, world.tools)


def end(world: World, args: Ending, plan: Plan) -> Outcome:
    return unsilence.run(args, plan, "r2", ANA, world.tools)


def ending(outcome: Outcome) -> Ending:
    verb, _, number = outcome.undo_command.partition(" ")
    assert verb == "unsilence"
    return Ending(silence=number)


def test_the_plan_shows_what_would_be_quiet(world: World) -> None:
    plan = silence.plan(_API, world.tools)

    assert plan == Plan(
        target="api",
        effect=(
            'For 2 h Alertmanager sends no notifications for alerts with service="api".',
            "It covers 2 of the 3 alerts that fire now:",
            "Slow, critical, api (2 times)",
            "Nor does it report that they end: until then their incidents stay as they are.",
            "Undo: `unsilence` with the id of the silence, which the result shows.",
        ),
        blast_radius="2 alerts now, all of api",
        preconditions={"covers": '[["Slow", "critical", "api"]]'},
        hidden=("covers",),
    )
    assert silence.plan(_API, world.tools) == plan


def test_a_silence_of_all_that_fires_says_so(world: World) -> None:
    wide = replace(_API, matchers=(Matcher(name="alertname", op="=~", value="Slow|Full"),))

    plan = silence.plan(wide, world.tools)

    assert "It covers ALL alerts that fire now (3):" in plan.effect
    assert plan.blast_radius == "3 alerts now, of api, disk"
    assert plan.target == "*"


def test_a_silence_of_nothing_that_fires_says_so(world: World) -> None:
    plan = silence.plan(replace(_API, matchers=(equal("service", "web"),)), world.tools)

    assert "It covers no alert that fires now." in plan.effect
    assert plan.blast_radius == "no alert now"


def test_of_many_kinds_the_worst_are_shown(fake: World) -> None:
    for number in range(7):
        fire_with = "critical" if number == 6 else "warning"
        fake.fire(f"Alert{number}", service="api", severity=fire_with)

    effect = silence.plan(_API, fake.tools).effect

    assert effect[2] == "Alert6, critical, api"
    assert effect[3:8] == (*(f"Alert{number}, warning, api" for number in range(4)), "and 2 more kinds of alert")


def test_more_kinds_than_anybody_could_look_over_are_refused(fake: World) -> None:
    for number in range(silencing.MOST_KINDS + 1):
        fake.fire(f"Alert{number}", service="api")

    with pytest.raises(Rejected, match=r"201 kinds of alert; the limit is 200\. Nothing was done"):
        silence.plan(_API, fake.tools)


@pytest.mark.parametrize(
    "matchers",
    [
        (),
        (equal("env", ""),),
        (Matcher(name="env", op="!=", value=""),),
        (Matcher(name="env", op="!=", value="dev"),),
        (Matcher(name="env", op="!~", value="dev|test"), Matcher(name="team", op="!=", value="x")),
        *[
            (Matcher(name="env", op="=~", value=value),)
            for value in ("", ".*", ".+", ".", "x*", "x|", "(?i).*", "(?s:.+)", "[^~]+", r"\w+", "[a-z]+", r"\S+", ".?")
        ],
        (equal("service", "api"), Matcher(name="env", op="=~", value=".*")),
        (equal("service", "api"), Matcher(name="env", op="=~", value=".+")),
    ],
)
def test_what_names_nothing_is_refused_unasked(matchers: tuple[Matcher, ...]) -> None:
    with pytest.raises(Rejected, match=r"Nothing was done\. Name what to silence") as caught:
        silence.plan(replace(_API, matchers=matchers), Tools(now=lambda: datetime.now(UTC)))
    assert caught.value.code == "too_wide"


@pytest.mark.parametrize(
    "matchers",
    [
        (equal("service", "api"),),
        (equal("service", "api"), Matcher(name="pod", op="!=", value="")),
        (equal("service", "api"), equal("env", "")),
        (Matcher(name="alertname", op="=~", value="Disk.*"),),
        (Matcher(name="alertname", op="=~", value=".*Disk.*"),),
        (Matcher(name="env", op="=~", value="dev|test"), Matcher(name="pod", op="=~", value="[a-z]+-7")),
    ],
)
def test_what_names_something_is_not_too_wide(matchers: tuple[Matcher, ...]) -> None:
    silencing.check_specific(matchers)


@pytest.mark.parametrize(
    "value",
    ["(", "a**", "[z-a]", r"\p{L}", r"\Qx\E", "[[:alpha:]]", "x" * 201, "a+" * 11, "a|" * 101 + "b", "(?P<1>x)"],
)
def test_a_regular_expression_that_cannot_be_checked_is_refused(value: str) -> None:
    with pytest.raises(Rejected, match="Nothing was done") as caught:
        silencing.check_specific([Matcher(name="alertname", op="=~", value=value)])
    assert caught.value.code == "bad_regex"


@pytest.mark.parametrize("name", ["", "a-b", "a:b", "1a", "é", "a b", 'a"', "a\n"])
def test_what_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match="is not the name of a label") as caught:
        silencing.check_specific([equal(name, "x")])
    assert caught.value.code == "bad_label"


@given(st.text(max_size=40))
def test_whatever_is_written_as_a_regular_expression_is_taken_or_refused(value: str) -> None:
    takes = silencing.is_specific([Matcher(name="a", op="=~", value=value)])

    assert not (takes and re.fullmatch(value, ""))


@pytest.mark.parametrize("held", [timedelta(seconds=59), timedelta(days=7, seconds=1), timedelta(0), timedelta(-1)])
def test_a_silence_that_is_too_short_or_too_long_is_refused(held: timedelta) -> None:
    with pytest.raises(Rejected, match=r"A silence lasts 1 min to 7 d\. Nothing was done"):
        silence.plan(replace(_API, held=held), Tools(now=lambda: datetime.now(UTC)))


@pytest.mark.parametrize(
    ("action", "args"), [(silence, _API), (unsilence, Ending(silence="x")), (silences, NoArguments())]
)
def test_without_an_alertmanager_nothing_is_done(action: object, args: object) -> None:
    with pytest.raises(Rejected, match=r"Set sources\.alertmanager\.api_url"):
        action.plan(args, Tools(now=lambda: datetime.now(UTC)))  # type: ignore[attr-defined]


def test_where_nobody_listens_nothing_is_planned() -> None:
    tools = Tools(now=lambda: datetime.now(UTC), silences=asked_at(f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(Rejected, match="could not be reached"):
        silence.plan(_API, tools)


def test_the_run_sets_one_silence_that_tells_whose_it_is_and_which_run_it_was(world: World) -> None:
    before = datetime.now(UTC)

    outcome = run(world)

    (stands,) = world.standing()
    until = datetime.fromisoformat(stands["endsAt"])
    assert (stands["createdBy"], stands["comment"]) == ("ana", "deploy (vakhta run r1)")
    assert timedelta(0) <= until - before - timedelta(hours=2) < timedelta(minutes=1)
    assert (outcome.result, outcome.undo_command) == (Result.DONE, f"unsilence {stands['id']}")
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in outcome.message
    assert [one.title for one in world.tool.matching_alerts(())] == ["Full"]


def test_without_a_reason_the_comment_is_the_run(world: World) -> None:
    run(world, replace(_API, because=""))

    assert world.standing()[0]["comment"] == "(vakhta run r1)"


def test_a_new_kind_of_alert_kills_the_plan(world: World) -> None:
    plan = silence.plan(_API, world.tools)
    world.fire("DataLoss", service="api", severity="critical")

    with pytest.raises(Conflict, match=r"now also cover DataLoss, critical, api\. Nothing was done"):
        run(world, plan=plan)
    assert world.standing() == []


def test_what_became_worse_kills_the_plan(fake: World) -> None:
    fake.fire("Slow", service="api", severity="warning")
    plan = silence.plan(_API, fake.tools)
    fake.fire("Slow", service="api", severity="critical")

    with pytest.raises(Conflict, match="Slow, critical, api"):
        run(fake, plan=plan)


def test_an_end_and_more_of_the_same_do_not_kill_it(world: World) -> None:
    world.fire("Short", service="api", severity="warning")
    plan = silence.plan(_API, world.tools)
    world.fire("Short", ended=True, service="api", severity="warning")
    world.fire("Slow", service="api", severity="critical", pod="c")

    assert run(world, plan=plan).result is Result.DONE


def reset(world: World) -> None:
    world.fake.answer_next(path="/silences", reset=True, after_effect=True)


def broken(world: World) -> None:
    world.fake.answer_next(path="/silences", status=502, after_effect=True)


@pytest.mark.parametrize("goes_wrong", [reset, broken])
def test_a_silence_nobody_confirmed_is_found_by_its_run_and_not_set_again(
    fake: World, goes_wrong: Callable[[World], None]
) -> None:
    plan = silence.plan(_API, fake.tools)
    goes_wrong(fake)

    with pytest.raises(OutcomeUnknown):
        run(fake, plan=plan)
    outcome = silence.probe(_API, plan, "r1", fake.tools)

    (stands,) = fake.standing()
    assert (outcome.result, outcome.undo_command) == (Result.DONE, f"unsilence {stands['id']}")
    assert len([call for call in fake.fake.received if call.verb == "POST" and call.path.endswith("/silences")]) == 1


def test_a_run_that_never_arrived_is_found_not_to_have(fake: World) -> None:
    plan = silence.plan(_API, fake.tools)
    fake.fake.answer_next(path="/silences", reset=True)

    with pytest.raises(OutcomeUnknown):
        run(fake, plan=plan)

    assert silence.probe(_API, plan, "r1", fake.tools).result is Result.FAILED
    assert fake.standing() == []


def test_the_probe_finds_a_silence_that_is_over_by_now(world: World) -> None:
    plan = silence.plan(_API, world.tools)
    number = ending(run(world, plan=plan)).silence
    world.tool.expire(number)

    assert silence.probe(_API, plan, "r1", world.tools).result is Result.DONE


@pytest.mark.parametrize("because", ["(vakhta run r2)", "(vakhta run r2) and so on"])
def test_nobody_s_words_pass_for_another_run(world: World, because: str) -> None:
    plan = silence.plan(_API, world.tools)

    run(world, replace(_API, because=because), plan)

    assert silence.probe(_API, plan, "r2", world.tools).result is Result.FAILED
    assert silence.probe(_API, plan, "r1", world.tools).result is Result.DONE


def test_what_alertmanager_refuses_is_shown_without_secrets(fake: World) -> None:
    plan = silence.plan(_API, fake.tools)
    fake.fake.answer_next(path="/silences", status=400, body=b'"bad password=hunter2hunter2 for it"')

    with pytest.raises(Rejected) as caught:
        run(fake, plan=plan)

    assert caught.value.message == "Alertmanager refused (400): bad password=[redacted] for it. Nothing was done."


def test_the_end_of_a_silence_shows_what_will_ring_and_lets_it(world: World) -> None:
    args = ending(run(world))

    plan = unsilence.plan(args, world.tools)
    outcome = end(world, args, plan)

    assert plan.effect[0] == 'The silence for service="api" ends at once.'
    assert plan.effect[1].startswith("Set by ana until ")
    assert plan.effect[1].endswith("because: deploy (vakhta run r1)")
    assert plan.effect[2:4] == ("Alerts that fire now and notify again: 2", "Slow, critical, api (2 times)")
    assert plan.blast_radius == "2 alerts now, all of api"
    assert outcome.result is Result.DONE
    assert world.standing() == []
    assert len(world.tool.matching_alerts(())) == 3
    assert unsilence.probe(args, plan, "r2", world.tools).result is Result.DONE


def test_its_undo_says_the_same_silence_again(world: World) -> None:
    matchers = (equal("service", "api"), Matcher(name="env", op="!~", value='a "b" \\d+'), equal("zone", ""))
    args = ending(run(world, replace(_API, matchers=matchers)))

    outcome = end(world, args, unsilence.plan(args, world.tools))

    verb, _, rest = outcome.undo_command.partition(" ")
    again = parser.parse(SilenceArgs, rest, None, silence.usage)
    assert (verb, again.matchers) == ("silence", matchers)
    assert timedelta(hours=1, minutes=58) <= again.held <= timedelta(hours=2)
    assert run(world, again).result is Result.DONE


@pytest.mark.parametrize(("hours", "op"), [(0.01, "="), (2, "!=")])
def test_what_could_not_be_set_again_has_no_undo(world: World, hours: float, op: str) -> None:
    until = datetime.now(UTC) + timedelta(hours=hours)
    wide = (Matcher(name="service", op=op, value="api"),)
    number = world.tool.create(wide, until=until, by="somebody", comment="by hand")
    args = Ending(silence=number)

    plan = unsilence.plan(args, world.tools)
    outcome = end(world, args, plan)

    assert outcome.undo_command == ""
    assert ("No undo: " in plan.effect[-1]) == (op == "!=")


def test_a_silence_that_does_not_stand_cannot_be_ended(world: World) -> None:
    args = ending(run(world))
    world.tool.expire(args.silence)

    for number in (args.silence, "00000000-0000-0000-0000-000000000000", "abc"):
        with pytest.raises(Rejected, match=r"There is no active silence \S+\. Nothing was done\. `silences` lists"):
            unsilence.plan(Ending(silence=number), world.tools)


def test_a_silence_that_ended_meanwhile_is_not_ended_again(world: World) -> None:
    args = ending(run(world))
    plan = unsilence.plan(args, world.tools)
    world.tool.expire(args.silence)

    with pytest.raises(Conflict, match="has ended already"):
        end(world, args, plan)


def test_a_silence_that_somebody_changed_is_not_ended(world: World) -> None:
    args = ending(run(world))
    plan = unsilence.plan(args, world.tools)

    with pytest.raises(Conflict, match=r"silence was changed since the plan: comment\. Nothing was done"):
        end(world, args, replace(plan, preconditions={**plan.preconditions, "comment": "another"}))
    assert args.silence in [one["id"] for one in world.standing()]


def test_an_end_nobody_confirmed_is_looked_for(fake: World) -> None:
    args = ending(run(fake))
    plan = unsilence.plan(args, fake.tools)
    for effect in (False, True):
        fake.fake.answer_next(path=args.silence, reset=True, after_effect=effect)
        with pytest.raises(OutcomeUnknown):
            end(fake, args, plan)

        found = unsilence.probe(args, plan, "r2", fake.tools)

        assert found.result is (Result.DONE if effect else Result.FAILED)


def test_those_that_stand_are_listed(world: World) -> None:
    first = ending(run(world)).silence
    gone = ending(run(world, replace(_API, held=timedelta(hours=1)), run="r9"))
    world.tool.expire(gone.silence)

    plan = silences.plan(NoArguments(), world.tools)
    outcome = silences.run(NoArguments(), plan, "r3", ANA, world.tools)

    assert re.fullmatch(
        first + r' until \d{4}-\d\d-\d\d \d\d:\d\d UTC by ana: service="api" \(deploy \(vakhta run r1\)\)',
        outcome.message,
    )
    assert silences.risk is Risk.NONE


def test_none_and_many_are_said_too(fake: World) -> None:
    none = silences.plan(NoArguments(), fake.tools).effect
    for number in range(22):
        fake.tool.create([equal("a", "b")], until=datetime(2099, 1, 1, tzinfo=UTC), by="ana", comment=f"{number}")

    many = silences.plan(NoArguments(), fake.tools).effect

    assert none == ("There are no active silences.",)
    assert len(many) == 21
    assert many[-1] == "... and 2 more; Alertmanager lists all."
