"""What one delivered alert means against what is stored of it: pure, and the same in any order.

An episode is one firing of one alert: (source, fingerprint, startsAt). Alertmanager sends no sequence number and
no time of sending; HA pairs send copies, late and out of order, and move a startsAt to an earlier one when they merge
what two Prometheus servers said. So the verdict rests on these rules alone. The standing is the episode that fires
now, else the one that began last; it covers what began no later than its end.

| standing     | the delivery says                            | verdict                                      |
|--------------|----------------------------------------------|----------------------------------------------|
| none         | firing                                       | FIRED                                        |
| none         | resolved                                     | UNHEARD (remembered: its firing is LATE)     |
| fires        | firing, same start                           | AGAIN                                        |
| fires        | firing, later start                          | FIRED   (the standing one is superseded)     |
| fires        | firing, earlier start                        | OVER    (superseded, or merged into it)      |
| fires        | resolved, same start                         | ENDED                                        |
| fires        | resolved, later start                        | UNHEARD (the standing one is superseded)     |
| fires        | resolved, earlier start, ends after it began | ENDED   (the merged one's end)               |
| fires        | resolved, earlier start, else                | OVER                                         |
| has ended    | firing, after what it covers                 | FIRED                                        |
| has ended    | firing, covered, within `late_copy` of it    | LATE (same start) or OVER                    |
| has ended    | firing, covered, longer ago                  | FIRED   (its sender had lost sight of it)    |
| has ended    | firing, covered, of a source that tells once | OVER                                         |
| has ended    | resolved, same start                         | KNOWN                                        |
| has ended    | resolved, later start / earlier start        | UNHEARD / OVER                               |

Only one rule looks at the clock, and it is there because a sender cut off from Prometheus times an alert out and later
fires it again with the same startsAt: to hold such a firing for a late copy for ever would lose it. Until it is
believed it is doubted: `watch` asks again when `late_copy` is over (see docs/decisions/0007). A source that tells each
change once (`Alert.sent_once`, docs/decisions/0019) never fires anything again, so there a covered firing is only late.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.alert import Alert, EpisodeState


class AlertEffect(StrEnum):
    """What a delivered alert does to what is stored of its fingerprint."""

    FIRED = "fired"
    AGAIN = "again"
    ENDED = "ended"
    LATE = "late"
    KNOWN = "known"
    UNHEARD = "unheard"
    OVER = "over"


def classify(alert: Alert, state: EpisodeState | None, *, now: datetime, late_copy: timedelta) -> AlertEffect:
    """`standing`: the stored episode of the alert's fingerprint that counts, None when there is none."""
    if state is None:
        return AlertEffect.FIRED if alert.firing else AlertEffect.UNHEARD
    if alert.firing:
        return _of_firing(alert, state, now, late_copy)
    if alert.starts_at > state.starts_at:
        return AlertEffect.UNHEARD
    if alert.starts_at == state.starts_at:
        return AlertEffect.ENDED if state.firing else AlertEffect.KNOWN
    merged = alert.ends_at is not None and alert.ends_at >= state.starts_at
    return AlertEffect.ENDED if state.firing and merged else AlertEffect.OVER


def _of_firing(alert: Alert, standing: EpisodeState, now: datetime, late_copy: timedelta) -> AlertEffect:
    if standing.firing:
        if alert.starts_at == standing.starts_at:
            return AlertEffect.AGAIN
        return AlertEffect.FIRED if alert.starts_at > standing.starts_at else AlertEffect.OVER
    if alert.sent_once:
        return AlertEffect.FIRED if alert.starts_at > standing.covers_until else AlertEffect.OVER
    if alert.starts_at > standing.covers_until or not recent(standing.ended_at, now, late_copy):
        return AlertEffect.FIRED
    return AlertEffect.LATE if alert.starts_at == standing.starts_at else AlertEffect.OVER


def recent(at: datetime | None, now: datetime, within: timedelta) -> bool:
    """Whether it was no longer ago than that. What a clock that went back makes lie ahead counts as long ago."""
    return at is not None and timedelta() <= now - at <= within
