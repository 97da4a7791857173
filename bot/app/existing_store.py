"""Opens a database that must exist: for commands that read or administer what a bot has written.

The promise: nothing is created or migrated. An empty database would answer that no incident is open, and a command that
is newer than the running bot would change tables below it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bot.app import build
from bot.config.paths import is_there
from bot.config.settings import Settings
from bot.core.errors import Rejected
from bot.store.connections import newest_version, stored_version
from bot.store.engine import Store


def open_existing(settings: Settings, config: Path) -> Store:
    """The database of these settings, which were read from `config`.

    Raises:
        Rejected: it is not there, holds nothing, or is of another version.
        SystemExit: it cannot be used, with the reason.
    """
    file = settings.store.file
    if file is not None and not is_there(file, unknown=True):
        raise _missing(f"There is no database {file}", config)
    return build.open_store(settings, when_not_newest=partial(_refuse, config=config))


def _refuse(store: Store, config: Path) -> None:
    with store.connected() as connection:
        version = stored_version(connection)
    store.close()
    where = store.url.render_as_string(hide_password=True)
    if not version:
        raise _missing(f"The database {where} is empty", config)
    if version > newest_version():
        raise Rejected(
            f"The database {where} is of a later version ({version}) than this program. Nothing was done."
            " Use the program of the running bot."
        )
    raise Rejected(
        f"The database {where} is of an earlier version ({version}). Nothing was done."
        f" Start the bot of this version, or run: vakhta migrate --config {config.absolute()}"
    )


def _missing(what: str, config: Path) -> Rejected:
    path = config.absolute()
    return Rejected(
        f"{what}. Nothing was done, and nothing was created. The settings file {path} leads there (store.url)."
        " Name the settings of the running bot with --config, or start a bot with this file:"
        f" vakhta run --config {path}"
    )
