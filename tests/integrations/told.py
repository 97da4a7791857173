"""A program that says what a test told it to: real executables over real pipes, for tools that cannot be installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SOURCE = """#!{python} -IS
import json, sys, time
answers = json.loads(open({answers!r}).read())
open({calls!r}, "a").write(json.dumps(sys.argv[1:]) + "\\n")
words = " ".join(sys.argv[1:])
for key, (code, out, err, hang) in answers.items():
    if key in words:
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.stdout.flush()
        time.sleep(hang)
        sys.exit(code)
sys.exit("the test told nothing for: " + words)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Say:
    """What is printed, and the code that it ends with. `hang`: seconds before the end."""

    out: str = ""
    err: str = ""
    code: int = 0
    hang: int = 0


class ToldProgram:
    """`answers`: words that the arguments contain -> what is said; the first that fits counts."""

    def __init__(self, folder: Path, answers: Mapping[str, Say]) -> None:
        self.path = folder / "program"
        self._answers, self._calls = folder / "answers.json", folder / "calls"
        self.tell(answers)
        source = _SOURCE.format(python=sys.executable, answers=str(self._answers), calls=str(self._calls))
        self.path.write_text(source)
        self.path.chmod(0o755)

    def tell(self, answers: Mapping[str, Say]) -> None:
        self._answers.write_text(
            json.dumps({key: (one.code, one.out, one.err, one.hang) for key, one in answers.items()})
        )

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []
