"""`vakhta dr export`: the plan for a disaster, on paper, with or without the bot's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.__main__ import main

_STORES = """
backups:
  stores:
    - name: prod/orders-db
      engine: postgres
      rpo: 1h
      rto: 4h
      where: {database: orders, url: "postgresql://vakhta:planted-password@db/postgres", folder: /backups/orders}
      drill: {every: 7d}
"""


def written(tmp_path: Path, more: str = "") -> str:
    file = tmp_path / "vakhta.yaml"
    file.write_text(f"store: {{url: 'sqlite:///{tmp_path}/v.db'}}\n{_STORES}{more}")
    return str(file)


def test_it_is_printed_without_a_database_and_without_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dr", "export", "-", "--config", written(tmp_path)]) == 0

    out = capsys.readouterr().out
    assert out.startswith("# Disaster recovery\n")
    assert "Nothing is known of the stores: There is no database" in out
    assert "createdb -h HOST -U USER orders_restore" in out
    assert f"rm -f {tmp_path}/v.db-wal" in out
    assert "planted" not in out
    assert not (tmp_path / "v.db").exists()


def test_it_is_written_to_a_folder_and_to_the_places_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(tmp_path, f"  dr: {{folder: {tmp_path}/plans}}\n")

    assert main(["dr", "export", str(tmp_path / "here"), "--config", config]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/here/disaster-recovery.md\n"
    assert main(["dr", "export", "--config", config]) == 0
    first, dated = capsys.readouterr().out.splitlines()
    assert Path(first).read_text() == Path(dated).read_text()
    assert first == f"{tmp_path}/plans/disaster-recovery.md"


def test_without_a_place_it_says_where_to_name_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dr", "export", "--config", written(tmp_path)]) == 1

    assert "The settings do not say where to write it. Nothing was written." in capsys.readouterr().err
