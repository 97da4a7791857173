"""A restore and a cutover of a real PostgreSQL, killed by SIGKILL: one copy or none, found again by the next process.

`tests/backups/test_crashes.py` tries every place, with a world in memory.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.alerts.intake import Intake
from bot.app.build import build_alert_rules
from bot.app.build_chatops import ChatOps, build_chatops
from bot.app.build_tools import build_tools
from bot.config import settings
from bot.core.backup import RestoreRecord, RestoreState
from bot.core.request import Principal, Reply, Request
from bot.store.audit_seals import Sealer
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store
from tests.crash.doing import Doing
from tests.integrations.postgres.shop import PROGRAMS, Shop, opened
from tests.postgres import Postgres

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.slow]

_STORE = "prod/shop"
_ASKER = Principal(id="bo", name="Bo", roles=frozenset({"admin"}))


class Restoring(Doing):
    """Bo asks in this process; who approves is the operator, in a `vakhta ask` of its own that is killed."""

    def __init__(self, place: Path, url: str, shop: Shop) -> None:
        super().__init__(place, url, _NoWorld())  # type: ignore[arg-type]  # of its world only `called` is looked at
        where = {"database": shop.database, "url": shop.url, "folder": str(shop.folder), "programs": PROGRAMS}
        store: dict[str, Any] = {"name": _STORE, "engine": "postgres", "rpo": "1d", "rto": "4h", "where": where}
        people = [{"id": "local", "roles": ["admin"]}, {"id": "bo", "roles": ["admin"], "slack": "U02BO"}]
        told = {"store": {"url": url}, "people": people, "backups": {"stores": [store]}}
        self._config.write_text(json.dumps(told))
        self.settings, _ = settings.read_settings(self._config, os.environ)

    @contextmanager
    def later(self, minutes: int = 3) -> Iterator[ChatOps]:
        store = Store(self._url, now=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
        intake = Intake(store, rules=build_alert_rules(self.settings), subscriptions=(), on_commit=lambda _: None)
        intake.start()
        seals = Sealer(store)
        yield build_chatops(
            self.settings,
            store,
            channels={},
            subscriptions=(),
            on_commit=lambda _: None,
            seal=seals.seal_now,
            take=intake.take,
            tools=build_tools(self.settings, store.now, records=StoredBackupRecords(store)),
        )
        intake.stop()
        seals.seal()
        store.close()

    def looked(self) -> tuple[str, str]:
        """The next process looks at the last run. Returns its state and why it is not well."""
        with self.later() as house:
            house.upkeep.tick()
            house.runner.stop(timedelta(seconds=60))
        (last,) = self.rows.ask("SELECT state, unwell FROM run ORDER BY began_at DESC LIMIT 1")
        assert last["state"] != "intended"
        return last["state"], last["unwell"]

    def plans(self, words: str) -> str:
        """Bo's plan, and the command that approves it."""
        with self.later(0) as house:
            ask = Request(by=_ASKER, text=words, channel="slack", account="U02BO", private=True)
            shown: Reply = house.dispatcher.handle(ask)
        found = re.findall(r"`(yes [0-9a-f]+ \S+)`", shown.text)
        assert found, shown.text
        return str(found[-1])

    def row(self, run: str) -> RestoreRecord:
        store = Store(self._url)
        try:
            return StoredBackupRecords(store).get_restore(run)
        finally:
            store.close()

    def last(self) -> str:
        return list(self.rows.runs())[-1]


class _NoWorld:
    url = "http://127.0.0.1:1"


@pytest.fixture
def shop(postgres: Postgres, tmp_path: Path) -> Iterator[Shop]:
    folder = tmp_path / "archives"
    folder.mkdir()
    with opened(postgres, folder) as made:
        made.dump()
        yield made


@pytest.fixture
def doing(tmp_path: Path, sqlite_template: Path, shop: Shop) -> Restoring:
    (tmp_path / "vakhta.db").write_bytes(sqlite_template.read_bytes())
    return Restoring(tmp_path, f"sqlite:///{tmp_path}/vakhta.db", shop)


def copies(shop: Shop) -> set[str]:
    return {name for name in shop.databases() if name.startswith(f"{shop.database}_")}


@pytest.mark.parametrize("place", ["restore.asking", "watch.going", "restore.restored", "restore.checking"])
def test_a_restore_that_is_killed_leaves_one_copy_or_none_and_the_row_says_which(
    place: str, doing: Restoring, shop: Shop
) -> None:
    doing.dies(doing.plans(f"restore {_STORE}"), place)

    state, unwell = doing.looked()

    row = doing.row(doing.last())
    if place == "restore.asking":
        assert (state, row.state, copies(shop)) == ("failed", RestoreState.FAILED, set())
        return
    if place == "watch.going" and state == "failed":  # pg_restore has died with the bot
        assert (row.state, len(copies(shop))) == (RestoreState.FAILED, 1)
        assert f"`remove-copy {row.task.short_run}` removes it." in row.message
        assert doing.says(doing.plans(f"remove-copy {row.task.short_run}")).ok
        assert copies(shop) == set()
        return
    assert (state, unwell, row.state, len(copies(shop))) == ("done", "", RestoreState.VERIFIED, 1)
    assert shop.count(copies(shop).pop()) == 500


def test_a_cutover_that_is_killed_before_the_swap_has_a_safety_backup_and_is_asked_for_anew(
    doing: Restoring, shop: Shop
) -> None:
    assert doing.says(doing.plans(f"restore {_STORE}")).ok
    restored = doing.last()
    shop.order(7)
    doing.dies(doing.plans(f"cutover {restored[:8]}"), "cutover.stored")
    first = doing.looked()

    reply = doing.says(doing.plans(f"cutover {restored[:8]}"))

    assert first[0] == "failed"
    assert reply.ok, reply.text
    assert doing.row(restored).state is RestoreState.LIVE
    assert shop.count() == 500
    assert len(list(shop.folder.iterdir())) >= 3, "the archive, and a safety backup for each cutover"


def test_a_cutover_that_is_killed_after_the_swap_is_live_and_is_undone(doing: Restoring, shop: Shop) -> None:
    assert doing.says(doing.plans(f"restore {_STORE}")).ok
    restored = doing.last()
    shop.order(7)
    doing.dies(doing.plans(f"cutover {restored[:8]}"), "cutover.swapped")

    found = doing.looked()
    live = doing.row(restored)
    reply = doing.says(doing.plans(f"undo {doing.last()[:8]}"))

    assert found == ("done", "")
    assert (live.state, reply.ok) == (RestoreState.LIVE, True), reply.text
    assert doing.row(restored).state is RestoreState.VERIFIED
    assert shop.count() == 507
