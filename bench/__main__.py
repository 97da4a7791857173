"""`python -m bench [--quick] [--only NAME]... [--json FILE]`: measure, print the table, write the JSON.

A row that fails becomes its own text and the others go on; whatever was started is stopped, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from pathlib import Path

from bench import machine, table
from bench.ground import Ground
from bench.load import Unmeasurable
from bench.rows import (
    alerta,
    audit,
    cluster,
    command,
    cost,
    decide,
    drill,
    fifty,
    growth,
    idle,
    judge,
    kill,
    minute,
    one,
    openloop,
    overtake,
    page,
    rota,
    storm,
    syncs,
    versions,
)
from bench.table import Line, Verdict

_ROWS = {
    "one": one.measure,
    "fifty": fifty.measure,
    "alerta": alerta.measure,
    "storm": storm.measure,
    "syncs": syncs.measure,
    "openloop": openloop.measure,
    "page": page.measure,
    "command": command.measure,
    "minute": minute.measure,
    "overtake": overtake.measure,
    "growth": growth.measure,
    "cost": cost.measure,
    "idle": idle.measure,
    "audit": audit.measure,
    "kill": kill.measure,
    "decide": decide.measure,
    "judge": judge.measure,
    "rota": rota.measure,
    "drill": drill.measure,
    "cluster": cluster.measure,
    "versions": versions.measure,
}


def main() -> int:
    """1 when a row failed, else 0; falling short of a target is told, it is not an error."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    ground = Ground(quick=options.quick)
    lines: list[Line] = []
    try:
        _measure(ground, options.only or list(_ROWS), lines)
    except KeyboardInterrupt:
        ground.notes.append("interrupted: the rows above are all that was measured")
    finally:
        ground.close()
    ground.note_noise()
    told = machine.describe()
    table.print_notes(told, ground.notes)
    table.write_json(options.json, lines, told, ground.notes)
    print(f"written to {options.json}")
    return int(any(line.verdict is Verdict.FAILED for line in lines))


def _measure(ground: Ground, names: list[str], lines: list[Line]) -> None:
    table.print_head()
    begin = time.monotonic()
    _note_limits(ground)
    took = [f"limits {time.monotonic() - begin:.0f}"]
    for name in names:
        started = time.monotonic()
        for line in _try(ground, name):
            lines.append(line)
            table.print_line(line)
        took.append(f"{name} {time.monotonic() - started:.0f}")
    whole = f"{time.monotonic() - begin:.0f} s{', --quick' if ground.quick else ''}"
    ground.notes.append(f"took {whole}; seconds by row: {', '.join(took)}")


def _note_limits(ground: Ground) -> None:
    try:
        best = machine.limits(ground)
        ground.notes.append("this machine at its best: " + ", ".join(f"{n} {v:,.4g}" for n, v in best.items()))
        ground.notes.append(machine.check_generator(ground))
    except Unmeasurable as why:
        ground.notes.append(f"the generator's ceiling was not measured: {why}")


def _try(ground: Ground, name: str) -> list[Line]:
    try:
        return _ROWS[name](ground)
    except Unmeasurable as why:
        return [Line(what=name, reached=str(why), verdict=Verdict.SKIPPED)]
    except Exception as error:  # noqa: BLE001 (one row's trouble must not cost the others)
        traceback.print_exc(file=sys.stderr)
        return [Line(what=name, reached=f"{type(error).__name__}: {error}", verdict=Verdict.FAILED)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer, shorter rounds: about four minutes in all")
    parser.add_argument("--only", action="append", choices=list(_ROWS), metavar="NAME", help=", ".join(_ROWS))
    parser.add_argument("--json", type=Path, default=Path("bench/out/latest.json"), help="where the numbers go")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
