"""A verb's form has the verb's own arguments, is parsed by the parser, and so accepts only what could be typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import commands
from bot.chatops import arguments, forms, parser
from bot.chatops.arguments import (
    BackupId,
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
from bot.core.action import Action
from bot.core.alert import Severity
from bot.core.command import Command, CommandContext, KnownNames
from bot.core.form import Form, FormField
from bot.core.manual import Manual, Topic
from bot.core.request import Reply, Request, split_verb
from bot.core.silences import Matcher
from bot.lib import text

KNOWN: KnownNames = {"service": ["prod/api", "staging/api", "web"], "person": {"U1": "ana", "ana": "ana"}}
SAID: dict[str, Any] = {**commands.find(), **commands.actions()}


def _asks(usage: str) -> bool:
    """Whether it takes several arguments, and cannot do without one of them."""
    return usage.count("<") > 1 and "<" in re.sub(r"\[.*?\]", "", usage)


WITH_FORMS = sorted(verb for verb, one in SAID.items() if _asks(one.usage))


@dataclass(frozen=True, kw_only=True)
class RestoreArgs:
    service: Annotated[str, Name()]
    incident: Annotated[int, IncidentNumber()]
    replicas: Annotated[int, Integer(0, 50)]
    person: Annotated[str, Person()]
    severity: Annotated[Severity, OneOf(*Severity)]
    last_run: Annotated[str, Handle()]
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    backup: Annotated[str, BackupId(), Keyword("from")] = ""
    held: Annotated[timedelta | None, Duration(maximum=timedelta(days=7)), Keyword("for")] = None
    because: Annotated[str, FreeText(max_length=500, question="Why?"), Keyword("because")] = ""


_MANUAL = Manual(
    topic=Topic.WORKLOADS, examples=("restore {service} 7 3 bo error 1a2b a=b",), way_back="There is none."
)


@dataclass
class Restore:
    """A verb of many arguments."""

    verb: str = "restore"
    usage: str = parser.usage(RestoreArgs, "restore")
    summary: str = "bring it back"
    manual: Manual = _MANUAL
    args: type[RestoreArgs] = RestoreArgs
    read_only: bool = False

    def run(self, ask: Request, args: RestoreArgs, desk: CommandContext) -> Reply:
        raise AssertionError("nobody runs it")


def form(said: Command[Any] | Action[Any], *, here: int | None = None, known: KnownNames = KNOWN) -> Form:
    made = forms.form_of(said, known=known, here=here, limits={"size": "at most 1 TiB"})
    assert made is not None
    return made


def test_a_verb_that_is_added_has_a_form_of_all_its_arguments() -> None:
    made = form(Restore())

    assert (made.verb, made.summary, made.limits) == ("restore", "bring it back", ("size: at most 1 TiB",))
    assert made.fields == (
        FormField(name="service", label="Service", choices=("prod/api", "staging/api", "web")),
        FormField(name="incident", label="Incident", hint="Its number, such as 42"),
        FormField(name="replicas", label="Replicas", hint="0 to 50"),
        FormField(name="person", label="Person", hint="Such as ana or @ana; me is you"),
        FormField(name="severity", label="Severity", choices=("critical", "error", "warning", "info")),
        FormField(name="last_run", label="Last run", hint="Its first characters, at least 4"),
        FormField(
            name="matchers",
            label="Matchers",
            hint="One or more of name=value, name!=value, name=~regex, name!~regex, separated by spaces",
        ),
        FormField(name="backup", label="From", hint="Its id, or the first characters of it", optional=True),
        FormField(name="held", label="For", hint="1 s to 7 d, such as 90s, 30m, 2h or 1d12h", optional=True),
        FormField(name="because", label="Because", hint="Why?", optional=True, max_length=500, multiline=True),
    )


def test_where_no_names_are_known_one_is_typed() -> None:
    made = form(Restore(), known={})

    assert made.fields[0] == FormField(name="service", label="Service")


def test_in_an_incidents_thread_its_number_may_be_left_out() -> None:
    made = form(SAID["note"], here=7)

    filled = forms.fill(SAID["note"], {"text": "it is the cache"}, known={}, here=7)

    assert [blank.optional for blank in made.fields] == [True, False]
    assert filled.text == "note #7 it is the cache"


def test_what_is_no_kind_of_the_house_is_told_by_its_shape() -> None:
    assert form(SAID["page"]).fields[0].hint == "incident or service or anyone"


@pytest.mark.parametrize("verb", sorted(SAID))
def test_there_is_a_form_where_two_or_more_arguments_are_and_one_has_to_be_said(verb: str) -> None:
    made = forms.form_of(SAID[verb], known={}, limits={})

    assert (made is not None) == (verb in WITH_FORMS)
    assert made is None or [one.name for one in made.fields] == [
        part.name for part in parser.arguments_of(SAID[verb].args)
    ]


def test_every_kind_is_in_the_form_above() -> None:
    found = {one for one in vars(arguments).values() if isinstance(one, type) and one.__module__ == arguments.__name__}
    takers = {one for one in found if hasattr(one, "parse")} - {arguments.ArgumentType}

    assert takers == {type(part.type) for part in parser.arguments_of(RestoreArgs)}


def test_a_name_said_short_is_the_whole_one_in_the_words_and_two_are_asked_back() -> None:
    one = forms.fill(SAID["page"], {"subject": "web", "text": "down"}, known=KNOWN)
    two = forms.fill(SAID["page"], {"subject": "api", "text": "down"}, known=KNOWN)

    assert one.text == "page web down"
    assert (two.text, two.errors) == ("", {"subject": "Which service: prod/api or staging/api? Nothing was done."})


def test_all_that_is_wrong_is_told_each_at_its_blank() -> None:
    filled = forms.fill(Restore(), {"replicas": "51", "held": "ever", "incident": "1 2"}, known=KNOWN)

    assert filled.text == ""
    assert filled.errors == {
        "service": "Which service? Nothing was done.",
        "incident": "'2' is not understood. Nothing was done.",
        "replicas": "'51' is not a number of replicas, 0 to 50 in plain digits. Nothing was done.",
        "person": "Who? Nothing was done.",
        "severity": "Which severity: critical, error, warning or info? Nothing was done.",
        "last_run": "Which last run? Nothing was done.",
        "matchers": "Which labels, such as alertname=HighErrorRate? Nothing was done.",
        "held": "'ever' is not a duration such as 90s, 30m, 2h or 1d12h. Nothing was done.",
    }


def test_a_reason_that_ends_like_a_clause_stays_a_reason() -> None:
    given_ = {"matchers": "a=b", "held": "1h", "because": 'of the "load" for 30m'}

    filled = forms.fill(SAID["silence"], given_, known={})

    assert filled.text == 'silence a="b" for 1h because "of the \\"load\\" for 30m"'


NAMES = ["ana", "@ana", "me", "critical", "done", "7f3a", "prod/api", "api", "web"]
PIECES = st.sampled_from(["42", "#42", "3", "a=b", 'a=~"x y"', "2h", *NAMES])
LOOSE = st.lists(PIECES | st.sampled_from(["for", "30m", '"', "because"])).map(" ".join)
VALUES = st.one_of(PIECES, PIECES, LOOSE, st.text())


@given(st.sampled_from(WITH_FORMS), st.data(), st.none() | st.integers(1, 99))
def test_what_is_taken_is_read_as_the_same_values_by_the_grammar_and_the_rest_names_its_blank(
    verb: str, data: st.DataObject, here: int | None
) -> None:
    said = SAID[verb]
    blanks = form(said).fields
    values = {blank.name: data.draw(VALUES, label=blank.name) for blank in blanks}

    filled = forms.fill(said, values, known=KNOWN, here=here)

    if filled.errors:
        assert filled.text == ""
        assert filled.errors.keys() <= {blank.name for blank in blanks}
        assert all(why.endswith("Nothing was done.") for why in filled.errors.values())
        return
    spoken, rest = split_verb(text.storable(filled.text))
    assert spoken == verb
    read = parser.parse(said.args, rest, here, said.usage, known=KNOWN)
    assert read == _taken(said, values, here)


def _taken(said: Any, values: Mapping[str, str], here: int | None) -> object:
    """Each argument parsed from its own text alone."""
    taken = {}
    for part in parser.arguments_of(said.args):
        value = text.storable(values[part.name]).strip()
        if value or not part.optional:
            taken[part.name] = parser.parse_argument(part, value, here, said.usage, known=KNOWN)
    return said.args(**taken)
