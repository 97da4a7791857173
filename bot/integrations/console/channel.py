"""The console: the command line on the board, for the person at the bot's own machine.

It takes no notifications: the board reads the timeline from the API by itself, so it is right also after the bot was
down. A message about no incident, such as the progress of a run, goes into the log of the boards that are open. While
none is open it is not delivered, and the result of a run is sent again later.

`bot.web` has checked that the request comes from the board's own page on this machine. The account is always `local`;
which person that is, is looked up as in any chat.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.core.channel import Gateway, RateLimit, WebhookResponse
from bot.core.errors import Rejected, Undelivered
from bot.core.incident import EventType, Incident
from bot.core.message import MessageKind, Notification
from bot.core.request import UNKNOWN_PRINCIPAL, Request
from bot.integrations.console.settings import ConsoleSettings
from bot.lib.text import normalized

#: The only account of this channel: the person at the bot's own machine.
OPERATOR = "local"

_UNLISTED = (
    f"The console acts for the person {OPERATOR!r}, who is not listed under `people`. Nothing was done."
    f" Use your chat, or add {{id: {OPERATOR}, name: ..., roles: [...]}} to `people`."
)
#: The only thread of this channel: the log on every open board.
_LOG = "log"
_MAX_TEXT = 4000
_MAX_KEY = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    text: str
    incident_id: int | None
    idempotency_key: str


class Console:
    """Takes `{"words", "incident", "once"}`, the last two optional; answers `{"said", "ok", "repeated", "buttons"}`.

    `buttons`: label to command, below a reply that has some.
    """

    name = "console"
    title = "Console"
    kinds: frozenset[MessageKind] = frozenset()
    event_types: frozenset[EventType] = frozenset()
    limits: tuple[RateLimit, ...] = ()
    threads = 1
    accounts = False
    pages = False
    local = True
    ignores_above: int | None = None

    def __init__(self, section: ConsoleSettings) -> None:  # noqa: ARG002 - every channel is built from its section
        self._gateway: Gateway | None = None
        #: Shows a line (name, text) on the open boards, replacing one of the same name; False: no board is open.
        self.print_line: Callable[[str, str], bool] = lambda _name, _text: False

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:  # noqa: ARG002 - there is one log
        """A line in the log; see `bot.core.channel.Messenger`."""
        name = instead_of or secrets.token_hex(8)
        if not self.print_line(name, text):
            raise Undelivered("no board is open")
        return name

    def deliver(self, notification: Notification) -> str | None:
        raise AssertionError(f"the console takes no notifications, yet it was given {notification.key}")

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:  # noqa: ARG002 - bot.web has checked them
        """Handle one line as a command."""
        line = _read(body)
        gateway = self._gateway
        if gateway is None:
            raise Rejected(
                "The bot is starting or stopping. Nothing was done. Try again.", code="not_listening", status=503
            )
        operator = gateway.person(self.name, OPERATOR)
        request = Request(
            by=operator or UNKNOWN_PRINCIPAL,
            text=line.text,
            channel=self.name,
            incident_id=line.incident_id,
            idempotency_key=line.idempotency_key,
            account=OPERATOR,
            private=True,
            thread=_LOG,
        )
        if operator is None:
            gateway.record_refusal(request, _UNLISTED)
            raise Rejected(_UNLISTED, code="not_listed", status=403)
        reply = gateway.handle(request)
        buttons = dict(reply.card.buttons) if reply.card else {}
        message = {"said": reply.text, "ok": reply.ok, "repeated": reply.repeated, "buttons": buttons}
        return WebhookResponse(body=json.dumps(message).encode(), content_type="application/json")

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - it takes no notifications
        return False

    def health_problem(self) -> str | None:
        return None

    def start(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def stop(self) -> None:
        self._gateway = None


def _read(body: bytes) -> _Line:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("Send a JSON object. Nothing was done.", code="bad_json") from None
    if not isinstance(sent, dict):
        raise Rejected("Send a JSON object. Nothing was done.", code="not_an_object", status=422)
    words, once, incident = sent.get("words"), sent.get("once", ""), sent.get("incident")
    if not isinstance(words, str) or not words.strip() or len(words) > _MAX_TEXT:
        raise Rejected(f"`words` is text of 1 to {_MAX_TEXT} characters.", code="bad_words", status=422)
    if not isinstance(once, str) or len(once) > _MAX_KEY:
        raise Rejected(f"`once` is text of at most {_MAX_KEY} characters.", code="bad_once", status=422)
    if incident is not None and (type(incident) is not int or not 0 < incident < 2**63):
        raise Rejected("`incident` is the number of an incident.", code="bad_incident", status=422)
    return _Line(text=normalized(words), incident_id=incident, idempotency_key=once)
