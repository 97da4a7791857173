"""The parser: text to typed arguments, or a refusal that says what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import pytest

from bot.chatops import parser
from bot.chatops.arguments import (
    Duration,
    FreeText,
    Handle,
    IncidentNumber,
    Integer,
    Keyword,
    Matchers,
    Name,
    OneOf,
    Person,
)
from bot.core.alert import Severity
from bot.core.command import KnownNames
from bot.core.errors import Rejected
from bot.core.silences import Matcher
from bot.lib.text import spell
from commands import yes

WEEK = timedelta(days=7)
KNOWN = {"service": ["prod/api", "staging/api", "prod/web", "db"], "person": {"U1": "ana", "ana": "ana", "bo": "bo"}}


@dataclass(frozen=True, kw_only=True)
class Scale:
    service: Annotated[str, Name()]
    replicas: Annotated[int, Integer(0, 50, noun="a replica count")]
    held: Annotated[timedelta | None, Duration(maximum=WEEK), Keyword("for")] = None
    because: Annotated[str, FreeText(max_length=200), Keyword("because")] = ""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    service: Annotated[str, Name()]
    revision: Annotated[int | None, Integer(1, 10**9, noun="a revision"), Keyword("to")] = None


@dataclass(frozen=True, kw_only=True)
class Silence:
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    held: Annotated[timedelta, Duration(maximum=WEEK), Keyword("for")]
    because: Annotated[str, FreeText(max_length=200), Keyword("because")]


@dataclass(frozen=True, kw_only=True)
class Assign:
    incident: Annotated[int, IncidentNumber()]
    person: Annotated[str, Person()]


@dataclass(frozen=True, kw_only=True)
class Weigh:
    incident: Annotated[int, IncidentNumber()]
    severity: Annotated[Severity, OneOf(*Severity)]


@dataclass(frozen=True, kw_only=True)
class Steps:
    incident: Annotated[int, IncidentNumber()]
    steps: Annotated[int, Integer(1, 9)]


@dataclass(frozen=True, kw_only=True)
class Undo:
    run: Annotated[str, Handle()]


@dataclass(frozen=True, kw_only=True)
class List:
    service: Annotated[str | None, Name()] = None
    since: Annotated[timedelta | None, Duration(maximum=WEEK), Keyword("since")] = None


def scale(rest: str, known: KnownNames = KNOWN) -> Scale:
    return parser.parse(Scale, rest, None, parser.usage(Scale, "scale"), known=known)


def refusal(kind: type, rest: str, here: int | None = None, known: KnownNames = KNOWN) -> str:
    usage = parser.usage(kind, kind.__name__.lower())
    with pytest.raises(Rejected) as refused:
        parser.parse(kind, rest, here, usage, known=known)
    said, told, shown = refused.value.message.partition(" Nothing was done. Usage: ")
    assert told
    assert shown == usage
    return said


@pytest.mark.parametrize(
    ("kind", "usage"),
    [
        (Scale, "scale <service> <replicas 0-50> [for <duration>] [because <text>]"),
        (Rollback, "rollback <service> [to <revision 1-1000000000>]"),
        (Silence, "silence <name=value ...> for <duration> because <text>"),
        (Weigh, "weigh <incident> <critical|error|warning|info>"),
        (List, "list [<service>] [since <duration>]"),
    ],
)
def test_the_usage_is_made_of_the_fields(kind: type, usage: str) -> None:
    assert parser.usage(kind, kind.__name__.lower()) == usage


@pytest.mark.parametrize(
    ("rest", "args"),
    [
        ("prod/api 6", Scale(service="prod/api", replicas=6)),
        ("prod/api\t0  for 30m", Scale(service="prod/api", replicas=0, held=timedelta(minutes=30))),
        ("web 50 because it's slow", Scale(service="prod/web", replicas=50, because="it's slow")),
        (
            "db 1 because load tests for 1d12h in all",
            Scale(service="db", replicas=1, because="load tests for 1d12h in all"),
        ),
        ('db 1 because "two words" for 2h', Scale(service="db", replicas=1, held=2 * WEEK / 168, because="two words")),
        ('db 1 because "two" words', Scale(service="db", replicas=1, because='"two" words')),
        ('db 1 because 5" disk', Scale(service="db", replicas=1, because='5" disk')),
        ('"db" "1" for "90s"', Scale(service="db", replicas=1, held=timedelta(seconds=90))),
    ],
)
def test_words_become_typed_arguments(rest: str, args: Scale) -> None:
    assert scale(rest) == args


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("", "Which service?"),
        ("db", "Which replica count, 0 to 50?"),
        ("db six", "'six' is not a replica count, 0 to 50 in plain digits."),
        ("db 51", "'51' is not a replica count, 0 to 50 in plain digits."),
        ("db 6 now", "'now' after the replicas is not understood."),
        ("db 6 fro 30m", "'fro' is not understood. Did you mean `for`?"),
        ("db 6 for", "How long, 1 s to 7 d, such as 30m?"),
        ("db 6 for 30", "'30' is not a duration such as 90s, 30m, 2h or 1d12h."),
        ("db 6 for 8d", "'8d' is not between 1 s and 7 d."),
        ("db 6 for 2h30", "'2h30' is not a duration such as 90s, 30m, 2h or 1d12h."),
        ("db 6 for 02h", "'02h' is not a duration such as 90s, 30m, 2h or 1d12h."),
        ("db 6 for 1m for 2m", "`for` is given twice."),
        ("db 6 for 1m 2m", "'2m' after the `for` is not understood."),
        ("db 6 because", "What should the because say?"),
        (f"db 6 because {'x' * 201}", "The text has 201 characters; the limit is 200."),
        ('"db 6', "A quote is not closed: '\"db 6'."),
        ('"db"6', "There is no space after the closing quote of '\"db\"'."),
        ("'db", 'A quote is not closed: "\'db".'),
    ],
)
def test_what_cannot_be_is_refused_and_named(rest: str, why: str) -> None:
    assert refusal(Scale, rest) == why


def test_a_clause_that_a_text_would_swallow_is_asked_back() -> None:
    why = "Is `for` at the end part of the text? If not, put it before `because`; else put the text in double quotes."

    assert refusal(Scale, "db 6 because load for 30m") == why
    assert refusal(Scale, "db 6 because for 30m") == why
    assert scale('db 6 because "load for 30m"').held is None


def test_a_clause_that_must_be_there_is_asked_for() -> None:
    assert refusal(Silence, "a=b because x") == "`for <duration>` is missing."


def test_row_56_a_flag_is_not_a_replica_count() -> None:
    said = refusal(Scale, "db --as=system:masters")

    assert said.startswith("'--as=...' is not a replica count, 0 to 50")


@pytest.mark.parametrize("count", ["-1", "1e9", "０３", "03", "+2", "1.0", "0x1", "٣", "1_0", "²", '""', "", "9" * 999])
def test_row_57_a_count_is_plain_digits_in_its_range(count: str) -> None:
    assert "0 to 50" in refusal(Scale, f"db {count}")


@pytest.mark.parametrize(
    "rest",
    ["api;rm -rf / 3", "$(id) 3", "api\nrm 3", "api\ufffd 3", "-db 3", "--all 3", "`db` 3", "db| 3", "API 3", "db- 3",
     "db//x 3", "/db 3", '"prod api" 3', "it's 3"],
)  # fmt: skip
def test_row_58_what_is_no_name_is_not_a_valid_service_name(rest: str) -> None:
    assert " is not a valid service name." in refusal(Scale, rest)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("../kube-system/x", None),
        ("a" * 300, None),
        ("а" + "pi", "prod/api"),
        ("ｗｅｂ", "prod/web"),
        ("Prod/API", "prod/api"),
        ("prod\u200b/web", "prod/web"),
    ],
)
def test_row_59_a_name_that_looks_like_another_is_refused_with_the_one_it_looks_like(
    name: str, near: str | None
) -> None:
    said = refusal(Scale, f"{name} 3")

    assert " is not a valid service name." in said
    assert said.endswith(f"Did you mean `{near}`?" if near else "name.")


@pytest.mark.parametrize("revision", ["0", "-1", "latest", "017", "1" * 19])
def test_row_61_a_revision_is_a_number(revision: str) -> None:
    assert "is not a revision, 1 to 1000000000" in refusal(Rollback, f"db to {revision}")


def test_row_61_whether_a_revision_exists_is_for_the_plan_to_say() -> None:
    assert parser.parse(Rollback, "db to 999", None, "").revision == 999


def test_row_64_a_name_that_ends_several_known_ones_is_asked_back() -> None:
    assert refusal(Scale, "api 3") == "Which service: prod/api or staging/api?"


def test_row_64_of_many_only_a_few_are_offered() -> None:
    many = {"service": [f"e{number}/api" for number in range(1, 9)]}

    assert refusal(Scale, "api 3", known=many) == "Which service: e1/api, e2/api, e3/api, e4/api, e5/api or 3 more?"


def test_the_last_part_of_a_name_is_enough_where_it_is_that_of_one() -> None:
    assert scale("web 3").service == "prod/web"


def test_a_whole_name_is_meant_even_where_it_ends_another() -> None:
    assert scale("api 3", {"service": ["api", "prod/api"]}).service == "api"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert refusal(Scale, "prod/wbe 3") == "'prod/wbe' is not a known service. Did you mean `prod/web`?"
    assert refusal(Scale, "zzz 3") == "'zzz' is not a known service."
    assert refusal(Scale, "prod/zzz 3") == "'prod/zzz' is not a known service.", "alike by the place alone"


def test_a_known_name_that_is_none_of_dns_can_be_said_all_the_same() -> None:
    assert scale('"Checkout API" 3', {"service": ["Checkout API"]}).service == "Checkout API"


def test_where_no_names_are_known_any_well_formed_one_is_taken() -> None:
    assert scale("prod/eu-1.api 3", {}).service == "prod/eu-1.api"


@pytest.mark.parametrize(
    ("rest", "here", "args"),
    [
        ("42 ana", None, (42, "ana")),
        ("#42 @ana", 7, (42, "ana")),
        ("@U1", 7, (7, "ana")),
        ("bo", 7, (7, "bo")),
    ],
)
def test_a_person_is_an_id_or_the_account_that_was_mentioned(
    rest: str, here: int | None, args: tuple[int, str]
) -> None:
    read = parser.parse(Assign, rest, here, "", known=KNOWN)

    assert (read.incident, read.person) == args


def test_a_person_nobody_knows_is_refused_with_the_nearest() -> None:
    assert refusal(Assign, "42 @anna") == "'anna' is not a known person. Did you mean `ana`?"
    assert refusal(Assign, "42 <!here>") == "'<!here>' is not a person's id."
    assert refusal(Assign, "42") == "Who?"


@pytest.mark.parametrize("word", ["warning", "WARNING", "Warning"])
def test_a_choice_is_the_one_that_was_declared(word: str) -> None:
    read = parser.parse(Weigh, word, 7, "")

    assert (read.incident, read.severity) == (7, Severity.WARNING)
    assert isinstance(read.severity, Severity)


def test_a_near_miss_of_a_choice_names_the_nearest() -> None:
    assert refusal(Weigh, "42 critcal") == "'critcal' is not a valid value for severity. Did you mean `critical`?"
    assert (
        refusal(Weigh, "42 9") == "'9' is not a valid value for severity. It must be critical, error, warning or info."
    )
    assert refusal(Weigh, "42") == "Which severity: critical, error, warning or info?"


def test_in_a_thread_a_bare_number_is_the_next_ones_where_that_may_be_a_number() -> None:
    assert parser.parse(Steps, "3", 7, "") == Steps(incident=7, steps=3)
    assert parser.parse(Steps, "#3 3", 7, "") == Steps(incident=3, steps=3)
    assert parser.parse(Steps, "3 4", None, "") == Steps(incident=3, steps=4)
    assert refusal(Steps, "3 4", 7) == "'4' after the steps is not understood."


def test_what_may_be_left_out_may_be_left_out_before_a_clause_too() -> None:
    hour = timedelta(hours=1)

    assert parser.parse(List, "", None, "") == List()
    assert parser.parse(List, "since 1h", None, "") == List(since=hour)
    assert parser.parse(List, "db since 1h", None, "") == List(service="db", since=hour)


def test_a_plan_is_asked_for_by_that_word() -> None:
    assert yes.command.usage == "yes <plan> [<name>]"
    assert refusal(yes.command.args, "") == "Which plan?"


@pytest.mark.parametrize("handle", ["7f3", "7F3A", "7f3g", "-7f3a", "0" * 65, "７f3a"])
def test_a_handle_is_lower_case_hex(handle: str) -> None:
    assert "is not a valid id: 4 to 64 characters of 0-9 and a-f. `runs` lists" in refusal(Undo, handle)


def test_matchers_are_those_of_alertmanager_with_values_that_may_be_quoted() -> None:
    rest = r"""alertname=High pod=~"api-\d+" job!='a "b"' team!~x|y note="say \"so\" \\" empty="" for 2h because x"""

    read = parser.parse(Silence, rest, None, "")

    assert [(one.name, one.op, one.value) for one in read.matchers] == [
        ("alertname", "=", "High"),
        ("pod", "=~", r"api-\d+"),
        ("job", "!=", 'a "b"'),
        ("team", "!~", "x|y"),
        ("note", "=", 'say "so" \\'),
        ("empty", "=", ""),
    ]


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ("", "Which labels, such as alertname=HighErrorRate?"),
        ("High", "'High' is not of the form name=value, name!=value, name=~regex or name!~regex."),
        ("9a=b", "'9a=b' is not of the form name=value, name!=value, name=~regex or name!~regex."),
        ("--a=b", "'--a=...' is not of the form name=value, name!=value, name=~regex or name!~regex."),
        ("a= for 2h", 'There is no value after a=. To match alerts without this label, type a="".'),
        ("a=it's", 'There is a quote inside "a=it\'s". Put the whole value in quotes.'),
        ('a="b', "A quote is not closed: '\"b'."),
        (f"a={'x' * 1025}", "The value of a= is longer than 1024 characters."),
        ("a=b " * 21, "There are 21 matchers; the limit is 20."),
        ("a=b c", "'c' after the matchers is not understood."),
    ],
)
def test_a_matcher_that_cannot_be_is_refused(rest: str, why: str) -> None:
    assert refusal(Silence, rest) == why


@pytest.mark.parametrize(
    ("long", "said"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(days=1, hours=12), "1d12h"),
        (timedelta(days=400), "400d"),
    ],
)
def test_a_duration_is_spelt_as_people_do(long: timedelta, said: str) -> None:
    assert spell(long) == said


@dataclass(frozen=True)
class Talkative:
    text: Annotated[str, FreeText()]
    held: Annotated[timedelta | None, Duration(maximum=WEEK), Keyword("for")] = None


@dataclass(frozen=True)
class Kindless:
    text: str


@pytest.mark.parametrize("kind", [Talkative, Kindless])
def test_arguments_that_could_not_be_read_are_a_bug_that_is_found_when_the_usage_is_made(kind: type) -> None:
    with pytest.raises(TypeError):
        parser.usage(kind, "x")
