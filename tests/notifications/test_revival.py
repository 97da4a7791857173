"""Whatever died and is sent again: the pager ends as the incident is, and nobody is woken for what is over."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.incident import EventType, Status
from bot.notifications.revival import pages_to_send_again
from bot.store.dead_messages import PageRecord

_NEXT = {
    Status.OPEN: (EventType.ACKED, EventType.SEVERITY_RAISED, EventType.RESOLVED),
    Status.ACKED: (EventType.ACKED, EventType.SEVERITY_RAISED, EventType.RESOLVED),
    Status.RESOLVED: (EventType.REOPENED,),
}
_THEN = {EventType.ACKED: Status.ACKED, EventType.RESOLVED: Status.RESOLVED, EventType.REOPENED: Status.OPEN}


class Pager:
    """One dedup_key at PagerDuty: a trigger folds into an open alert, what comes without one is dropped."""

    def __init__(self) -> None:
        self.state = "none"
        self.woken = 0

    def takes(self, what: EventType) -> None:
        if what is EventType.RESOLVED:
            self.state = "none"
        elif what is EventType.ACKED:
            self.state = "acknowledged" if self.state != "none" else "none"
        elif self.state == "none":
            self.state, self.woken = "triggered", self.woken + 1


@st.composite
def nights(draw: st.DrawFn) -> tuple[list[PageRecord], Status]:
    """The pages of one incident, each sent or dead, and how the incident stands."""
    status, pages = Status.OPEN, [EventType.OPENED]
    for _ in range(draw(st.integers(0, 7))):
        pages.append(draw(st.sampled_from(_NEXT[status])))
        status = _THEN.get(pages[-1], status)
    fates = [draw(st.sampled_from(["sent", "dead"])) for _ in pages]
    records = [PageRecord(id=n, event_type=one, state=fates[n - 1]) for n, one in enumerate(pages, 1)]
    return records, status


def at_the_pager(pages: Sequence[PageRecord]) -> Pager:
    pager = Pager()
    for page in pages:
        if page.state == "sent":
            pager.takes(page.event_type)
    return pager


def records(*pages: tuple[EventType, str]) -> list[PageRecord]:
    return [PageRecord(id=n, event_type=what, state=state) for n, (what, state) in enumerate(pages, 1)]


#: The acknowledgement came before the only trigger that arrived, and a later trigger is dead.
_LOST_ACK = records(
    (EventType.OPENED, "dead"),
    (EventType.ACKED, "sent"),
    (EventType.SEVERITY_RAISED, "sent"),
    (EventType.SEVERITY_RAISED, "dead"),
)


@given(nights())
@example((_LOST_ACK, Status.ACKED))
def test_the_pager_ends_as_the_incident_is(night: tuple[list[PageRecord], Status]) -> None:
    pages, status = night
    pager = at_the_pager(pages)
    before = pager.woken

    again = pages_to_send_again(pages, status, newest=True)
    for number in again:
        pager.takes(pages[number - 1].event_type)

    assert again == sorted(set(again))
    if status is Status.RESOLVED:
        assert pager.woken == before, "somebody is woken for what is over"
        assert pager.state == "none"
    elif status is Status.ACKED:
        assert pager.state == "acknowledged"
    else:
        opens = max(page.id for page in pages if page.event_type in (EventType.OPENED, EventType.REOPENED))
        assert pager.state == "triggered" or (opens not in again and pager.state != "none")
    assert pager.woken <= before + 1


@given(nights())
def test_where_nothing_died_nothing_is_sent_again(night: tuple[list[PageRecord], Status]) -> None:
    pages, status = night
    arrived = [PageRecord(id=page.id, event_type=page.event_type, state="sent") for page in pages]

    assert pages_to_send_again(arrived, status, newest=True) == []
