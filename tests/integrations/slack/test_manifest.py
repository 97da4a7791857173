"""The manifest of the Slack app: what the bot can say, call and hear, no more, and in the shape that Slack takes.

Shape and limits: Slack's JSON schema of version 1 (github.com/slackapi/manifest-schema).
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

import commands
from bot.core.registry import Registry
from bot.integrations import slack
from bot.integrations.slack.api import SlackWebApi
from bot.integrations.slack.channel import Slack
from bot.integrations.slack.messages import SlackApiError
from tests.fakes.door import SmallDoor
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_rules import knows
from tests.fakes.slack_scopes import COMMANDS, EVENTS, MANIFEST, METHODS, bot_scopes, manifest
from tests.fakes.slack_values import room
from tests.integrations.slack.notices import hear

#: Of App Home, which the manifest already has.
_HOME_METHODS, _HOME_EVENTS = {"views.open", "views.publish"}, {"app_home_opened"}
#: What Slack keeps for itself (slack.com/help/articles/201259356): a manifest with one of them is refused whole.
_BUILT_IN = re.compile(
    "active|apps|archive|away|call|collapse|dm|dnd|expand|feed|invite|join|kick|leave|me|msg|mute|open|part|prefs|pro"
    "|remind|remove|rename|search|shortcuts|shrug|star|status|topic|who"
)
#: Slack takes 50 commands of an app; these are said with `/vakhta` alone.
_LEFT_OUT = {"glass", "remove-copy", "remove-override", "review-glass", "settle", "unlink"}
_KEYS = {
    "": {"_metadata", "display_information", "features", "oauth_config", "settings"},
    "display_information": {"name", "description", "long_description", "background_color"},
    "features": {"app_home", "bot_user", "slash_commands"},
    "features.app_home": {"home_tab_enabled", "messages_tab_enabled", "messages_tab_read_only_enabled"},
    "features.bot_user": {"display_name", "always_online"},
    "oauth_config": {"scopes"},
    "oauth_config.scopes": {"bot"},
    "settings": {
        "event_subscriptions",
        "interactivity",
        "org_deploy_enabled",
        "socket_mode_enabled",
        "token_rotation_enabled",
    },
    "settings.event_subscriptions": {"bot_events", "request_url"},
    "settings.interactivity": {"is_enabled", "request_url"},
}
_COMMAND = {"command", "description", "usage_hint", "should_escape", "url"}
_URL = re.compile(r"https://[a-zA-Z0-9.-]+/in/slack")


def words_in_code() -> Iterator[str]:
    """Every string of the channel's code."""
    for path in Path(slack.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def methods() -> set[str]:
    """What it calls: every string of the shape of a method's name."""
    return {word for word in words_in_code() if re.fullmatch(r"[a-z]+(\.[a-zA-Z]+)+", word)}


def events() -> set[str]:
    return {word for word in words_in_code() if word in EVENTS}


def as_http() -> Mapping[str, Any]:
    """What the command in its head makes of it."""
    note = re.search(r"^#   (sed (?:.*\\\n)*.*)$", MANIFEST.read_text(encoding="utf-8"), re.MULTILINE)
    assert note is not None
    line = shlex.split(note[1].replace("\\\n#", ""))
    printed = subprocess.run(line, cwd=MANIFEST.parents[2], check=True, capture_output=True)
    told: Mapping[str, Any] = yaml.safe_load(printed.stdout)
    return told


def part(told: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    for key in path.split(".") if path else ():
        told = told[key]
    return told


def misshapen(told: Mapping[str, Any]) -> list[str]:
    """What Slack would not take."""
    shown, features, settings = told["display_information"], told["features"], told["settings"]
    said, bot_events = features["slash_commands"], settings["event_subscriptions"]["bot_events"]
    found = [f"{path}: {sorted(part(told, path).keys() - keys)}" for path, keys in _KEYS.items()]
    wrong = {
        "name": not 1 <= len(shown["name"]) <= 35,
        "description": not 1 <= len(shown["description"]) <= 140,
        "background_color": not re.fullmatch("#[0-9a-f]{6}", shown["background_color"]),
        "display_name": not re.fullmatch(r"[a-z0-9._-]{1,80}", features["bot_user"]["display_name"]),
        "slash_commands": not 1 <= len(said) <= 50 or len({one["command"] for one in said}) != len(said),
        "bot_events": len(bot_events) > 100 or len(set(bot_events)) != len(bot_events),
        "is_enabled": settings["interactivity"]["is_enabled"] is not True,
    }
    found = [one for one in found if not one.endswith(": []")] + [name for name, bad in wrong.items() if bad]
    return found + [one["command"] for one in said if not takes(one)]


def takes(one: Mapping[str, Any]) -> bool:
    return (
        one.keys() <= _COMMAND
        and re.fullmatch("/[a-z0-9_-]{1,31}", one["command"]) is not None
        and 1 <= len(one["description"]) <= 2000
        and 1 <= len(one.get("usage_hint", "-")) <= 1000
        and _BUILT_IN.fullmatch(one["command"].removeprefix("/")) is None
    )


def test_it_has_the_shape_and_the_limits_of_slacks_schema() -> None:
    assert misshapen(manifest()) == []
    assert misshapen(as_http()) == []


def test_its_slash_commands_are_the_bots_verbs_in_their_own_words() -> None:
    verbs = Registry(commands=commands.find(), actions=commands.actions()).all

    first, *rest = manifest()["features"]["slash_commands"]

    assert first["command"] == "/vakhta"
    assert {one["command"]: (one.get("usage_hint", ""), one["description"]) for one in rest} == {
        f"/{verb}": (said.usage.removeprefix(verb).strip(), said.summary)
        for verb, said in verbs.items()
        if not _BUILT_IN.fullmatch(verb) and verb not in _LEFT_OUT
    }
    assert verbs.keys() >= _LEFT_OUT
    said = MANIFEST.read_text(encoding="utf-8").partition("_metadata")[0]
    assert all(f"`{verb}`" in said or f"`/vakhta {verb}`" in said for verb in _LEFT_OUT), "its head says so"


def test_it_asks_for_the_scopes_of_what_the_code_calls_and_hears_and_for_no_other() -> None:
    called = methods() | _HOME_METHODS
    heard = manifest()["settings"]["event_subscriptions"]["bot_events"]

    wanted = [*(METHODS[method] for method in called), *(EVENTS[event] for event in heard), (COMMANDS,)]

    assert called == METHODS.keys()
    assert all(knows(method) for method in methods())
    assert bot_scopes() == set(chain.from_iterable(wanted))


def test_it_subscribes_to_the_events_that_the_code_listens_for() -> None:
    assert "app_mention" in events()
    assert set(manifest()["settings"]["event_subscriptions"]["bot_events"]) == events() | _HOME_EVENTS


def test_socket_mode_needs_no_address_and_http_has_one_wherever_slack_asks_for_it() -> None:
    socket, http = manifest(), as_http()

    assert socket["settings"]["socket_mode_enabled"] is True
    assert "/in/slack" not in repr(socket)
    assert http["settings"]["socket_mode_enabled"] is False
    told = (http["settings"]["event_subscriptions"], http["settings"]["interactivity"])
    assert all(_URL.fullmatch(one["request_url"]) for one in told)
    assert all(_URL.fullmatch(one["url"]) for one in http["features"]["slash_commands"])


def test_people_can_write_to_the_bot_in_private_and_its_token_does_not_run_out() -> None:
    home = manifest()["features"]["app_home"]

    assert home == {
        "home_tab_enabled": True,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }
    assert manifest()["settings"]["token_rotation_enabled"] is False


@pytest.mark.parametrize("method", sorted(method for method, scopes in METHODS.items() if scopes))
@pytest.mark.parametrize("kind", ["public", "private"])
def test_without_its_scope_slack_refuses_a_method_for_good(fake: FakeSlack, method: str, kind: str) -> None:
    fake.rooms["C1"] = room("C1", is_private=kind == "private")
    fake.granted.discard(METHODS[method][-1 if kind == "private" else 0])
    fields = {"channel": "C1"} if method.startswith("conversations.") else {}

    with pytest.raises(SlackApiError) as refused:
        SlackWebApi(fake.bot_token, fake.api_url, 5.0).call(method, fields)

    assert (refused.value.code, refused.value.permanent) == ("missing_scope", True)


def test_in_a_private_channel_the_scopes_of_private_channels_are_enough(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    fake.rooms["C1"] = room("C1", is_private=True)
    fake.granted -= {"channels:read", "channels:history"}

    hear(slack, fake, fake.command("/ack", "42"))

    assert [ask.text for ask in door.asks] == ["ack 42"]


def test_where_nobody_may_say_who_reads_a_channel_no_command_is_taken_and_the_scope_is_named(
    fake: FakeSlack, slack: Slack, door: SmallDoor
) -> None:
    fake.granted.discard("channels:read")

    heard = hear(slack, fake, fake.command("/ack", "42"))

    assert b"missing_scope" in heard.body
    assert door.asks == []
