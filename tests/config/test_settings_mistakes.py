"""The ordinary mistakes: a value of the right type that its provider cannot take is a fault with its place and mend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import commands
from bot.config.faults import InvalidSettings
from bot.config.rules import known_verbs
from bot.config.settings import read_settings
from tests.cluster.world import kubeconfig

SLACK = {"bot_token": "xoxb-1-2-abc", "app_token": "xapp-1-A1-2-abc", "team_id": "T1", "channel": "C1"}
TELEGRAM = {"token": f"1001:{'A' * 35}", "chat_id": -1001}
PAGERDUTY = {"routing_key": "0" * 32}
ALERTMANAGER = {"tokens": ["long-enough-token"]}
SERVICE = {"name": "prod/api", "match": {"service": "api"}}
FREEZE = {"name": "x", "from": "2026-11-27T00:00:00Z", "until": "2026-11-28T00:00:00Z"}
#: Forms that a provider must not be taken for.
ELSEWHERE = "http://127.0.0.1:9/api/"

Said = list[tuple[str, str]]  #: (key, message), in the order of the file


def told(tmp_path: Path, settings: Mapping[str, Any], *, files_too: bool = True) -> tuple[Said, Said]:
    """The faults, and the warnings except those about secrets in plain text."""
    path = tmp_path / "vakhta.yaml"
    path.write_text(json.dumps(settings, indent=1))
    try:
        _, warnings = read_settings(path, {"CHAT": "-1001", "ANA": "1001"}, files_too=files_too)
    except InvalidSettings as invalid:
        return [(one.key, one.message) for one in invalid.faults], []
    return [], [(one.key, one.message) for one in warnings if "plain text" not in one.message]


def channel(name: str, section: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    return {"channels": {name: {**section, **changed}}}


def slack(**changed: Any) -> dict[str, Any]:
    return channel("slack", SLACK, **changed)


def telegram(**changed: Any) -> dict[str, Any]:
    return channel("telegram", TELEGRAM, **changed)


def pagerduty(**changed: Any) -> dict[str, Any]:
    return channel("pagerduty", PAGERDUTY, **changed)


def alertmanager(**changed: Any) -> dict[str, Any]:
    return {"sources": {"alertmanager": {**ALERTMANAGER, **changed}}}


def ana(**account: Any) -> dict[str, Any]:
    return {"people": [{"id": "ana", **account}]}


def role(**rules: Any) -> dict[str, Any]:
    return {"roles": {"ops": rules}}


def service(**changed: Any) -> dict[str, Any]:
    return {"services": [{**SERVICE, **changed}]}


def webhook(**changed: Any) -> dict[str, Any]:
    return telegram(mode="webhook", secret_token="long_enough-secret", **changed)


FAULTS: dict[str, tuple[Mapping[str, Any], str, str]] = {
    "an app token as the bot's": (
        slack(bot_token="xapp-1-A1-2-x"),
        "channels.slack.bot_token",
        "is an app-level token",
    ),
    "a bot token as the app's": (slack(app_token="xoxb-1-2-x"), "channels.slack.app_token", "is a bot token; this key"),
    "a user's token": (slack(bot_token="xoxp-1-2-x"), "channels.slack.bot_token", "is a user token"),
    "a token that expires": (slack(bot_token="xoxe.xoxb-1-x"), "channels.slack.bot_token", "token rotation off"),
    "no token of Slack's": (slack(bot_token="ghp_whatever"), "channels.slack.bot_token", "must begin with xoxb-"),
    "a token as the signing secret": (slack(signing_secret="xoxb-1"), "channels.slack.signing_secret", "is a token"),
    "a channel by name": (slack(channel="#ops"), "channels.slack.channel", "is a channel's name; give its id, C..."),
    "a channel by bare name": (slack(channel="ops"), "channels.slack.channel", "is a channel's name"),
    "a channel by @name": (slack(channel="@ana"), "channels.slack.channel", "is a person; give the id of a channel"),
    "a person as the channel": (slack(channel="U0123ABC"), "channels.slack.channel", "is a person"),
    "a channel in small letters": (slack(channel="c0123abcd"), "channels.slack.channel", "C... in capitals"),
    "a channel by address": (
        slack(channel="https://acme.slack.com/archives/C1"),
        "channels.slack.channel",
        "must be a",
    ),
    "a further channel by name": (slack(hears_in=["C2", "#ops"]), "channels.slack.hears_in[1]", "is a channel's name"),
    "a workspace by name": (slack(team_id="acme"), "channels.slack.team_id", "must be the workspace's id, T..."),
    "Slack's address without /api/": (slack(api_url="https://slack.com"), "channels.slack.api_url", "end with /api/"),
    "an incoming webhook": (
        slack(api_url="https://hooks.slack.com/services/T1/B1/x"),
        "channels.slack.api_url",
        "is an incoming webhook",
    ),
    "a member by @name": (ana(slack="@ana"), "people[0].slack", "give the member id, U..."),
    "a member by mention": (ana(slack="<@U0123>"), "people[0].slack", "give the member id, U..."),
    "a member by bare name": (ana(slack="ana"), "people[0].slack", "must be the member id, U... or W..."),
    "a member by e-mail": (ana(slack="ana@example.com"), "people[0].slack", "is a name or an address"),
    "a member in small letters": (ana(slack="u0123abcd"), "people[0].slack", "in capitals"),
    "a channel as a member": (ana(slack="C0123ABC"), "people[0].slack", "must be the member id"),
    "a user group by @name": (role(slack_groups=["@ops"]), "roles.ops.slack_groups[0]", "user group's id, S..."),
    "a token without a colon": (telegram(token="AAFake"), "channels.telegram.token", "has no colon"),
    "a token of the address": (
        telegram(token=f"bot1:{'A' * 35}"),
        "channels.telegram.token",
        "begins with the word bot",
    ),
    "half of a token": (telegram(token="123456:AAFake"), "channels.telegram.token", "is too short or too long"),
    "a token with a space": (
        telegram(token=f"123: {'A' * 35}"),
        "channels.telegram.token",
        "must be a number, a colon",
    ),
    "a group without its minus": (
        telegram(chat_id=1001234567890),
        "channels.telegram.chat_id",
        "without its minus sign",
    ),
    "a group by name": (telegram(chat_id="@ops"), "channels.telegram.chat_id", "give the chat's numeric id"),
    "a group by link": (telegram(chat_id="https://t.me/ops"), "channels.telegram.chat_id", "is a name or a link"),
    "the bot as its own chat": (telegram(chat_id=1001), "channels.telegram.chat_id", "is the bot itself"),
    "no chat": (telegram(chat_id=0), "channels.telegram.chat_id", "is no chat"),
    "the topic General": (telegram(topic_id=1), "channels.telegram.topic_id", "is the topic General"),
    "a topic below zero": (telegram(topic_id=-5), "channels.telegram.topic_id", "must be the number of a topic"),
    "a secret that Telegram refuses": (
        webhook(webhook_url="https://x.example.com/in/telegram")
        | telegram(mode="webhook", secret_token="with a space", webhook_url="https://x.example.com/in/telegram"),
        "channels.telegram.secret_token",
        "1 to 256 letters, digits, _ and -",
    ),
    "a webhook without TLS": (
        webhook(webhook_url="http://x.example.com/in/telegram"),
        "channels.telegram.webhook_url",
        "begin with https://",
    ),
    "a webhook at a port of its own": (
        webhook(webhook_url="https://x.example.com:8080/"),
        "channels.telegram.webhook_url",
        "port 443, 80, 88 or 8443",
    ),
    "a webhook on this machine": (webhook(), "channels.telegram.webhook_url", "server.public_url is no such address"),
    "Telegram's address without /bot": (
        telegram(api_url="https://api.telegram.org"),
        "channels.telegram.api_url",
        "must be https://api.telegram.org/bot",
    ),
    "a person by @name in Telegram": (ana(telegram="@ana"), "people[0].telegram", "must be the numeric user id"),
    "a person by phone number": (ana(telegram="+49 151 1234"), "people[0].telegram", "or a phone number"),
    "a group as a person": (ana(telegram=-1001), "people[0].telegram", "a negative one is a group's"),
    "a short routing key": (
        pagerduty(routing_key="abc123"),
        "channels.pagerduty.routing_key",
        "key of 32 characters, and has 6",
    ),
    "a routing key of other letters": (pagerduty(routing_key="-" * 32), "channels.pagerduty.routing_key", "32 letters"),
    "an address as the routing key": (
        pagerduty(routing_key="https://events.pagerduty.com/x"),
        "channels.pagerduty.routing_key",
        "is an address",
    ),
    "the routing key as the token": (
        pagerduty(api_token="0" * 32),
        "channels.pagerduty.api_token",
        "is the routing key",
    ),
    "a header as the token": (
        pagerduty(api_token="Token token=abcdefgh"),
        "channels.pagerduty.api_token",
        "give the token alone",
    ),
    "the REST API as the address of events": (
        pagerduty(events_url="https://api.pagerduty.com"),
        "channels.pagerduty.events_url",
        "is the address of the other",
    ),
    "two regions": (
        pagerduty(events_url="https://events.eu.pagerduty.com", api_token="long-enough"),
        "channels.pagerduty.api_url",
        "write https://api.eu.pagerduty.com",
    ),
    "the whole address of events": (
        pagerduty(events_url="https://events.pagerduty.com/v2/enqueue"),
        "channels.pagerduty.events_url",
        "a path",
    ),
    "a user by e-mail in PagerDuty": (
        ana(pagerduty="ana@example.com"),
        "people[0].pagerduty",
        "must be the user's id, P",
    ),
    "a user by name in PagerDuty": (ana(pagerduty="Ana"), "people[0].pagerduty", "must be the user's id, P"),
    "a person with capitals": ({"people": [{"id": "Ana P"}]}, "people[0].id", "small letters, digits, dots, _ and -"),
    "Alertmanager's API": (
        alertmanager(api_url="http://am:9093/api/v2/alerts"),
        "sources.alertmanager.api_url",
        "without /api/v2, which",
    ),
    "Alertmanager's page": (
        alertmanager(api_url="http://am:9093/#/alerts"),
        "sources.alertmanager.api_url",
        "leave out # and what follows",
    ),
    "a port that is no number": (
        alertmanager(api_url="http://am:909O"),
        "sources.alertmanager.api_url",
        "is not a web address",
    ),
    "an address with a space": (alertmanager(api_url="http://am :1"), "sources.alertmanager.api_url", "without spaces"),
    "a token with its scheme": (
        alertmanager(tokens=["Bearer abcdefgh"]),
        "sources.alertmanager.tokens[0]",
        "begins with a header's name or scheme",
    ),
    "a shell's variable": (alertmanager(tokens=["$AM_TOKEN"]), "sources.alertmanager.tokens[0]", "is a placeholder"),
    "a template's variable": (alertmanager(tokens=["{{ am }}"]), "sources.alertmanager.tokens[0]", "is a placeholder"),
    "a provider without its braces": (alertmanager(tokens=["env:AM"]), "sources.alertmanager.tokens[0]", "${env:NAME}"),
    "a reference without provider": (
        alertmanager(tokens=["${AM_TOKEN}"]),
        "sources.alertmanager.tokens[0]",
        "write ${env:AM_TOKEN}",
    ),
    "an example's secret": (alertmanager(tokens=["changeme"]), "sources.alertmanager.tokens[0]", "is a placeholder"),
    "two lines of a secret": (alertmanager(tokens=["first\nsecond"]), "sources.alertmanager.tokens[0]", "one line"),
    "Prometheus' API": ({"metrics": {"url": "http://p:9090/api/v1/query"}}, "metrics.url", "without /api/v1, which"),
    "Prometheus' page": ({"metrics": {"url": "http://p:9090/graph"}}, "metrics.url", "without /graph"),
    "OPA's data": ({"opa": {"url": "http://opa:8181/v1/data"}}, "opa.url", "without /v1/data"),
    "OPA's whole path": ({"opa": {"url": "http://opa", "path": "/v1/data/x/y"}}, "opa.path", "the path below /v1/data"),
    "OPA's path with spaces": ({"opa": {"url": "http://opa", "path": "a b"}}, "opa.path", "names joined by slashes"),
    "OPA's rule in Rego": ({"opa": {"url": "http://opa", "path": "data.a.b"}}, "opa.path", "must have slashes"),
    "Argo CD's page": (
        {"clusters": {"a": {"argocd": {"url": "https://cd.example.com/applications", "token": "long-enough"}}}},
        "clusters.a.argocd.url",
        "without /applications",
    ),
    "a namespace that cannot be": (
        service(namespace="My_NS"),
        "services[0].namespace",
        "must be the name of a namespace",
    ),
    "an open bracket": (service(check="sum(up"), "services[0].check", "the ( at character 4 is not closed"),
    "an open quote": (service(check='up{job="api}'), "services[0].check", "the quote at character 8 is not closed"),
    "PromQL in the headroom": (service(headroom={"query": "a = 1"}), "services[0].headroom.query", "write == there"),
    "a verb that does not exist": (role(allow=["scael prod/*"]), "roles.ops.allow[0]", "did you mean 'scale'?"),
    "a verb that is denied": (role(deny=["rolback prod/*"]), "roles.ops.deny[0]", "did you mean 'rollback'?"),
    "a verb with conditions": (
        role(allow=[{"do": "restrat prod/*", "when": {"incident": True}}]),
        "roles.ops.allow[0].do",
        "mean 'restart'?",
    ),
    "a glob that no verb has": (role(allow=["foo*"]), "roles.ops.allow[0]", "is a rule for a verb that does not exist"),
    "a verb in a freeze": (
        {"freezes": [{**FREEZE, "targets": ["scale prod/*"]}]},
        "freezes[0].targets[0]",
        "a freeze is for every action",
    ),
    "two targets in one": ({"freezes": [{**FREEZE, "targets": ["a/* b/*"]}]}, "freezes[0].targets[0]", "one target in"),
    "a database that forgets": ({"store": {"url": "sqlite:///:memory:"}}, "store.url", "a restart would forget"),
    "an address to listen on": ({"server": {"listen": "http://127.0.0.1:80"}}, "server.listen", "must be host:port"),
    "a whole webhook as the public address": (
        {"server": {"public_url": "https://x.example.com/in/slack"}},
        "server.public_url",
        "without /in/slack",
    ),
    "a bucket's address": (
        {"audit": {"anchors": {"s3": {"bucket": "s3://logs"}}}},
        "audit.anchors.s3.bucket",
        "the bucket's name alone",
    ),
    "a bucket in capitals": (
        {"audit": {"anchors": {"s3": {"bucket": "Logs"}}}},
        "audit.anchors.s3.bucket",
        "small letters",
    ),
    "a region by city": (
        {"audit": {"anchors": {"s3": {"bucket": "logs", "region": "Frankfurt"}}}},
        "audit.anchors.s3.region",
        "eu-central-1",
    ),
    "an anchor's channel by name": (
        slack() | {"audit": {"anchors": {"chat": {"channel": "slack", "to": "#audit"}}}},
        "audit.anchors.chat.to",
        "is a channel's name",
    ),
    "a limit": (role(allow=[{"do": "scale", "approvals": 9}]), "roles.ops.allow[0].approvals", "must be at most 5"),
}


@pytest.mark.parametrize(("settings", "key", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_an_ordinary_mistake_is_a_fault_at_its_key_with_what_to_do(
    tmp_path: Path, settings: Mapping[str, Any], key: str, said: str
) -> None:
    faults, _ = told(tmp_path, settings)

    assert [at for at, _ in faults] == [key]
    assert said in faults[0][1]


def test_no_fault_repeats_the_value(tmp_path: Path) -> None:
    secrets = {"bot_token": "xapp-planted", "app_token": "xoxb-planted", "signing_secret": "xoxb-planted"}
    settings: dict[str, Any] = slack(**secrets) | alertmanager(tokens=["Bearer planted", "a\nplanted"])
    settings["channels"]["telegram"] = {"token": "planted", "chat_id": "@planted"}
    settings["channels"]["pagerduty"] = {"routing_key": "planted", "api_token": "Token token=planted"}

    faults, _ = told(tmp_path, settings)

    assert len(faults) == 9
    assert "planted" not in str(faults)


def test_mistakes_are_told_beside_faults_of_other_kinds(tmp_path: Path) -> None:
    settings: dict[str, Any] = slack(channel="#ops") | {"serverr": {}, "incidents": {"late_copy": "5m"}}

    faults, _ = told(tmp_path, settings)

    assert [key for key, _ in faults] == ["channels.slack.channel", "serverr", "incidents.late_copy"]


GOOD: dict[str, Mapping[str, Any]] = {
    "Slack": slack(hears_in=["C0123ABCD", "G0123ABCD", "D0123ABCD"]),
    "an organization of Slack": slack(team_id="E0123ABCD"),
    "Slack for governments": slack(api_url="https://slack-gov.com/api/"),
    "a server of one's own": slack(bot_token="any-token", app_token="any-token", api_url=ELSEWHERE),
    "Telegram": telegram(topic_id=7),
    "a server of one's own for Telegram": telegram(token="any-token", api_url="http://127.0.0.1:8081/bot"),
    "a reference, which is text": telegram(chat_id="${env:CHAT}") | ana(telegram="${env:ANA}"),
    "a private chat with somebody under `people`": telegram(chat_id=777) | ana(telegram=777),
    "a webhook": webhook(webhook_url="https://x.example.com:8443/in/telegram?x=1"),
    "a webhook at the public address": webhook() | {"server": {"public_url": "https://x.example.com"}},
    "PagerDuty in Europe": pagerduty(
        events_url="https://events.eu.pagerduty.com", api_url="https://api.eu.pagerduty.com", api_token="long-enough"
    ),
    "another pager": pagerduty(routing_key="shorter-key", events_url="https://pager.example.com/pd"),
    "accounts": ana(slack="W0123ABCD", telegram=5_000_000_000, pagerduty="PXPGF42"),
    "a user of PagerDuty with a long id": ana(pagerduty="Q1K9T2YLYX5C2B"),
    "Alertmanager below a path": alertmanager(api_url="https://x.example.com/api/alertmanager/grafana"),
    "Prometheus below a path": {"metrics": {"url": "https://x.example.com/select/0/prometheus"}},
    "every verb": role(allow=["*", "scale prod/*", "*ack *", "un* prod/*", "break-glass"], deny=["rollback prod/db"]),
    "a freeze of a node": {"freezes": [{**FREEZE, "targets": ["main/node-1", "prod/*", "*"]}]},
    "S3": {"audit": {"anchors": {"s3": {"bucket": "acme-audit.logs", "region": "us-gov-west-1"}}}},
    "another S3": {"audit": {"anchors": {"s3": {"bucket": "Logs", "region": "x", "endpoint_url": "https://s3.x"}}}},
    "a chat as an anchor": telegram() | {"audit": {"anchors": {"chat": {"channel": "telegram", "to": "-1001:5"}}}},
}


@pytest.mark.parametrize("settings", GOOD.values(), ids=GOOD.keys())
def test_what_works_is_neither_a_fault_nor_a_warning(tmp_path: Path, settings: Mapping[str, Any]) -> None:
    assert told(tmp_path, settings) == ([], [])


DOUBTS: dict[str, tuple[Mapping[str, Any], str, str]] = {
    "a private chat with nobody known": (telegram(chat_id=777), "channels.telegram.chat_id", "is a private chat"),
    "a short token": (alertmanager(tokens=["abc"]), "sources.alertmanager.tokens[0]", "shorter than 8 characters"),
    "a token in quotes": (alertmanager(tokens=['"abcdefgh"']), "sources.alertmanager.tokens[0]", "is in quotes"),
    "a token with a space": (alertmanager(tokens=["abcdefgh "]), "sources.alertmanager.tokens[0]", "ends with a space"),
    "a token for no address": (
        alertmanager(api_token="long-enough"),
        "sources.alertmanager.api_token",
        "has no effect without api_url",
    ),
    "a user without a password": (
        alertmanager(api_url="http://am", api_user="bot"),
        "sources.alertmanager.api_user",
        "needs api_token",
    ),
    "no severities": (
        alertmanager(severity_labels=[]),
        "sources.alertmanager.severity_labels",
        "no alert has a severity",
    ),
    "a size in megabytes": (alertmanager(max_body=16), "sources.alertmanager.max_body", "is in bytes"),
    "a pager that never pages": (pagerduty(severities=[]), "channels.pagerduty.severities", "so no incident pages"),
    "a package of Rego": ({"opa": {"url": "http://opa", "path": "vakhta.decision"}}, "opa.path", "vakhta/decision"),
    "a service of no cluster": (service(cluster="main"), "services[0].cluster", "there is no section `clusters`"),
    "a service that cannot be typed": (service(name="prod api"), "services[0].name", "no command can name the service"),
    "connections": (service(connections={"each": 9, "most": 5}), "services[0].connections.each", "is above `most`"),
    "a context in-cluster": ({"clusters": {"a": {"context": "x"}}}, "clusters.a.context", "has no effect in-cluster"),
    "no helm": ({"clusters": {"a": {"helm": "helm-of-nowhere"}}}, "clusters.a.helm", "is no program that can be run"),
    "a rule for a service that is none": (
        service() | role(allow=["scale prod/apii"]),
        "roles.ops.allow[0]",
        "did you mean 'prod/api'?",
    ),
    "a condition on a service that is none": (
        service() | role(allow=[{"do": "scale", "when": {"service": "prod/apii"}}]),
        "roles.ops.allow[0].when.service[0]",
        "did you mean 'prod/api'?",
    ),
    "a freeze of a service that is none": (
        service() | {"freezes": [{**FREEZE, "targets": ["prod/apii"]}]},
        "freezes[0].targets[0]",
        "mean 'prod/api'?",
    ),
}


@pytest.mark.parametrize(("settings", "key", "said"), DOUBTS.values(), ids=DOUBTS.keys())
def test_what_is_probably_not_meant_is_a_warning(
    tmp_path: Path, settings: Mapping[str, Any], key: str, said: str
) -> None:
    faults, warnings = told(tmp_path, settings)

    assert faults == []
    assert [at for at, _ in warnings] == [key]
    assert said in warnings[0][1]


def test_every_command_is_a_known_verb() -> None:
    """The check finds verbs without importing the commands, by the names of their files."""
    assert known_verbs() == {*commands.find(), *commands.actions()}


def cluster(file: Path | str, **more: Any) -> dict[str, Any]:
    return {"clusters": {"main": {"kubeconfig": str(file), **more}}}


def _without_current(config: dict[str, Any]) -> None:
    del config["current-context"]


def _with_current_gone(config: dict[str, Any]) -> None:
    config["current-context"] = "old"


def _without_user(config: dict[str, Any]) -> None:
    config["users"] = []


def _without_cluster(config: dict[str, Any]) -> None:
    config["clusters"] = None


def _without_contexts(config: dict[str, Any]) -> None:
    del config["contexts"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_current, "has no current-context; set `context`: use one of: main"),
        (_with_current_gone, "has the current-context old, which it does not define; set `context`"),
        (_without_user, "has a context whose user bot it does not define"),
        (_without_cluster, "has a context whose cluster main it does not define"),
        (_without_contexts, "is no kubeconfig: it has no list of contexts"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_a_fault(tmp_path: Path, change: Any, said: str) -> None:
    file = kubeconfig("https://main.example.com", tmp_path)
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))

    faults, _ = told(tmp_path, cluster(file))

    assert [at for at, _ in faults] == ["clusters.main.kubeconfig"]
    assert said in faults[0][1]


def test_a_context_that_the_kubeconfig_lacks_is_a_fault_at_the_context(tmp_path: Path) -> None:
    file = kubeconfig("https://main.example.com", tmp_path)

    assert told(tmp_path, cluster(file)) == ([], [])
    assert told(tmp_path, cluster(file, context="main")) == ([], [])
    faults, _ = told(tmp_path, cluster(file, context="prod"))
    assert faults == [("clusters.main.context", "is not a context of the kubeconfig; use one of: main")]


def test_a_kubeconfig_that_is_not_there_is_a_fault_for_the_check_and_a_warning_for_a_start(tmp_path: Path) -> None:
    """Pages must go out although one cluster cannot be reached."""
    settings = cluster(tmp_path / "none")
    said = f"names no file that exists ({tmp_path}/none); correct the path"

    assert told(tmp_path, settings) == ([("clusters.main.kubeconfig", said)], [])
    assert told(tmp_path, settings, files_too=False) == ([], [("clusters.main.kubeconfig", said)])


def test_a_kubeconfig_that_is_a_folder_or_no_yaml_is_a_fault(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("a: [")

    assert "is not a file" in told(tmp_path, cluster(tmp_path))[0][0][1]
    assert "is not YAML" in told(tmp_path, cluster(broken))[0][0][1]


def test_of_several_kubeconfigs_one_may_be_missing(tmp_path: Path) -> None:
    file = kubeconfig("https://main.example.com", tmp_path)

    assert told(tmp_path, cluster(f"{tmp_path}/none:{file}")) == ([], [])


def test_an_anchor_that_is_a_folder_is_a_fault(tmp_path: Path) -> None:
    faults, _ = told(tmp_path, {"audit": {"anchors": {"file": str(tmp_path)}}})

    assert faults == [("audit.anchors.file", "is a folder; name a file in it")]
