"""Rules that no linter knows: the length of functions, names of failpoints, and what must stand in no file."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from tests.docs.papers import modules, texts

_LONGEST_FUNCTION = 40

pytestmark = pytest.mark.xdist_group("parsed")  # so that one worker parses all files, once

#: Put together, so that this file does not hold what it forbids: who installs decides where from.
_INDEX_FLAGS = re.compile("|".join("--" + flag for flag in ("index-url", "extra-index-url", "trusted-host")))
_CONFLICT = re.compile("^(?:" + "|".join(mark * 7 + "( |$)" for mark in ("<", ">", r"\|")) + ")", re.MULTILINE)


def test_no_function_is_longer_than_a_thought() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for name, tree in modules("bot", "commands").items()
        if _is_ours(name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= _LONGEST_FUNCTION
    ]

    assert long == []


def _is_ours(name: str) -> bool:
    """Not written by Alembic."""
    return name.endswith(".py") and not name.startswith("bot/store/migrations/versions/")


def test_a_public_class_has_a_name_of_its_own() -> None:
    """Who reads a name in an error or in a review knows which class is meant."""
    found = Counter(
        node.name
        for tree in modules("bot", "commands").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )

    assert len(found) > 300
    assert [name for name, count in found.items() if count > 1] == []


def test_every_failpoint_has_a_name_of_its_own() -> None:
    names = Counter(
        str(node.args[0].value) if isinstance(node.args[0], ast.Constant) else ast.unparse(node)
        for tree in modules("bot").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint"
    )

    assert len(names) > 5
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z]+\.[a-z_]+", name)] == []


def test_no_file_says_where_packages_come_from() -> None:
    # How the lock is made names the flag that leaves the address out.
    found = {
        name: _INDEX_FLAGS.findall(text.replace("--no-emit-index-url", ""))
        for name, text in texts().items()
        if _INDEX_FLAGS.search(text.replace("--no-emit-index-url", ""))
    }

    assert found == {}


def test_what_ci_uses_of_others_is_pinned_by_its_full_hash() -> None:
    flow = texts()[".github/workflows/ci.yml"]
    loose = [used for used in re.findall(r"uses: *(\S+)", flow) if not re.search(r"@[0-9a-f]{40}$", used)]

    assert "bash .ci/run" in flow
    assert loose == []


def test_no_file_holds_a_conflict() -> None:
    assert [name for name, text in texts().items() if _CONFLICT.search(text)] == []


#: Where the names of platforms belong: what is built for one, its settings, and where all is built and joined.
_KNOWS_PLATFORMS = (
    "bot/integrations/",
    "bot/config/",
    "bot/app/bot.py",
    "bot/app/build.py",
    "bot/app/build_chatops.py",
    "bot/app/build_sources.py",
)
_NAMES_PLATFORMS = {
    "bot/lib/redact.py": "the forms of credentials, which are taken out of alerts also where the platform is "
    "not set up",
    "commands/unlink.py": "an example of a place, for people",
}
_PLATFORM = re.compile("slack|telegram|pager_?duty", re.IGNORECASE)


def test_policy_knows_no_platform_by_its_name() -> None:
    named = {
        name: said
        for name, tree in modules("bot", "commands").items()
        if not name.startswith(_KNOWS_PLATFORMS) and (said := sorted(_platforms(tree)))
    }

    assert sorted(named) == sorted(_NAMES_PLATFORMS), named


def _platforms(tree: ast.Module) -> set[str]:
    """Strings and identifiers that name one; docstrings may, for they explain and decide nothing."""
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        said
        for node in ast.walk(tree)
        if id(node) not in explained
        for said in _said_by(node)
        if _PLATFORM.search(said)
    }


def _said_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return [node.value if isinstance(node.value, str) else node.value.decode("latin-1")]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}"]
    return [said for key in ("id", "attr", "arg", "name") if isinstance(said := getattr(node, key, None), str)]
