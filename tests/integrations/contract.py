"""The contract of every channel and source: notifications, texts that it must survive, and the bench it runs on."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.core.alert import Severity
from bot.core.channel import Channel
from bot.core.errors import Rejected
from bot.core.incident import Event, EventType, Incident, Status
from bot.core.message import Card, MessageKind, Notification
from bot.integrations import load_channel
from tests.fakes.door import SmallDoor

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
INCIDENT = 42
KEY = '{}/{team="core"}:{alertname="HighLatency"}'
LINK = "https://vakhta.example.net/incidents/42"

#: What people and machines really put into labels, and what somebody who means harm would.
TEXTS = {
    "pings": "<!channel> <!here> <@U1> @everyone @channel <!subteam^S1> tg://user?id=1",
    "links": "<https://evil.test|ok> [ok](https://evil.test) https://evil.test/<b>",
    "html": "</b><script>alert(1)</script><a href='javascript:1'>x</a> &lt; &amp; <pre>",
    "marks": "*bold _it ~no `code ```fence > quote | pipe \\ {{ 7*7 }} %s ${env:HOME}",
    "bidi": "user\u202egnp.exe\u2066 \u2069\u200f\u200e",
    "controls": "NUL \x00 bell \x07 escape \x1b[31m tab\t line\nnext\r\nlast \x85 \u2028 \x7f",
    "surrogate": "half \ud83d of a pair",
    "emoji": "\U0001f525 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1fa\U0001f1e6 e\u0301\u0301\u0301",
    "rtl": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 abc",
    "long": "0123456789" * 1000,
    "long escapes": "<&>" * 3400,
    "long emoji": "\U0001f525" * 10_000,
    "long word of marks": "_*`" * 3400,
    "empty": "",
    "blank": " \t\n",
    "replacements": "\ufffd \ufeff \u00ad \U000e0041",
}


def class_of(name: str) -> type[Channel]:
    """The class of a channel: the one that is named after its module."""
    found = [
        thing
        for word, thing in vars(load_channel(name)).items()
        if isinstance(thing, type) and word.lower() == name and thing.__module__ == f"bot.integrations.{name}.channel"
    ]
    assert len(found) == 1, f"bot/integrations/{name}/channel.py needs one class named after it, it has {found}"
    return found[0]


def incident(**changed: Any) -> Incident:
    """Incident 42, open and critical, with whatever is changed."""
    told: dict[str, Any] = {
        "id": INCIDENT,
        "key": KEY,
        "source": "alertmanager",
        "title": "HighLatency prod/api",
        "severity": Severity.CRITICAL,
        "status": Status.OPEN,
        "opened_at": NOW,
        "changed_at": NOW,
        "firing": 3,
        "total": 4,
        "service": "prod/api",
    }
    return Incident(**{**told, **changed})


def card(about: Incident, *lines: str) -> Card:
    return Card(
        title=about.title,
        lines=lines or ("3 of 4 alerts fire.", "prod/api, critical"),
        buttons={"Acknowledge": f"ack {about.id}", "Resolve": f"resolve {about.id}"},
        severity=about.severity,
        status=about.status,
        link=LINK,
    )


def notice(
    kind: MessageKind,
    *,
    what: EventType | None = None,
    about: Incident | None = None,
    ref: str | None = None,
    said: str = "Ana has it.",
    key: str = "",
    lines: tuple[str, ...] = (),
) -> Notification:
    """One delivery. `what` None: a card, which tells no event."""
    about = about or incident()
    event = None
    if what is not None:
        event = Event(incident_id=about.id, at=NOW, type=what, by="ana", text=said)
    return Notification(
        key=key or f"{about.id}/{kind}/{what}/{about.version}",
        kind=kind,
        incident=about,
        event=event,
        card=card(about, *lines),
        ref=ref,
        due_at=NOW,
    )


def page(
    what: EventType, about: Incident | None = None, *, said: str = "Ana has it.", lines: tuple[str, ...] = ()
) -> Notification:
    return notice(MessageKind.PAGE, what=what, about=about, said=said, lines=lines)


@dataclass(frozen=True, kw_only=True)
class Act:
    """One request of a platform: somebody there did something."""

    headers: Mapping[str, str]
    body: bytes


class Bench(ABC):
    """One channel in front of its strict fake, started, with a small gateway behind it.

    A new channel is held to the contract by one more of these (see `benches.py`); a part of the contract that the
    platform has no place for is told by an attribute, with the reason where it is set.
    """

    channel: Channel
    door: SmallDoor
    threads_before: frozenset[threading.Thread]  #: those that ran before the bench was made: none of the channel's
    secrets: tuple[str, ...] = ()  #: texts that must appear in no error, repr or log line
    signs: bool = True  #: False where nothing in a request shows whose it is
    refuses_strangers: bool = True
    links: bool = True  #: False where an account is nobody's own, so that nobody can show that it is theirs

    def wait_until_it_listens(self) -> None:
        """Called after `start`, which does not block."""
        return

    @abstractmethod
    def genuine(self, body: bytes) -> Act:
        """That body, as the platform would sign and send it."""

    @abstractmethod
    def act(self, *, listed: bool, once: str) -> Act:
        """A genuine request: somebody (listed under `people`, or not) acknowledges incident 42."""

    def said_after(self, act: Act) -> str:
        """Let the channel receive `act`; returns what its asker got to read."""
        try:
            return self.channel.receive(act.headers, act.body).body.decode()
        except Rejected as refused:
            return refused.message

    def standing(self) -> list[str]:
        """Every card or page that stands on the platform now, as its text."""
        raise NotImplementedError

    def thread_of(self, ref: str) -> list[str]:
        """The texts in the thread of the card at `ref`, in order."""
        raise NotImplementedError

    def pinged(self) -> list[str]:
        """Whom the messages that stand there notified, and what in them leads elsewhere than it says."""
        return []

    def fail_next(self, trouble: str) -> None:
        """Let the next delivery meet `trouble`: slow_down (wait 7 s), refusal, failure, reset, hang, lost_answer."""
        raise NotImplementedError

    def answer_next(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Let something on the way to the provider answer the next delivery."""
        raise NotImplementedError


#: What a proxy or a captive portal answers: status, body, headers.
FOREIGN_ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "blocked": (403, b"<html><head><title>ERR_ACCESS_DENIED</title></head></html>", {"Content-Type": "text/html"}),
    "log in": (407, b"<!DOCTYPE html>\n<title>Proxy &amp; login</title>", {"Content-Type": "text/html"}),
    "bad request": (400, b"<html><body>Bad Request</body></html>", {"Content-Type": "text/html"}),
    "not found": (404, b"404 page not found\n", {"Content-Type": "text/plain"}),
    "unauthorized": (401, b"", {}),
    "portal": (200, b"<html><title>Welcome to the hotel</title></html>", {"Content-Type": "text/html"}),
    "moved": (302, b"<html>Moved</html>", {"Location": "http://portal.invalid/login", "Content-Type": "text/html"}),
    "gateway": (403, b'{"message": "Forbidden"}', {"Content-Type": "application/json"}),
    "half a page": (403, b'{"ok": fal', {"Content-Type": "application/json"}),
}


def first(bench: Bench) -> str | None:
    """Deliver the first thing that the channel takes."""
    if MessageKind.CARD in bench.channel.kinds:
        return bench.channel.deliver(notice(MessageKind.CARD))
    return bench.channel.deliver(notice(MessageKind.PAGE, what=EventType.OPENED))
