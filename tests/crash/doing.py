"""A bot that silences, an Alertmanager that looks into its database whenever a silence arrives, and what must hold."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from bot.__main__ import main
from bot.alerts.intake import Intake
from bot.app.build import build_alert_rules, open_store
from bot.app.build_chatops import ChatOps, build_chatops
from bot.app.cli.ask import ask
from bot.config import settings
from bot.core.request import Principal, Reply, Request
from bot.store.audit_seals import Sealer
from bot.store.engine import Store
from tests.crash.born import born
from tests.fakes.alertmanager import FakeAlertmanager
from tests.fakes.calls import Answer, Call
from tests.running import TOKEN, Program, until

_INTENT, _OUTCOMES = "VK120I", ("VK121I", "VK122E", "VK123E", "VK124W")
_OPERATOR = Principal(id="local", name="local", roles=frozenset({"admin"}))
_RUN = re.compile(r"\(vakhta run ([0-9a-f]{32})\)$")

WISH = "silence service=api for 1h because test"
#: Another one: the same one would be answered with the plan that waits.
OTHER_WISH = "silence service=api for 2h because test"


class World(FakeAlertmanager):
    """`called` has each silence that arrived: its run, and whether that run's intent was sealed at this moment."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._rows = Rows(url)
        self.called: list[tuple[str, bool]] = []

    def answer(self, call: Call) -> Answer:
        if (call.verb, call.path) == ("POST", "/api/v2/silences"):
            found = _RUN.search(json.loads(call.body)["comment"])
            assert found is not None, "a silence that names no run"
            self.called.append((found[1], self._rows.sealed_intent(found[1])))
        return super().answer(call)


class Rows:
    """The bot's database, read from beside it."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool)

    def sealed_intent(self, run: str) -> bool:
        asked = (
            "SELECT s.pos FROM audit_entry AS e JOIN audit_seal AS s ON s.entry_id = e.id"
            " WHERE e.code = :code AND e.run = :run"
        )
        return len(self.ask(asked, code=_INTENT, run=run)) == 1

    def runs(self) -> dict[str, str]:
        """id -> state, in the order in which they began."""
        return {row["id"]: row["state"] for row in self.ask("SELECT id, state FROM run ORDER BY began_at")}

    def outcomes(self, run: str) -> list[str]:
        """The codes of a run's outcomes, as they were written."""
        rows = self.ask("SELECT code FROM audit_entry WHERE run = :run ORDER BY id", run=run)
        return [row["code"] for row in rows if row["code"] in _OUTCOMES]

    def held(self) -> list[str]:
        return [row["run"] for row in self.ask("SELECT run FROM hold WHERE run <> ''")]

    def approvals(self) -> list[int]:
        """How many of each plan's."""
        return [row["n"] for row in self.ask("SELECT count(*) AS n FROM approval GROUP BY handle")]

    def titles(self) -> list[str]:
        return [row["title"] for row in self.ask("SELECT title FROM incident ORDER BY id")]

    def set(self, statement: str) -> None:
        """What only time would do otherwise."""
        with self._engine.begin() as connection:
            connection.execute(text(statement))

    def ask(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(statement), values)]


class Doing:
    """The operator at a keyboard; every process of `begin` is a `vakhta ask` of its own."""

    def __init__(self, place: Path, url: str, world: World) -> None:
        self.world = world
        self.rows = Rows(url)
        self._url = url
        self._place = place
        self._config = place / "vakhta.yaml"
        source = {"tokens": [TOKEN], "api_url": world.url}
        self._config.write_text(json.dumps({"store": {"url": url}, "sources": {"alertmanager": source}}))
        self.settings, _ = settings.read_settings(self._config, os.environ)
        open_store(self.settings).close()

    def says(self, words: str) -> Reply:
        return ask(self.settings, words, self._config)

    def planned(self) -> str:
        """The handle of a plan that waits for its yes."""
        shown: list[str] = re.findall(r"`yes ([0-9a-f]+)`", self.says(WISH).text)
        return shown[-1]

    @contextmanager
    def asked(self, words: str, failpoint: str) -> Iterator[Program]:
        """Another process says it, with that failpoint armed; a stall is short."""
        command = [sys.executable, "-m", "tests.crash.unhurried", "ask", "--config", str(self._config), words]
        with Program(command, log=self._place / "ask.log", ready=lambda: True, by=born) as program:
            program.begin(VAKHTA_FAILPOINT=failpoint, VAKHTA_STALL_S="2")
            yield program

    def dies(self, words: str, failpoint: str) -> None:
        with self.asked(words, f"{failpoint}=kill") as program:
            until(lambda: not program.alive(), f"{failpoint} is reached")
            assert "failpoint reached" in program.said()

    @contextmanager
    def later(self, minutes: int = 3) -> Iterator[ChatOps]:
        """A bot for which it is later, so that a run's lease is over."""
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
        )
        intake.stop()
        seals.seal()
        store.close()

    def verified(self) -> int:
        return main(["audit", "verify", "--config", str(self._config)])

    def check(self) -> None:
        """What holds whatever died where, once all has been looked at."""
        assert all(sealed for _, sealed in self.world.called), f"called without a sealed intent: {self.world.called}"
        called = [run for run, _ in self.world.called]
        assert len(called) == len(set(called)), f"called twice: {called}"
        runs = self.rows.runs()
        standing = {run for run, state in runs.items() if state == "done"}
        assert standing == set(called), f"{runs}, and Alertmanager has heard of {called}"
        assert set(runs.values()) <= {"done", "failed"}
        assert [len(self.rows.outcomes(run)) for run in runs] == [1] * len(runs)
        assert set(self.rows.approvals()) <= {1}
        assert self.rows.held() == []
        assert self.verified() == 0


def say(house: ChatOps, words: str) -> Reply:
    """As the operator."""
    return house.dispatcher.handle(Request(by=_OPERATOR, text=words, channel="cli", account="local", private=True))
