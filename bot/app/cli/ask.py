"""`vakhta ask`: one command of the person at this keyboard, directly on the database, whether or not a bot runs on it.

Who may read and write the database may use it. It creates no database and migrates none: an answer from an empty one,
such as "no incident is open", would be false. It loads no SDK before a command needs it, and waits for slow runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.access.account_linking import AccountLinking
from bot.alerts.intake import Intake
from bot.app.build import (
    build_alert_rules,
    build_people,
    build_subscriptions,
    build_unloaded_channels,
)
from bot.app.build_chatops import ChatOps, build_chatops
from bot.app.build_tools import build_tools
from bot.app.existing_store import open_existing
from bot.config.settings import Settings
from bot.core.errors import Rejected
from bot.core.incident import CLI, CONSOLE, Committed
from bot.core.request import UNKNOWN_PRINCIPAL, Reply, Request
from bot.lib import failpoints
from bot.lib.text import normalized
from bot.store.audit_seals import Sealer
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store, Unavailable

_UNLISTED = (
    "You are not listed: nobody under `people` in the settings has the id local. Nothing was done."
    " Add {id: local, roles: [...]} there."
)


def ask(settings: Settings, text: str, config: Path) -> Reply:
    """`config`: the settings file, which is named where it leads to no database."""
    failpoints.arm(os.environ.get("VAKHTA_FAILPOINT", ""))
    store = open_existing(settings, config)
    try:
        operator = AccountLinking(build_people(settings)).person(store, CONSOLE, "local")
        with _command_side(settings, store) as chatops:
            request = Request(
                by=operator or UNKNOWN_PRINCIPAL, text=normalized(text), channel=CLI, account="local", private=True
            )
            if operator is None:
                chatops.dispatcher.record_refusal(request, _UNLISTED)
                raise Rejected(_UNLISTED)
            return chatops.dispatcher.handle(request)
    except Unavailable as trouble:
        message = f"The database did not accept the command ({trouble}). Nothing was done. Run it again."
        raise Rejected(message) from None
    finally:
        store.close()


@contextmanager
def _command_side(settings: Settings, store: Store) -> Iterator[ChatOps]:
    channels = build_unloaded_channels(settings)
    subscriptions = build_subscriptions(channels)
    intake = Intake(store, rules=build_alert_rules(settings), subscriptions=subscriptions, on_commit=_ignore_commit)
    intake.start()
    try:
        yield build_chatops(
            settings,
            store,
            channels=channels,
            subscriptions=subscriptions,
            on_commit=_ignore_commit,
            seal=Sealer(store).seal_now,
            take=intake.take,
            tools=build_tools(settings, store.now, records=StoredBackupRecords(store), deferred=True),
            wait_for_results=True,
        )
    finally:
        intake.stop()
        with suppress(Unavailable):  # a bot that runs on this database seals as well
            Sealer(store).seal()


def _ignore_commit(committed: Committed) -> None:
    """Wakes nobody: a bot that runs on the same database polls the outbox once a second."""
