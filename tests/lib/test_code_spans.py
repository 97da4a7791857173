"""Code spans in messages: found in any text, without loss, and quoted where there is no mark-up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lib.code_spans import code_spans, has_code, quoted

texts = st.text(alphabet="ab `\n\"'", max_size=60)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Nothing was done.", [("Nothing was done.", False)]),
        ("`runs` lists them.", [("runs", True), (" lists them.", False)]),
        ("Say `ack 42`", [("Say ", False), ("ack 42", True)]),
        ("`yes`/`no`", [("yes", True), ("/", False), ("no", True)]),
        ("one ` alone", [("one ` alone", False)]),
        ("`over two\nlines`", [("`over two\nlines`", False)]),
        ("``` a ``` and ``", [("``` a ``` and ``", False)]),
        ("` `<`<`", [(" ", True), ("<", False), ("<", True)]),
    ],
)
def test_a_span_is_one_pair_of_backticks_on_one_line(text: str, pieces: list[tuple[str, bool]]) -> None:
    assert list(code_spans(text)) == pieces
    assert has_code(text) == any(is_code for _, is_code in pieces)


@given(texts)
def test_nothing_is_lost_and_nothing_added(text: str) -> None:
    whole = "".join(f"`{piece}`" if is_code else piece for piece, is_code in code_spans(text))

    assert whole == text
    assert len(quoted(text)) == len(text)
    assert not has_code(quoted(text))


def test_a_quoted_span_with_quotes_in_it_is_in_the_other_ones() -> None:
    assert quoted('Say `page "the api"` or `ack 42`.') == 'Say \'page "the api"\' or "ack 42".'
