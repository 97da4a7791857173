"""From the webhook's first byte to PagerDuty's receipt of the page: on an idle bot, and for one critical in a storm."""

from __future__ import annotations

import time

from bench import payload
from bench.client import Answer, flood, pace
from bench.ground import Ground
from bench.load import percentile, reserve_turns
from bench.outside import Outside, Receipt, page_key
from bench.payload import Template
from bench.prototype import prototype
from bench.rows.storm import EACH, GROUPS, requests
from bench.table import Line, Verdict, at_most, worst
from bench.vakhta import TOKEN

_MIDDLE = GROUPS // 2


def measure(ground: Ground) -> list[Line]:
    return [_idle(ground), _storm(ground)]


def critical(group: int) -> bytes:
    """A webhook of the storm's size whose alerts are critical and carry their group in their name."""
    body = payload.webhook(EACH, group=payload.GROUP, name=payload.CRITICAL)
    raw = payload.request("/alerts/alertmanager", body, bearer=TOKEN)
    template = Template(raw=raw, alerts=EACH, groups=GROUPS)
    first = reserve_turns()
    return template.fill(first + group)  # What is reserved is a multiple of the groups, so this is that group.


def _idle(ground: Ground) -> Line:
    """One webhook after the other, so far apart that PagerDuty's 120 a minute hold none back."""
    count, per_s = (60, 8) if ground.quick else (200, 1.8)
    with Outside("slack", "pagerduty") as world, ground.bot(outside=world) as bot:
        took, answered = _paged(world, bot.port, count, per_s)
    with Outside("pagerduty") as world, prototype(ground, outside=world) as bare:
        bare_took, _ = _paged(world, bare.port, 30, 8)
    if not took:
        return Line(what="webhook in to page out, idle", reached="no page arrived", verdict=Verdict.FAILED)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    commits = percentile([answer.ms for answer in answered], 50)
    lost = count - len(took)
    return Line(
        what=f"webhook in to page request out, idle, {len(took)} pages",
        least="5 ms, 20 ms",
        aim="3 ms",
        reached=f"p50 {p50:.2f}, p99 {p99:.2f}, max {max(took):.1f} ms" + (f"; {lost} DID NOT ARRIVE" if lost else ""),
        verdict=Verdict.FAILED if lost else worst(at_most(p50, 5, 3), at_most(p99, 20)),
        bare=f"p50 {percentile(bare_took, 50):.2f}, p99 {percentile(bare_took, 99):.2f} ms",
        bound=f"{commits:.2f} ms of it until the answer (commit); the rest: wake, claim, pdpyras, HTTP",
        numbers={"ms": took, "bare_ms": bare_took},
    )


def _paged(world: Outside, port: int, count: int, per_s: float) -> tuple[list[float], list[Answer]]:
    """Milliseconds from each webhook to its page, of those that arrived; and the answers to the webhooks."""
    template = _single()
    flood(port, [template.fill(reserve_turns())], connections=1)
    _await(world, 1)
    first = reserve_turns()
    answered = pace(port, (template.fill(first + n) for n in range(count)), per_s=per_s, connections=2)
    _await(world, count + 1)
    return _took(answered, _pages(world), first), answered


def _storm(ground: Ground) -> Line:
    """The storm of warnings, which page too, with one critical group in the middle."""
    patience = 10.0 if ground.quick else 75.0
    with Outside("slack", "pagerduty") as world, ground.bot(outside=world) as bot:
        flood(bot.port, [_single().fill(reserve_turns())], connections=1)
        _await(world, 1)
        sending = [*requests()[:_MIDDLE], critical(_MIDDLE), *requests()[_MIDDLE + 1 :]]
        answered = flood(bot.port, sending, connections=64)
        key = page_key(payload.group_key(f"{_MIDDLE:04d}"))
        page = _find(world, key, within_s=patience)
        paged = len(_pages(world))
        before = sum(receipt.at < page.at for receipt in _pages(world).values()) if page else 0
        faults = world.faults()
    sent = next(answer for answer in answered if answer.index == _MIDDLE)
    with prototype(ground) as bare:
        quickest = next(one for one in flood(bare.port, sending, connections=64) if one.index == _MIDDLE)
    what = "first critical page in a storm (500 webhooks, the critical one in the middle)"
    if page is None:
        late = f"not within {patience:.0f} s; {paged} other pages had gone out"
        return Line(what=what, least="100 ms", reached=late, verdict=Verdict.SHORT)
    ms = (page.at - sent.sent) * 1000
    return Line(
        what=what,
        least="100 ms",
        reached=f"{ms:,.0f} ms; {before} warnings were paged before it" + "".join(f"; {fault}" for fault in faults[:1]),
        verdict=Verdict.FAILED if faults else at_most(ms, 100),
        bare=f"its webhook answered after {quickest.ms:.0f} ms",
        bound=f"its webhook was answered after {sent.ms:.0f} ms"
        + ("; then it waited for PagerDuty's quota, used up by the warnings" if ms > 5000 else ""),
        numbers={"ms": ms, "bare_answer_ms": quickest.ms},
    )


def _single() -> Template:
    """A webhook of one alert and a group of its own."""
    return Template(raw=payload.request("/alerts/alertmanager", payload.webhook(1), bearer=TOKEN), alerts=1)


def _took(answered: list[Answer], arrived: dict[str, Receipt], first: int) -> list[float]:
    """Milliseconds from when each webhook was due until its page arrived, of those that did."""
    took = []
    for answer in answered:
        page = arrived.get(page_key(payload.group_key(f"{first + answer.index:010d}")))
        if page:
            took.append((page.at - answer.due) * 1000)
    return took


def _pages(world: Outside) -> dict[str, Receipt]:
    """The first request for each dedup_key."""
    found: dict[str, Receipt] = {}
    for receipt in world.received("pagerduty"):
        found.setdefault(receipt.mark, receipt)
    return found


def _await(world: Outside, count: int, *, within_s: float = 15.0) -> None:
    """Until that many keys were paged, or the time is over; the caller counts."""
    deadline = time.monotonic() + within_s
    while len(_pages(world)) < count and time.monotonic() < deadline:
        _pause()


def _find(world: Outside, key: str, *, within_s: float) -> Receipt | None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        page = _pages(world).get(key)
        if page:
            return page
        _pause()
    return None


def _pause() -> None:
    time.sleep(0.1)
