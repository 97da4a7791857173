"""Decides the effect of one delivered alert on the stored episode. Pure, and independent of the order of deliveries.

An episode is one firing of one alert: (source, fingerprint, startsAt). Alertmanager sends no sequence number and no
time of sending. HA pairs send copies, late and out of order, and move a startsAt to an earlier one when they merge the
alerts of two Prometheus servers. So these rules alone decide. The stored episode is the one that fires now, else the
one that began last. An end may be about a firing with another start: that of the alert before Alertmanager merged it.
Such a start is nearer to the start of what ended than to its end, and counts as the same firing; one that is nearer to
the end, or behind it, is a new firing (`is_same_firing`, docs/decisions/0054). That is "covered" here.

| stored       | delivered                                    | effect                                       |
|--------------|----------------------------------------------|----------------------------------------------|
| none         | firing                                       | FIRED                                        |
| none         | resolved                                     | UNHEARD (stored: its firing will be LATE)    |
| fires        | firing, same start                           | AGAIN                                        |
| fires        | firing, later start                          | FIRED   (the stored one is superseded)       |
| fires        | firing, earlier start                        | OVER    (superseded, or merged into it)      |
| fires        | resolved, same start                         | ENDED                                        |
| fires        | resolved, later start                        | UNHEARD (the stored one is superseded)       |
| fires        | resolved, earlier start, covers the stored   | ENDED   (the merged one's end)               |
| fires        | resolved, earlier start, else                | OVER                                         |
| has ended    | firing, later start, not covered             | FIRED                                        |
| has ended    | firing, same start, in doubt for `DOUBT`     | FIRED   (no second end came meanwhile)       |
| has ended    | firing, else, within `late_copy` of the end  | LATE (same start) or OVER                    |
| has ended    | firing, else, longer ago                     | FIRED   (its sender had timed it out)        |
| has ended    | firing, of a source that sends once          | OVER, until its end; FIRED after it          |
| has ended    | resolved, same start                         | KNOWN                                        |
| has ended    | resolved, later start / earlier start        | UNHEARD / OVER                               |

An alert without a start of its own (`Alert.undated`) has the start of the stored episode, so it continues or ends that
one; only where that one ended long ago is it a new firing, which began when it was heard (`dated`).

Only these rules use the clock. A sender that is cut off from Prometheus times an alert out and later fires it again
with the same startsAt; to treat that as a late copy would lose it. Such a firing is in doubt for half a minute; then
the scheduler delivers it again, unless an end came meanwhile. It pages nobody as long as it may still be a late copy
(`no_page_until`, docs/decisions/0007 and 0053). A source that sends
each change once (`Alert.sent_once`, docs/decisions/0019) never repeats a firing, so a covered one is only late.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from bot.core.alert import Alert, EpisodeState

#: How long a firing that may be a late copy is in doubt: peers of a cluster send theirs 15 and 30 seconds later.
DOUBT = timedelta(seconds=30)


class AlertEffect(StrEnum):
    """The effect of a delivered alert on the stored episode of its fingerprint."""

    FIRED = "fired"
    AGAIN = "again"
    ENDED = "ended"
    LATE = "late"
    KNOWN = "known"
    UNHEARD = "unheard"
    OVER = "over"


def dated(alert: Alert, state: EpisodeState | None, *, now: datetime, late_copy: timedelta) -> Alert:
    """The alert with a start that identifies its firing; `state` as in `classify`."""
    if not alert.undated or state is None:
        return alert
    if alert.firing and not state.firing and not recent(state.ended_at, now, late_copy):
        return alert
    return replace(alert, starts_at=state.starts_at)


def classify(alert: Alert, state: EpisodeState | None, *, now: datetime, late_copy: timedelta) -> AlertEffect:
    """`state`: the stored episode of the alert's fingerprint (see above), None when there is none."""
    if state is None:
        return AlertEffect.FIRED if alert.firing else AlertEffect.UNHEARD
    if alert.firing:
        return _of_firing(alert, state, now, late_copy)
    if alert.starts_at > state.starts_at:
        return AlertEffect.UNHEARD
    if alert.starts_at == state.starts_at:
        return AlertEffect.ENDED if state.firing else AlertEffect.KNOWN
    merged = is_same_firing(state.starts_at, began=alert.starts_at, ended=alert.ends_at, heard=now)
    return AlertEffect.ENDED if state.firing and merged else AlertEffect.OVER


def _of_firing(alert: Alert, state: EpisodeState, now: datetime, late_copy: timedelta) -> AlertEffect:
    if state.firing:
        if alert.starts_at == state.starts_at:
            return AlertEffect.AGAIN
        return AlertEffect.FIRED if alert.starts_at > state.starts_at else AlertEffect.OVER
    if alert.sent_once:
        return AlertEffect.FIRED if alert.starts_at > state.covers_until else AlertEffect.OVER
    if alert.starts_at == state.starts_at:
        doubted = state.doubted_at is not None and not recent(state.doubted_at, now, DOUBT)
        return AlertEffect.LATE if recent(state.ended_at, now, late_copy) and not doubted else AlertEffect.FIRED
    known = alert.starts_at < state.starts_at or covers(state, alert.starts_at)
    return AlertEffect.OVER if known and recent(state.ended_at, now, late_copy) else AlertEffect.FIRED


def covers(state: EpisodeState, start: datetime) -> bool:
    """Whether a firing with that start is one that has ended with this episode."""
    return is_same_firing(start, began=state.starts_at, ended=state.source_ended_at, heard=state.ended_at)


def is_same_firing(start: datetime, *, began: datetime, ended: datetime | None, heard: datetime | None) -> bool:
    """Whether a firing with that start is the one that `began` and `ended`, known by another start.

    It is where its start is nearer to the start of the other than to its end. Two Prometheus servers that see the same
    problem begin seconds apart; a firing that begins shortly before the end of the last one is a new one.

    Args:
        ended: by the source's clock; None where it did not say.
        heard: when the end was heard of. What began after that is new, even if the end lies ahead; but a source whose
            starts lie ahead as well has a clock that is ahead.
    """
    if start == began or ended is None:
        return start == began
    if heard is not None and began <= heard < ended:
        ended = heard
    return began < start and start - began <= ended - start


def no_page_until(alert: Alert, state: EpisodeState, *, now: datetime, late_copy: timedelta) -> datetime | None:
    """Until when this firing, which FIRED after the end of that one, pages nobody again; None: it is no longer at once.

    With the same start it may be a late copy, whose sender says the end at its next flush. That is heard of one
    group_interval after the copy, so the time counts from the copy; with another start, from the end. One that began
    while the other still fired has not come back: it is another firing, and pages at once.
    """
    if state.firing or state.ended_at is None:
        return None
    ended = state.source_ended_at
    if ended is not None and state.starts_at < alert.starts_at <= ended:
        return None
    until = state.ended_at + late_copy
    if state.doubted_at is not None and state.starts_at == alert.starts_at:
        until = state.doubted_at + late_copy + DOUBT
    return until if state.ended_at <= now < until else None


def recent(at: datetime | None, now: datetime, within: timedelta) -> bool:
    """Whether it was at most `within` ago. A time in the future, after the clock went back, counts as long ago."""
    return at is not None and timedelta() <= now - at <= within
