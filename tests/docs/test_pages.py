"""What the pages point at is there: links, headings, files, tests, commands."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from bot.app.welcome import welcome
from bot.config.settings import load_settings
from tests.docs.papers import PAGES, README, ROOT, fences, modules, prose

pytestmark = pytest.mark.xdist_group("parsed")  # so that one worker parses all files, once

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(r"(?:bot|commands|tests|docs|deploy|runbooks|bench|\.ci|\.github)/[\w./-]*[\w/]")
_TEST = re.compile(r"\btest_\w+\b(?!\.py)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(prose(page.read_text())) if "://" not in link]
    broken = [link for link in links if not _leads_somewhere(page, link)]

    assert not broken


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in {_anchor(heading) for heading in _HEADING.findall(prose(target.read_text()))}


def _anchor(heading: str) -> str:
    """As code hosts make it: lower case, hyphens for blanks, without marks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@every_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named = [code for code in _CODE.findall(prose(page.read_text())) if _FILE.fullmatch(code)]
    made_later = {"bench/out/", "deploy/config/.env"}

    assert [name for name in named if name not in made_later and not (ROOT / name).exists()] == []


def test_every_test_that_is_named_is_there() -> None:
    written = {
        node.name
        for tree in modules("tests").values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = {test for page in PAGES for test in _TEST.findall(page.read_text())}

    assert named
    assert sorted(named - written) == []


def test_the_readme_shows_the_very_command_that_the_bot_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    settings = load_settings(Path("deploy/config/local.yaml"), {})

    told = welcome(settings.server.public_url, settings)

    curl = told[told.index("curl") :]
    assert _words(curl) in [_words(fence) for fence in fences(README, "sh")]


def _words(command: str) -> list[str]:
    return " ".join(command.replace("\\\n", " ").split()).split()


def test_the_commands_of_the_readme_use_targets_and_files_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for fence in fences(README, "sh") for line in fence.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line) for line in lines]

    assert {words[0] for words in commands} == {"make", "curl", "amtool"}
    for words in commands:
        assert words[0] != "make" or set(words[1:]) <= targets
        assert words[0] != "amtool" or (ROOT / words[-1]).is_file()


def test_the_settings_that_a_page_shows_have_no_fault(tmp_path: Path) -> None:
    shown = [fence for page in PAGES for fence in fences(page.read_text(), "yaml")]
    environ = {"VAKHTA_API_TOKEN": "a-token"}

    for number, settings in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(settings)
        load_settings(path, environ)

    assert shown


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("[0-9]*.md")), ids=lambda page: page.name)
def test_every_decision_says_context_decision_what_was_rejected_and_the_consequence(page: Path) -> None:
    text = page.read_text()

    assert text.startswith(f"# {page.name[:4]}: ")
    assert _HEADING.findall(text)[1:] == ["Context", "Decision", "Rejected", "Consequence"]
    assert len(text.splitlines()) <= 60, "a decision is one page"
