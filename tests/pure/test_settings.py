"""A settings file becomes one frozen value, or every fault of it is told at once with its line."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.faults import Fault, Faulty
from bot.model import Severity
from bot.settings import Settings, load, read


def loaded(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "vakhta.yaml"
    path.write_text(text)
    return load(path, environ or {})


def faults_of(tmp_path: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> tuple[Fault, ...]:
    path = tmp_path / "vakhta.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Faulty) as caught:
        load(path, environ or {})
    return caught.value.faults


def told(faults: tuple[Fault, ...]) -> list[tuple[int, int, str]]:
    return [(fault.line, fault.column, fault.key) for fault in faults]


def test_an_empty_file_is_a_console_on_loopback_for_the_local_operator(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "# nothing yet\n")

    assert settings.server.listen == "127.0.0.1:8080"
    assert settings.server.loopback
    assert settings.store.url.get_secret_value() == "sqlite:///var/vakhta.db"
    assert settings.channels.console.enabled
    assert settings.local_operator
    assert settings.sources.alertmanager is None
    assert settings.incidents.reopen_within == timedelta(hours=1)


def test_a_section_without_a_value_is_absent(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "server:\npeople:\nchannels:\n  slack:\n  console:\n")

    assert settings == Settings()


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
    good = loaded(
        tmp_path, "channels: {pagerduty: {routing_key: '${env:KEY}', webhook_secrets: [planted-secret]}}", environ
    )

    faults = faults_of(
        tmp_path,
        "store: {url: '${env:URL}'}\nserver: {listen: '${env:KEY}', public_url: '${env:KEY}', drain: '${env:KEY}'}\n"
        "channels: {telegram: {token: '${env:KEY}', chat_id: '${env:CHAT}', mode: '${env:KEY}'}}\n",
        environ,
    )

    assert "planted-secret" not in repr(good) + str(good) + good.model_dump_json()
    assert "planted-secret" not in "\n".join(map(str, faults))
    assert len(faults) == 6


def test_all_faults_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = (
        "channels:\n"
        "  slakc: {}\n"
        "  pagerduty: {}\n"
        "server:\n"
        "  listen: nowhere\n"
        "  public_url: ftp://x\n"
        "store: {url: mysql://x}\n"
        "people: [{id: ana, slack: 5}, {id: ana}, {name: X}]\n"
        "sources: {alertmanager: {tokens: []}}\n"
    )

    faults = faults_of(tmp_path, text)

    assert told(faults) == [
        (2, 3, "channels.slakc"),
        (3, 3, "channels.pagerduty.routing_key"),
        (5, 11, "server.listen"),
        (6, 15, "server.public_url"),
        (7, 14, "store.url"),
        (8, 27, "people[0].slack"),
        (8, 36, "people[1].id"),
        (8, 42, "people[2].id"),
        (9, 34, "sources.alertmanager.tokens"),
    ]


CASES = {
    "unknown key": ("server: {listn: x}", (1, 10, "server.listn"), "did you mean 'listen'?"),
    "unknown section": ("servr: {}", (1, 1, "servr"), "did you mean 'server'?"),
    "unknown key in a list": ("people:\n  - {id: a, slck: U1}", (2, 13, "people[0].slck"), "did you mean 'slack'?"),
    "unknown key in a map": ("roles: {r: {alow: []}}", (1, 13, "roles.r.alow"), "did you mean 'allow'?"),
    "far from any key": ("zzz: 1", (1, 1, "zzz"), "use one of: channels, clusters, "),
    "duplicate key": ("server: {}\nstore: {}\nserver: {}", (3, 1, "server"), "is here twice, first on line 1"),
    "python object": ("store: !!python/object/apply:os.system [x]", (1, 8, "store"), "tags are never obeyed"),
    "own tag": ("store: {url: !secret x}", (1, 14, "store.url"), "tags are never obeyed"),
    "binary tag": ("store: {url: !!binary eA==}", (1, 14, "store.url"), "tags are never obeyed"),
    "root is a list": ("- a", (1, 1, ""), "must be keys and values"),
    "not yaml": ("store: {}\nserver: {}}", (2, 11, ""), "is not YAML here"),
    "undefined alias": ("server: *no", (1, 9, ""), "is not YAML here"),
    "two documents": ("server: {}\n---\nstore: {}", (2, 1, ""), "is not YAML here"),
    "listen": ("server: {listen: 8080}", (1, 18, "server.listen"), "must be text"),
    "listen without a port": ("server: {listen: localhost}", (1, 18, "server.listen"), "must be host:port"),
    "listen port": ("server: {listen: '127.0.0.1:99999'}", (1, 18, "server.listen"), "must be host:port"),
    "public_url": ("server: {public_url: 'javascript:x'}", (1, 22, "server.public_url"), "http:// or https://"),
    "public_url broken": ("server: {public_url: 'http://[x'}", (1, 22, "server.public_url"), "is not a web address"),
    "number": (
        "sources: {alertmanager: {tokens: [a], max_body: big}}",
        (1, 49, "sources.alertmanager.max_body"),
        "whole",
    ),
    "minutes": ("incidents: {late_copy: -1}", (1, 24, "incidents.late_copy"), "0 to 43200"),
    "minutes without end": ("incidents: {late_copy: 99999999999999}", (1, 24, "incidents.late_copy"), "0 to 43200"),
    "boolean": ("channels: {console: {enabled: 7}}", (1, 31, "channels.console.enabled"), "must be true or false"),
    "choice": (
        "sources: {alertmanager: {tokens: [a], severity: {x: bad}}}",
        (1, 53, "sources.alertmanager.severity.x"),
        "must be one of 'critical'",
    ),
    "list for a map": ("roles: []", (1, 8, "roles"), "must be keys and values"),
    "map for a list": ("people: {id: ana}", (1, 9, "people"), "must be a list"),
    "text for a section": ("server: here", (1, 9, "server"), "must be keys and values"),
    "empty secret": (
        "sources: {alertmanager: {tokens: ['']}}",
        (1, 35, "sources.alertmanager.tokens[0]"),
        "not be empty",
    ),
    "permission": ("roles: {r: {allow: [scale]}}", (1, 21, "roles.r.allow[0]"), '"<verb> <target glob>"'),
    "person twice": ("people: [{id: a}, {id: a}]", (1, 24, "people[1].id"), "is also the id of people[0]"),
    "account of two": (
        "people: [{id: a, telegram: 5}, {id: b, telegram: 5}]",
        (1, 50, "people[1].telegram"),
        "is also the telegram of people[0]",
    ),
    "person called slack": ("people: [{id: slack}]", (1, 15, "people[0].id"), "uses for a machine"),
    "role": (
        "people: [{id: a, roles: [respondr]}]\nroles: {responder: {}}",
        (1, 26, "people[0].roles[0]"),
        "did you mean 'responder'?",
    ),
    "cluster": (
        "services: [{name: a, match: {a: b}, cluster: mian}]\nclusters: {main: {}}",
        (1, 46, "services[0].cluster"),
        "did you mean 'main'?",
    ),
    "service twice": (
        "services: [{name: a, match: {a: b}}, {name: a, match: {a: c}}]",
        (1, 45, "services[1].name"),
        "is also the name of services[0]",
    ),
    "replicas": (
        "services: [{name: a, match: {a: b}, replicas: {min: 3, max: 2}}]",
        (1, 47, "services[0].replicas"),
        "min is above max",
    ),
    "open console": ("server: {listen: '0.0.0.0:80'}", (1, 18, "server.listen"), "the console is loopback only"),
    "open console by name": ("server: {listen: 'example.com:80'}", (1, 18, "server.listen"), "console is loopback"),
    "socket without its token": (
        "channels: {slack: {bot_token: x, team_id: T1, channel: C1}}",
        (1, 12, "channels.slack.app_token"),
        "mode socket needs it",
    ),
    "webhook without its secret": (
        "channels: {telegram: {token: x, chat_id: 1, mode: webhook}}",
        (1, 12, "channels.telegram.secret_token"),
        "mode webhook needs it",
    ),
    "reference inside text": (
        "server: {public_url: 'http://${env:HOST}'}",
        (1, 22, "server.public_url"),
        "whole value",
    ),
    "unknown provider": (
        "server: {api_token: '${gcp:x}'}",
        (1, 21, "server.api_token"),
        "use env, file, aws-sm or vault",
    ),
    "environment": (
        "server: {api_token: '${env:NOPE}'}",
        (1, 21, "server.api_token"),
        "variable NOPE, which is not set",
    ),
    "key of a map that is a list": ("server: {[a]: b}", (1, 10, "server"), "has a key that is not a word"),
}


@pytest.mark.parametrize(("text", "place", "said"), CASES.values(), ids=CASES.keys())
def test_a_fault_is_told_with_its_place_and_what_to_do(
    tmp_path: Path, text: str, place: tuple[int, int, str], said: str
) -> None:
    faults = faults_of(tmp_path, text)

    assert told(faults) == [place]
    assert said in str(faults[0])
    assert str(faults[0]).startswith(f"{tmp_path}/vakhta.yaml:{place[0]}:{place[1]} ")


def test_tabs_are_told_line_by_line(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, "server:\n\tlisten: 127.0.0.1:1\n\tpublic_url: http://x\n")

    assert [fault.line for fault in faults] == [2, 3]
    assert "indented with a tab" in faults[0].said


def test_a_console_that_is_switched_off_lets_the_port_be_open(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "server: {listen: '0.0.0.0:80'}\nchannels: {console: {enabled: false}}")

    assert not settings.server.loopback
    assert not settings.local_operator


def test_an_anchor_may_be_used_again(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "roles: {a: &all {allow: ['ack *']}, b: *all}")

    assert settings.roles["a"] == settings.roles["b"]


BOMBS = {
    "nested aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(f"{b}: &{b} [{', '.join(['*' + a] * 8)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "few aliases, wide": "a: &a [" + "x, " * 9000 + "x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]",
    "itself": "a: &a [*a]",
    "deep": "a: " + "[" * 100_000,
    "many values": "a: [" + "1," * 300_000 + "1]",
    "ten megabytes": "a: " + "x" * 10_000_000,
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_file_made_to_exhaust_is_refused_quickly(tmp_path: Path, text: str) -> None:
    begun = time.perf_counter()

    faults = faults_of(tmp_path, text)

    assert len(faults) == 1
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("text", [b"\xff\xfea", b"a: \xff", b"a: \x00"])
def test_what_is_not_text_is_refused(tmp_path: Path, text: bytes) -> None:
    faults = faults_of(tmp_path, text)

    assert len(faults) == 1


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(Faulty, match="cannot be read"):
        load(tmp_path / name, {})


def test_the_log_is_told_every_secret_and_the_password_in_the_store(tmp_path: Path) -> None:
    text = (
        "store: {url: 'postgresql+psycopg://u:pass-word@h/x'}\n"
        "sources: {alertmanager: {tokens: [one-token, two-token]}}"
    )

    settings = loaded(tmp_path, text)

    assert settings.confidential >= {"pass-word", "one-token", "two-token"}
    assert "" not in settings.confidential


def test_a_secret_in_plain_sight_is_a_warning_and_a_referenced_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "vakhta.yaml"
    path.write_text("sources: {alertmanager: {tokens: ['${env:T}', in-the-file]}}\nstore: {url: 'sqlite:///x'}")

    _, warnings = read(path, {"T": "from-outside"})

    assert told(warnings) == [(1, 47, "sources.alertmanager.tokens[1]")]
    assert "in-the-file" not in str(warnings[0])


def test_the_real_environment_is_read_only_through_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAKHTA_API_TOKEN", "from-the-environment")

    assert loaded(tmp_path, "", os.environ).server.api_token is None
    token = loaded(tmp_path, "server: {api_token: '${env:VAKHTA_API_TOKEN}'}", os.environ).server.api_token

    assert token is not None
    assert token.get_secret_value() == "from-the-environment"
