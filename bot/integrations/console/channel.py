"""The console: the line to type in on the board, for whoever sits at the bot's own machine.

No delivery is ever owed to it. The board reads the committed story by itself, so it shows what is true also after the
bot was down. What belongs to no story, such as how a run goes, is said into the log of whichever boards are open. While
none is, that is not delivered, and the end of a run is said again later.

The web edge has checked that the request comes from the board's own page on this machine; whose words they are is asked
of the house, as in any chat: the account is always `local`.
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

#: The one account of this place: whoever sits at the bot's own machine.
OPERATOR = "local"

_UNLISTED = (
    f"The console acts for the person {OPERATOR!r}, who is not listed under `people`. Nothing was done."
    f" Use your chat, or add {{id: {OPERATOR}, name: ..., roles: [...]}} to `people`."
)
#: The one room of this place: the log, on every board that is open.
_LOG = "log"
_MOST_WORDS = 4000
_MOST_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    words: str
    incident_id: int | None
    once: str


class Console:
    """Takes `{"words", "incident", "once"}`, the last two optional; answers `{"said", "ok", "repeated", "buttons"}`.

    `buttons` are labels to words, under an answer that offers some.
    """

    name = "console"
    kinds: frozenset[MessageKind] = frozenset()
    event_types: frozenset[EventType] = frozenset()
    limits: tuple[RateLimit, ...] = ()
    threads = 1
    accounts = False
    pages = False
    local = True
    ignores_above: int | None = None

    def __init__(self, section: ConsoleSettings) -> None:  # noqa: ARG002 - every channel is built from its section
        self._door: Gateway | None = None
        #: Says a line on the boards that are open, in the place of one of the same name; False: none is.
        self.print_line: Callable[[str, str], bool] = lambda _name, _text: False

    def post(self, text: str, to: str | None, *, instead_of: str = "") -> str:  # noqa: ARG002 - there is one log
        """A line in the log; see `ports.Messenger`."""
        name = instead_of or secrets.token_hex(8)
        if not self.print_line(name, text):
            raise Undelivered("no board is open")
        return name

    def deliver(self, notification: Notification) -> str | None:
        raise AssertionError(f"the console is owed nothing, yet it was given {notification.key}")

    def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookResponse:  # noqa: ARG002 - the web edge judged them
        """Do what one line says."""
        line = _read(body)
        door = self._door
        if door is None:
            raise Rejected(
                "The bot is starting or stopping. Nothing was done; try again.", code="not_listening", status=503
            )
        operator = door.person(self.name, OPERATOR)
        request = Request(
            by=operator or UNKNOWN_PRINCIPAL,
            text=line.words,
            channel=self.name,
            incident_id=line.incident_id,
            idempotency_key=line.once,
            account=OPERATOR,
            private=True,
            thread=_LOG,
        )
        if operator is None:
            door.record_refusal(request, _UNLISTED)
            raise Rejected(_UNLISTED, code="not_listed", status=403)
        reply = door.handle(request)
        buttons = dict(reply.card.buttons) if reply.card else {}
        message = {"said": reply.text, "ok": reply.ok, "repeated": reply.repeated, "buttons": buttons}
        return WebhookResponse(body=json.dumps(message).encode(), content_type="application/json")

    def accepts(self, incident: Incident) -> bool:  # noqa: ARG002 - nothing is owed to it
        return False

    def health_problem(self) -> str | None:
        return None

    def start(self, gateway: Gateway) -> None:
        self._door = gateway

    def stop(self) -> None:
        self._door = None


def _read(body: bytes) -> _Line:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("Send a JSON object. Nothing was done.", code="bad_json") from None
    if not isinstance(sent, dict):
        raise Rejected("Send a JSON object. Nothing was done.", code="not_an_object", status=422)
    words, once, incident = sent.get("words"), sent.get("once", ""), sent.get("incident")
    if not isinstance(words, str) or not words.strip() or len(words) > _MOST_WORDS:
        raise Rejected(f"`words` is text of 1 to {_MOST_WORDS} characters.", code="bad_words", status=422)
    if not isinstance(once, str) or len(once) > _MOST_ONCE:
        raise Rejected(f"`once` is text of at most {_MOST_ONCE} characters.", code="bad_once", status=422)
    if incident is not None and (type(incident) is not int or not 0 < incident < 2**63):
        raise Rejected("`incident` is the number of an incident.", code="bad_incident", status=422)
    return _Line(words=normalized(words), incident_id=incident, once=once)
