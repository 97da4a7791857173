"""A database that an earlier version of the bot has left behind, and what that version showed of it.

tests/fixtures/before holds it as text: a dump for each engine; `anchors`, the checkpoints of its audit log as they were
put outside; `shown.json`, the API's answers of that version; and a settings file with what was read from it. No later
version makes them anew, because a test of compatibility needs data that the code under test has not written. A database
of a later version is a further folder beside it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
from pydantic import BaseModel, SecretStr
from starlette.responses import PlainTextResponse

from bot.access.policy import Role, Rule
from bot.alerts.classification import AlertRules
from bot.core.catalog import Catalog, Service
from bot.lib.metrics import Metrics
from bot.store.engine import Store
from bot.store.flagger_gates import FlaggerGates
from bot.web.event_stream import FeedSignal
from bot.web.flagger_gates import GateClients
from bot.web.server import Server, build_web
from tests.house import ANA, BO, CY, ROLES, SEVERITIES, Clock, House

FOLDER = Path(__file__).parent / "fixtures" / "before"
#: When the bot wrote the last of it.
LEFT_AT = datetime(2025, 6, 2, 14, 30, tzinfo=UTC)
#: Keys of the API whose values are made of what is stored, and are not themselves stored.
_SENTENCES = frozenset({"why", "why_not", "todo", "next_try_at"})

#: Ana asks, Bo breaks the glass, Cy approves and settles; a plan of Bo's needs two more people.
RULES = AlertRules(
    severities=SEVERITIES, catalog=Catalog(services=(Service(name="prod/api", match={"service": "api"}),))
)
SCALER = Role(name="scaler", allow=(Rule(do="scale *"),))
PAIR = Role(name="pair", allow=(Rule(do="turn *", approvals=2),))
FIRE = Role(name="fire", allow=(Rule(do="turn *"), Rule(do="undo")), break_glass=True)
DI = replace(CY, id="di", name="Di", roles=frozenset({"approver"}))
EL = replace(ANA, id="el", name="El", roles=frozenset({"pair"}))
PEOPLE = {
    ("slack", "U1"): replace(ANA, roles=ANA.roles | {"scaler"}),
    ("telegram", "1001"): replace(ANA, roles=ANA.roles | {"scaler"}),
    ("slack", "U2"): BO,
    ("slack", "U3"): CY,
    ("slack", "U4"): DI,
    ("slack", "U5"): EL,
}


def restore(url: str) -> None:
    """Into an empty database."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as base:
            base.executescript((FOLDER / "sqlite.sql").read_text())
    else:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as base:
            base.execute((FOLDER / "postgres.sql").read_bytes())


def opened(url: str, *, at: datetime = LEFT_AT) -> House:
    """The House on it, with the people and roles that it was written by."""
    house = House(url, rules=RULES, roles=(*ROLES, SCALER, PAIR, FIRE))
    house.clock.at = at
    house.settle(PEOPLE)
    return house


def shown(url: str) -> Any:
    """What the API answers about all incidents, runs and audit entries."""
    clock = Clock()
    clock.at = LEFT_AT
    store = Store(url, now=clock)
    with _served(store) as at, httpx.Client(base_url=at, trust_env=False) as http:

        def get(path: str) -> Any:
            answer = http.get(path)
            assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
            return answer.json()

        listed = get("/api/incidents?limit=200")
        found = {
            "incidents": listed,
            "each": [get(f"/api/incidents/{one['id']}") for one in listed["incidents"]],
            "runs": get("/api/runs"),
            "audit": get("/api/audit?limit=200"),
        }
    store.close()
    return found


def shown_then() -> Any:
    """What it answered when the dump was made."""
    return json.loads((FOLDER / "shown.json").read_text())


@contextmanager
def _served(store: Store) -> Iterator[str]:
    server = Server(
        build_web(
            alerts=PlainTextResponse(),
            store=store,
            channels={},
            checks={},
            channel_checks={},
            outbox_sizes=lambda: (),
            meters=Metrics(),
            on_refused=lambda _place, _code: None,
            feed_signal=FeedSignal(),
            flagger=GateClients(answer=FlaggerGates(store).answer, tokens={}),
            public_url="http://127.0.0.1:8080",
            api_token=None,
            version="0",
        )
    )
    at = server.bind("127.0.0.1:0")
    server.start()
    try:
        yield at
    finally:
        server.stop(timedelta(seconds=5))


def settings_in(folder: Path) -> tuple[Path, dict[str, str]]:
    """The settings file of that version with the files that it refers to, and an environment with its secrets."""
    path = folder / "settings.yaml"
    text = (FOLDER / "settings.yaml").read_text()
    path.write_text(text)
    for name in re.findall(r"\$\{file:([a-z/-]+)\}", text):
        secret = folder / name
        secret.parent.mkdir(exist_ok=True)
        secret.write_text(f"the secret of {name}\n")
        secret.chmod(0o600)
    environ = {name: f"the secret of {name}" for name in re.findall(r"\$\{env:(\w+)\}", text)}
    return path, environ | {
        "VAKHTA_STORE_URL": "postgresql+psycopg://vakhta:a-password@db.example.com/vakhta",
        "VAKHTA_AUDIT_KEY": f"{'A' * 43}=",
        "VAKHTA_AUDIT_PREVIOUS_KEY": f"{'B' * 42}A=",
    }


def read_of(settings: BaseModel) -> Any:
    """All that was read from a settings file, as JSON, under the names that people write; secrets in plain sight."""

    def plain(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, Mapping):
            return {str(key): plain(one) for key, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

    return json.loads(json.dumps(plain(settings.model_dump(by_alias=True)), default=str))


def settings_then() -> Any:
    """What that version read from it."""
    return json.loads((FOLDER / "settings.json").read_text())


def only(now: Any, then: Any) -> Any:
    """Of what is shown now, the part that was shown then: later versions may add keys."""
    if isinstance(then, dict):
        return {key: only(now[key], value) if key in now else None for key, value in then.items()}
    if isinstance(then, list) and len(then) == len(now):
        return [only(*pair) for pair in zip(now, then, strict=True)]
    return now


def stored(shown: Any) -> Any:
    """Without the sentences that are made when it is shown: later versions may say those in other words."""
    if isinstance(shown, dict):
        return {key: stored(value) for key, value in shown.items() if key not in _SENTENCES}
    return [stored(one) for one in shown] if isinstance(shown, list) else shown
