"""A slash command in a storm: from the due time of Slack's signed request to the answer, which is also Slack's ack.

Each is an `/ack` of an incident of its own, so each is decided, committed with its audit entries, and owed to the
channels; the storm beside it is as many webhooks of 20 alerts as the bot takes from 64 connections.
"""

from __future__ import annotations

import threading

from bench.client import Answer, flood, pace
from bench.ground import STORES, Ground, to_bot
from bench.load import Rate, percentile, reserve_turns
from bench.prototype import prototype
from bench.table import Line, Verdict, at_most
from bench.vakhta import Bot
from tests.fakes.slack_speech import Workspace

_PER_S = 20
_WITHIN_MS = 300


def measure(ground: Ground) -> list[Line]:
    return [_line(ground, store) for store in STORES]


def _line(ground: Ground, store: str) -> Line:
    seconds = 4 if ground.quick else 15
    count = seconds * _PER_S
    with ground.bot(store) as bot:
        ground.warm_bot(bot)
        _open(bot, count * 2)
        calm = _spoken(bot.port, [_ack(bot, number) for number in range(1, count + 1)])
        acks = [_ack(bot, number) for number in range(count + 1, 2 * count + 1)]
        stormy, storm = _beside_a_storm(ground, bot.port, acks, seconds)
        acked = bot.ask("SELECT count(*) FROM incident WHERE status = 'acknowledged'")[0][0]
    with prototype(ground, store) as bare:
        first, one = reserve_turns(), to_bot(1, grouped=False)
        small = [one.fill(first + number) for number in range(4 * _PER_S)]
        bare_ms = [answer.ms for answer in _beside_a_storm(ground, bare.port, small, 4)[0]]
    ms = [answer.ms for answer in stormy]
    p99 = percentile(ms, 99)
    faults = [] if acked == 2 * count else [f"{acked} of {2 * count} were acknowledged"]
    return Line(
        what=f"a slash command's answer in a storm, {count} at {_PER_S}/s, {store}",
        least=f"p99 {_WITHIN_MS} ms",
        reached="; ".join(
            [
                f"p50 {percentile(ms, 50):.0f}, p99 {p99:.0f}, max {max(ms):.0f} ms",
                f"without a storm p99 {percentile([answer.ms for answer in calm], 99):.0f}",
                *faults,
            ]
        ),
        verdict=Verdict.FAILED if faults else at_most(p99, _WITHIN_MS),
        bare=f"p99 {percentile(bare_ms, 99):.0f} ms for a webhook of one alert in that storm",
        bound=f"its turn among {storm.per_s * 20:,.0f} alerts/s: one lock, one commit, one core of Python",
        numbers={"ms": ms, "calm_ms": [answer.ms for answer in calm], "webhooks_per_s": storm.per_s},
    )


def _open(bot: Bot, count: int) -> None:
    """So many incidents of one alert each, beside those of the warming."""
    template = to_bot(1, grouped=False)
    first = reserve_turns()
    flood(bot.port, [template.fill(first + n) for n in range(count)], connections=16)


def _beside_a_storm(ground: Ground, port: int, sent: list[bytes], seconds: int) -> tuple[list[Answer], Rate]:
    told: list[Rate] = []
    storm = threading.Thread(
        target=lambda: told.append(ground.drive(port, to_bot(20, grouped=True), seconds=seconds + 1))
    )
    storm.start()
    try:
        return _spoken(port, sent), _joined(storm, told)
    finally:
        storm.join()


def _joined(storm: threading.Thread, told: list[Rate]) -> Rate:
    storm.join()
    (rate,) = told
    return rate


def _spoken(port: int, sent: list[bytes]) -> list[Answer]:
    return pace(port, sent, per_s=_PER_S, connections=8)


def _ack(bot: Bot, number: int) -> bytes:
    """The signed request of one person's `/ack`."""
    workspace = Workspace(team_id="T1", app_id="A1", bot_user="UBOT", channel="C1", secret=bot.slack_secret)
    spoken = workspace.command("/ack", str(number), user="U1", response_url="http://127.0.0.1:9/none")
    headers = workspace.sign(spoken.body, spoken.content_type)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /in/slack HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(spoken.body)}"])
    return f"{head}\r\n\r\n".encode() + spoken.body
