"""A new critical incident in a storm of 300 groups of warnings: from its webhook's first byte to its card in each chat.

The fakes keep the platforms' limits. One critical comes with the storm's end, others while the chats' limits are used
up.
"""

from __future__ import annotations

import time

from bench.client import flood
from bench.ground import Ground
from bench.outside import Outside, Receipt
from bench.rows.page import critical
from bench.rows.storm import requests
from bench.table import Line, Verdict, at_most

GROUPS = 300
#: The requests that post a new message, by chat.
_POSTS = {"slack": "chat.postMessage", "telegram": "sendMessage"}
#: Seconds after the storm at which a critical webhook comes; no more than the reserve of one minute holds.
_MOMENTS, _QUICK = (0.0, 16.0, 20.0, 30.0, 50.0), (0.0, 5.0, 18.0, 20.0, 22.0)
_PATIENCE_S = 30.0


def measure(ground: Ground) -> list[Line]:
    moments = _QUICK if ground.quick else _MOMENTS
    with Outside(*_POSTS, limits=True) as world, ground.bot(outside=world) as bot:
        flood(bot.port, requests()[:GROUPS], connections=64)
        began = time.monotonic()
        sent: dict[str, float] = {}
        for group, moment in enumerate(moments, GROUPS):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            sent[f"PaymentsDown{group:04d}"] = flood(bot.port, [critical(group)], connections=1)[0].sent
        took = {name: _took(world, name, sent) for name in _POSTS}
        refused = sum(receipt.status == 429 for name in _POSTS for receipt in world.received(name))
        faults = world.faults()
    return [_line(took, len(sent), refused, faults)]


def _took(world: Outside, name: str, sent: dict[str, float]) -> list[float]:
    """Seconds from each critical webhook to its card, of those that came in time."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        cards = _cards(name, world.received(name))
        if sent.keys() <= cards.keys() or time.monotonic() > ends:
            return [cards[mark] - at for mark, at in sent.items() if mark in cards]
        time.sleep(0.1)


def _cards(name: str, received: list[Receipt]) -> dict[str, float]:
    """When each marked card was posted first."""
    found: dict[str, float] = {}
    for receipt in received:
        if receipt.mark and receipt.status < 300 and receipt.path.endswith(_POSTS[name]):
            found.setdefault(receipt.mark, receipt.at)
    return found


def _line(took: dict[str, list[float]], count: int, refused: int, faults: list[str]) -> Line:
    lost = sum(count - len(each) for each in took.values())
    worst = max((max(each, default=0.0) for each in took.values()), default=0.0)
    parts = [f"{name} at most {max(each):.2f} s" for name, each in took.items() if each]
    parts += [f"{lost} NOT TOLD within {_PATIENCE_S:.0f} s"] if lost else []
    return Line(
        what=f"new critical in a storm of {GROUPS} groups: webhook to chat",
        least="5 s",
        aim="2 s",
        reached="; ".join([*parts, f"{refused} answers 429", *faults[:2]]),
        verdict=Verdict.FAILED if faults or lost else at_most(worst, 5.0, 2.0),
        bound="one message a second in each chat, the one before it, and Telegram's reserve of 5 of 20 a minute",
        numbers={"seconds": took, "refused": refused, "faults": faults},
    )
