"""`vakhta check --live`: asks each provider once, tells a refusal from silence, shows no secret and sends nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.__main__ import main
from bot.app.cli import live_check
from bot.config.settings import Settings
from tests.cluster.world import kubeconfig
from tests.fakes.alertmanager import FakeAlertmanager
from tests.fakes.argocd import FakeArgoCd
from tests.fakes.kubernetes import FakeKubernetes
from tests.fakes.opa import FakeOpa
from tests.fakes.pagerduty import API_TOKEN, ROUTING_KEY, WEBHOOK_SECRET, FakePagerDuty
from tests.fakes.prometheus import FakePrometheus
from tests.fakes.server import StrictServer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_values import room
from tests.fakes.telegram import TOKEN, FakeTelegram

PAGE = b"<!DOCTYPE html><html><title>Sign in to the network</title><form action=/login></form></html>"
AM_PASSWORD = "planted-password-of-alertmanager"


class Providers:
    """Every provider that settings can name, and the command line over settings that name them all."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str], stack: ExitStack) -> None:
        self._place, self._capsys = place, capsys
        self.slack = stack.enter_context(FakeSlack())
        self.telegram = stack.enter_context(FakeTelegram())
        self.pagerduty = stack.enter_context(FakePagerDuty())
        self.alertmanager = stack.enter_context(FakeAlertmanager())
        self.prometheus = stack.enter_context(FakePrometheus())
        self.opa = stack.enter_context(FakeOpa())
        self.argocd = stack.enter_context(FakeArgoCd())
        self.cluster = stack.enter_context(FakeKubernetes())
        self.cluster.rights.users = {"k8s-token": "system:serviceaccount:ops:vakhta"}
        self.settings: dict[str, Any] = self._all()

    def _all(self) -> dict[str, Any]:
        slack = {
            "bot_token": self.slack.bot_token,
            "app_token": self.slack.app_token,
            "team_id": "T1",
            "channel": "C1",
            "api_url": self.slack.api_url,
        }
        pagerduty = {
            "routing_key": ROUTING_KEY,
            "api_token": API_TOKEN,
            "webhook_secrets": [WEBHOOK_SECRET],
            "events_url": self.pagerduty.url,
            "api_url": self.pagerduty.url,
        }
        argocd = {"url": self.argocd.url, "token": self.argocd.token}
        return {
            "sources": {"alertmanager": {"tokens": ["planted-token"], "api_url": self.alertmanager.url}},
            "channels": {
                "slack": slack,
                "telegram": {"token": TOKEN, "chat_id": -1001, "api_url": self.telegram.api_url},
                "pagerduty": pagerduty,
            },
            "metrics": {"url": self.prometheus.url, "timeout": 1},
            "opa": {"url": self.opa.url, "timeout": 1},
            "services": [{"name": "prod/api", "match": {"a": "b"}, "check": "up == 1"}],
            "clusters": {"main": {"kubeconfig": str(kubeconfig(self.cluster.url, self._place)), "argocd": argocd}},
        }

    def keep(self, *sections: str) -> None:
        """Leave only these, so that a test waits for no other."""
        self.settings = {name: one for name, one in self.settings.items() if name in sections}

    def only(self, channel: str) -> dict[str, Any]:
        """The section of that channel, which alone is left."""
        section: dict[str, Any] = self.settings["channels"][channel]
        self.settings = {"channels": {channel: section}}
        return section

    def check(self) -> tuple[int, dict[str, str]]:
        """The exit code, and each line by its key; the last line, which sums up, is under ""."""
        file = self._place / "vakhta.yaml"
        file.write_text(json.dumps(self.settings))
        code = main(["check", "--live", "--config", str(file)])
        out = self._capsys.readouterr().out
        *lines, last = out.splitlines()
        assert not [secret for secret in self.secrets() if secret in out]
        return code, {"": last} | {line.split()[0]: " ".join(line.split()[1:]) for line in lines}

    def secrets(self) -> tuple[str, ...]:
        return (
            self.slack.bot_token,
            self.slack.app_token,
            TOKEN,
            ROUTING_KEY,
            API_TOKEN,
            WEBHOOK_SECRET,
            self.argocd.token,
            "planted-token",
            AM_PASSWORD,
        )


@pytest.fixture
def providers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Providers]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ExitStack() as stack:
        yield Providers(tmp_path, capsys, stack)


def test_all_that_work_are_told_so_in_one_line_each(providers: Providers) -> None:
    code, told = providers.check()

    assert code == 0, told
    assert told == {
        "sources.alertmanager.tokens": told["sources.alertmanager.tokens"],
        "sources.alertmanager.api_url": "ok Alertmanager 0.25.0 answers",
        "channels.slack.bot_token": "ok the bot is @vakhta in the workspace Acme and has all 9 scopes",
        "channels.slack.app_token": "ok Socket Mode opens",
        "channels.slack.channel": "ok the bot is in #c1",
        "channels.telegram.token": "ok the bot is @vakhta_test_bot",
        "channels.telegram.chat_id": "ok the bot is in the supergroup 'Incidents' as member and may write there",
        "channels.pagerduty.routing_key": told["channels.pagerduty.routing_key"],
        "channels.pagerduty.api_token": "ok the REST API lets the bot read incidents",
        "channels.pagerduty.webhook_secrets": told["channels.pagerduty.webhook_secrets"],
        "metrics.url": "ok Prometheus answers",
        "opa.url": "ok Open Policy Agent is healthy",
        "opa.path": "ok a policy is defined at vakhta/decision",
        "services[0].check": "ok Prometheus can evaluate it (prod/api)",
        "clusters.main.kubeconfig": "ok the bot is system:serviceaccount:ops:vakhta;"
        " `vakhta check --cluster` asks for its permissions",
        "clusters.main.argocd.token": "ok the bot is vakhta in Argo CD",
        "": "13 ok, 3 not asked.",
    }


def test_it_sends_nothing_and_pages_nobody(providers: Providers) -> None:
    providers.check()

    assert providers.slack.messages == []
    assert providers.telegram.posts == {}
    assert providers.telegram.webhook is None
    assert providers.telegram.calls("deleteWebhook") == []
    assert [call.path for call in providers.pagerduty.received] == ["/incidents"]
    assert {call.verb for call in providers.alertmanager.received} == {"GET"}
    assert providers.opa.asked == []


def test_a_routing_key_is_said_to_be_not_asked_and_why(providers: Providers) -> None:
    providers.only("pagerduty")

    code, told = providers.check()

    assert code == 0
    assert told["channels.pagerduty.routing_key"].startswith("not asked PagerDuty takes a routing key only with an")


def test_settings_without_a_provider_have_nobody_to_ask(providers: Providers) -> None:
    providers.settings = {}

    assert providers.check() == (0, {"": "The settings name no provider; there is nobody to ask."})


def test_a_channel_that_is_switched_off_is_not_asked(providers: Providers) -> None:
    providers.settings = {"channels": {"console": {"enabled": False}}}

    assert providers.check()[0] == 0


def test_a_bot_token_that_slack_refuses_is_a_fault_and_the_channel_waits_for_it(providers: Providers) -> None:
    providers.only("slack")["bot_token"] = "xoxb-another"

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.bot_token"].startswith("fault Slack refused auth.test: invalid_auth. Slack refuses the")
    assert told["channels.slack.channel"] == "not asked bot_token has to work first"
    assert told["channels.slack.app_token"].startswith("ok")
    assert told[""] == "1 ok, 1 fault, 1 not asked."


def test_the_scopes_that_are_missing_are_named_with_what_does_not_work(providers: Providers) -> None:
    providers.only("slack")
    providers.slack.granted -= {"users:read", "commands"}

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.bot_token"].startswith(
        "fault Missing scopes: commands (slash commands);"
        " users:read (every command: whether an account is a full member)."
    )


def test_a_channel_that_cannot_be_seen_for_want_of_a_scope_is_not_called_wrong(providers: Providers) -> None:
    providers.only("slack")
    providers.slack.granted -= {"channels:read"}

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.channel"].startswith("not asked without channels:read or groups:read")


def test_a_token_of_another_workspace_is_a_fault(providers: Providers) -> None:
    providers.only("slack")["team_id"] = "T2"

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.bot_token"].startswith("fault The token is of the workspace Acme (T1). Correct")


def test_tokens_of_two_apps_are_a_fault(providers: Providers) -> None:
    providers.only("slack")["app_token"] = "xapp-1-A2-1-another"

    assert "are of two apps" in providers.check()[1]["channels.slack.bot_token"]


@pytest.mark.parametrize(
    ("code", "said"),
    [("missing_scope", "lacks connections:write"), ("invalid_auth", "or Socket Mode is off"),
     ("not_allowed_token_type", "see Basic Information")],
)  # fmt: skip
def test_an_app_token_that_is_refused_is_a_fault(providers: Providers, code: str, said: str) -> None:
    providers.only("slack")
    providers.slack.refuse_next(code, "apps.connections.open")

    ended, told = providers.check()

    assert ended == 78
    assert told["channels.slack.app_token"].startswith("fault ")
    assert said in told["channels.slack.app_token"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"is_member": False}, "fault The bot is not in #ops. Invite it there: /invite @vakhta"),
        ({"is_archived": True}, "fault #ops is archived."),
        ({"is_ext_shared": True}, "fault #ops is shared with another company, so no command"),
    ],
)
def test_a_channel_where_the_bot_cannot_work_is_a_fault(
    providers: Providers, about: dict[str, object], said: str
) -> None:
    providers.only("slack")
    providers.slack.rooms["C1"] = room("C1", **(about | {"name": "ops"}))

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.channel"].startswith(said)


def test_a_channel_that_slack_does_not_know_is_a_fault_at_its_own_key(providers: Providers) -> None:
    providers.only("slack")["hears_in"] = ["C1", "C9"]

    code, told = providers.check()

    assert code == 78
    assert told["channels.slack.hears_in[0]"].startswith("ok")
    assert told["channels.slack.hears_in[1]"].startswith("fault Slack refused conversations.info: channel_not_found.")


def test_in_mode_http_slacks_signing_secret_is_said_to_be_not_asked(providers: Providers) -> None:
    providers.only("slack").update(mode="http", signing_secret="planted-token")

    code, told = providers.check()

    assert code == 0
    assert told["channels.slack.signing_secret"].startswith("not asked")
    assert "channels.slack.app_token" not in told


def test_a_telegram_token_that_is_refused_is_a_fault_and_the_chat_waits_for_it(providers: Providers) -> None:
    providers.only("telegram")
    providers.telegram.refuse_next("getMe", 401, "Unauthorized")
    providers.telegram.refuse_next("getMe", 401, "Unauthorized")

    code, told = providers.check()

    assert code == 78
    assert told["channels.telegram.token"].startswith("fault Telegram refused it: ")
    assert "@BotFather" in told["channels.telegram.token"]
    assert told["channels.telegram.chat_id"] == "not asked the token has to work first"


def _unknown_chat(telegram: FakeTelegram) -> None:
    telegram.chats = set()


def _kicked(telegram: FakeTelegram) -> None:
    telegram.blocked = True


def _left(telegram: FakeTelegram) -> None:
    telegram.standing = {"status": "left"}


def _muted(telegram: FakeTelegram) -> None:
    telegram.chat["permissions"] = {"can_send_messages": False}


def _moved(telegram: FakeTelegram) -> None:
    telegram.migrate(-1001, -100777)


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (_unknown_chat, "Chat not found"),
        (_kicked, "bot was kicked"),
        (_left, "The bot is not in the supergroup 'Incidents'"),
        (_muted, "may not write there"),
        (_moved, "Set channels.telegram.chat_id to -100777."),
    ],
)
def test_a_chat_where_the_bot_cannot_write_is_a_fault(
    providers: Providers, happened: Callable[[FakeTelegram], None], said: str
) -> None:
    providers.only("telegram")
    happened(providers.telegram)

    code, told = providers.check()

    assert code == 78
    assert told["channels.telegram.chat_id"].startswith("fault ")
    assert said in told["channels.telegram.chat_id"]


def test_an_administrator_may_write_where_members_may_not(providers: Providers) -> None:
    providers.only("telegram")
    _muted(providers.telegram)
    rights = ("can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
              "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
              "can_edit_stories", "can_delete_stories")  # fmt: skip
    providers.telegram.standing = {"status": "administrator", **dict.fromkeys(rights, False)}

    code, told = providers.check()

    assert code == 0
    assert told["channels.telegram.chat_id"].endswith(" as administrator and may write there")


def test_a_topic_in_a_group_without_topics_is_a_fault(providers: Providers) -> None:
    providers.only("telegram")["topic_id"] = 7

    code, told = providers.check()

    assert code == 78
    assert told["channels.telegram.chat_id"].startswith("fault The supergroup 'Incidents' has no topics.")


def test_whether_a_topic_exists_is_said_to_be_unknown(providers: Providers) -> None:
    providers.only("telegram")["topic_id"] = 7
    providers.telegram.topics = {9: True}

    code, told = providers.check()

    assert code == 0
    assert told["channels.telegram.chat_id"].endswith("Whether topic 7 exists is not known: Telegram cannot be asked")


def test_a_private_chat_is_one_the_bot_may_write_to(providers: Providers) -> None:
    providers.only("telegram")["chat_id"] = 1001
    providers.telegram.chat = {"type": "private", "first_name": "Ana"}

    code, told = providers.check()

    assert code == 0
    assert told["channels.telegram.chat_id"].startswith("ok the bot is in the private chat 'Ana'")


def test_a_rest_token_that_pagerduty_refuses_is_a_fault(providers: Providers) -> None:
    providers.only("pagerduty")
    providers.pagerduty.answer_next(status=401, body=b"HTTP Token: Access denied.\n")

    code, told = providers.check()

    assert code == 78
    assert told["channels.pagerduty.api_token"].startswith("fault PagerDuty's REST API answered 401: ")
    assert "Set channels.pagerduty.api_token" in told["channels.pagerduty.api_token"]


def test_credentials_that_alertmanager_refuses_are_a_fault(providers: Providers) -> None:
    providers.keep("sources")
    providers.settings["sources"]["alertmanager"].update(api_user="vakhta", api_token=AM_PASSWORD)
    providers.alertmanager.authorization = "Basic other"

    code, told = providers.check()

    assert code == 78
    assert told["sources.alertmanager.api_url"].startswith("fault Alertmanager refused (401): Unauthorized")


def test_an_address_that_is_no_alertmanager_is_no_answer_of_it(providers: Providers) -> None:
    providers.keep("sources")
    providers.alertmanager.answer_next(status=200, body=b'{"hello": "world"}')

    code, told = providers.check()

    assert code == 78
    assert told["sources.alertmanager.api_url"].startswith("no answer The answer is not one of Alertmanager's API.")


def test_an_expression_that_prometheus_cannot_evaluate_is_a_fault_at_the_service(providers: Providers) -> None:
    providers.keep("metrics", "services")
    providers.settings["services"][0]["headroom"] = {"query": "raet(up[5m])"}
    providers.prometheus.broken = {"raet(up[5m])": 'parse error: unknown function with name "raet"'}

    code, told = providers.check()

    assert code == 78
    assert told["metrics.url"].startswith("ok")
    assert told["services[0].check"].startswith("ok")
    assert (
        'fault Prometheus refused (400): parse error: unknown function with name "raet"'
        in told["services[0].headroom.query"]
    )


def test_a_policy_that_is_not_loaded_is_a_fault(providers: Providers) -> None:
    providers.keep("opa")
    providers.opa.loaded = False

    code, told = providers.check()

    assert code == 78
    assert told["opa.url"].startswith("ok")
    assert told["opa.path"].startswith("fault Nothing is defined at vakhta/decision: load the policy")


def test_a_token_that_argo_cd_does_not_know_is_a_fault(providers: Providers) -> None:
    providers.keep("clusters")
    providers.settings["clusters"]["main"]["argocd"]["token"] = "another-token"

    code, told = providers.check()

    assert code == 78
    assert told["clusters.main.argocd.token"].startswith("fault Argo CD refused (401)")
    assert told["clusters.main.kubeconfig"].startswith("ok")


def test_a_user_that_a_cluster_does_not_know_is_a_fault(providers: Providers) -> None:
    providers.keep("clusters")
    providers.cluster.rights.users = {}

    code, told = providers.check()

    assert code == 78
    assert told["clusters.main.kubeconfig"].startswith("fault Cluster main ")


#: Each provider, and the keys whose question it answers.
ASKED: dict[str, tuple[str, ...]] = {
    "slack": ("channels.slack.bot_token", "channels.slack.app_token", "channels.slack.channel"),
    "telegram": ("channels.telegram.token",),
    "pagerduty": ("channels.pagerduty.api_token",),
    "alertmanager": ("sources.alertmanager.api_url",),
    "prometheus": ("metrics.url", "services[0].check"),
    "opa": ("opa.url", "opa.path"),
    "argocd": ("clusters.main.argocd.token",),
    "cluster": ("clusters.main.kubeconfig",),
}


def _is_down(fake: StrictServer) -> None:
    fake.answer_next(reset=True, times=40)


def _fails(fake: StrictServer) -> None:
    fake.answer_next(status=503, times=40)


def _shows_a_page(fake: StrictServer) -> None:
    fake.answer_next(status=200, body=PAGE, times=40)


def _refuses_with_a_page(fake: StrictServer) -> None:
    fake.answer_next(status=403, body=PAGE, times=40)


@pytest.mark.parametrize("happens", [_is_down, _fails, _shows_a_page, _refuses_with_a_page])
@pytest.mark.parametrize("name", ASKED)
def test_a_provider_that_does_not_answer_is_told_from_one_that_refuses(
    providers: Providers, name: str, happens: Callable[[StrictServer], None]
) -> None:
    happens(getattr(providers, name))

    code, told = providers.check()

    assert code == 78
    for key, line in told.items():
        if key in ASKED[name]:
            assert line.startswith("no answer "), (key, line)
            assert "<" not in line, "its title alone"
        elif key:
            assert line.startswith(("ok", "not asked")), (key, line)


def test_all_are_asked_at_once_and_one_that_hangs_holds_up_no_other(providers: Providers) -> None:
    providers.keep("metrics", "opa", "services", "sources")
    providers.prometheus.answer_next(hang=True, times=2)
    settings = Settings.model_validate(providers.settings)

    report = live_check.check(settings, within_s=3.0)

    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in report.lines[:-1]}
    assert not report.whole
    assert told["metrics.url"].startswith("no answer")
    assert told["opa.url"].startswith("ok")
    assert told["sources.alertmanager.api_url"].startswith("ok")


def test_nothing_but_the_lines_is_printed_not_even_an_sdks_deprecation(tmp_path: Path, providers: Providers) -> None:
    providers.settings = {"channels": {"pagerduty": providers.settings["channels"]["pagerduty"]}}
    file = tmp_path / "vakhta.yaml"
    file.write_text(json.dumps(providers.settings))
    command = [sys.executable, "-W", "default", "-m", "bot", "check", "--live", "--config", str(file)]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout
    assert [line for line in ran.stderr.splitlines() if "is a secret in plain text" not in line] == []


def test_faults_of_the_settings_come_before_any_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], providers: Providers
) -> None:
    providers.only("slack")["channel"] = "#ops"
    file = tmp_path / "vakhta.yaml"
    file.write_text(json.dumps(providers.settings))

    assert main(["check", "--live", "--config", str(file)]) == 78
    assert "is a channel's name" in capsys.readouterr().err
    assert providers.slack.received == []
