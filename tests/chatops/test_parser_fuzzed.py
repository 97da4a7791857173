"""The parser with arbitrary input: it refuses or returns what was typed, and it parses what it formats."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated

from hypothesis import given
from hypothesis import strategies as st

import commands
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
from bot.lib import text as words
from bot.lib.text import spell

WEEK = timedelta(days=7)
KNOWN = {"service": ["api", "prod/web"], "person": ["ana", "bo"]}


@dataclass(frozen=True, kw_only=True)
class Everything:
    incident: Annotated[int, IncidentNumber()]
    replicas: Annotated[int, Integer(0, 50)]
    service: Annotated[str, Name()]
    person: Annotated[str, Person()]
    severity: Annotated[Severity, OneOf(*Severity)]
    run: Annotated[str, Handle()]
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    held: Annotated[timedelta | None, Duration(maximum=WEEK), Keyword("for")] = None
    revision: Annotated[int | None, Integer(1, 10**9), Keyword("to")] = None
    because: Annotated[str, FreeText(), Keyword("because")] = ""


@dataclass(frozen=True, kw_only=True)
class Silence:
    matchers: Annotated[tuple[Matcher, ...], Matchers()]
    held: Annotated[timedelta, Duration(maximum=WEEK), Keyword("for")]
    because: Annotated[str, FreeText(), Keyword("because")] = ""


KINDS = [Everything, Silence, *{command.args for command in commands.find().values()}]
#: What looks like sentences of ours, so that the fuzz gets past the first word.
PIECES = st.sampled_from(
    [
        "42",
        "#42",
        "3",
        "03",
        "-1",
        "--as=x",
        "api",
        "prod/web",
        "web",
        "@ana",
        "аna",
        "critical",
        "7f3a",
        "a=b",
        "a=~",
        "a!~'x'",
        "for",
        "30m",
        "to",
        "17",
        "because",
        "it's",
        "０３",
    ]
) | st.sampled_from(['a="b c"', '"', "'", '"two words"', "\\", "\n", "\t", "\ufffd"])
SENTENCES = st.text() | st.lists(PIECES | st.text(max_size=5)).map(" ".join)


@given(SENTENCES, st.sampled_from(KINDS), st.none() | st.integers(1, 99), st.sampled_from([KNOWN, {}]))
def test_no_sentence_raises_anything_but_a_refusal_and_no_argument_was_not_in_it(
    said: str, kind: type, here: int | None, known: KnownNames
) -> None:
    usage = parser.usage(kind, "verb")

    args: object = None
    refused = ""
    try:
        args = parser.parse(kind, words.normalized(said), here, usage, known=known)
    except Rejected as wrong:
        refused = wrong.message

    if refused:
        assert refused.endswith(f" Nothing was done. Usage: {usage}")
        assert len(refused) < 600
        return
    for field in fields(kind):
        for text in texts(getattr(args, field.name), here):
            assert text in words.normalized(said).lower()


def texts(value: object, here: int | None) -> list[str]:
    """What must have been said for that value, in lower case."""
    match value:
        case None | "":
            return []
        case int():
            return [] if value == here else [str(value)]
        case timedelta():
            return []  # several spellings are one duration
        case tuple():
            return [text for one in value for text in (one.name.lower(), one.op, unescaped(one.value))]
        case _:
            return [unescaped(str(value).rpartition("/")[2])]


def unescaped(value: str) -> str:
    """The longest part of it that no escaping touches."""
    return max(value.lower().replace('"', "\\").split("\\"), key=len)


LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
SPANS = st.integers(1, 7 * 86400).map(lambda seconds: timedelta(seconds=seconds))
TEXTS = st.text(min_size=1, max_size=50).filter(lambda said: said == said.strip())
MATCHERS = st.lists(
    st.builds(
        Matcher,
        name=st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,9}", fullmatch=True),
        op=st.sampled_from(["=", "!=", "=~", "!~"]),
        value=st.text(max_size=20),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


@given(
    st.builds(
        Everything,
        incident=st.integers(0, 10**17),
        replicas=st.integers(0, 50),
        service=st.lists(LABEL, min_size=1, max_size=3).map("/".join),
        person=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,9}", fullmatch=True),
        severity=st.sampled_from(Severity),
        run=st.from_regex(r"[0-9a-f]{4,64}", fullmatch=True),
        matchers=MATCHERS,
        held=st.none() | SPANS,
        revision=st.none() | st.integers(1, 10**9),
        because=st.just("") | TEXTS,
    ),
    st.none() | st.integers(1, 99),
)
def test_what_is_written_is_read_as_the_same_values_wherever_it_is_said(args: Everything, here: int | None) -> None:
    assert parser.parse(Everything, parser.format_arguments(args), here, "") == args


@given(st.sampled_from(["note", "page"]), st.integers(0, 10**9), TEXTS, st.none() | st.integers(1, 99))
def test_a_text_is_read_as_it_was_written(verb: str, number: int, text: str, here: int | None) -> None:
    kind = commands.find()[verb].args
    args = kind(text=text, **{"note": {"incident": number}, "page": {"subject": number}}[verb])

    assert parser.parse(kind, parser.format_arguments(args), here, "", known=KNOWN) == args


@given(SPANS)
def test_a_duration_is_read_as_it_is_spelt(long: timedelta) -> None:
    assert parser.parse(Silence, f"a=b for {spell(long)}", None, "").held == long
