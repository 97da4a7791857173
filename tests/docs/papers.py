"""The repository as its readers have it: its text files, its pages, its code, without what tools leave behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "runbooks").rglob("*.md"), ROOT / "deploy/README.md"]
)
OPERATING = (ROOT / "docs/operating.md").read_text()
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "docs/map.md").read_text()

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LARGEST = 2 * 1024 * 1024


@cache
def texts() -> dict[str, str]:
    """Every text file by its path from the root; what .gitignore names is left out."""
    ignored = {line.strip("/*") for line in (ROOT / ".gitignore").read_text().splitlines()} | {".git"}
    return dict(_read(ROOT, ignored))


def _read(folder: Path, ignored: set[str]) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.iterdir()):
        name = str(path.relative_to(ROOT))
        if path.name in ignored or name in ignored or path.name.startswith(".venv") or path.suffix == ".egg-info":
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _read(path, ignored)
        elif path.is_file() and path.stat().st_size < _LARGEST and b"\0" not in (raw := path.read_bytes()):
            yield name, raw.decode("utf-8")


@cache
def modules(*folders: str) -> dict[str, ast.Module]:
    """The Python files under those folders, parsed, by their path from the root."""
    return {name: _parsed(name) for name in texts() if name.endswith(".py") and name.partition("/")[0] in folders}


@cache
def _parsed(name: str) -> ast.Module:
    """Each file is parsed once, whatever it is asked for together with."""
    return ast.parse(texts()[name])


def fences(page: str, language: str) -> list[str]:
    """What stands in the page's fenced blocks of that language."""
    return [body for told, body in _FENCE.findall(page) if told == language]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page)


def section(page: str, title: str) -> str:
    """What stands under that heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no section {title!r}"
    return found[1]


def first_cells(table: str) -> list[str]:
    """What stands in backticks in the first column of each row."""
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
