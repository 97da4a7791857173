"""A settings file becomes one frozen value, or all its faults are listed at once, with their lines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.config.faults import InvalidSettings, SettingsFault
from bot.config.settings import Settings, load_settings, read_settings
from bot.core.alert import Severity


def loaded(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "vakhta.yaml"
    path.write_text(text)
    return load_settings(path, environ or {})


def faults_of(tmp_path: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> tuple[SettingsFault, ...]:
    path = tmp_path / "vakhta.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidSettings) as caught:
        load_settings(path, environ or {})
    return caught.value.faults


def told(faults: tuple[SettingsFault, ...]) -> list[tuple[int, int, str]]:
    return [(fault.line, fault.column, fault.key) for fault in faults]


def test_an_empty_file_is_a_console_on_loopback_for_the_local_operator(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "# nothing yet\n")

    assert settings.server.listen == "127.0.0.1:8080"
    assert settings.server.loopback
    assert settings.store.url.get_secret_value() == f"sqlite:///{tmp_path}/var/vakhta.db"
    assert settings.channels.console.enabled
    assert settings.local_operator
    assert settings.sources.alertmanager is None
    assert settings.incidents.reopen_within == timedelta(hours=1)


def test_a_section_without_a_value_is_absent(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "server:\npeople:\nchannels:\n  slack:\n  console:\n")

    assert settings == loaded(tmp_path, "")
    assert settings.model_copy(update={"store": Settings().store}) == Settings()


def test_with_people_listed_there_is_no_local_operator(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "people: [{id: ana, slack: U1, telegram: 1001, pagerduty: P1}]")

    assert not settings.local_operator
    assert settings.people[0].telegram == 1001


def test_the_severity_map_adds_to_the_usual_values(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "sources: {alertmanager: {tokens: [abc], severity: {P1: critical, warning: info}}}")

    assert settings.sources.alertmanager is not None
    assert settings.sources.alertmanager.severity["p1"] is Severity.CRITICAL
    assert settings.sources.alertmanager.severity["warning"] is Severity.INFO
    assert settings.sources.alertmanager.severity["page"] is Severity.CRITICAL


def test_the_public_address_follows_the_port_that_is_listened_on(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "server: {listen: '[::1]:9000'}")

    assert settings.server.public_url == "http://[::1]:9000"
    assert (settings.server.host, settings.server.port) == ("::1", 9000)


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")

    with pytest.raises(ValidationError):
        settings.server.listen = "0.0.0.0:1"  # type: ignore[misc]


def test_no_repr_and_no_fault_shows_a_secret(tmp_path: Path) -> None:
    environ = {"KEY": "planted-secret", "URL": "mysql://u:planted-secret@h/x", "CHAT": "planted-secret"}
    pager = "{routing_key: '${env:LONG}', webhook_secrets: [planted-secret]}"
    good = loaded(tmp_path, f"channels: {{pagerduty: {pager}}}", {"LONG": "plantedsecret".ljust(32, "0")})

    faults = faults_of(
        tmp_path,
        "store: {url: '${env:URL}'}\nserver: {listen: '${env:KEY}', public_url: '${env:KEY}', drain: '${env:KEY}'}\n"
        "channels: {telegram: {token: '${env:KEY}', chat_id: '${env:CHAT}', mode: '${env:KEY}'}}\n",
        environ,
    )

    assert "planted" not in repr(good) + str(good) + good.model_dump_json()
    assert "planted-secret" not in "\n".join(map(str, faults))
    assert len(faults) == 7


def test_a_console_that_is_switched_off_lets_the_port_be_open(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "server: {listen: '0.0.0.0:80'}\nchannels: {console: {enabled: false}}")

    assert not settings.server.loopback
    assert not settings.local_operator


def test_an_anchor_may_be_used_again(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "roles: {a: &all {allow: ['ack *']}, b: *all}")

    assert settings.roles["a"] == settings.roles["b"]


def test_the_log_is_told_every_secret_and_the_password_in_the_store(tmp_path: Path) -> None:
    text = (
        "store: {url: 'postgresql+psycopg://u:pass-word@h/x'}\n"
        "sources: {alertmanager: {tokens: [one-token, two-token]}}\n"
        "clusters: {main: {flagger: {tokens: [gate-token]}}}"
    )

    settings = loaded(tmp_path, text)

    assert settings.confidential >= {"pass-word", "one-token", "two-token", "gate-token"}
    assert "" not in settings.confidential


def test_a_secret_in_plain_sight_is_a_warning_and_a_referenced_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "vakhta.yaml"
    path.write_text("sources: {alertmanager: {tokens: ['${env:T}', in-the-file]}}\nstore: {url: 'sqlite:///x'}")

    _, warnings = read_settings(path, {"T": "from-outside"})

    assert told(warnings) == [(1, 47, "sources.alertmanager.tokens[1]")]
    assert "in-the-file" not in str(warnings[0])


def test_the_real_environment_is_read_only_through_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAKHTA_API_TOKEN", "from-the-environment")

    assert loaded(tmp_path, "", os.environ).server.api_token is None
    token = loaded(tmp_path, "server: {api_token: '${env:VAKHTA_API_TOKEN}'}", os.environ).server.api_token

    assert token is not None
    assert token.get_secret_value() == "from-the-environment"


_ON_POSTGRES = "store: {url: postgresql+psycopg://vakhta@db/vakhta}\n"


def warned(folder: Path, text: str) -> list[str]:
    path = folder / "vakhta.yaml"
    path.write_text(text)
    return [f"{one.key}: {one.message}" for one in read_settings(path, {"K": f"{'A' * 43}="})[1]]


def test_an_audit_log_on_postgresql_that_nobody_signs_is_a_warning(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, _ON_POSTGRES)

    assert warning.startswith("audit.key: is missing, so the audit log is not signed; make one with `openssl")
    assert warned(tmp_path, _ON_POSTGRES + "audit: {key: '${env:K}'}") == []
    assert warned(tmp_path, "audit: {stdout: true}") == []


_GLASS = """
security: {contact: ana}
roles: {rescue: {break_glass: true, allow: ["*"]}}
people:
  - {id: ana, name: Ana, roles: [responder]}
"""


@pytest.mark.parametrize("other", ["responder", "viewer"])
def test_glass_that_nobody_could_review_is_a_warning(tmp_path: Path, other: str) -> None:
    (warning,) = warned(tmp_path, f"{_GLASS}  - {{id: bo, name: Bo, roles: [{other}]}}\n")

    assert warning.startswith("roles.rescue.break_glass: ana")
    assert "could use break-glass once and never again: nobody else may review it" in warning


def test_glass_that_another_may_review_is_none(tmp_path: Path) -> None:
    assert warned(tmp_path, f"{_GLASS}  - {{id: bo, name: Bo, roles: [approver]}}\n") == []


def test_whoever_alone_may_review_had_better_not_break_it(tmp_path: Path) -> None:
    (warning,) = warned(tmp_path, f"{_GLASS}  - {{id: bo, name: Bo, roles: [admin]}}\n")

    assert warning.startswith("roles.rescue.break_glass: bo could use break-glass once")
