"""Relative paths in the settings start from the settings file, and a file of an earlier version is not passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.config.faults import InvalidSettings
from bot.config.settings import Settings, load_settings, read_settings

_EVERY = """
store: {url: 'sqlite:///data/vakhta.db?mode=rwc'}
audit: {anchors: {file: ../anchors}}
clusters:
  main: {kubeconfig: 'kube/config', helm: bin/helm}
  other: {helm: helm}
  two: {kubeconfig: 'a:/b'}
  own: {kubeconfig: '~/.kube/config'}
"""


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the settings file; the working folder is another one."""
    conf, work = tmp_path / "etc" / "conf", tmp_path / "work"
    conf.mkdir(parents=True)
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", "/home/ana")
    return conf


def written(conf: Path, text: str) -> Path:
    path = conf / "vakhta.yaml"
    path.write_text(text)
    return path


def read(conf: Path, text: str) -> Settings:
    return load_settings(written(conf, text), {})


def faults_of(path: Path) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(path, {})
    return [str(fault) for fault in caught.value.faults]


def test_every_relative_path_starts_from_the_settings_file(conf: Path) -> None:
    settings = read(conf, _EVERY)

    clusters = settings.clusters
    assert settings.store.url.get_secret_value() == f"sqlite:///{conf}/data/vakhta.db?mode=rwc"
    assert settings.store.file == conf / "data" / "vakhta.db"
    assert settings.audit.anchors.file == str(conf.parent / "anchors")
    assert (clusters["main"].kubeconfig, clusters["main"].helm) == (f"{conf}/kube/config", f"{conf}/bin/helm")
    assert (clusters["other"].kubeconfig, clusters["other"].helm) == ("in-cluster", "helm")
    assert clusters["two"].kubeconfig == f"{conf}/a:/b"
    assert clusters["own"].kubeconfig == "/home/ana/.kube/config"


def test_a_settings_file_that_is_named_relative_gives_the_same(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(conf, _EVERY)
    monkeypatch.chdir(conf.parent)

    assert load_settings(Path("conf/vakhta.yaml"), {}) == load_settings(path, {})


def test_a_path_behind_a_reference_is_resolved_too(conf: Path) -> None:
    path = written(conf, "store: {url: '${env:STORE}'}")

    assert load_settings(path, {"STORE": "sqlite:///x.db"}).store.file == conf / "x.db"


@pytest.mark.parametrize("url", ["sqlite:////var/lib/x.db", "postgresql+psycopg://u:p@db/vakhta"])
def test_what_is_absolute_or_a_server_stays(conf: Path, url: str) -> None:
    assert read(conf, f"store: {{url: '{url}'}}").store.url.get_secret_value() == url


def test_no_setting_at_all_puts_the_database_beside_the_file(conf: Path) -> None:
    assert read(conf, "").store.file == conf / "var" / "vakhta.db"


def test_a_mounted_file_that_is_a_link_is_not_followed(conf: Path, tmp_path: Path) -> None:
    real = tmp_path / "..data"
    real.mkdir()
    written(real, "store: {url: 'sqlite:///x.db'}")
    (conf / "vakhta.yaml").symlink_to(real / "vakhta.yaml")

    assert load_settings(conf / "vakhta.yaml", {}).store.file == conf / "x.db"


def test_the_project_s_own_settings_use_the_folder_at_its_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    top = Path(__file__).parents[2]

    assert load_settings(top / "deploy" / "config" / "local.yaml", {}).store.file == top / "var" / "vakhta.db"


def left(name: str) -> Path:
    """A file that an earlier version left in the working folder."""
    path = Path.cwd() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("of an earlier version")
    return path


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("", "var/vakhta.db", "1:1 store.url"),
        ("store: {url: 'sqlite:///x.db'}", "x.db", "1:14 store.url"),
        ("audit: {anchors: {file: anchors}}", "anchors", "1:25 audit.anchors.file"),
        ("clusters: {main: {kubeconfig: kube/config}}", "kube/config", "1:31 clusters.main.kubeconfig"),
    ],
)
def test_a_file_that_only_an_earlier_version_would_find_is_a_fault_that_names_both(
    conf: Path, text: str, name: str, place: str
) -> None:
    path, old = written(conf, text), left(name)

    (fault,) = faults_of(path)

    assert fault.startswith(
        f"{path}:{place}: is relative to this file and leads to {conf / name}, which does not exist"
    )
    assert f"there is {old}; to go on with that one, write its absolute path here, or move it" in fault
    assert list(conf.iterdir()) == [path]


def test_where_both_are_there_the_settings_file_s_is_used_and_the_other_is_told(conf: Path) -> None:
    path, old = written(conf, "store: {url: 'sqlite:///x.db'}"), left("x.db")
    (conf / "x.db").write_text("of this version")

    settings, (warning,) = read_settings(path, {})

    assert settings.store.file == conf / "x.db"
    assert f"leads to {conf / 'x.db'}; there is also {old}" in str(warning)


def test_in_the_folder_of_the_settings_file_nothing_changes(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(conf, "")
    monkeypatch.chdir(conf)
    left("var/vakhta.db")

    settings, warnings = read_settings(path, {})

    assert settings.store.file == conf / "var" / "vakhta.db"
    assert warnings == ()


def test_a_working_folder_that_is_gone_harms_nothing(conf: Path) -> None:
    path = written(conf, "")
    os.rmdir(Path.cwd())  # noqa: PTH106 - there is no Path method that takes it away from under itself

    assert load_settings(path, {}).store.file == conf / "var" / "vakhta.db"
