"""docs/map.md draws the house as it is."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from configparser import ConfigParser

import pytest

from tests.docs.papers import MAP, ROOT, fences, modules, section

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
}
_TREE, _FLOORS = fences(section(MAP, "The tree"), "") + fences(section(MAP, "Floors"), "")
_FILE = re.compile(r"\b[\w.-]+\.(?:py|md|toml|lock)\b")


def test_the_tree_names_every_module_and_every_package() -> None:
    bot = ROOT / "bot"
    packages = {f"bot/{path.parent.name}" for path in bot.glob("*/__init__.py")}
    parts = {path for path in (bot / "channels").glob("*.py") if "_" in path.stem}
    files = {*bot.glob("*.py"), *bot.glob("*/*.py"), *(ROOT / "commands").glob("*.py")} - parts
    there = packages | {
        str(path.relative_to(ROOT)) for path in files if path.name != "__init__.py" or path.parent == bot
    }

    assert sorted(there - {"commands/__init__.py"} - _drawn()) == []


def test_the_tree_names_nothing_that_is_gone() -> None:
    assert sorted(path for path in _drawn() if not (ROOT / path).exists()) == []


def _drawn() -> set[str]:
    """The folders and files of the tree, by their paths from the root."""
    drawn: set[str] = set()
    folders: list[str] = []
    for line in filter(str.strip, _TREE.splitlines()):
        depth, first = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        del folders[depth:]
        if first.endswith("/"):
            folders.append(first.rstrip("/"))
            drawn.add("/".join(folders))
        drawn |= {"/".join([*folders, file]) for file in _FILE.findall(line)}
    return drawn


def test_the_floors_are_those_that_are_kept() -> None:
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter")
    kept = contract["importlinter:contract:layers"]["layers"].replace("bot.", "").split("\n")

    assert [floor for floor in _FLOORS.splitlines() if floor] == [floor.strip() for floor in kept if floor.strip()]


def test_each_sdk_is_imported_by_one_file_and_the_map_says_which() -> None:
    importers = _importers()
    floors = section(MAP, "Floors")

    several = {sdk: sorted(files) for sdk, files in importers.items() if len(files) > 1}
    untold = {file for files in importers.values() for file in files if f"`{file}`" not in floors}
    unused = {sdk for sdk in SDKS.values() if sdk not in importers and f"{sdk}" not in floors}

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


def test_every_decision_is_in_its_list() -> None:
    decisions = {f"decisions/{path.name}" for path in (ROOT / "docs/decisions").glob("*.md")}

    assert set(re.findall(r"\]\((decisions/[^)]+)\)", section(MAP, "Decisions"))) == decisions
