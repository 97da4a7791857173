"""docs/map.md draws the house as it is."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from configparser import ConfigParser
from graphlib import TopologicalSorter

import pytest

from tests.docs.papers import MAP, ROOT, fences, first_cells, modules, prose, section

pytestmark = pytest.mark.xdist_group("parsed")  # so that one worker parses all files, once

#: One SDK each; what is in the second column belongs to the first.
SDKS = {
    "slack_bolt": "slack_bolt",
    "slack_sdk": "slack_sdk",
    "telegram": "telegram",
    "pdpyras": "pdpyras",
    "kubernetes": "kubernetes",
    "boto3": "boto3",
    "botocore": "boto3",
    "prometheus_api_client": "prometheus_api_client",
    "apscheduler": "apscheduler",
    "prometheus_client": "prometheus_client",
    "alembic": "alembic",
    "requests": "requests",
    "cryptography": "cryptography",
    "redis": "redis",
}
_FLOORS = section(MAP, "Floors")
_WORD = re.compile(r"`([^`\n]+)`")
_CLASS = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")
_PATH = re.compile(r"(?:bot|commands|runbooks|deploy|tests|bench|docs)/[\w./*-]*|\.[\w./-]+")


def test_the_packages_are_those_that_are_there() -> None:
    there = {f"bot/{path.parent.name}/" for path in (ROOT / "bot").glob("*/__init__.py")}
    beside = {"commands/", "runbooks/", "deploy/", "tests/", "bench/"}

    assert set(first_cells(_FLOORS)) == there | beside


def test_every_path_on_the_map_is_there() -> None:
    named = [word for word in _WORD.findall(prose(MAP)) if _PATH.fullmatch(word)]

    assert len(named) > 50
    assert [path for path in named if not (list(ROOT.glob(path)) if "*" in path else (ROOT / path).exists())] == []


def test_every_class_on_the_map_is_there() -> None:
    classes = {
        node.name for tree in modules("bot").values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }

    assert {word.partition(".")[0] for word in _WORD.findall(prose(MAP)) if _CLASS.match(word)} <= classes


def test_the_floors_are_those_that_are_kept_and_every_package_is_on_one() -> None:
    (drawn,) = fences(_FLOORS, "")
    kept = [floor.strip().replace("bot.", "") for floor in _layers()]
    packages = {path.parent.name for path in (ROOT / "bot").glob("*/__init__.py")}

    assert drawn.split("\n")[:-1] == kept
    assert len(kept) <= 10
    assert set(re.findall(r"\w+", drawn)) == packages | {"__main__", "commands"}


def _layers() -> list[str]:
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter")
    return [line for line in contract["importlinter:contract:layers"]["layers"].split("\n") if line.strip()]


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {name: _imports_of(name, tree) for name, tree in modules("bot", "commands").items()}

    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle

    assert len(order) > 300


def _imports_of(name: str, tree: ast.Module) -> set[str]:
    """The files of the house that this one imports when it is loaded; annotations need none."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in for_types:
            base = node.module.replace(".", "/")
            found |= {path for alias in node.names if (path := _file_of(f"{base}/{alias.name}") or _file_of(base))}
    return found - {name}


def _file_of(path: str) -> str | None:
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (ROOT / name).is_file()), None)


def test_each_sdk_is_imported_by_one_file_and_the_map_says_which() -> None:
    importers = _importers()
    several = {sdk: sorted(files) for sdk, files in importers.items() if len(files) > 1}
    untold = {file for files in importers.values() for file in files if f"`{file}`" not in MAP}
    unused = {sdk for sdk in SDKS.values() if sdk not in importers and f"{sdk}" not in MAP}

    assert several == {}
    assert untold == set()
    assert unused == set()
    assert {"slack_bolt", "slack_sdk", "telegram", "pdpyras", "boto3", "apscheduler"} <= set(importers)


def _importers() -> dict[str, set[str]]:
    """SDK -> the files that import it, type-checking blocks and functions included."""
    found: dict[str, set[str]] = defaultdict(set)
    for file, tree in modules("bot", "commands", "runbooks").items():
        if file.startswith("bot/store/migrations/"):
            continue  # Alembic runs them; they are nothing without it
        for node in ast.walk(tree):
            for name in _imported(node):
                if name in SDKS:
                    found[SDKS[name]].add(file)
    return found


def _imported(node: ast.AST) -> list[str]:
    """The top packages that it imports, also by `import_module("name")`."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [str(node.module).partition(".")[0]]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
        name = node.args[0]
        return [str(name.value).partition(".")[0]] if isinstance(name, ast.Constant) else []
    return []


def test_every_decision_is_in_their_list() -> None:
    listed = (ROOT / "docs/decisions/README.md").read_text()
    decisions = {path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md")}

    assert set(re.findall(r"\]\(([^)]+)\)", listed)) == decisions
