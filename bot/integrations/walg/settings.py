"""The key `where` of a store whose engine is WAL-G."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from bot.lib.settings_fields import FILE, PROGRAM, Mistake, Secret, Section

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class WalgSettings(Section):
    """A storage of WAL-G. It is read alone: the bot restores nothing from it."""

    program: Annotated[str, PROGRAM] = Field("wal-g", min_length=1, description="WAL-G's program.")
    config: Annotated[str, FILE] | None = Field(
        None, min_length=1, description="WAL-G's configuration file; left out, ~/.walg.json of the bot's user."
    )
    environment: Mapping[str, str] = Field(
        {}, description="Settings of WAL-G and of its connection to PostgreSQL: WALG_S3_PREFIX, PGHOST. No secrets."
    )
    secrets: Mapping[str, Secret] = Field(
        {}, description="Settings that are secrets, such as AWS_SECRET_ACCESS_KEY and PGPASSWORD."
    )
    url: Secret | None = Field(
        None,
        description="PostgreSQL's address of the live primary, to ask when WAL was archived last:"
        " postgresql://USER:PASSWORD@HOST/NAME.",
    )

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        for key in ("environment", "secrets"):
            named = given.get(key)
            for name in named if isinstance(named, Mapping) else ():
                if not _VARIABLE.fullmatch(str(name)):
                    yield (key, str(name)), "must be the name of an environment variable, such as WALG_S3_PREFIX"
