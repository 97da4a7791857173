"""What a person asks of the bot, who asks, and the reply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from bot.core.message import Card
from bot.lib import text as words


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """One person (or machine), however many chat accounts."""

    id: str
    name: str = ""
    roles: frozenset[str] = frozenset()
    human: bool = True

    @property
    def display_name(self) -> str:
        return self.name or self.id


#: Whoever speaks from an account that is nobody's yet.
UNKNOWN_PRINCIPAL = Principal(id="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What somebody said to the bot, in words that anybody could have typed."""

    by: Principal
    text: str
    channel: str  #: the channel's name, or `CLI`
    incident_id: int | None = None  #: the incident in whose thread it was said
    idempotency_key: str = ""  #: the platform's own id of this act; the same id a second time has no second effect
    sent_at: datetime | None = None  #: when, where the place tells us late (a pager may repeat for hours); None is now
    account: str = ""  #: the asker's account at that place
    private: bool = False  #: nobody but the asker can read these words and their answer
    from_button: bool = False  #: a button said it, not a person: its number may be of an incident from before a restore
    thread: str = ""  #: where at that place everybody can be told later what came of it, as `Speaks.post` takes it


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to an ask, or the refusal; plain text, to the asker alone unless it is `shared`."""

    text: str
    ok: bool = True
    repeated: bool = False  #: this ask had been answered before; it had no second effect
    card: Card | None = (
        None  #: the same with buttons, for everybody at the place unless it is `requester_only`: a plan, mostly
    )
    shared: bool = False  #: what became of a plan: everybody at the place is told
    plan_closed: bool = False  #: the plan that was answered takes no answer any more: its buttons go
    secret: bool = False  #: it is shown once and never stored
    requester_only: bool = (
        False  #: the asker's own, with its card: a place that cannot show it to them alone does not show it
    )

    @property
    def visible_to_all(self) -> bool:
        """Whether everybody at the place may see it; never a secret, nor what is the asker's own."""
        return not (self.secret or self.requester_only) and (self.shared or self.card is not None)

    @property
    def storable_text(self) -> str:
        """What may be written down of it, and is told when the same act comes again."""
        return "You were answered before, and it is not shown twice. Say it again." if self.secret else self.text


def cleaned(request: Request) -> Request:
    """The same in text that every database can hold."""
    who = replace(request.by, name=words.storable(request.by.name))
    return replace(
        request,
        by=who,
        text=words.storable(request.text),
        idempotency_key=words.storable(request.idempotency_key),
        account=words.storable(request.account),
    )


def split_verb(words: str) -> tuple[str, str]:
    """The verb in lower case and the rest. ("/Ack  42" -> "ack", "42")."""
    verb, _, rest = words.strip().removeprefix("/").partition(" ")
    return verb.lower(), rest.strip()


#: Who asks where time does: a revert, an undo after a check that failed.
SCHEDULER = Principal(id="watch", name="The watch", human=False)
