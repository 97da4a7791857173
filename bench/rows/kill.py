"""SIGKILL at random moments of a storm: whatever was answered 200 must be there after the restart, and be owed.

An answer counts as given as soon as the bot wrote it, also when it is read after the bot's death. Kills share a store
in blocks, so that the recovery of a store that was already recovered is tried as well.
"""

from __future__ import annotations

import itertools
import random
import time
from dataclasses import dataclass

from bench import payload
from bench.client import Alarm, flood
from bench.ground import Ground
from bench.load import reserve_turns
from bench.payload import Template
from bench.rows.storm import EACH, GROUPS
from bench.table import Line, Verdict
from bench.vakhta import TOKEN, Bot

_BLOCK = 25


@dataclass(kw_only=True)
class Toll:
    """What all kills together came to."""

    kills: int = 0
    answered: int = 0  #: alerts in webhooks that were answered 200
    lost: int = 0
    unowed: int = 0  #: stored alerts whose incident owes nobody anything
    other: int = 0  #: answers neither 200 nor cut off
    broken: str = ""  #: what SQLite's integrity_check said, if not ok


def measure(ground: Ground) -> list[Line]:
    wanted = 20 if ground.quick else 200
    chance = random.Random(20)  # The moments differ by the machine anyway; the seed makes a failure easier to repeat.
    toll = Toll()
    while toll.kills < wanted:
        with ground.bot() as bot:
            for _ in range(min(_BLOCK, wanted - toll.kills)):
                _kill_once(bot, chance.uniform(0.005, 0.4), toll)
            said = bot.ask("PRAGMA integrity_check")
            if said != [("ok",)]:
                toll.broken = str(said)[:200]
    return [_line(toll)]


def _kill_once(bot: Bot, after_s: float, toll: Toll) -> None:
    """A storm, the kill in it, the restart, and the count."""
    body = payload.webhook(EACH, group=payload.GROUP)
    raw = payload.request("/alerts/alertmanager", body, bearer=TOKEN)
    template = Template(raw=raw, alerts=EACH, groups=GROUPS)
    first = reserve_turns()
    alarm = Alarm(at=time.monotonic() + after_s, ring=bot.kill)
    answers = flood(bot.port, (template.fill(first + n) for n in itertools.count()), connections=64, alarm=alarm)
    bot.start()
    acknowledged = [answer.index for answer in answers if answer.status == 200]
    begin = f"fed{first:010d}000"
    stored = {row[0] for row in bot.ask("SELECT fingerprint FROM alert WHERE fingerprint >= ?", begin)}
    expected = {f"fed{first + index:010d}{member:03d}" for index in acknowledged for member in range(EACH)}
    unowed = bot.ask(
        "SELECT count(*) FROM alert AS a WHERE fingerprint >= ?"
        " AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.incident_id = a.incident_id)",
        begin,
    )
    toll.kills += 1
    toll.answered += len(expected)
    toll.lost += len(expected - stored)
    toll.unowed += int(unowed[0][0])
    toll.other += sum(answer.status not in {0, 200} for answer in answers)


def _line(toll: Toll) -> Line:
    wrong = [
        text
        for text, present in (
            (f"{toll.unowed} alerts whose incident owes nobody anything", toll.unowed),
            (f"{toll.other} answers other than 200", toll.other),
            (f"integrity_check: {toll.broken}", toll.broken),
        )
        if present
    ]
    return Line(
        what=f"acknowledged alerts lost over {toll.kills} kill -9 in a storm, SQLite",
        least="0",
        aim="0",
        reached="; ".join([f"{toll.lost} of {toll.answered:,} lost", *wrong]),
        verdict=Verdict.FAILED if toll.lost or wrong or not toll.answered else Verdict.AIM,
        bound="kill -9 only: a loss of power cannot be tried here",
        numbers={"toll": toll},
    )
