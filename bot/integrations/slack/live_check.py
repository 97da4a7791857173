"""What `vakhta check --live` asks Slack: tokens, scopes, and the bot's place in its channels. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bot.core.errors import Undelivered
from bot.core.live_check import LiveAnswer, LiveQuestion, fault, no_answer, not_asked, ok
from bot.integrations.slack.api import SlackWebApi, app_id_of
from bot.integrations.slack.messages import SlackApiError
from bot.integrations.slack.payloads import part
from bot.integrations.slack.settings import SlackSettings
from bot.lib.redact import shown
from bot.lib.text import spell_list

#: The scopes that deploy/slack/manifest.yaml asks for -> what does not work without.
SCOPES: Mapping[str, str] = {
    "app_mentions:read": "commands that mention the bot",
    "channels:history": "to find out whether a message arrived whose answer was lost",
    "channels:read": "commands in public channels",
    "chat:write": "every message",
    "commands": "slash commands",
    "groups:history": "the same as channels:history in private channels",
    "groups:read": "commands in private channels",
    "usergroups:read": "roles given by user groups",
    "users:read": "every command: whether an account is a full member",
}
_LIMIT_S = 8.0
_MAX_SHOWN = 80
_WAY = "Check channels.slack.api_url, and whether a proxy or firewall is in between."
_TOKEN_CODES = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})
_REINSTALL = "install the app to the workspace again (OAuth & Permissions), and copy the token from there"


class SlackLiveCheck:
    """One question for each token and each channel."""

    section = SlackSettings

    def questions(self, section: SlackSettings, place: str) -> Sequence[LiveQuestion]:  # noqa: ARG002 (one of them)
        return list(_questions(section))


def _questions(section: SlackSettings) -> Iterator[LiveQuestion]:
    yield LiveQuestion(key="bot_token", ask=partial(_ask_bot_token, section))
    if section.mode == "socket":
        yield LiveQuestion(key="app_token", ask=partial(_ask_app_token, section))
    else:
        text = "Slack signs its requests with this secret and cannot be asked for it"
        yield LiveQuestion(key="signing_secret", ask=partial(not_asked, text))
    yield LiveQuestion(key="channel", ask=partial(_ask_channel, section, section.channel))
    for number, channel in enumerate(section.hears_in):
        yield LiveQuestion(key=f"hears_in[{number}]", ask=partial(_ask_channel, section, channel))


def _ask_bot_token(section: SlackSettings) -> LiveAnswer:
    try:
        found, headers = _api(section).call_with_headers("auth.test", {})
    except Undelivered as error:
        return _failed(error, f"Slack refuses the token; {_REINSTALL}")
    if not found.get("user_id"):
        return no_answer(f"The answer is not one of Slack's API. {_WAY}")
    if found.get("team_id") != section.team_id:
        workspace = shown(f"{found.get('team')} ({found.get('team_id')})", _MAX_SHOWN)
        return fault(f"The token is of the workspace {workspace}. Correct channels.slack.team_id or the token.")
    app, other = found.get("app_id"), app_id_of(section.app_token.get_secret_value())
    if app and other and app != other:
        return fault("bot_token and app_token are of two apps. Copy both from the settings of one app.")
    missing = _missing_scopes(headers)
    if missing:
        without = "; ".join(f"{scope} ({SCOPES[scope]})" for scope in missing)
        return fault(f"Missing scopes: {without}. Add them under OAuth & Permissions, then install the app again.")
    name, team = shown(str(found.get("user")), _MAX_SHOWN), shown(str(found.get("team")), _MAX_SHOWN)
    known = f"has all {len(SCOPES)} scopes" if "x-oauth-scopes" in headers else "its scopes are not told"
    return ok(f"the bot is @{name} in the workspace {team} and {known}")


def _missing_scopes(headers: Mapping[str, str]) -> list[str]:
    """Those that the manifest asks for and the token lacks; empty where Slack does not tell the token's."""
    if "x-oauth-scopes" not in headers:
        return []
    granted = {one.strip() for one in headers["x-oauth-scopes"].split(",")}
    return [scope for scope in SCOPES if scope not in granted]


def _ask_app_token(section: SlackSettings) -> LiveAnswer:
    """Slack gives an address for one connection, which is not used and expires."""
    token = section.app_token.get_secret_value()
    try:
        found = SlackWebApi(token, section.api_url, _LIMIT_S).call("apps.connections.open", {})
    except SlackApiError as error:
        if error.code == "missing_scope":
            return fault("The app-level token lacks connections:write. Make a new one with it (Basic Information).")
        return _failed(error, "Slack refuses the token, or Socket Mode is off; see Basic Information, App-Level Tokens")
    except Undelivered as error:
        return _failed(error, "")
    return ok("Socket Mode opens") if found.get("url") else no_answer(f"The answer is not one of Slack's API. {_WAY}")


def _ask_channel(section: SlackSettings, channel: str) -> LiveAnswer:
    try:
        room = part(_api(section).call("conversations.info", {"channel": channel}), "channel")
    except SlackApiError as error:
        if error.code in _TOKEN_CODES:
            return not_asked("bot_token has to work first")
        if error.code == "missing_scope":
            return not_asked(f"without {spell_list(('channels:read', 'groups:read'))} the bot cannot see the channel")
        return _failed(error, "No such channel, or a private one without the bot: invite it there, or correct the id")
    except Undelivered as error:
        return _failed(error, "")
    return _judged(room)


def _judged(room: Mapping[str, object]) -> LiveAnswer:
    """`room`: as conversations.info tells of the channel."""
    name = f"#{shown(str(room.get('name') or room.get('id')), _MAX_SHOWN)}"
    if not room.get("id"):
        return no_answer(f"The answer is not one of Slack's API. {_WAY}")
    if room.get("is_im"):
        return ok("direct messages with one person")
    if room.get("is_archived"):
        return fault(f"{name} is archived. Unarchive it, or set another channel.")
    if room.get("is_member") is not True:
        return fault(f"The bot is not in {name}. Invite it there: /invite @vakhta")
    if room.get("is_ext_shared"):
        return fault(f"{name} is shared with another company, so no command is accepted there. Set another channel.")
    return ok(f"the bot is in {name}")


def _failed(error: Undelivered, remedy: str) -> LiveAnswer:
    """`remedy`: for a refusal by Slack itself."""
    if isinstance(error, SlackApiError) and error.permanent:
        return fault(f"{error.message} {remedy}.")
    return no_answer(f"{error.message} {_WAY}")


def _api(section: SlackSettings) -> SlackWebApi:
    return SlackWebApi(section.bot_token.get_secret_value(), section.api_url, _LIMIT_S)
