"""Turns Slack's errors, and missing answers, into `Undelivered`: whether the same call may succeed later, and when.

No text made here holds a token, an address or a body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Protocol
from urllib.error import URLError

from bot.core.errors import Refusal, Undelivered
from bot.integrations.foreign_answer import describe_foreign_answer
from bot.integrations.slack.messages import SlackApiError

#: Error codes after which the same call cannot succeed until a person changes something.
_PERMANENT = re.compile(
    r"account_inactive|.*_not_found|cannot_reply_to_message|.*_access_denied|.*_not_granted|invalid_.*|is_archived"
    r"|metadata_too_large|missing_scope|msg_.*too_long|no_permission|no_text|not_allowed_token_type|not_authed"
    r"|not_in_channel|restricted_action.*|enterprise_is_restricted|token_(expired|revoked)|cant_.*|edit_window_closed"
    r"|two_factor_setup_required|unknown_method"
)
#: Of these, the ones that any message in that channel meets, until somebody changes the channel or the token.
_PLACE = re.compile(
    r"channel_not_found|not_in_channel|is_archived|restricted_action(?!_thread).*|posting_to_general_channel_denied"
)
_KEY = re.compile(
    r"account_inactive|.*_access_denied|.*_not_granted|invalid_auth|missing_scope|no_permission|not_allowed_token_type"
    r"|not_authed|token_(expired|revoked)|enterprise_is_restricted|two_factor_setup_required"
)
_REMEDIES = {
    Refusal.PLACE: " Invite the bot to the channel, see that it may post there, or set another channels.slack.channel.",
    Refusal.KEY: " Install the app again if it asks for that, set channels.slack.bot_token, and restart the bot.",
}


class SlackResponse(Protocol):
    """The part of the SDK's response that is read here."""

    @property
    def status_code(self) -> int: ...

    @property
    def data(self) -> object: ...

    @property
    def headers(self) -> Mapping[str, object]: ...


def api_error(method: str, response: SlackResponse) -> Undelivered:
    """Slack answered with an error."""
    body = response.data if isinstance(response.data, dict) else {}
    status, code = response.status_code, str(body.get("error") or "")
    if status == HTTPStatus.TOO_MANY_REQUESTS or code in {"ratelimited", "rate_limited"}:
        seconds = str(response.headers.get("Retry-After", ""))
        wait = timedelta(seconds=int(seconds)) if seconds.isdecimal() else timedelta(seconds=30)
        return Undelivered(f"Slack limits the rate of {method}.", retry_after=wait)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in {"internal_error", "fatal_error"}:
        return Undelivered(f"Slack failed: it answered {method} with HTTP {status}.")
    # Of what is no JSON the SDK makes an object with its own text as the error.
    if body.get("ok") is not False or not re.fullmatch(r"[a-z_]{1,60}", code):
        return Undelivered(f"{describe_foreign_answer('Slack', status)} It is tried again.")
    return SlackApiError(
        f"Slack refused {method}: {code}.", code=code, permanent=_PERMANENT.fullmatch(code) is not None
    )


def refusal_of(error: SlackApiError) -> Undelivered:
    """The same for the sender of messages: whether any message there would be refused, and what to do about that."""
    refused = Refusal.KEY if _KEY.fullmatch(error.code) else Refusal.PLACE if _PLACE.fullmatch(error.code) else None
    if refused is None:
        return error
    return Undelivered(error.message + _REMEDIES[refused], refused=refused)


def no_answer_error(method: str, error: Exception) -> Undelivered:
    """No readable answer came back."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    return Undelivered(f"Slack did not answer {method} ({type(cause).__name__}).")
