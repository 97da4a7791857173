"""`incidents`: the list in a chat is cut, and what is cut is never the worst."""

from __future__ import annotations

from tests.house import House, alert


def test_an_old_critical_one_is_not_hidden_by_newer_warnings(house: House) -> None:
    house.hears(alert("OldCritical", group="old", fingerprint="old"))
    for number in range(25):
        house.hears(alert(f"Warning{number}", group=f"g{number}", fingerprint=f"f{number}", severity="warning"))

    lines = house.says("incidents").text.splitlines()

    assert lines[0] == "#1 critical open: OldCritical (1 firing)"
    assert lines[1].startswith("#2 warning open: Warning0")
    assert (len(lines), lines[-1]) == (21, "... and more; the board lists all.")
