"""Faults in a PromQL expression that can be told without its engine: brackets, quotes, and what no dialect allows.

The promise: what is reported is wrong in Prometheus, Thanos, Mimir and VictoriaMetrics alike. Names of functions and
types are not judged, because they differ between versions; `vakhta check --live` has the engine judge them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CLOSES = {"(": ")", "[": "]", "{": "}"}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwyi]))+", re.IGNORECASE)
_NUMBER_WITH_UNIT = re.compile(r"(?<![\w$.])\d[\w.]*")
_PLAIN_NUMBER = re.compile(r"\d[\d_]*(?:\.\d*)?(?:e\d+)?|0x[0-9a-f]+", re.IGNORECASE)
_ONE_EQUALS = re.compile(r"(?<![=!<>~])=(?![=~])")
_OPERATOR_FIRST, _OPERATOR_LAST = re.compile(r"\s*([*/%^=!<>,])"), re.compile(r"([-+*/%^=!<>,])\s*$")
#: VictoriaMetrics' templates, whose assignments have a single equals sign.
_WITH = re.compile(r"\bwith\s*\(", re.IGNORECASE)
_TYPOGRAPHIC = "\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e"


def fault_in(expression: str) -> str:
    """What is wrong, to follow the key's name, and what to do; "" if nothing can be told."""
    if not _without_texts(expression).strip():
        return "must not be empty"
    return next(_faults(expression), "")


def _faults(expression: str) -> Iterator[str]:
    yield from _open_text(expression)
    code = _without_texts(expression)
    yield from _strange_characters(code)
    yield from _brackets(code)
    yield from _ranges(code)
    yield from _operators(code)


def _open_text(expression: str) -> Iterator[str]:
    start = _scan(expression)[1]
    if start is not None:
        yield f"is not PromQL: the quote at character {start + 1} is not closed"


def _without_texts(expression: str) -> str:
    """The expression with every text as "" and every comment as spaces, of the same length."""
    return _scan(expression)[0]


def _scan(expression: str) -> tuple[str, int | None]:
    """The same without texts and comments, and where a text begins that does not end."""
    code, at = list(expression), 0
    while at < len(expression):
        begin, quote = at, expression[at]
        at += 1
        if quote == "#":
            at = len(expression[:at] + expression[at:].partition("\n")[0])
            code[begin:at] = " " * (at - begin)
        elif quote in "\"'`":
            end = _end_of_text(expression, at, quote)
            if end is None:
                return "".join(code[:begin]), begin
            code[begin:end] = ['"'] * (end - begin)
            at = end
    return "".join(code), None


def _end_of_text(expression: str, at: int, quote: str) -> int | None:
    """The position after the closing quote. Only the text between backticks may have several lines."""
    while at < len(expression):
        one = expression[at]
        if one == quote:
            return at + 1
        if one == "\n" and quote != "`":
            return None
        at += 2 if one == "\\" and quote != "`" else 1
    return None


def _strange_characters(code: str) -> Iterator[str]:
    for at, one in enumerate(code, 1):
        if one in _TYPOGRAPHIC:
            yield f'is not PromQL: it has a typographic quote at character {at}; write " instead'
    if (at := code.find("{{")) >= 0:
        yield f"is not PromQL: it has a template {{{{ }}}} at character {at + 1}; write the value itself"
    if (at := code.find("$")) >= 0:
        yield f"is not PromQL: it has a variable ($) at character {at + 1}, as in Grafana; write the value itself"
    for sign, word in (("&&", "and"), ("||", "or")):
        if (at := code.find(sign)) >= 0:
            yield f"is not PromQL: {sign} at character {at + 1} is written {word} there"


def _brackets(code: str) -> Iterator[str]:
    opened: list[tuple[str, int]] = []
    for at, one in enumerate(code, 1):
        if one in _CLOSES:
            if opened and opened[-1][0] == "{":
                yield f"is not PromQL: there is a {one} at character {at}, inside of {{}}"
            opened.append((one, at))
        elif one in _CLOSES.values():
            if not opened:
                yield f"is not PromQL: the {one} at character {at} closes nothing"
                return
            bracket, where = opened.pop()
            if _CLOSES[bracket] != one:
                yield f"is not PromQL: the {bracket} at character {where} is closed by a {one} at character {at}"
                return
    for bracket, where in opened:
        yield f"is not PromQL: the {bracket} at character {where} is not closed"


def _ranges(code: str) -> Iterator[str]:
    """The durations between brackets; the brackets are known to match."""
    for found in re.finditer(r"\[([^\]]*)\]", code):
        at = found.start() + 1
        if not found[1].strip():
            yield f"is not PromQL: the range [] at character {at} is empty; write a duration, such as [5m]"
        for number in _NUMBER_WITH_UNIT.findall(found[1]):
            if not (_DURATION.fullmatch(number) or _PLAIN_NUMBER.fullmatch(number)):
                yield f"is not PromQL: the range at character {at} is no duration; write one such as [5m], [1h30m]"


def _operators(code: str) -> Iterator[str]:
    begins, ends = _OPERATOR_FIRST.match(code), _OPERATOR_LAST.search(code)
    if begins:
        yield f"is not PromQL: it begins with {begins[1]}, and nothing is before it"
    if ends:
        yield f"is not PromQL: it ends with {ends[1]}, and nothing follows"
    outside = re.sub(r"\{[^}]*\}", lambda found: " " * len(found[0]), code)
    single = _ONE_EQUALS.search(outside)
    if single and not _WITH.search(code):
        yield f"is not PromQL: the = at character {single.start() + 1} compares nothing; write == there"
