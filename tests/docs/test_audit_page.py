"""docs/audit.md tells the codes and the form that are, so that a verifier written from it alone is right."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from bot.core.audit import AuditEntry, Code
from bot.store import audit_entry
from tests.docs.papers import ROOT, fences, section

PAGE = (ROOT / "docs/audit.md").read_text()


def test_every_code_is_told_with_its_event_and_no_other() -> None:
    told = re.findall(r"^\| `(VK\d{3}[IWE])` \| `([a-z_]+)` \| \S", section(PAGE, "Codes"), re.MULTILINE)

    assert told == [(str(code), code.name.lower()) for code in Code]


def test_the_example_is_an_entry_as_the_bot_writes_it() -> None:
    (example,) = fences(section(PAGE, "An entry"), "json")
    entry = AuditEntry(
        code=Code.INTENT,
        by="ana",
        message="Silence HighErrorRate for 30 min.",
        run="r7",
        verb="silence",
        target="api",
        channel="slack",
        account="U1",
        incident_id=42,
        details={"plan": "9f2c"},
    )

    line = audit_entry.encode_entry(entry, uid=json.loads(example)["uid"], at=datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert line.body.decode() == example.strip()


def test_every_key_of_an_entry_is_told_and_no_other() -> None:
    (example,) = fences(section(PAGE, "An entry"), "json")
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section(PAGE, "An entry"), re.MULTILINE)

    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == set(json.loads(example))


def test_the_limits_that_are_told_are_those_of_the_code() -> None:
    assert f"at most {audit_entry.MOST_TEXT:,} bytes" in " ".join(PAGE.split())
    assert f"at most {audit_entry.MOST_MORE} |" in PAGE
