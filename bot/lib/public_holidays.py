"""The dates of public holidays, by country: data of the package `holidays`, which the first question loads."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from importlib import import_module
from typing import Any


def calendar_fault(calendar: str) -> str:
    """What is wrong with the name of a calendar, such as DE or DE-BE; "" if there is one."""
    try:
        _dates(calendar, 2026)
    except NotImplementedError:
        return "is no calendar of public holidays; write a country's code, with its part after a dash: DE, DE-BE, US-NY"
    return ""


def holidays_of(calendar: str, year: int) -> frozenset[date]:
    """The public holidays of that year.

    Raises:
        NotImplementedError: there is no such calendar.
    """
    return _dates(calendar, year)


@lru_cache(maxsize=256)
def _dates(calendar: str, year: int) -> frozenset[date]:
    package: Any = import_module("holidays")
    country, dash, part = calendar.partition("-")
    if dash and not part:
        raise NotImplementedError(calendar)
    return frozenset(package.country_holidays(country, subdiv=part or None, years=year, expand=False))
