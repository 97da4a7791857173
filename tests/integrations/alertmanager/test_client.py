"""Alertmanager's silences by its API: one contract, held by the strict fake and by the real one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError

import pytest

from bot.core.alert import Alert
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.silences import MatchedAlert, Matcher
from bot.lib.text import spell_moment
from tests.commands.silencing_world import WORLDS, World, equal, silences, world_of
from tests.fakes.alertmanager import FakeAlertmanager
from tests.house import alert
from tests.running import free_port

_API = MatchedAlert(title="Slow", severity="critical", service="api")


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world_of(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def fake() -> Iterator[World]:
    with FakeAlertmanager() as made:
        yield World(made.url, made)


def later() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)


def set_one(world: World, *matchers: Matcher, comment: str = "deploy (vakhta run r1)") -> str:
    return world.tool.create(matchers or (equal("service", "api"),), until=later(), by="ana", comment=comment)


@pytest.mark.parametrize(
    ("matchers", "titles"),
    [
        ((), ["Full", "Slow"]),
        ((equal("service", "api"),), ["Slow"]),
        ((equal("service", "api"), equal("alertname", "Full")), []),
        ((Matcher(name="alertname", op="=~", value="Sl.+|Nope"),), ["Slow"]),
        ((Matcher(name="alertname", op="=~", value="Slo"),), []),
        ((Matcher(name="service", op="!=", value="api"),), ["Full"]),
        ((Matcher(name="service", op="!=", value=""),), ["Slow"]),
        ((Matcher(name="service", op="!~", value="a.i"),), ["Full"]),
        ((equal("service", ""),), ["Full"]),
    ],
)
def test_what_a_silence_would_cover_is_what_the_matchers_match(
    world: World, matchers: Sequence[Matcher], titles: list[str]
) -> None:
    world.fire("Slow", service="api", severity="page")
    world.fire("Full", severity="nobody-knows")
    world.fire("Over", ended=True, service="api")

    found = world.tool.matching_alerts(matchers)

    assert sorted(one.title for one in found) == titles


def test_an_alert_is_weighed_and_named_by_its_labels(world: World) -> None:
    world.fire("Slow", service="api", severity="page")
    world.fire("Full", severity="nobody-knows", priority="P1")

    found = world.tool.matching_alerts(())

    assert set(found) == {_API, MatchedAlert(title="Full", severity="critical", service="")}


@pytest.mark.parametrize(
    "value", ['a"b', "back\\slash", "two\nlines", "é вахта", "a,}b{", " blank ", "\\n", '\\"', "\t"]
)
def test_any_value_is_matched_as_it_is(world: World, value: str) -> None:
    world.fire("Odd", odd=value)
    world.fire("Even", odd="other")

    found = world.tool.matching_alerts([equal("odd", value)])
    number = set_one(world, equal("odd", value))

    assert [one.title for one in found] == ["Odd"]
    assert [one.title for one in world.tool.silenced_alerts(number)] == ["Odd"]
    assert [one.matchers for one in world.tool.active("") if one.id == number] == [(equal("odd", value),)]


@pytest.mark.parametrize("op", ["=", "!=", "=~", "!~"])
def test_a_silence_stands_at_once_as_it_was_said(world: World, op: str) -> None:
    matchers = (equal("alertname", "Slow"), Matcher(name="env", op=op, value="dev|test"))
    until = later()

    number = world.tool.create(matchers, until=until, by="ana", comment="deploy (vakhta run r1)")

    (stands,) = world.tool.active("(vakhta run r1)")
    assert (stands.id, stands.by, stands.comment) == (number, "ana", "deploy (vakhta run r1)")
    assert (stands.matchers, stands.ends_at) == (matchers, until)
    assert world.standing()[0]["status"]["state"] == "active"


def test_what_is_silenced_is_covered_no_more_and_kept_quiet_by_it(world: World) -> None:
    world.fire("Slow", service="api", severity="critical")

    number = set_one(world)

    assert world.tool.matching_alerts(()) == []
    assert world.tool.silenced_alerts(number) == [_API]


def test_what_two_silences_cover_is_kept_quiet_by_neither_alone(world: World) -> None:
    world.fire("Slow", service="api", severity="critical")

    one, other = set_one(world), set_one(world, equal("alertname", "Slow"))

    assert world.tool.silenced_alerts(one) == world.tool.silenced_alerts(other) == []


def test_an_ended_silence_stands_no_more_and_is_found_among_the_ended(world: World) -> None:
    world.fire("Slow", service="api", severity="critical")
    number = set_one(world)

    world.tool.expire(number)

    assert world.tool.active("") == []
    assert [one.id for one in world.tool.active("run r1", ended=True)] == [number]
    assert world.tool.matching_alerts(()) == [_API]


def test_ending_a_silence_twice_is_as_once(world: World) -> None:
    number = set_one(world)

    world.tool.expire(number)
    world.tool.expire(number)

    assert world.tool.active("") == []


def test_a_silence_is_found_by_what_its_comment_holds(world: World) -> None:
    set_one(world, comment="one (vakhta run r1)")
    set_one(world, comment="other (vakhta run r2)")

    assert [one.comment for one in world.tool.active("run r2")] == ["other (vakhta run r2)"]
    assert len(world.tool.active("")) == 2
    assert world.tool.active("run r3") == []


@pytest.mark.parametrize(
    ("matcher", "said"),
    [
        (Matcher(name="a-b", op="=", value="x"), "invalid label name"),
        (Matcher(name="a", op="=~", value="("), "invalid regular expression"),
        (equal("a", ""), "at least one matcher must not match the empty string"),
        (Matcher(name="a", op="=~", value=".*"), "at least one matcher must not match the empty string"),
    ],
)
def test_what_alertmanager_refuses_is_told_in_its_words(world: World, matcher: Matcher, said: str) -> None:
    with pytest.raises(Rejected, match=f"Alertmanager refused .400.: .*{said}.* Nothing was done"):
        set_one(world, matcher)
    assert world.standing() == []


@pytest.mark.parametrize("matcher", [Matcher(name="a-b", op="=", value="x"), Matcher(name="a", op="=~", value="(")])
def test_a_matcher_that_cannot_be_is_refused_at_the_look(world: World, matcher: Matcher) -> None:
    with pytest.raises(Rejected, match=r"Alertmanager refused \(400\)"):
        world.tool.matching_alerts([matcher])


def test_an_end_that_is_past_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="end time can't be in the past"):
        world.tool.create([equal("a", "b")], until=datetime(2020, 1, 1, tzinfo=UTC), by="ana", comment="x")


def test_ending_what_never_was_is_unsure_because_it_answers_as_if_it_broke(world: World) -> None:
    with pytest.raises(OutcomeUnknown, match=r"failed \(500\): silence not found"):
        world.tool.expire(str(uuid.uuid4()))


def test_a_number_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="must be of type uuid"):
        world.tool.expire("abc")


_GOOD = {
    "matchers": [{"name": "a", "value": "b", "isRegex": False}],
    "startsAt": "1970-01-01T00:00:00Z",
    "endsAt": "2099-01-01T00:00:00Z",
    "createdBy": "ana",
    "comment": "x",
}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"createdBy": ...}, 422),
        ({"comment": ...}, 422),
        ({"startsAt": ...}, 422),
        ({"endsAt": ...}, 422),
        ({"matchers": ...}, 422),
        ({"matchers": []}, 422),
        ({"matchers": [{"name": "a", "value": "b"}]}, 422),
        ({"matchers": [{"name": "a", "value": "b", "isRegex": "no"}]}, 400),
        ({"matchers": [{"name": "a", "value": "", "isRegex": False, "isEqual": False}]}, 200),
        ({"endsAt": "x"}, 400),
        ({"endsAt": 7}, 400),
        ({"startsAt": "2099-01-01T00:00:00Z"}, 400),
        ({"createdBy": "", "comment": ""}, 200),
    ],
)
def test_both_worlds_take_and_refuse_the_same_bodies(world: World, change: dict[str, object], status: int) -> None:
    body = {name: value for name, value in {**_GOOD, **change}.items() if value is not ...}

    assert _status(world, body) == status


def _status(world: World, body: object) -> int:
    try:
        world.call("POST", "/silences", body)
    except HTTPError as error:
        with error:
            return error.code
    return 200


def test_a_field_that_alertmanager_does_not_have_fails_the_test_that_sends_it() -> None:
    with pytest.raises(AssertionError, match="a silence has no colour"), FakeAlertmanager() as made:
        World(made.url, made).call("POST", "/silences", {**_GOOD, "colour": "red"})


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"api_token": "a-token-of-the-test"}, "Bearer a-token-of-the-test"),
        ({"api_token": "pass", "api_user": "vakhta"}, "Basic dmFraHRhOnBhc3M="),
    ],
)
def test_it_says_who_it_is(more: dict[str, str], sent: str) -> None:
    with FakeAlertmanager(authorization=sent) as made:
        assert silences(made.url, **more).matching_alerts(()) == []
        with pytest.raises(Rejected, match="Unauthorized") as caught:
            silences(made.url, api_token="another-token-of-the-test").active("")
    assert caught.value.code == "no_entry"
    assert "another" not in caught.value.message


@pytest.mark.parametrize("status", [None, 503])
def test_a_silence_that_was_not_answered_may_stand_and_is_found_again(fake: World, status: int | None) -> None:
    fake.fake.answer_next(path="/silences", after_effect=True, status=status, reset=status is None)

    with pytest.raises(OutcomeUnknown, match="It is not known whether it took effect"):
        set_one(fake)

    assert [one.comment for one in fake.tool.active("(vakhta run r1)")] == ["deploy (vakhta run r1)"]
    assert len([call for call in fake.fake.received if call.verb == "POST"]) == 1


def test_where_nobody_listens_nothing_was_done() -> None:
    with pytest.raises(Rejected, match="could not be reached") as caught:
        silences(f"http://127.0.0.1:{free_port()}").create([equal("a", "b")], until=later(), by="ana", comment="x")
    assert caught.value.code == "unreachable"


@pytest.mark.parametrize(
    "told", [None, {}, [1], [{}], [{"id": "x", "status": {"state": "active"}, "comment": "", "endsAt": "soon"}], "x"]
)
def test_what_no_alertmanager_says_is_refused(fake: World, told: object) -> None:
    fake.fake.answer_next(status=200, body=json.dumps(told).encode())

    with pytest.raises(Rejected, match="Check that api_url is the address of an Alertmanager"):
        fake.tool.active("")


def test_a_yes_without_a_number_is_unsure(fake: World) -> None:
    fake.fake.answer_next(status=200, body=b"{}")

    with pytest.raises(OutcomeUnknown, match="gave no id"):
        set_one(fake)


def test_what_is_inhibited_would_be_covered_and_would_not_ring(fake: World) -> None:
    fake.fire("Slow", service="api")
    fake.fake.alerts[0].inhibited_by = ["f00"]

    covered = fake.tool.matching_alerts(())
    number = set_one(fake)

    assert len(covered) == 1
    assert fake.tool.silenced_alerts(number) == []


def test_alerts_that_are_asked_for_are_silenced_until_then_or_fire_or_are_not_there(world: World) -> None:
    world.fire("Slow", service="api", pod="a")
    world.fire("Slow", service="api", pod="b")
    world.fire("Full", service="db")
    world.fire("Over", service="db", ended=True)
    world.tool.create([equal("pod", "b")], until=later(), by="ana", comment="deploy")
    listed = {(one["labels"]["alertname"], one["labels"].get("pod")): one for one in world.call("GET", "/alerts")}

    def of(name: str, pod: str | None = None) -> Alert:
        fingerprint = listed[name, pod]["fingerprint"] if (name, pod) in listed else "0123456789abcdef"
        return alert(name, fingerprint=fingerprint)

    said = world.tool.states([of("Slow", "a"), of("Slow", "b"), of("Full"), of("Over")])

    assert said == {
        of("Slow", "a").fingerprint: "fires in Alertmanager",
        of("Slow", "b").fingerprint: f"is silenced in Alertmanager until {spell_moment(later())}",
        of("Full").fingerprint: "fires in Alertmanager",
    }


def test_what_another_alert_inhibits_is_said_so(fake: World) -> None:
    fake.fire("Slow", service="api")
    fake.fake.alerts[0].inhibited_by = ["0123456789abcdef"]
    [row] = fake.call("GET", "/alerts")

    said = fake.tool.states([alert("Slow", fingerprint=row["fingerprint"])])

    assert said == {row["fingerprint"]: "is inhibited in Alertmanager by another alert"}


def test_many_names_are_asked_for_in_one_request(fake: World) -> None:
    names = [f"Slow{number}" for number in range(30)]
    for name in names:
        fake.fire(name)
    rows = {row["labels"]["alertname"]: row["fingerprint"] for row in fake.call("GET", "/alerts")}
    before = len(fake.fake.received)

    said = fake.tool.states([alert(name, fingerprint=rows[name]) for name in names])

    assert len(said) == 30
    assert len(fake.fake.received) == before + 1
