"""What is told of a PromQL expression without its engine is certain: nothing valid is refused."""

from __future__ import annotations

import pytest

from bot.lib.promql import fault_in

VALID = [
    "up",
    "-up",
    'up{job="a"} == 1',
    'sum(rate(http_requests_total{service="api",code=~"5.."}[2m])) / sum(rate(x[2m])) < bool 0.02',
    "avg_over_time(up[5m:1m])",
    "max_over_time((x)[1h30m:30s] offset -5m) @ 1609746000",
    '{"http.requests", "service.name"="a}b"}',
    "x[300] > 1e5",
    "x[5m * 2] or x[0x10] or x[1.5h] or x[step()]",
    'a # a comment (with a bracket, and "a quote\n + b',
    'label_replace(up, "a", "$1-{{x}}", "b", "(.*)")',
    "x{a='\\'('} + x{a=`\\`} + x{a=`two\nlines`}",
    'WITH (f = {a="b"}) x{f}',
    "rate(x[5i]) != 0 unless on(a) b",
    'x{a!~"b|c", d!="e"} >= 1',
    "время > 1",
]

FAULTY = {
    "sum(up": "the ( at character 4 is not closed",
    "up)": "the ) at character 3 closes nothing",
    "(a]": "the ( at character 1 is closed by a ] at character 3",
    "rate(x[5m)": "the [ at character 7 is closed by a ) at character 10",
    'up{job="a"': "the { at character 3 is not closed",
    'up{job="a}': "the quote at character 8 is not closed",
    "up{job='a\n'}": "the quote at character 8 is not closed",
    'x{a={b="c"}}': "there is a { at character 5, inside of {}",
    "rate(x[])": "the range [] at character 7 is empty",
    "rate(x[5min])": "the range at character 7 is no duration",
    "rate(x[$__rate_interval])": "it has a variable ($) at character 8",
    "up > {{ $value }}": "it has a template {{ }} at character 6",
    "a && b": "&& at character 3 is written and there",
    "a || b": "|| at character 3 is written or there",
    "up = 1": "the = at character 4 compares nothing; write ==",
    "up ==": "it ends with =",
    "== up": "it begins with =",
    "x{a=\u201cb\u201d}": "it has a typographic quote at character 5",
    "# up": "must not be empty",
    "  ": "must not be empty",
}


@pytest.mark.parametrize("expression", VALID)
def test_a_valid_expression_has_no_fault(expression: str) -> None:
    assert fault_in(expression) == ""


@pytest.mark.parametrize(("expression", "said"), FAULTY.items())
def test_a_fault_is_told_with_its_character(expression: str, said: str) -> None:
    assert said in fault_in(expression)


def test_a_long_expression_is_read_in_linear_time() -> None:
    assert fault_in("(" * 50_000 + "up" + ")" * 50_000) == ""
    assert fault_in("[" * 20_000) != ""
