"""Every fault of a settings file is listed with its line, its column, its key and what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.config.faults import InvalidSettings, SettingsFault
from bot.config.settings import load_settings


def faults_of(tmp_path: Path, text: str | bytes) -> tuple[SettingsFault, ...]:
    path = tmp_path / "vakhta.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidSettings) as caught:
        load_settings(path, {})
    return caught.value.faults


def told(faults: tuple[SettingsFault, ...]) -> list[tuple[int, int, str]]:
    return [(fault.line, fault.column, fault.key) for fault in faults]


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
    "far from any key": ("zzz: 1", (1, 1, "zzz"), "use one of: audit, backups, channels, "),
    "a topic by its name": (
        "sources: {sns: {topics: [alarms]}}",
        (1, 26, "sources.sns.topics[0]"),
        "must be the ARN of a topic, such as arn:aws:sns:",
    ),
    "a topic that sends to no address": (
        "sources: {sns: {topics: ['arn:aws:sns:eu-central-1:123456789012:alarms.fifo']}}",
        (1, 26, "sources.sns.topics[0]"),
        "is a FIFO topic",
    ),
    "a severity that is none": (
        "sources: {sns: {severity: {'a/*': sev1}}}",
        (1, 35, "sources.sns.severity.a/*"),
        "must be one of 'critical'",
    ),
    "audit key": ("audit: {key: aGk=}", (1, 14, "audit.key"), "must be 32 bytes in base64; make one with"),
    "audit key not base64": ("audit: {key: '!'}", (1, 14, "audit.key"), "must be 32 bytes in base64"),
    "audit public key": (
        "audit: {public_keys: [a+00000000+AX==]}",
        (1, 23, "audit.public_keys[0]"),
        "must be NAME+HASH+KEY",
    ),
    "audit origin": ("audit: {origin: a b}", (1, 17, "audit.origin"), ""),
    "duplicate key": ("server: {}\nstore: {}\nserver: {}", (3, 1, "server"), "appears twice, first on line 1"),
    "python object": ("store: !!python/object/apply:os.system [x]", (1, 8, "store"), "tags are not supported"),
    "own tag": ("store: {url: !secret x}", (1, 14, "store.url"), "tags are not supported"),
    "binary tag": ("store: {url: !!binary eA==}", (1, 14, "store.url"), "tags are not supported"),
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
    "permission": ("roles: {r: {allow: [a b c]}}", (1, 21, "roles.r.allow[0]"), '"<verb> <target glob>"'),
    "permission with keys": ("roles: {r: {deny: [{do: ''}]}}", (1, 20, "roles.r.deny[0]"), '"<verb> <target glob>"'),
    "rule that is a number": ("roles: {r: {allow: [7]}}", (1, 21, "roles.r.allow[0]"), "must be keys and values"),
    "person twice": ("people: [{id: a}, {id: a}]", (1, 24, "people[1].id"), "is also the id of people[0]"),
    "account of two": (
        "people: [{id: a, telegram: 5}, {id: b, telegram: 5}]",
        (1, 50, "people[1].telegram"),
        "is also the telegram of people[0]",
    ),
    "person called slack": ("people: [{id: slack}]", (1, 15, "people[0].id"), "is reserved for the bot"),
    "a user of Kubernetes itself": (
        "people: [{id: a, kubernetes: {user: 'system:admin'}}]",
        (1, 37, "people[0].kubernetes.user"),
        "which no person may be",
    ),
    "a group of Kubernetes' own": (
        "people: [{id: a, kubernetes: {user: a, groups: ['system:masters']}}]",
        (1, 49, "people[0].kubernetes.groups[0]"),
        "name the team's",
    ),
    "a user that is two headers": (
        'people: [{id: a, kubernetes: {user: "a\\r\\nImpersonate-Group: b"}}]',
        (1, 37, "people[0].kubernetes.user"),
        "printable ASCII",
    ),
    "a group without a name": (
        "people: [{id: a, kubernetes: {user: a, groups: ['']}}]",
        (1, 49, "people[0].kubernetes.groups[0]"),
        "printable ASCII",
    ),
    "a token of two Flaggers": (
        "clusters: {a: {flagger: {tokens: [x]}}, b: {flagger: {tokens: [y, x]}}}",
        (1, 67, "clusters.b.flagger.tokens[1]"),
        "each cluster is identified by its own token",
    ),
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
    "chat that is not there": (
        "audit: {anchors: {chat: {channel: slack}}}",
        (1, 35, "audit.anchors.chat.channel"),
        "is not set up; there is no channels.slack",
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
        "channels: {slack: {bot_token: xoxb-1, team_id: T1, channel: C1}}",
        (1, 12, "channels.slack.app_token"),
        "mode socket needs it",
    ),
    "webhook without its secret": (
        "channels: {telegram: {token: '1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', chat_id: -1, mode: webhook, webhook_url: 'https://x'}}",
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
    "unknown zone": (
        "roles: {r: {allow: [{do: ack, when: {during: '09:00-18:00 US/Easternn'}}]}}",
        (1, 38, "roles.r.allow[0].when.during[0]"),
        "did you mean 'US/Eastern'?",
    ),
    "on call and not listed": (
        "people: [{id: ana}]\nservices: [{name: a, match: {a: b}, on_call: [anna]}]",
        (2, 47, "services[0].on_call[0]"),
        "did you mean 'ana'?",
    ),
    "nobody on call": (
        "services: [{name: a, match: {a: b}, on_call: []}]",
        (1, 46, "services[0].on_call"),
        "must not be empty",
    ),
    "freeze that ends before it begins": (
        "freezes: [{name: x, from: 2026-11-27T00:00:00Z, until: 2026-11-26T00:00:00Z, targets: ['*']}]",
        (1, 56, "freezes[0].until"),
        "is not after `from`",
    ),
    "nobody to approve": (
        "people: [{id: a}]\nroles: {responder: {allow: [{do: scale, approvals: 1}]}}",
        (2, 52, "roles.responder.allow[0].approvals"),
        "0 may approve",
    ),
    "contact that is nobody": (
        "people: [{id: ana}]\nsecurity: {contact: anna}",
        (2, 21, "security.contact"),
        "is neither a person's id nor a channel that is set up; did you mean 'ana'?",
    ),
    "contact on a channel that is not set up": (
        "people: [{id: ana}]\nsecurity: {contact: pagerduty}",
        (2, 21, "security.contact"),
        "nor a channel that is set up",
    ),
    "environment of no service": (
        "services: [{name: a, match: {a: b}, environment: p}]\nroles: {r: {deny: [{do: ack, when: {environment: q}}]}}",
        (2, 37, "roles.r.deny[0].when.environment[0]"),
        "is not the environment of any service; use one of: p",
    ),
    "environment of no service, to deny": (
        "roles: {r: {deny: [{do: ack, when: {environment: staging}}]}}",
        (1, 37, "roles.r.deny[0].when.environment[0]"),
        "is not the environment of any service",
    ),
    "on call where nobody is": (
        "services: [{name: a, match: {a: b}}]\nroles: {r: {allow: [{do: ack, when: {on_call: true}}]}}",
        (2, 47, "roles.r.allow[0].when.on_call"),
        "never holds: nobody is on call; name people under services[].on_call",
    ),
    "denial on call where nobody is": (
        "roles: {r: {deny: [{do: ack, when: {on_call: true}}]}}",
        (1, 46, "roles.r.deny[0].when.on_call"),
        "never holds: nobody is on call",
    ),
    "opa's path": ("opa: {url: 'http://opa:8181', path: /v1/data/x}", (1, 37, "opa.path"), ""),
    "opa without an address": ("opa: {path: x}", (1, 1, "opa.url"), ""),
    "glass that nobody hears": (
        "roles: {r: {break_glass: true}}",
        (1, 26, "roles.r.break_glass"),
        "needs security.contact",
    ),
    "key of a map that is a list": ("server: {[a]: b}", (1, 10, "server"), "has a key that is not plain text"),
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
    assert "indented with a tab" in faults[0].message


BOMBS = {
    "nested aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "\n".join(f"{b}: &{b} [{', '.join(['*' + a] * 8)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "few aliases, wide": "a: &a [" + "x, " * 9000 + "x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]",
    "many aliases": "a: &a x\nb: [" + "*a, " * 65 + "x]",
    "itself": "a: &a [*a]",
    "deep": "a: " + "[" * 100_000,
    "many values": "a: [" + "1," * 300_000 + "1]",
    "ten megabytes": "a: " + "x" * 10_000_000,
    "long number": "incidents: {late_copy: " + "9" * 5_000 + "}",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_file_made_to_exhaust_is_refused_quickly(tmp_path: Path, text: str) -> None:
    begun = time.process_time()

    faults = faults_of(tmp_path, text)

    assert len(faults) == 1
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("text", [b"\xff\xfea", b"a: \xff", b"a: \x00"])
def test_what_is_not_text_is_refused(tmp_path: Path, text: bytes) -> None:
    faults = faults_of(tmp_path, text)

    assert len(faults) == 1


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_settings(tmp_path / name, {})


def test_many_faults_are_told_quickly(tmp_path: Path) -> None:
    begun = time.process_time()

    faults = faults_of(tmp_path, "people:\n" + "  - nobody\n" * 15_000)

    assert [fault.line for fault in faults] == list(range(2, 15_002))
    assert time.process_time() - begun < 5
