"""A settings file that an earlier version read without a fault is read without a fault, and means the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.__main__ import main
from bot.config.settings import load_settings
from tests import before
from tests.cluster.world import kubeconfig


def test_it_has_no_fault_for_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, environ = before.settings_in(tmp_path)
    (tmp_path / "clusters").mkdir()
    kubeconfig("https://main.example.com", tmp_path).rename(tmp_path / "clusters" / "main.yaml")
    monkeypatch.chdir(tmp_path)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    code = main(["check", "--config", str(path)])

    told = capsys.readouterr()
    assert code == 0, told.err
    assert told.out.startswith(f"{path} has no fault.")


def test_each_of_its_keys_is_read_as_it_was(tmp_path: Path) -> None:
    path, environ = before.settings_in(tmp_path)

    then, now = before.settings_then(), before.read_of(load_settings(path, environ))

    # That version took this path from the working folder; which was the settings file's, where it was there at all.
    then["clusters"]["main"]["kubeconfig"] = str(tmp_path / then["clusters"]["main"]["kubeconfig"])
    assert len(then) == 14
    assert before.only(now, then) == then
