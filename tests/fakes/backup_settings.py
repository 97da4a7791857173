"""The settings of an engine that only tests know, and the engine made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from bot.config.backup_engines import EngineEntry
from bot.core.backup import EngineParts
from bot.lib.settings_fields import FILE, Mistake, Secret, Section, text_of
from tests.fakes.backup_engine import BackupWorld, FakeBackupReader, FakeRestorer


class FakeBackupSettings(Section):
    """Where the backups of the fake are."""

    folder: Annotated[str, FILE] = Field(min_length=1, description="The folder.")
    stanza: str = Field("main", pattern="^[a-z]+$", json_schema_extra={"patternErrorMessage": "must be small letters"})
    tool: Annotated[str, FILE] | None = None
    password: Secret | None = None
    cluster: str | None = None

    @classmethod
    def mistakes(cls, given: Mapping[str, object]) -> Iterator[Mistake]:
        if text_of(given, "folder").startswith("s3://"):
            yield ("folder",), "is a bucket; use bucket"

    @property
    def place(self) -> str:
        return self.folder


_HERE = __name__
RESTORES = EngineEntry(settings=f"{_HERE}:FakeBackupSettings", engine=f"{_HERE}:MadeRestorer", in_cluster=True)
READS = EngineEntry(settings=f"{_HERE}:FakeBackupSettings", engine=f"{_HERE}:MadeReader", only_reads=True)
#: The world that engines made of settings read.
WORLDS: dict[str, BackupWorld] = {}


class ErrorOfSdk(Exception):
    """As botocore's: of no class of Python's own."""


class MadeRestorer(FakeRestorer):
    """Made as engines are: of its settings and its parts."""

    def __init__(self, where: FakeBackupSettings, parts: EngineParts) -> None:
        if where.stanza == "broken":
            raise ImportError("No module named 'sdk_of_the_fake'")
        if where.stanza == "sdk":
            raise ErrorOfSdk("No region")
        super().__init__(WORLDS[where.folder.rpartition("/")[2]], parts)


class MadeReader(FakeBackupReader):
    def __init__(self, where: FakeBackupSettings, parts: EngineParts) -> None:
        super().__init__(WORLDS[where.folder.rpartition("/")[2]], parts)
