"""The API of stores: what could be restored now, the worst first, from the bot's own rows alone."""

from __future__ import annotations

from pathlib import Path

from tests.web.stores import shown_stores
from tests.web.web_house import WebHouse


def test_stores_come_the_worst_first_with_what_speaks_against_them_and_their_drills(tmp_path: Path) -> None:
    with WebHouse(tmp_path, backups=shown_stores) as house:
        stores = house.http.get("/api/stores").json()["stores"]

    assert [one["verdict"] for one in stores] == ["red", "unknown", "ok"]
    red, unknown, well = stores
    assert "rpo" in {found["fault"] for found in red["findings"]}
    assert red["newest"]["problem"] == "its archive ends early"
    assert (unknown["known"], unknown["problem"]) == (False, "PostgreSQL at db-1 did not answer within 5 s.")
    assert well["usable"]["size_bytes"] == 12_345_678_901
    assert [one["rto_s"] for one in well["drills"][:2]] == [1200, 2400], "the newest first"
    assert (well["rpo_s"], well["rto_s"]) == (3600, 14400)


def test_without_stores_the_list_is_empty(tmp_path: Path) -> None:
    with WebHouse(tmp_path) as house:
        assert house.http.get("/api/stores").json() == {"stores": []}
