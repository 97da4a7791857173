"""A request to the bot: the person behind it, its text, and the reply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.message import Card
from bot.core.run_state import SCHEDULER_ID
from bot.lib.text import storable


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """One person (or machine), whatever number of chat accounts they have."""

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    human: bool = True

    @property
    def display_name(self) -> str:
        return self.name or self.id


#: The sender of a request from an account that is not linked to anybody.
UNKNOWN_PRINCIPAL = Principal(id="")
#: The scheduler, as the sender of automatic undos.
SCHEDULER = Principal(id=SCHEDULER_ID, name="The scheduler", human=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One command that somebody sent to the bot, as text that anybody could have typed."""

    by: Principal
    text: str
    channel: str  #: the channel's name, or `CLI`
    incident_id: int | None = None  #: the incident in whose thread it was sent
    idempotency_key: str = ""  #: the platform's id of this act; the same id a second time has no second effect
    sent_at: datetime | None = None  #: set when the platform delivers late (a pager may repeat for hours); None: now
    account: str = ""  #: the sender's account in that channel
    private: bool = False  #: only the sender can read this request and its reply
    from_button: bool = False  #: a button sent it: its incident number may be from before a restore
    page_key: str = ""  #: of a pager: the dedup_key of the page that it is about
    thread: str = ""  #: where the result can be posted for everybody later, as `Messenger.post` takes it


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to a request, or the refusal. Plain text, for the requester alone unless it is `shared`."""

    text: str
    ok: bool = True
    repeated: bool = False  #: this request had been answered before; it had no second effect
    card: Card | None = None  #: mostly a plan, with buttons; visible to all in the channel unless `requester_only`
    shared: bool = False  #: the result of a plan: everybody in the channel sees it
    plan_closed: bool = False  #: the plan takes no more answers: its buttons are removed
    secret: bool = False  #: it is shown once and never stored
    requester_only: bool = False  #: with its card; a channel that cannot show it to the requester alone omits it

    @property
    def visible_to_all(self) -> bool:
        """Whether everybody in the channel may see it. A secret or a `requester_only` reply never is."""
        return not (self.secret or self.requester_only) and (self.shared or self.card is not None)

    @property
    def storable_text(self) -> str:
        """The text that may be stored, and that answers the same request when it comes again."""
        return (
            "This was answered before, and a secret is not shown twice. Send the command again."
            if self.secret
            else self.text
        )


def cleaned(request: Request) -> Request:
    """The same request in text that every database can hold."""
    return replace(
        request,
        by=replace(request.by, name=storable(request.by.name)),
        text=storable(request.text),
        idempotency_key=storable(request.idempotency_key),
        account=storable(request.account),
    )


def split_verb(text: str) -> tuple[str, str]:
    """The verb in lower case, and the rest. ("/Ack  42" -> "ack", "42")."""
    verb, _, rest = text.strip().removeprefix("/").partition(" ")
    return verb.lower(), rest.strip()
