"""A bot that has nothing to do: its processor time, its memory, and how long it takes to be ready.

On SQLite, with nothing but the console. It is started twice: the first start makes the tables, for which Alembic is
loaded; each later one finds them, and that is how a bot runs. What is held to the goals is a later start.
"""

from __future__ import annotations

import time

from bench.ground import Ground
from bench.process import cpu_ns, rss_mib, wakes
from bench.prototype import prototype
from bench.table import Line, at_most, worst
from bench.vakhta import Bot

_MB = 1.048576  # MiB in MB
#: After the start it looks through its database once, and what was loaded is looked through for garbage.
_SETTLED_S = 5.0


def measure(ground: Ground) -> list[Line]:
    with Bot(ground.dir) as bot:
        first_s = bot.ready_s
        first_mb = rss_mib(bot.pid) * _MB
        later = [_again(bot) for _ in range(3)]
        time.sleep(_SETTLED_S)
        cpu, woken = _idle(bot.pid, 10 if ground.quick else 30)
        memory = rss_mib(bot.pid) * _MB
    with prototype(ground) as bare:
        bare_cpu, bare_woken = _idle(bare.pid, 3)
        bare_mb = rss_mib(bare.pid) * _MB
        bare_s = bare.ready_s
    ready = sorted(later)[1]
    return [
        Line(
            what="an idle bot, console alone, SQLite: one core; RSS",
            least="0.5 %; 110 MB",
            reached=f"{cpu:.2f} %; {memory:.0f} MB ({first_mb:.0f} MB after its first start)",
            verdict=worst(at_most(cpu, 0.5), at_most(memory, 110)),
            bare=f"{bare_cpu:.2f} %; {bare_mb:.0f} MB",
            bound=f"{woken:.1f} wake-ups a second (bare {bare_woken:.1f}): the ticks that look for what is due",
            numbers={"cpu_percent": cpu, "wakes_per_s": woken, "rss_mb": memory, "rss_first_mb": first_mb},
        ),
        Line(
            what="from the start of the process to /readyz 200",
            least="1.5 s",
            reached=f"{ready:.2f} s ({first_s:.2f} s the first time)",
            verdict=at_most(ready, 1.5),
            bare=f"{bare_s:.2f} s",
            bound="loading modules: one core of Python; the first time also Alembic and its migrations",
            numbers={"seconds": later, "first_s": first_s, "bare_s": bare_s},
        ),
    ]


def _again(bot: Bot) -> float:
    """Started anew on its database: seconds until it is ready."""
    bot.kill()
    bot.start()
    return bot.ready_s


def _idle(pid: int, seconds: float) -> tuple[float, float]:
    """Per cent of a core, and wake-ups a second."""
    before, woken, begin = cpu_ns(pid), wakes(pid), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begin
    return (cpu_ns(pid) - before) / took / 1e7, (wakes(pid) - woken) / took
