"""What the page about operating shows of rotas can be loaded, and gives what the page says."""

from __future__ import annotations

from pathlib import Path

from bot.config.rota_building import build_rotas
from bot.config.settings import read_settings
from bot.oncall.duties import Duties, OnCallFor
from bot.oncall.rendering import render
from tests.config.test_rotas import NOW
from tests.docs.papers import OPERATING, fences, section
from tests.oncall.written import told, utc

_EXAMPLE, _CHANGE = fences(section(OPERATING, "On call"), "yaml")


def test_the_example_of_the_page_loads_and_warns_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vakhta.yaml"
    path.write_text(_EXAMPLE)

    settings, warnings = read_settings(path, {}, now=NOW)
    duties = Duties({"orders": OnCallFor(rotas=("orders-primary",))}, build_rotas(settings.rotas), lambda: NOW)

    assert warnings == ()
    days = duties.shifts("orders-primary", utc("2026-12-04 16:00"), utc("2026-12-09 08:00"))
    assert told(days) == [
        "12-04 16:00 - 12-07 08:00 boris",
        "12-07 08:00 - 12-07 16:00 chen",
        "12-07 16:00 - 12-08 08:00 chen+dora",
        "12-08 08:00 - 12-08 16:00 dora",
        "12-08 16:00 - 12-09 08:00 chen+dora",
    ]
    assert told(duties.shifts("orders-primary", utc("2026-12-25"), utc("2026-12-26"))) == [
        "12-25 00:00 - 12-25 11:00 boris",
        "12-25 11:00 - 12-26 00:00 chen",
    ]


def test_the_change_of_members_of_the_page_leaves_no_gap_and_the_past_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "vakhta.yaml"
    path.write_text(_CHANGE)

    settings, warnings = read_settings(path, {}, now=utc("2027-02-15"))

    assert warnings == ()
    found = render(build_rotas(settings.rotas)["orders-primary"], utc("2027-02-16"), utc("2027-03-16"))
    assert told(found) == [
        "02-16 00:00 - 02-22 09:00 boris",
        "02-22 09:00 - 03-01 09:00 ana",
        "03-01 09:00 - 03-08 09:00 boris",
        "03-08 09:00 - 03-15 09:00 chen",
        "03-15 09:00 - 03-16 00:00 ana",
    ]
