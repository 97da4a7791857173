"""No test may depend on how long ago its module was imported: on a busy machine it can be half an hour.

`make test-slow` shows the same of what calls a helper at import: there the clock goes ahead by an hour in between.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.docs.papers import modules

pytestmark = pytest.mark.xdist_group("parsed")  # so that one worker parses all files, once

_CLOCKS = {
    *(f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter", "process_time") for unit in ("", "_ns")),
    *("time.localtime", "time.gmtime", "time.ctime", "time.asctime", "time.strftime"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
}


def test_no_test_reads_a_clock_when_it_is_imported() -> None:
    trees = modules("tests")
    found = [f"{name}:{line}: {call}" for name, tree in trees.items() for line, call in read_at_import(tree)]

    assert "tests/docs/test_no_clock_at_import.py" in trees
    assert found == [], "take the time in the test or in a fixture"


@pytest.mark.parametrize(
    "code",
    [
        "import time\nNOW = time.time()",
        "import datetime as dt\nNOW = dt.datetime.now(dt.UTC)",
        "from datetime import UTC, datetime\nLATER = [datetime.now(UTC) + step for step in STEPS]",
        "from time import monotonic as since\nclass Night:\n    began = since()",
        "from datetime import datetime\ndef letter(at=datetime.now()): ...",
        "from datetime import date\ndef letter(*, at=date.today()): ...",
        "from datetime import date\nasync def letter(at=date.today()): ...",
        "import time\nletter = lambda at=time.time(): at",
        "import time\n@pytest.mark.parametrize('at', [time.time(), 0.0])\ndef test_it(at): ...",
        "import time\nclass TestIt:\n    @pytest.mark.skipif(time.time() > 5)\n    def test_it(self): ...",
        "import time\nif slow:\n    NOW = round(time.time())",
    ],
)
def test_a_clock_that_is_read_at_import_is_found(code: str) -> None:
    assert len(list(read_at_import(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import time\ndef test_it():\n    assert time.time() > 5",
        "import time\nnow = lambda: time.time()",
        "from dataclasses import field\nimport time\nclass Call:\n    at = field(default_factory=time.monotonic)",
        "NOW = datetime(2026, 11, 23, tzinfo=UTC)",
        "def now(who): ...\nCASES = [now('bo')]",
        "from bot.lib import time\nNOW = time.time()",
    ],
)
def test_a_clock_that_is_read_later_or_is_none_is_let_be(code: str) -> None:
    assert list(read_at_import(ast.parse(code))) == []


def read_at_import(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the text of each call of a clock that runs as soon as the module is imported."""
    names = dict(_imported(tree))
    for node in _run_at_import(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            if f"{names.get(first)}{rest and '.'}{rest}" in _CLOCKS:
                yield node.lineno, ast.unparse(node)


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """All below the node but for the bodies of functions: their decorators and defaults run at import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for part in (*getattr(child, "decorator_list", ()), child.args):
                yield part
                yield from _run_at_import(part)
        else:
            yield child
            yield from _run_at_import(child)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names by which the module knows `time`, `datetime` and what is in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((one.asname or one.name, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)
