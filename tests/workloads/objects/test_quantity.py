"""Quantities are parsed exactly, whatever their unit, and formatted so that people can compare them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bot.workloads.objects.quantity import format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("0", 0),
        ("3", 3),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("250m", Fraction(1, 4)),
        ("100n", Fraction(1, 10**7)),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 1536 * 1024**2),
        ("2M", 2_000_000),
        ("1e3", 1000),
        ("12E2", 1200),
        ("1E", 10**18),
        ("123e-1", Fraction(123, 10)),
        (4, 4),
    ],
)
def test_a_quantity_is_read_in_every_form(said: object, amount: Fraction | int) -> None:
    assert parse_quantity(said) == amount


@pytest.mark.parametrize("said", ["", "x", "1 Gi", "1gi", "Gi", "1Gi2", "--1", None])
def test_what_is_no_quantity_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(said)


@pytest.mark.parametrize("said", ["250m", "4", "1Gi", "1536Mi", "0", "1Ki", "1000"])
def test_what_was_read_is_written_as_it_was(said: str) -> None:
    assert format_quantity(parse_quantity(said)) == said
