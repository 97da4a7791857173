"""Parses Slack's payloads into acts: who sent which command, where, and the idempotency key of the act.

The trap: a mention in a channel where the bot listens arrives twice, as `app_mention` and as `message`, under two
event ids. So the key of a message is its channel and timestamp, and it is done once however often it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.core.errors import Rejected
from bot.integrations.slack.text import command_text, plain_text_of

Payload = Mapping[str, object]

#: How the action ids of buttons begin: in a message about one thing, and in one that only its reader sees.
SAY, MINE = "say", "mine"
#: Fields that Slack sets on a message that an app posted, even in a person's name.
_BY_AN_APP = ("app_id", "bot_profile", "display_as_bot", "workflow_id")
_SLACKBOT = "USLACKBOT"  #: posts reminders and answers that any member may write; its `is_bot` is false


@dataclass(frozen=True, kw_only=True, slots=True)
class SlackAct:
    """What one person did in Slack."""

    account: str  #: the user's id; "" when Slack named nobody
    team: str | None  #: the person's own workspace, None when the payload does not name it
    text: str
    idempotency_key: str
    channel: str = ""
    thread: str = ""  #: ts of the thread's root, "" outside threads
    response_url: str = ""  #: for a reply to the asker alone; "" when there is none
    is_shared: bool = False  #: people of other companies are in that channel, as Slack says in the payload
    is_private: bool = False  #: nobody else sees the text
    from_button: bool = False  #: the text is a button's, not typed
    root: str = ""  #: ts of the message below which replies to everybody go; "" where there is none
    button_message: Payload | None = None  #: the message with the button, as Slack has it
    text_if_unlinked: str = ""  #: replaces `text` where the account is not linked to a person; "" leaves it
    in_home_tab: bool = False  #: in the bot's Home tab, which is the person's own: there is no channel
    trigger_id: str = ""  #: opens one form, within 3 s; "" where there is none
    by_app: bool = False  #: an app wrote it in the account's name
    presser_only: bool = False  #: the button was one of many in a message to the presser alone; the others stay

    @property
    def card_ref(self) -> str | None:
        """Where the incident's card may be: the thread's root, or the message with the button."""
        at = self.thread or (self.root if self.from_button else "")
        return f"{self.channel}:{at}" if self.channel and at else None


def parse_command(payload: Payload) -> SlackAct:
    """A slash command. One typed in a direct message is seen by the bot alone."""
    if not text_of(payload, "trigger_id"):
        raise no_sender()
    channel = text_of(payload, "channel_id")
    return SlackAct(
        account=text_of(payload, "user_id"),
        team=text_of(payload, "team_id") or None,
        text=command_text(text_of(payload, "command"), text_of(payload, "text")),
        idempotency_key=f"command:{text_of(payload, 'trigger_id')}",
        channel=channel,
        response_url=text_of(payload, "response_url"),
        is_private=is_direct(channel),
        trigger_id=text_of(payload, "trigger_id"),
    )


def parse_press(payload: Payload) -> SlackAct:
    """A button press. The button's value is the command, and the rights are those of the person who pressed it."""
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else {}
    user, where = part(payload, "user"), part(payload, "container")
    in_view = where.get("type") == "view" and part(payload, "view").get("type") == "home"
    place = text_of(where, "view_id" if in_view else "message_ts")
    act = (place, text_of(action, "action_id"), text_of(action, "action_ts"), text_of(user, "id"))
    if not all(act):
        raise no_sender()
    channel = "" if in_view else text_of(where, "channel_id") or text_of(part(payload, "channel"), "id")
    message = SlackAct(
        account=text_of(user, "id"),
        team=text_of(user, "team_id") or None,
        text=text_of(action, "value").strip().lstrip("/ "),
        idempotency_key="action:" + ":".join(act),
        channel=channel,
        response_url=text_of(payload, "response_url"),
        presser_only=act[1].startswith(f"{MINE}:"),
        from_button=True,
    )
    if in_view:
        return replace(message, in_home_tab=True, is_private=True)
    thread = text_of(where, "thread_ts")
    root = "" if where.get("is_ephemeral") is True else thread or place
    return replace(message, thread=thread, root=root, button_message=part(payload, "message"))


def parse_home_opened(payload: Payload) -> SlackAct | None:
    """Somebody opens the bot's Home tab, which runs `home`; None for its other tabs and for other events."""
    event = part(payload, "event")
    if event.get("type") != "app_home_opened" or event.get("tab") != "home":
        return None
    account, event_id = text_of(event, "user"), text_of(payload, "event_id")
    if not account or not event_id:
        raise no_sender()
    return at_home(SlackAct(account=account, team=None, text="", idempotency_key=f"home:{event_id}"))


def at_home(act: SlackAct) -> SlackAct:
    """The act as `home` in the Home tab; for an account that is not linked, `link`, which explains how to link it."""
    return replace(act, text="home", text_if_unlinked="link", is_private=True, in_home_tab=True, from_button=False)


def parse_mention(payload: Payload, bot: str) -> SlackAct | None:
    """A message to the bot; None for anything else (edits, bots, messages between others).

    A message with a bot's id is never answered, so that two bots do not talk to each other for ever.

    `bot`: the bot's user id where it is known; else it is taken from the event's authorizations.
    """
    event = part(payload, "event")
    rows = payload.get("authorizations")
    authorization = rows[0] if isinstance(rows, list) and rows else {}
    me = bot or text_of(authorization, "user_id")
    if event.get("bot_id") or event.get("edited") or event.get("subtype") not in (None, "thread_broadcast"):
        return None
    text = text_of(event, "text")
    in_thread = event.get("type") == "message" and me and f"<@{me}" in text and event.get("thread_ts")
    if event.get("type") != "app_mention" and not in_thread:
        return None
    channel, ts = text_of(event, "channel"), text_of(event, "ts")
    if not channel or not ts or text_of(event, "user") == me:
        return None
    return SlackAct(
        account=text_of(event, "user"),
        team=text_of(event, "user_team") or text_of(event, "team") or None,
        text=_command_in(text, me),
        idempotency_key=f"message:{channel}:{ts}",
        channel=channel,
        thread=text_of(event, "thread_ts"),
        root=text_of(event, "thread_ts") or ts,
        is_shared=payload.get("is_ext_shared_channel") is True,
        by_app=any(event.get(mark) not in (None, "", False) for mark in _BY_AN_APP),
    )


def is_direct(channel: str) -> bool:
    """Whether it is a direct message of two; the ids of those begin with D."""
    return channel.startswith("D")


def outsider(user: Payload, team_id: str) -> str | None:
    """Why this account (`user` of users.info) may not act here; None: it is a full member of our workspace."""
    grid = part(user, "enterprise_user").get("teams")
    at_home = user.get("team_id") == team_id or (isinstance(grid, list) and team_id in grid)
    reasons = {
        "is deactivated": user.get("deleted"),
        "is a bot": user.get("is_bot") or user.get("is_workflow_bot") or user.get("id") == _SLACKBOT,
        "is a guest": user.get("is_restricted") or user.get("is_ultra_restricted"),
        "belongs to another company": user.get("is_stranger") or not at_home,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def part(payload: Payload, key: str) -> Payload:
    """The object under that key, empty where there is none."""
    value = payload.get(key)
    return value if isinstance(value, dict) else {}


def text_of(payload: Payload, key: str) -> str:
    """The text under that key, empty where there is none."""
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def no_sender() -> Rejected:
    """For a payload without the ids that tell it from a second delivery of itself."""
    return Rejected("This act has no id, so it could be done twice. Nothing was done.", code="unreadable")


def _command_in(text: str, me: str) -> str:
    """`@bot /vakhta ack 42` and `@bot ack 42` are both `ack 42`."""
    words = plain_text_of(text, bot=me)
    verb, _, rest = words.partition(" ")
    return (rest if verb == "vakhta" else words) or "help"
