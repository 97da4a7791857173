"""The key `where` of a store whose engine is Barman."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.lib.settings_fields import FILE, PROGRAM, Secret, Section


class BarmanSettings(Section):
    """A server of Barman. It is read alone: the bot restores nothing from it."""

    server: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="The server's name in Barman.")
    program: Annotated[str, PROGRAM] = Field("barman", min_length=1, description="Barman's program.")
    config: Annotated[str, FILE] | None = Field(
        None, min_length=1, description="Barman's configuration file; left out, its usual places count."
    )
    url: Secret | None = Field(
        None,
        description="PostgreSQL's address of the live primary, to ask when WAL was archived last:"
        " postgresql://USER:PASSWORD@HOST/NAME.",
    )
